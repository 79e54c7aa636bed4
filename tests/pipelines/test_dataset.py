"""Looking at a cohort: what it holds, and each thing that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.io.manifest import read_manifest
from pipelines.dataset import check_cohort, check_visit, describe, same_labels
from tests.medfuse.training import toy


def test_a_sound_cohort_is_described(tmp_path: Path) -> None:
    cohort = toy.cohort(tmp_path, 2)
    checked = check_cohort(cohort, threads=2)
    assert [one.problem for one in checked] == [None, None]
    lines = "\n".join(describe(cohort, checked))
    assert "2 visits of 2 patients" in lines
    assert "scans: T1 2, CT 2" in lines
    assert "16 x 20 x 18 voxels of 1.00 x 1.00 x 1.00 mm" in lines
    size = float(np.median([(toy.arrays(n)["labels"] == 7).sum() / 1000 for n in (1, 2)]))
    assert f"label 7: in 2 visits, median {size:.2f} ml" in lines


def spoil(folder: Path, what: str) -> None:
    """Make one thing wrong with a written visit."""
    name = "labels" if what in ("labels moved", "half a label") else "CT"
    path = folder / f"{name}.nii"
    array, affine = toy.arrays(1)[name], np.eye(4)
    if what == "half a label":
        array = array.astype(np.float32) / 2
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:900])
        return
    else:
        affine[0, 3] = 5
    path.unlink()
    nib.save(nib.Nifti1Image(array, affine), path)


@pytest.mark.parametrize(
    ("what", "id"),
    [("moved", "C9"), ("labels moved", "C8"), ("half a label", "C7"), ("cut", "N4")],
)
def test_what_is_wrong_is_found_and_named(tmp_path: Path, what: str, id: str) -> None:
    toy.write(tmp_path, 1)
    spoil(tmp_path / "sub-1", what)
    (entry,) = read_manifest(tmp_path).studies
    found = check_visit(entry).problem
    assert found is not None
    assert found.id == id


def test_a_pet_of_unknown_unit_is_a_problem(tmp_path: Path) -> None:
    toy.write(tmp_path, 1)
    (tmp_path / "sub-1" / "CT.nii").rename(tmp_path / "sub-1" / "PET.nii")
    (entry,) = read_manifest(tmp_path).studies
    found = check_visit(entry).problem
    assert found is not None
    assert "PET is in unknown" in found.what


@pytest.mark.parametrize("value", [0, 7])
def test_C6_labels_that_were_copied_from_another_patient_are_named(
    tmp_path: Path, value: int
) -> None:
    toy.write(tmp_path, 2)
    for number in (1, 2):
        path = tmp_path / f"sub-{number}" / "labels.nii"
        nib.save(nib.Nifti1Image(np.full(toy.SHAPE, value, np.int16), np.eye(4)), path)
    found = same_labels(check_cohort(read_manifest(tmp_path)))
    said = ["[C6] sub-2: the label map is that of 'sub-1', byte for byte"]
    assert [str(one) for one in found] == (said if value else [])
