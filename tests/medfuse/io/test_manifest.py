"""Manifests: CSV, BIDS and the phantom's layout, and each way in which they can be wrong."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import InputError, Repair
from medfuse.io.manifest import read_manifest


def scan(path: Path, value: int = 0) -> Path:
    """Write a tiny scan whose bytes depend on ``value`` and its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = value + sum(str(path).encode())
    array = np.arange(8, dtype=np.float32).reshape(2, 2, 2) + number
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)
    return path


def manifest(folder: Path, text: str) -> Path:
    path = folder / "cohort.csv"
    path.write_text(text)
    return path


def refused(path: Path, **options: bool) -> InputError:
    with pytest.raises(InputError) as caught:
        read_manifest(path, **options)
    return caught.value


def test_a_table_gives_absolute_paths_and_leaves_out_what_is_missing(tmp_path: Path) -> None:
    for name in ("a1.nii", "a2.nii", "b/ct.nii", "lab.nii"):
        scan(tmp_path / name)
    (tmp_path / "r.txt").write_text("well")
    path = manifest(
        tmp_path,
        "label;T1;subject;CT;visit;report;split\n"
        "lab.nii;a1.nii;007;;v1;r.txt;train\n"
        ";./a2.nii;007;;v2;;Train\n"
        ";;1E5;b/ct.nii;;;val\n",
    )
    cohort = read_manifest(path)
    assert [(one.subject, one.visit, one.role) for one in cohort.studies] == [
        ("007", "v1", "train"),
        ("007", "v2", "train"),
        ("1E5", "", "validate"),
    ]
    assert dict(cohort.studies[0].volumes) == {"T1": str(tmp_path / "a1.nii")}
    assert cohort.studies[0].labels == str(tmp_path / "lab.nii")
    assert cohort.studies[0].report == str(tmp_path / "r.txt")
    assert dict(cohort.studies[2].volumes) == {"CT": str(tmp_path / "b" / "ct.nii")}
    assert cohort.studies[2].labels is None


def test_options_ride_on_a_path(tmp_path: Path) -> None:
    scan(tmp_path / "x.nii")
    cohort = read_manifest(manifest(tmp_path, "subject,T1\na,x.nii:volume=0\n"))
    assert cohort.studies[0].volumes["T1"] == f"{tmp_path / 'x.nii'}:volume=0"


def test_C3_an_unknown_column_is_refused_with_the_nearest(tmp_path: Path) -> None:
    error = refused(manifest(tmp_path, "subject,T1w\na,x.nii\n"))
    assert (error.id, "did you mean 'T1'" in error.hint) == ("C3", True)


@pytest.mark.parametrize(
    ("columns", "name", "meant"),
    [
        ("T1", "T1c", "T1CE"),
        ("T1", "T1Gd", "T1CE"),
        ("T1", "T1ce", "T1CE"),
        ("T1", "T1post", "T1CE"),
        ("T1,T2", "T2FLAIR", "FLAIR"),
        ("T1", "mask", "label"),
        ("T1", "seg", "label"),
        ("T1", "segmentation", "label"),
        ("T1", "spilt", "split"),
        ("T1", "T1w", ""),  # T1 is there already, and a T1CE it is not
        ("T1,T1CE", "T1c", ""),
        ("T1", "age", ""),
    ],
)
def test_C3_a_column_is_known_by_its_common_names_and_never_by_one_that_is_there(
    tmp_path: Path, columns: str, name: str, meant: str
) -> None:
    error = refused(manifest(tmp_path, f"subject,{columns},{name}\na,x.nii\n"))
    assert error.id == "C3"
    assert error.hint.startswith(f"did you mean '{meant}'?" if meant else "known are ")


def test_C3_a_split_that_is_none_is_refused(tmp_path: Path) -> None:
    scan(tmp_path / "x.nii")
    error = refused(manifest(tmp_path, "subject,T1,split\na,x.nii,later\n"))
    assert (error.id, "line 2" in error.what) == ("C3", True)


def test_C4_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    scan(tmp_path / "x.nii")
    error = refused(
        manifest(tmp_path, "subject,T1,CT,label\na,x.nii,no.nii,\nb,no2.nii,,no3.nii\n")
    )
    assert error.id == "C4"
    assert "line 2 (CT), line 3 (T1, label)" in error.what


@pytest.mark.parametrize("text", ["subject,T1\n", "subject,T1\na,\n"])
def test_C4_nothing_listed_is_refused(tmp_path: Path, text: str) -> None:
    assert refused(manifest(tmp_path, text)).id == "C4"


def test_C5_a_subject_twice_is_refused(tmp_path: Path) -> None:
    scan(tmp_path / "x.nii"), scan(tmp_path / "y.nii")
    path = manifest(tmp_path, "subject,T1\na,x.nii\na,y.nii\n")
    error = refused(path)
    assert (error.id, error.where) == ("C5", path)


@pytest.mark.parametrize("roles", [("train", "test"), ("", "")])
def test_C6_the_same_bytes_under_two_patients_are_refused(
    tmp_path: Path, roles: tuple[str, str]
) -> None:
    first = scan(tmp_path / "x.nii")
    (tmp_path / "y.nii").write_bytes(first.read_bytes())
    scan(tmp_path / "z.nii", 5)
    text = f"subject,T1,split\na,x.nii,{roles[0]}\nb,z.nii,{roles[0]}\nc,y.nii,{roles[1]}\n"
    error = refused(manifest(tmp_path, text))
    assert (error.id, "'a' and 'c'" in error.what) == ("C6", True)


def test_C6_one_patient_in_two_parts_is_refused(tmp_path: Path) -> None:
    scan(tmp_path / "x.nii"), scan(tmp_path / "y.nii")
    text = "subject,visit,T1,split\na,1,x.nii,train\na,2,y.nii,test\n"
    assert refused(manifest(tmp_path, text)).id == "C6"


@pytest.mark.parametrize("kind", ["../out.nii", "inner/../../out.nii", "absolute"])
def test_C10_a_path_out_of_the_folder_is_refused(tmp_path: Path, kind: str) -> None:
    outside = scan(tmp_path / "out.nii")
    (tmp_path / "home" / "inner").mkdir(parents=True)
    text = str(outside) if kind == "absolute" else kind
    path = manifest(tmp_path / "home", f"subject,T1\na,{text}\n")
    error = refused(path)
    assert (error.id, "--allow-outside" in error.hint) == ("C10", True)
    cohort = read_manifest(path, allow_outside=True)
    assert cohort.studies[0].volumes["T1"] == str(outside)


def test_the_phantoms_layout(tmp_path: Path) -> None:
    for subject in ("sub-001", "sub-002"):
        for name in ("T1", "FLAIR", "labels"):
            scan(tmp_path / subject / f"{name}.nii.gz", int(subject[-1]))
        (tmp_path / subject / "report.txt").write_text("well")
    (tmp_path / ".partial-1").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cohort = read_manifest(tmp_path)
    assert [one.id for one in cohort.studies] == ["sub-001", "sub-002"]
    assert cohort.modalities == ("T1", "FLAIR")
    assert cohort.studies[1].labels == str(tmp_path / "sub-002" / "labels.nii.gz")
    assert cohort.studies[0].report == str(tmp_path / "sub-001" / "report.txt")


def bids(root: Path) -> Path:
    for visit in ("ses-1", "ses-2"):
        anat = root / "sub-01" / visit / "anat"
        scan(anat / f"sub-01_{visit}_T1w.nii.gz")
        scan(anat / f"sub-01_{visit}_ce-gad_T1w.nii.gz")
        scan(
            root / "derivatives" / "me" / "sub-01" / visit / "anat" / f"sub-01_{visit}_dseg.nii.gz"
        )
    scan(root / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz")
    (root / "dataset_description.json").write_text("{}")
    return root


def test_a_bids_folder_with_sessions_and_derivatives(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cohort = read_manifest(bids(tmp_path))
    assert [one.id for one in cohort.studies] == ["sub-01_ses-1", "sub-01_ses-2", "sub-02"]
    assert list(cohort.studies[0].volumes) == ["T1", "T1CE"]
    assert [Path(one.labels).name if one.labels else None for one in cohort.studies] == [
        "sub-01_ses-1_dseg.nii.gz",
        "sub-01_ses-2_dseg.nii.gz",
        None,
    ]


def told(root: Path) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_manifest(root)
    return [str(one.message) for one in caught if isinstance(one.message, Repair)]


def test_C13_no_proper_bids_is_warned_of(tmp_path: Path) -> None:
    (bids(tmp_path) / "dataset_description.json").unlink()
    (said,) = told(tmp_path)
    assert said.startswith("[C13] dataset_description.json is absent")


def test_C13_an_unknown_entity_is_warned_of(tmp_path: Path) -> None:
    anat = bids(tmp_path) / "sub-02" / "anat"
    scan(anat / "sub-02_site-3_bad_T2w.nii.gz")
    (said,) = told(tmp_path)
    assert said.startswith("[C13]")
    assert said.endswith("bad, site-3")


def test_C13_a_scan_of_no_known_kind_is_left_out(tmp_path: Path) -> None:
    scan(bids(tmp_path) / "sub-02" / "anat" / "sub-02_UNIT1.nii.gz")
    (said,) = told(tmp_path)
    assert "left out sub-02_UNIT1.nii.gz" in said


def test_C13_what_medfuse_segmented_is_no_truth(tmp_path: Path) -> None:
    own = tmp_path / "derivatives" / "medfuse"
    for name in ("sub-101", "sub-102"):
        scan(tmp_path / name / "anat" / f"{name}_T1w.nii.gz")
        scan(own / name / "labels.nii.gz")
        (own / name / "record.json").write_text('{"command": "segment", "model": {}}')
    manual = scan(tmp_path / "derivatives" / "manual" / "sub-101" / "sub-101_dseg.nii.gz")
    (tmp_path / "dataset_description.json").write_text("{}")
    with pytest.warns(Repair, match="medfuse segment found") as caught:
        cohort = read_manifest(tmp_path)
    assert [one.labels for one in cohort.studies] == [str(manual), None]
    (said,) = caught
    for name in ("sub-101", "sub-102"):
        assert f"derivatives/medfuse/{name}/labels.nii.gz" in str(said.message)
    (own / "sub-102" / "record.json").write_text('{"command": "another program"}')
    with pytest.warns(Repair, match="sub-101"):
        labels = read_manifest(tmp_path).studies[1].labels
    assert labels == str(own / "sub-102" / "labels.nii.gz")


def test_C13_a_prediction_beside_its_scans_is_no_truth(tmp_path: Path) -> None:
    for name in ("T1", "labels"):
        scan(tmp_path / "sub-1" / f"{name}.nii.gz")
    (tmp_path / "sub-1" / "record.json").write_text('{"command": "segment", "model": {}}')
    with pytest.warns(Repair, match="no true label"):
        assert read_manifest(tmp_path).studies[0].labels is None


def test_two_scans_of_one_modality_are_refused(tmp_path: Path) -> None:
    scan(bids(tmp_path) / "sub-02" / "anat" / "sub-02_run-2_FLAIR.nii.gz")
    error = refused(tmp_path)
    assert (error.id, error.what) == ("C5", "holds two scans of FLAIR")


def test_C8_two_label_maps_are_refused(tmp_path: Path) -> None:
    for name in ("T1", "a_mask", "b_mask"):
        scan(tmp_path / "sub-1" / f"{name}.nii")
    assert refused(tmp_path).id == "C8"
    scan(tmp_path / "sub-1" / "labels.nii")
    labels = read_manifest(tmp_path).studies[0].labels
    assert labels is not None
    assert labels.endswith("labels.nii")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path).id == "C4"
