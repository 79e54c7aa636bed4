"""Full disks, limits, links to inputs, kills and two runs at once: rows S1 to S7."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import OutputError
from medfuse.geometry import Geometry
from medfuse.io.files import folder_lock, write_file, write_text
from medfuse.io.transforms import write_transform
from medfuse.io.volumes import read_volume, write_labels, write_volume
from medfuse.modality import MODALITIES
from medfuse.transform import Displacement
from medfuse.volume import LabelMap, Volume

SHAPE = (40, 64, 64)
NAMES = ["out.nii", "out.nii.gz", "out.nrrd", "out.mha"]


@pytest.fixture(scope="module")
def volume() -> Volume:
    """Return noise, which does not pack."""
    values = np.random.default_rng(0).random(SHAPE).astype("f4")
    return Volume(values, Geometry(SHAPE, np.eye(4)), MODALITIES["T1"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 100 kB; skip where that is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def short_files() -> Iterator[None]:
    """Let no file grow beyond 100 kB."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old)


def refused(write: Callable[[], object], folder: Path, row: str, words: str) -> None:
    """Check that writing is refused by row and leaves the folder as it was."""
    before = {path: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    with pytest.raises(OutputError, match=words) as caught:
        write()
    assert caught.value.id == row
    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    after = {path: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    assert after == before


@pytest.mark.parametrize("name", NAMES)
def test_S1_disk_full(small_disk: Path, volume: Volume, name: str) -> None:
    (small_disk / name).write_bytes(b"old")
    refused(lambda: write_volume(volume, small_disk / name), small_disk, "S1", "disk is full")


@pytest.mark.parametrize("name", NAMES)
def test_S1_disk_full_by_the_kernels_word(
    tmp_path: Path, volume: Volume, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where no disk can be mounted: the error that the kernel gives is raised."""
    (tmp_path / name).write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    refused(lambda: write_volume(volume, tmp_path / name), tmp_path, "S1", "disk is full")


@pytest.mark.parametrize("name", NAMES)
def test_S1_a_disk_that_loses_bytes_and_does_not_say_so(
    tmp_path: Path, volume: Volume, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def losing(handle: int) -> None:
        real(handle)
        place = Path(f"/proc/self/fd/{handle}").readlink()
        if place.is_file():
            os.truncate(place, place.stat().st_size * 2 // 3)

    (tmp_path / name).write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", losing)
    refused(lambda: write_volume(volume, tmp_path / name), tmp_path, "S1", "reads differently")


@pytest.fixture(scope="module")
def field() -> Displacement:
    """Return a field of noise, which HDF5 cannot pack into 100 kB."""
    return Displacement(
        np.random.default_rng(0).normal(size=(3, 24, 24, 24)), Geometry((24, 24, 24), np.eye(4))
    )


def test_S1_a_transform_to_a_full_disk(small_disk: Path, field: Displacement) -> None:
    (small_disk / "a.h5").write_bytes(b"old")
    refused(lambda: write_transform(field, small_disk / "a.h5"), small_disk, "S1", "disk is full")


def test_S1_a_transform_to_a_disk_that_loses_bytes(
    tmp_path: Path, field: Displacement, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(handle: int) -> None:
        place = Path(f"/proc/self/fd/{handle}").readlink()
        if place.is_file():
            os.truncate(place, place.stat().st_size * 2 // 3)

    monkeypatch.setattr(os, "fsync", losing)
    refused(lambda: write_transform(field, tmp_path / "a.h5"), tmp_path, "S2", "reads differently")


def test_S3_a_transform_may_not_grow(tmp_path: Path, field: Displacement) -> None:
    """In a process of its own: HDF5, left to write the file itself, crashes here."""
    script = textwrap.dedent(
        """
        import pickle, resource, sys
        from medfuse.errors import OutputError
        from medfuse.io.transforms import write_transform
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            write_transform(pickle.load(open(0, "rb")), sys.argv[1])
        except OutputError as error:
            print(error.id, error.what)
        """
    )
    (tmp_path / "a.h5").write_bytes(b"old")
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.h5")],
        input=pickle.dumps(field),
        capture_output=True,
        check=True,
    )
    assert run.stdout == b"S1 files may not grow so large here\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_bytes() == b"old"


def test_S2_text_to_a_full_disk(small_disk: Path) -> None:
    (small_disk / "a.tfm").write_text("old")
    refused(
        lambda: write_text(small_disk / "a.tfm", "x" * 200_000), small_disk, "S1", "disk is full"
    )


@pytest.mark.parametrize("name", NAMES)
def test_S3_files_may_not_grow(
    tmp_path: Path, volume: Volume, name: str, short_files: None
) -> None:
    (tmp_path / name).write_bytes(b"old")
    refused(lambda: write_volume(volume, tmp_path / name), tmp_path, "S1", "may not grow")


@pytest.mark.parametrize("link", ["itself", "symbolic", "hard"])
def test_S4_output_is_the_input(tmp_path: Path, volume: Volume, link: str) -> None:
    path = write_volume(volume, tmp_path / "in.nii")
    target = path if link == "itself" else tmp_path / "out.nii"
    if link == "symbolic":
        target.symlink_to(path)
    if link == "hard":
        target.hardlink_to(path)
    read = read_volume(path)
    words = "is one of the inputs"
    refused(lambda: write_volume(read, target, inputs=[path]), tmp_path, "S4", words)
    labels = LabelMap(np.ones(SHAPE, "u2"), read.geometry)
    refused(lambda: write_labels(labels, target, inputs=[path]), tmp_path, "S4", words)
    assert np.array_equal(read_volume(path).array, volume.array)


def test_S4_even_unnamed_inputs_are_not_harmed(tmp_path: Path, volume: Volume) -> None:
    """A volume in memory does not hang on its file: replacing the file keeps the values."""
    path = write_volume(volume, tmp_path / "in.nii")
    read = read_volume(path)
    write_volume(read.with_array(np.zeros(SHAPE)), path)
    assert np.array_equal(read.array, volume.array)
    assert (read_volume(path).array == 0).all()


def test_S5_output_folder(tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder.nii").mkdir()
    for name, words in (
        ("missing/out.nii", "no such folder"),
        ("file/out.nii", "not a folder"),
        ("folder.nii", "is a folder"),
    ):
        refused(lambda name=name: write_volume(volume, tmp_path / name), tmp_path, "S5", words)
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(lambda: write_volume(volume, tmp_path / "o.nii"), tmp_path, "S5", "cannot write into")


def test_S6_kill_while_writing(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    script = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from medfuse.io.files import write_file

        def write(made):
            with made.open("wb") as stream:
                for _ in range(1000):
                    stream.write(bytes(1000))
                    stream.flush()
                    print("written", flush=True)
                    time.sleep(0.01)

        write_file(Path({str(tmp_path)!r}, "out"), write)
        """
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert run.stdout is not None
    for _ in range(5):
        run.stdout.readline()
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert (tmp_path / "out").read_bytes() == b"old"
    left = [path.name for path in tmp_path.iterdir() if path.name != "out"]
    assert all(name.startswith(".") for name in left)  # nobody takes the rest for a result
    write_file(tmp_path / "out", lambda made: made.write_bytes(b"new") and None)
    assert (tmp_path / "out").read_bytes() == b"new"


def _holder(folder: Path) -> subprocess.Popen[str]:
    script = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from medfuse.io.files import folder_lock
        with folder_lock(Path({str(folder)!r})):
            print("held", flush=True)
            time.sleep(60)
        """
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "held\n"
    return run


def test_S7_two_runs_one_output(tmp_path: Path) -> None:
    run = _holder(tmp_path)
    try:
        with (
            pytest.raises(OutputError, match=f"locked by another run .process {run.pid}") as caught,
            folder_lock(tmp_path),
        ):
            pass
        assert (caught.value.id, caught.value.exit_code) == ("S7", 5)
    finally:
        run.kill()
        run.wait()
        assert run.stdout is not None
        run.stdout.close()
    assert (tmp_path / ".medfuse.lock").exists()  # left by the run that was killed
    with folder_lock(tmp_path):  # and taken over
        pass
    assert list(tmp_path.iterdir()) == []


def test_S7_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path):
        raise ZeroDivisionError
    with folder_lock(tmp_path):
        assert (tmp_path / ".medfuse.lock").read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []


def test_S7_many_runs_take_turns(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from medfuse.errors import OutputError
        from medfuse.io.files import folder_lock
        folder = Path({str(tmp_path)!r})
        done = 0
        while done < 20:
            try:
                with folder_lock(folder):
                    (folder / "alone").mkdir()
                    (folder / "alone").rmdir()
                    done += 1
            except OutputError:
                time.sleep(0.001)
        """
    )
    runs = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0, 0]


def test_S7_a_rename_is_whole(tmp_path: Path) -> None:
    """Two writers, one name: a reader sees all of one or all of the other."""
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from medfuse.io.files import write_text
        for _ in range(60):
            write_text(Path({str(tmp_path)!r}, "out"), sys.argv[1] * 50_000)
        """
    )
    runs = [subprocess.Popen([sys.executable, "-c", script, mark]) for mark in "ab"]
    seen = set()
    while any(run.poll() is None for run in runs):
        if (tmp_path / "out").exists():
            seen.add((tmp_path / "out").read_text())
        time.sleep(0.001)
    assert seen <= {"a" * 50_000, "b" * 50_000}
    assert [run.returncode for run in runs] == [0, 0]
