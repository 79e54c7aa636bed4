"""``medfuse convert``: the same voxels at the same places, and nothing of the patient."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from tests.end_to_end import heads
from tests.end_to_end.conftest import Run
from tests.medfuse.io import dicom_maker


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nii", "out.nrrd", "out.mha"])
def test_values_and_places_stay(medfuse: Run, scans: Path, name: str) -> None:
    said = medfuse("convert", "CT.nii.gz", name)
    assert (said.code, said.out, said.err) == (0, f"wrote {name}\n", [])
    given, made = sitk.ReadImage("CT.nii.gz"), sitk.ReadImage(name)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(made), sitk.GetArrayFromImage(given))
    last = [size - 1 for size in given.GetSize()]
    assert made.TransformIndexToPhysicalPoint(last) == pytest.approx(
        given.TransformIndexToPhysicalPoint(last), abs=1e-4
    )


def test_a_label_map_stays_one(medfuse: Run, scans: Path) -> None:
    labels = (np.indices(heads.SHAPE).sum(axis=0) % 3).astype(np.uint8)
    nib.save(nib.Nifti1Image(labels, heads.affine()), scans / "x_mask.nii.gz")
    nib.save(nib.Nifti1Image(labels * 0.5, heads.affine()), scans / "y_mask.nii.gz")
    for name, kind in (("x_mask", "u"), ("y_mask", "f")):
        assert medfuse("convert", f"{name}.nii.gz", f"{name}.nrrd").code == 0
        made = sitk.GetArrayFromImage(sitk.ReadImage(f"{name}.nrrd"))
        assert made.dtype.kind == kind
        factor = 1 if kind == "u" else 0.5
        np.testing.assert_array_equal(made.T, labels * factor)


def test_a_series(medfuse: Run, tmp_path: Path) -> None:
    dicom_maker.series(tmp_path / "series")
    said = medfuse("convert", tmp_path / "series", tmp_path / "ct.nii.gz")
    assert said.code == 0
    image = nib.load(tmp_path / "ct.nii.gz")
    truth = np.stack([dicom_maker.stored(k) for k in range(10)]) - 1024.0
    values = np.asarray(image.dataobj)
    corner = image.affine @ [0, 0, 0, 1]
    assert image.shape == (14, 16, 10)
    np.testing.assert_array_equal(values.T, truth)
    np.testing.assert_allclose(corner[:3], (20, 30, 40), atol=1e-4)  # RAS of LPS -20, -30, 40


def test_D7_a_tilted_series_is_made_right_angled_with_a_warning(
    medfuse: Run, tmp_path: Path
) -> None:
    def tilt(k: int, made: Dataset) -> None:
        made.ImagePositionPatient = [-20.0, -30.0 + 0.8 * k, 40.0 + 3.0 * k]

    dicom_maker.series(tmp_path / "series", tilt)
    said = medfuse("convert", tmp_path / "series", tmp_path / "ct.nii.gz")
    assert said.code == 0, said.err
    assert {line.split(":")[1].strip() for line in said.err} <= {"warning[D7]", "warning[N10]"}
    assert len(said.err) == len(set(said.err)) >= 1
    sitk.ReadImage(tmp_path / "ct.nii.gz")  # refuses a sheared grid


def test_S5_an_old_file_stays_without_the_word(medfuse: Run, scans: Path) -> None:
    (scans / "out.nii").write_bytes(b"old")
    said = medfuse("convert", "CT.nii.gz", "out.nii")
    assert said.code == 5
    assert said.err[0].startswith("medfuse: error[S5]: ")
    assert (scans / "out.nii").read_bytes() == b"old"
    assert medfuse("convert", "CT.nii.gz", "out.nii", "--overwrite").code == 0
    assert (scans / "out.nii").stat().st_size > 1000


def test_S4_never_over_the_input(medfuse: Run, scans: Path) -> None:
    before = (scans / "CT.nii.gz").read_bytes()
    said = medfuse("convert", "CT.nii.gz", "CT.nii.gz", "--overwrite")
    assert said.code == 5
    assert said.err[0].startswith("medfuse: error[S4]: ")
    assert (scans / "CT.nii.gz").read_bytes() == before
