"""The demonstration on a tiny head, whose truth is a known shift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.errors import OutputError
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


def test_the_error_is_the_mean_distance_over_the_labels() -> None:
    labels = LabelMap(np.ones((4, 4, 4)), Geometry((4, 4, 4), np.eye(4)))
    shift = np.eye(4)
    shift[:3, 3] = 3, 4, 0
    assert demo.mean_error(Affine(shift), Affine(np.eye(4)), labels) == pytest.approx(5)
