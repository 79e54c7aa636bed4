"""Publishing: the earlier result or the new one, whatever comes between two renames."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from medfuse.errors import OutputError
from pipelines.output_folder import OutputFolder, output_folder


def fill(folder: OutputFolder, mark: str, names: tuple[str, ...] = ("CT",)) -> None:
    """Put results of moving volumes onto the stage."""
    for name in names:
        (folder.stage / name).mkdir()
        for file in ("transform.tfm", "moved.nii.gz"):
            (folder.stage / name / file).write_text(mark)
    (folder.stage / "page.html").write_text(mark)
    record = {"command": "register", "moving": [{"name": name} for name in names]}
    (folder.stage / "record.json").write_text(json.dumps({"mark": mark, **record}))


def published(path: Path, mark: str, names: tuple[str, ...] = ("CT",)) -> None:
    """Make a whole result in ``path``."""
    with output_folder(path, overwrite=True) as folder:
        folder.reserve(names)
        fill(folder, mark, names)
        folder.publish()


def contents(folder: Path) -> dict[str, str]:
    """Return every file below a folder with its text; folders with none."""
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("broken", range(8))
def test_where_a_rename_fails_the_earlier_result_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    published(tmp_path / "out", "old")
    (tmp_path / "out" / "CT" / "mine.txt").write_text("mine")
    before = contents(tmp_path / "out")
    count = 0
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == broken + 1:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    with output_folder(tmp_path / "out", overwrite=True) as folder:
        folder.reserve(["CT", "PET"])
        fill(folder, "new", ("CT", "PET"))
        monkeypatch.setattr(Path, "replace", failing)
        with pytest.raises(OutputError, match="Input/output error") as caught:
            folder.publish()
    assert caught.value.id == "S5"
    assert contents(tmp_path / "out") == before


def test_S8_an_interrupt_between_two_renames_comes_after_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(tmp_path / "out", "old")
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return replace(self, target)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with output_folder(tmp_path / "out", overwrite=True) as folder:
            fill(folder, "new")
            monkeypatch.setattr(Path, "replace", interrupted)
            with pytest.raises(KeyboardInterrupt):
                folder.publish()
    finally:
        signal.signal(signal.SIGINT, before)
    made = contents(tmp_path / "out")
    assert made.pop("CT") == ""
    assert all("new" in text for text in made.values())
    assert sorted(made) == ["CT/moved.nii.gz", "CT/transform.tfm", "page.html", "record.json"]


@pytest.mark.parametrize("file", ["transform.tfm", "transform.h5", "moved.nii.gz"])
def test_S5_a_folder_in_the_place_of_a_result_is_refused_before_work(
    tmp_path: Path, file: str
) -> None:
    (tmp_path / "CT" / file).mkdir(parents=True)
    with output_folder(tmp_path, overwrite=True) as folder, pytest.raises(OutputError) as caught:
        folder.reserve(["CT"])
    assert caught.value.id == "S5"


def test_N40_a_link_in_the_place_of_a_result_is_refused_before_work(tmp_path: Path) -> None:
    (tmp_path / "CT").mkdir()
    (tmp_path / "CT" / "moved.nii.gz").symlink_to(tmp_path / "nothing")
    with output_folder(tmp_path, overwrite=True) as folder, pytest.raises(OutputError) as caught:
        folder.reserve(["CT"])
    assert caught.value.id == "N40"


def test_a_scan_that_takes_no_part_any_more_leaves_no_result(tmp_path: Path) -> None:
    published(tmp_path, "old", ("CT", "PET", "T2"))
    (tmp_path / "T2" / "mine.txt").write_text("mine")
    published(tmp_path, "new", ("CT",))
    assert sorted(contents(tmp_path)) == [
        *("CT", "CT/moved.nii.gz", "CT/transform.tfm"),
        *("T2", "T2/mine.txt", "page.html", "record.json"),
    ]


def test_S4_a_result_that_is_read_again_is_not_removed_as_outdated(tmp_path: Path) -> None:
    published(tmp_path, "old", ("CT", "PET"))
    before = contents(tmp_path)
    with output_folder(tmp_path, overwrite=True) as folder, pytest.raises(OutputError) as caught:
        folder.reserve(["CT"], inputs=[tmp_path / "PET" / "moved.nii.gz"])
    assert caught.value.id == "S4"
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "\xff", '{"moving": 3}', '{"moving": [{"name": 3}]}',
        '{"moving": [{"name": ".."}]}',
        '{"moving": [{"name": "../away"}]}', "[" * 100_000,
    ],
)  # fmt: skip
def test_a_record_of_another_hand_leads_nowhere(tmp_path: Path, text: str) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "moved.nii.gz").write_text("mine")
    (tmp_path / "moved.nii.gz").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "record.json").write_text(text, "latin-1")
    published(tmp_path / "out", "new")
    assert (tmp_path / "away" / "moved.nii.gz").read_text() == "mine"
    assert (tmp_path / "moved.nii.gz").read_text() == "mine"


def test_S6_what_a_killed_run_left_does_not_stop_the_next(tmp_path: Path) -> None:
    """In a new container the next run often has the number of the one that was killed."""
    for left in (f".partial-{os.getpid()}", f".partial-{os.getpid()}-ab12", ".partial-1-x_y"):
        (tmp_path / left / "CT").mkdir(parents=True)
    (tmp_path / ".partial-notes").mkdir()
    published(tmp_path, "new")
    hidden = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert hidden == [".partial-notes"]
