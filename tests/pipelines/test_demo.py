"""The demonstration on a tiny head, whose truth is a known shift."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.errors import OutputError, UsageError
from medfuse.geometry import Geometry
from medfuse.study import Quality
from medfuse.transform import Affine
from medfuse.volume import LabelMap
from pipelines import demo
from tests.end_to_end import heads
from tests.end_to_end.conftest import answers

__all__ = ["answers"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the phantom be a tiny head: CT and PET shifted, T2 0.5 mm off where it should be."""

    def phantom(out: Path, *, subjects: int, seed: int, **_: Any) -> Path:
        folder = out / "sub-001"
        (folder / "truth").mkdir(parents=True)
        for name in ("T1", "T2", "CT", "PET"):
            heads.write(folder, name)
            shift = np.array(heads.SHIFT) * (-1, -1, 1)
            if name == "T2":
                shift[0] += 0.5
            transform = sitk.AffineTransform(3)
            transform.SetTranslation(shift)
            sitk.WriteTransform(transform, folder / "truth" / f"{name}.tfm")
        labels = (heads.appearance("T1") > 100).astype(np.uint8)
        nib.save(nib.Nifti1Image(labels, heads.affine()), folder / "labels.nii.gz")
        return out

    monkeypatch.setattr(demo, "write_phantom", phantom)


def test_it_ends_with_verdicts_true_errors_and_a_page(
    small: None, answers: dict[str, Quality], tmp_path: Path
) -> None:
    said: list[str] = []

    def progress(what: str, done: int, total: int) -> None:
        said.append(what)

    made = demo.run_demo(tmp_path / "demo", progress=progress)
    assert made.exit_code == 0
    assert {name: quality.verdict for name, quality in made.quality.items()} == {
        "T2": "pass",
        "CT": "pass",
        "PET": "pass",
    }
    assert made.error_mm == pytest.approx({"T2": 0.5, "CT": 0, "PET": 0}, abs=1e-6)
    assert made.page == tmp_path / "demo" / "aligned" / "page.html"
    assert made.page.is_file()
    assert said[0] == "making a head"
    with pytest.raises(OutputError, match="not empty"):
        demo.run_demo(tmp_path / "demo")
    assert demo.run_demo(tmp_path / "demo", overwrite=True).page.is_file()


def test_a_failure_is_said_and_everything_is_there(
    small: None, answers: dict[str, Quality], tmp_path: Path
) -> None:
    answers["CT"] = Quality("fail", {}, ("no overlap",))
    made = demo.run_demo(tmp_path / "demo")
    assert made.exit_code == 4
    assert made.page.is_file()
    assert json.loads((made.page.parent / "record.json").read_text())["exit"] == 4


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def a_patients_folder(home: Path) -> None:
    """Let the user's own scans lie where the head of a demonstration would."""
    shutil.rmtree(home)
    (home / "sub-001").mkdir(parents=True)
    heads.write(home / "sub-001", "T1")


def a_label_drawn(home: Path) -> None:
    """Let the user have worked on the made head."""
    (home / "sub-001" / "labels.nii.gz").write_bytes(b"drawn by hand")


def a_file_added(home: Path) -> None:
    """Let the user have put something of their own into the made head."""
    (home / "sub-001" / "notes").mkdir()
    (home / "sub-001" / "notes" / "mine.txt").write_text("mine")


def a_link_added(home: Path) -> None:
    """Let a link lie among the files."""
    (home / "sub-001" / "link.nii.gz").symlink_to("T1.nii.gz")


def a_link_instead(home: Path) -> None:
    """Let the folder be a link to the same files elsewhere."""
    (home / "sub-001").rename(home.parent / "elsewhere")
    (home / "sub-001").symlink_to(home.parent / "elsewhere")


def another_record(home: Path) -> None:
    """Let the results be those of ``medfuse register``."""
    path = home / "aligned" / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "command": "register"}))


def no_head_but_results(home: Path) -> None:
    """Let there be results of which nobody knows whose they are."""
    shutil.rmtree(home / "sub-001")
    (home / "aligned" / "record.json").unlink()


@pytest.mark.parametrize(
    "change",
    [
        a_patients_folder,
        a_label_drawn,
        a_file_added,
        a_link_added,
        a_link_instead,
        another_record,
        no_head_but_results,
    ],
)
def test_S5_overwriting_never_takes_what_no_demonstration_made(
    small: None, answers: dict[str, Quality], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    demo.run_demo(tmp_path / "demo")
    change(tmp_path / "demo")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="holds what no demo made") as caught:
        demo.run_demo(tmp_path / "demo", overwrite=True)
    assert caught.value.id == "S5"
    assert contents(tmp_path) == before


def test_an_earlier_demonstration_stays_whole_until_the_new_one_is(
    small: None, answers: dict[str, Quality], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo.run_demo(tmp_path / "demo")
    (tmp_path / "demo" / "mine.txt").write_text("mine")
    before = contents(tmp_path)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(demo, "run_case", broken)
        with pytest.raises(ZeroDivisionError):
            demo.run_demo(tmp_path / "demo", overwrite=True)
        assert contents(tmp_path) == before
        with pytest.raises(ZeroDivisionError):
            demo.run_demo(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    # as after a kill: nothing but hidden remains
    (tmp_path / "killed" / ".partial-1-ab12" / "sub-001").mkdir(parents=True)
    (tmp_path / "killed" / "aligned" / ".partial-1-ab12").mkdir(parents=True)
    demo.run_demo(tmp_path / "killed", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["aligned", "sub-001"]
    demo.run_demo(tmp_path / "demo", overwrite=True)
    assert contents(tmp_path)["demo/mine.txt"] == b"mine"
    assert not any("/." in name for name in contents(tmp_path))


def test_a_folder_needs_a_name() -> None:
    with pytest.raises(UsageError, match="no name"):
        demo.run_demo("", overwrite=True)


def test_the_error_is_the_mean_distance_over_the_labels() -> None:
    labels = LabelMap(np.ones((4, 4, 4)), Geometry((4, 4, 4), np.eye(4)))
    shift = np.eye(4)
    shift[:3, 3] = 3, 4, 0
    assert demo.mean_error(Affine(shift), Affine(np.eye(4)), labels) == pytest.approx(5)
