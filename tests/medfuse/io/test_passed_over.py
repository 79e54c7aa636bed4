"""Whoever lies in a cohort's folder but is not read is named, with the reason."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from medfuse.errors import InputError, Repair
from medfuse.io.manifest import read_manifest
from tests.medfuse.io.test_manifest import bids, refused, scan


def dicom(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(128) + b"DICM")


def rest(root: Path) -> str:
    """Return what reading a cohort's folder says was passed over, or nothing."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_manifest(root)
    said = [str(one.message) for one in caught if isinstance(one.message, Repair)]
    assert all(text.startswith("[C13] passed over ") for text in said)
    return "".join(said).removeprefix("[C13] passed over ").partition(";")[0]


def heads(root: Path, prefix: str = "sub-") -> Path:
    for number in (1, 2):
        scan(root / f"{prefix}{number}" / "T1.nii", number)
    return root


def test_C13_patients_that_are_not_read_are_named(tmp_path: Path) -> None:
    scan(heads(tmp_path) / "patient7" / "T1.nii")
    scan(tmp_path / "sub-8" / "visit1" / "T1.nii")
    dicom(tmp_path / "sub-5" / "dicom" / "T1" / "IM1")
    scan(tmp_path / "sub-5" / "labels.nii")
    (tmp_path / "sub-9").mkdir()
    assert rest(tmp_path) == (
        "patient7 (not called sub-), sub-5 (DICOM), "
        "sub-8 (scans in folders that are not looked into), sub-9 (no scan in it)"
    )


def test_C13_scans_that_are_not_read_of_a_patient_who_is_are_named(tmp_path: Path) -> None:
    dicom(heads(tmp_path, "p") / "p1" / "FLAIR" / "IM1.dcm")
    scan(tmp_path / "p2" / "ses-1" / "T2.nii", 7)
    (tmp_path / "p2" / "ses-2").mkdir()
    dicom(tmp_path / "p2" / "ses-1" / "anat" / "IM1")
    assert rest(tmp_path) == (
        "p1/FLAIR (DICOM), p2 (scans beside the folders of visits), "
        "p2/ses-2 (no scan in it), p2/ses-1/anat (DICOM)"
    )


def test_what_no_patient_is_expected_in_is_not_named(tmp_path: Path) -> None:
    bids(tmp_path)
    dicom(tmp_path / "sourcedata" / "sub-01" / "IM1")
    scan(tmp_path / "sub-02" / "func" / "sub-02_bold.nii.gz")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "record.json").write_text("{}")
    scan(tmp_path / "seg" / "sub-01" / "labels.nii.gz")
    assert rest(tmp_path) == ""


def test_C4_where_nobody_is_read_the_error_names_them(tmp_path: Path) -> None:
    dicom(tmp_path / "p1" / "IM1")
    error: InputError = refused(tmp_path)
    assert (error.id, "p1 (DICOM)" in error.what) == ("C4", True)


@pytest.mark.parametrize("name", [".hidden", "derivatives"])
def test_an_empty_folder_says_nothing_of_what_holds_no_patient(tmp_path: Path, name: str) -> None:
    scan(tmp_path / name / "inner" / "T1.nii")
    assert refused(tmp_path).what == "lists no visit"


def test_C13_what_lies_in_the_same_place_of_many_is_named_once(tmp_path: Path) -> None:
    heads(tmp_path)
    for number in (1, 2):
        dicom(tmp_path / f"sub-{number}" / "dicom" / "IM1")
    for number in (7, 8):  # whole patients are each named
        dicom(tmp_path / f"sub-{number}" / "dicom" / "IM1")
    assert rest(tmp_path) == "sub-1/dicom and 1 more such (DICOM), sub-7 (DICOM), sub-8 (DICOM)"
