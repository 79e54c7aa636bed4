"""The command line on real scans: DICOM of five makers against their ground truth, and patients."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from tests.end_to_end.conftest import Run

SERIES = (
    "ge/anatomical/001",
    "generic/anatomical/001",
    "generic/anatomical/002_non_isotropic",
    "hitachi/anatomical/001",
    "philips/anatomical/001",
    "philips_enhanced/anatomical/001",
    "siemens/anatomical/001",
)
COMPRESSED = ("compressed_rle", "compressed_jpegls", "compressed_j2k", "compressed_jpeg")
BROKEN = {
    "failing/sliceincrement/001": "D3",
    "failing/notavolume/001": "D4",
    "failing/sliceorientation/001": "D23",
    "generic/rgb/001": "D25",
    "philips/fmri/001": "D39",
}


@pytest.fixture
def dicom(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of real DICOM series; the current folder is empty."""
    monkeypatch.chdir(tmp_path)
    return real_data / "dicom_dicom2nifti"


def same(made: Path, truth: nib.Nifti1Image) -> None:
    """Check that two NIfTI files hold the same values at the same places."""
    ours, theirs = (
        nib.as_closest_canonical(nib.squeeze_image(one)) for one in (nib.load(made), truth)
    )
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=2e-3)
    np.testing.assert_allclose(ours.get_fdata(), theirs.get_fdata(), rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("name", SERIES)
def test_a_series_equals_its_ground_truth(medfuse: Run, dicom: Path, name: str) -> None:
    assert medfuse("inspect", dicom / name).code == 0
    said = medfuse("convert", dicom / name, "made.nii.gz")
    assert (said.code, said.err) == (0, [])
    same(Path("made.nii.gz"), nib.load(dicom / f"{name}_ground_truth.nii.gz"))


def test_each_time_point_equals_its_ground_truth(medfuse: Run, dicom: Path) -> None:
    truth = nib.load(dicom / "philips/fmri/001_ground_truth.nii.gz")
    for k in range(4):
        folder = dicom / "philips/fmri/001"
        assert medfuse("convert", f"{folder}:volume={k}", f"{k}.nii.gz").code == 0
        same(Path(f"{k}.nii.gz"), truth.slicer[..., k])


def test_compressed_series_hold_the_same_pixels(medfuse: Run, dicom: Path) -> None:
    made = []
    for name in COMPRESSED:
        said = medfuse("convert", dicom / "generic" / name / "001", f"{name}.nii.gz")
        assert said.code == 0, said.err
        made.append(np.asarray(nib.load(f"{name}.nii.gz").dataobj))
    assert all(np.array_equal(made[0], other) for other in made[1:])
    assert np.ptp(made[0]) > 100


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_refused_by_its_id(medfuse: Run, dicom: Path, name: str) -> None:
    for words in (("inspect", dicom / name), ("convert", dicom / name, "made.nii.gz")):
        said = medfuse(*words)
        assert said.code == 3
        assert len(said.err) == 1
        assert said.err[0].startswith(f"medfuse: error[{BROKEN[name]}]: ")
    assert list(Path.cwd().iterdir()) == []


def test_D7_the_tilted_gantry_lies_where_its_slices_say(medfuse: Run, dicom: Path) -> None:
    folder = dicom / "failing/gantrytilting/001"
    for words in (("inspect", folder), ("convert", folder, "made.nii.gz")):
        said = medfuse(*words)
        assert said.code == 0
        assert sum("warning[D7]" in line for line in said.err) == 1
    made = sitk.ReadImage("made.nii.gz")
    assert made.GetSpacing()[2] == pytest.approx(4.8515, abs=1e-3)


def test_labels_of_a_segmentation(medfuse: Run, real_data: Path, tmp_path: Path) -> None:
    said = medfuse("convert", real_data / "dcmqi_ct_seg" / "liver.dcm", tmp_path / "liver.nii.gz")
    assert said.code == 0, said.err
    labels = np.asarray(nib.load(tmp_path / "liver.nii.gz").dataobj)
    assert np.count_nonzero(labels) == 107_098  # as in the NRRD that its authors give


def test_a_patient_from_dicom(medfuse: Run, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "sts_ct_mr_pet" / "dicom" / "STS_008"
    out = tmp_path / "out"
    words = ("--json", "--allow-fail", "--no-page", "--start", "header")
    said = medfuse("register", folder, "--out", out, *words)
    assert said.code == 0, said.err
    moving = json.loads(said.out)["moving"]
    assert sorted(one["name"] for one in moving) == ["CT", "PET"]
    for one in moving:
        assert one["verdict"] in {"pass", "review", "fail"}
        assert sitk.ReadTransform(out / one["transform"]).GetDimension() == 3
        assert sitk.ReadImage(out / one["moved"]).GetSize() is not None
    record = (out / "record.json").read_text()
    assert "STS" not in record
    assert "1.3.6.1" not in record


def test_two_dates_of_one_patient(medfuse: Run, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "open_ms_longitudinal"
    first, second = sorted(folder.rglob("*T1*.nii.gz"))[:2]
    words = (f"{first}:T1", f"{second}:T1", "--out", tmp_path / "out", "--no-page", "--json")
    said = medfuse("register", *words)
    assert said.code == 0, said.err
    (one,) = json.loads(said.out)["moving"]
    assert one["name"] == "T1-2"
    assert one["verdict"] in {"pass", "review"}
