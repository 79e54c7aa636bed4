"""Files are looked at before they are opened, and written whole or not at all."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
from pathlib import Path

import pytest

from medfuse.errors import InputError, OutputError
from medfuse.io import files


def test_readable_returns_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "~a").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert files.readable("~a") == tmp_path / "~a"


def test_content_and_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"hello" * 100))
    assert files.content(path, limit=500) == b"hello" * 100
    assert files.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(InputError) as caught:
        files.content(path, limit=499)
    assert caught.value.id == "N29"
    plain = tmp_path / "plain"
    plain.write_bytes(b"x" * 10)
    assert files.content(plain, limit=10) == b"x" * 10
    with pytest.raises(InputError):
        files.content(plain, limit=9)


@pytest.mark.parametrize("size", [0, 1, 5, 300, 5000])
def test_beginning(size: int) -> None:
    data = bytes(range(256)) * 4
    members = b"".join(gzip.compress(data[n : n + 100]) for n in range(0, len(data), 100))
    for raw in (data, gzip.compress(data), members):
        assert files.beginning(raw, size) == data[:size]


def test_beginning_of_a_damaged_stream_is_short() -> None:
    assert files.beginning(b"\x1f\x8b" + bytes(20), 10) == b""
    assert len(files.beginning(gzip.compress(os.urandom(100))[:50], 100)) < 100


def test_inflate_drains_every_member(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    raw = gzip.compress(data[:200_000]) + gzip.compress(data[200_000:]) + bytes(600)
    assert files.inflate(raw, tmp_path, limit=300_000) == data


@pytest.mark.parametrize(
    ("spoil", "row"),
    [
        (lambda raw: raw[:-5000], "N1"),
        (lambda raw: raw[:-4], "N2"),
        (lambda raw: raw[:-8], "N2"),
        (lambda raw: raw[:-8] + b"12345678", "N3"),
        (lambda raw: raw + b"more", "N3"),
        (lambda raw: raw + raw[:-1], "N2"),
    ],
)
def test_inflate_refuses_what_is_not_whole(tmp_path: Path, spoil: object, row: str) -> None:
    raw = gzip.compress(os.urandom(100_000))
    with pytest.raises(InputError) as caught:
        files.inflate(spoil(raw), tmp_path, limit=300_000)  # type: ignore[operator]
    assert caught.value.id == row


def test_a_small_stream_cannot_fill_the_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(50 << 20))
    with pytest.raises(InputError) as caught:
        files.inflate(bomb, tmp_path, limit=1000)
    assert caught.value.id == "N29"


def test_write_file_makes_the_file_and_nothing_else(tmp_path: Path) -> None:
    seen = []

    def write(made: Path) -> None:
        seen.append(made.name)
        made.write_bytes(b"new")

    target = files.write_file(tmp_path / "out.nii.gz", write)
    assert target.read_bytes() == b"new"
    assert seen[0].endswith(".nii.gz")  # writers look at the suffix
    assert [path.name for path in tmp_path.iterdir()] == ["out.nii.gz"]


def test_write_file_respects_the_mask_of_the_user(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        made = files.write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(old)
    assert made.stat().st_mode & 0o777 == 0o640


def test_a_failed_check_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")

    def check(_: Path) -> None:
        raise OutputError("reads differently", id="S1")

    with pytest.raises(OutputError):
        files.write_file(tmp_path / "out", lambda made: files._put(made, b"new"), check=check)
    assert (tmp_path / "out").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_any_exception_leaves_nothing(tmp_path: Path) -> None:
    def write(made: Path) -> None:
        made.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_file(tmp_path / "out", write)
    assert list(tmp_path.iterdir()) == []


def test_overwrite_only_if_allowed(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a", "one")
    with pytest.raises(OutputError, match="exists already") as caught:
        files.write_text(tmp_path / "a", "two", overwrite=False)
    assert caught.value.id == "S5"
    assert files.write_text(tmp_path / "a", "two").read_text() == "two"


def test_N40_outputs_do_not_follow_links(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "precious").write_text("keep")
    (inside / "link").symlink_to(outside / "precious")
    with pytest.raises(OutputError, match="link out of its folder"):
        files.write_text(inside / "link", "new")
    assert (outside / "precious").read_text() == "keep"


def test_long_names(tmp_path: Path) -> None:
    name = "x" * 247 + ".nii.gz"
    assert files.write_text(tmp_path / name, "text").name == name


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_file_in_the_making_is_its_writers_alone(tmp_path: Path, umask: int) -> None:
    seen = []

    def write(made: Path) -> None:
        seen.append(made.stat().st_mode & 0o777)
        made.write_bytes(b"x")

    before = os.umask(umask)
    try:
        for name, overwrite in (("a", True), ("b", False)):
            made = files.write_file(tmp_path / name, write, overwrite=overwrite)
            assert made.stat().st_mode & 0o777 == 0o666 & ~umask
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert seen == [0o600, 0o600]


@pytest.mark.parametrize("links", [True, False])
def test_S5_a_file_that_appears_meanwhile_is_not_replaced(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    def write(made: Path) -> None:
        made.write_bytes(b"ours")
        (tmp_path / "a").write_bytes(b"theirs")

    if not links:
        monkeypatch.setattr(os, "link", no_link)
    with pytest.raises(OutputError, match="exists already") as caught:
        files.write_file(tmp_path / "a", write, overwrite=False)
    assert caught.value.id == "S5"
    assert (tmp_path / "a").read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    files.write_file(
        tmp_path / "b", lambda made: made.write_bytes(b"ours") and None, overwrite=False
    )
    assert (tmp_path / "b").read_bytes() == b"ours"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_S7_a_disk_without_locks_is_not_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with pytest.raises(OutputError, match="No locks available"), files.folder_lock(tmp_path):
        pass
