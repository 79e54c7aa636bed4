"""A folder of results: filled whole or not at all, by one run at a time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medfuse.errors import OutputError, UsageError
from pipelines.output_folder import OutputFolder, check_name, output_folder


def fill(folder: OutputFolder, mark: str = "new", *, page: bool = True) -> None:
    """Put a result of one moving volume onto the stage."""
    (folder.stage / "CT").mkdir()
    for name in ("CT/transform.tfm", "CT/moved.nii.gz", "record.json", *(["page.html"] * page)):
        (folder.stage / name).write_text(mark)


def refuse(path: Path) -> None:
    """Fill the stage of a folder, then give up."""
    with contextlib.suppress(ZeroDivisionError), output_folder(path, overwrite=True) as folder:
        fill(folder, "half")
        raise ZeroDivisionError


def contents(folder: Path) -> dict[str, str]:
    """Return every file below a folder and its text."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_results_appear_together_at_the_end(tmp_path: Path) -> None:
    with output_folder(tmp_path / "out") as folder:
        fill(folder)
        assert not (tmp_path / "out" / "CT").exists()
        folder.publish()
    assert sorted(contents(tmp_path / "out")) == [
        "CT/moved.nii.gz",
        "CT/transform.tfm",
        "page.html",
        "record.json",
    ]


def test_a_refusal_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name in ("new", "old"):
        refuse(tmp_path / name)
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_an_earlier_result_stays_whole_until_the_new_one_is(tmp_path: Path) -> None:
    with output_folder(tmp_path / "out") as folder:
        fill(folder, "first")
        folder.publish()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    refuse(tmp_path / "out")
    assert set(contents(tmp_path / "out").values()) == {"first", "mine"}
    with output_folder(tmp_path / "out", overwrite=True) as folder:
        folder.reserve(["CT"])
        fill(folder, "third", page=False)
        folder.publish()
    made = contents(tmp_path / "out")
    assert "page.html" not in made
    assert set(made.values()) == {"third", "mine"}


def test_S5_a_folder_that_is_none_or_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for name, words in [("file", "not a folder"), ("none/out", "no such folder")]:
        with (
            pytest.raises(OutputError, match=words) as caught,
            output_folder(tmp_path / name),
        ):
            pass
        assert caught.value.id == "S5"
    assert (tmp_path / "file").read_text() == "a file"


def test_a_folder_needs_a_name() -> None:
    with pytest.raises(UsageError, match="--out: the folder has no name"), output_folder(""):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_S5_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    for name in ("locked", "locked/out"):
        with pytest.raises(OutputError) as caught, output_folder(tmp_path / name):
            pass
        assert caught.value.id == "S5"


@pytest.mark.parametrize("name", ["CT", "record.json", "page.html"])
def test_S5_results_that_are_there_need_the_word(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir() if name == "CT" else (tmp_path / name).write_text("old")
    with output_folder(tmp_path) as folder, pytest.raises(OutputError, match="exists already"):
        folder.reserve(["CT"])
    with output_folder(tmp_path, overwrite=True) as folder:
        folder.reserve(["CT"])


def test_N40_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "CT").symlink_to(tmp_path / "elsewhere")
    with (
        output_folder(tmp_path / "out", overwrite=True) as folder,
        pytest.raises(OutputError) as caught,
    ):
        folder.reserve(["CT"])
    assert caught.value.id == "N40"


def test_S4_the_folder_of_a_series_is_no_place_for_results(tmp_path: Path) -> None:
    (tmp_path / "CT").mkdir()
    (tmp_path / "CT" / "000.dcm").write_text("slice")
    with output_folder(tmp_path, overwrite=True) as folder, pytest.raises(OutputError) as caught:
        folder.reserve(["CT"], inputs=[tmp_path / "CT"])
    assert caught.value.id == "S4"


def test_S7_a_second_run_is_kept_out(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pipelines.output_folder import output_folder\n"
        "from medfuse.errors import OutputError\n"
        "try:\n"
        "    with output_folder(sys.argv[1], overwrite=True): pass\n"
        "except OutputError as error:\n"
        "    sys.exit(f'{error.exit_code} {error.id} {error}')\n"
    )
    with output_folder(tmp_path / "out") as folder:
        fill(folder)
        second = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "out"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.stderr.startswith("5 S7 ")
        assert str(os.getpid()) in second.stderr
        folder.publish()
    with output_folder(tmp_path / "out", overwrite=True):
        pass
    assert len(contents(tmp_path / "out")) == 4


@pytest.mark.parametrize("name", ["CT", "T1-2", "fdg_1.2", "0", "a" * 64])
def test_safe_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../a", "a/b", "a\\b", "-rf", ".hidden", "a b", "头", "a\n", "NUL"),
        *("com1.x", "a.", "a" * 65, "Record.json", "page.html", "%s;", "~"),
    ],
)
def test_unsafe_names(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        check_name(name)
