"""Which cases there are, and what brings one onto one grid."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medfuse.errors import GeometryError, InputError, Repair, UsageError
from medfuse.io.files import sha256
from medfuse.io.transforms import write_transform
from medfuse.transform import Affine
from pipelines.cases import check_names, list_cases, on_one_grid, read_case
from tests.medfuse.io import dicom_maker
from tests.pipelines.toy_model import NAMES, truth, write_case


def test_a_patients_folder_is_one_case(tmp_path: Path) -> None:
    (case,) = list_cases([str(write_case(tmp_path / "sub-001"))])
    assert case.id == "sub-001"
    assert set(case.volumes) == set(NAMES)


@pytest.mark.parametrize("prefix", ["sub-", "patient"])
def test_a_folder_of_patients_is_many(tmp_path: Path, prefix: str) -> None:
    for number in (1, 2, 3):
        write_case(tmp_path / "all" / f"{prefix}{number}")
    found = list_cases([str(tmp_path / "all")])
    assert [case.id for case in found] == [f"{prefix}{number}" for number in (1, 2, 3)]


def test_a_manifest_lists_cases_for_each_purpose(tmp_path: Path) -> None:
    for name in "ab":
        write_case(tmp_path / name)
    table = tmp_path / "all.csv"
    table.write_text("subject,visit,T1,split\n007,1,a/T1.nii.gz,train\n1E5,,b/T1.nii.gz,test\n")
    assert [case.id for case in list_cases([str(table)])] == ["007_1", "1E5"]
    assert [case.id for case in list_cases([str(table)], role="test")] == ["1E5"]


def test_patients_who_share_a_scan_are_cases_all_the_same(tmp_path: Path) -> None:
    """That rule is for what is learned from: here each is answered for itself."""
    first = write_case(tmp_path / "all" / "sub-1", ("T1",))
    shutil.copytree(first, tmp_path / "all" / "sub-2")
    assert [case.id for case in list_cases([str(tmp_path / "all")])] == ["sub-1", "sub-2"]


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    places = [str(write_case(tmp_path / side / "sub-001")) for side in ("a", "b")]
    with pytest.raises(UsageError, match="two cases"):
        list_cases(places)


@pytest.mark.parametrize(
    ("names", "what", "hint"),
    [
        (("a", "../b"), "cannot be that of a folder", "letters, digits"),
        (("a", ".b"), "cannot be that of a folder", "letters, digits"),
        (("Ann", "ann"), "two cases are called 'ann'", "differ in case alone"),
    ],
)
def test_names_that_cannot_be_folders_are_refused_with_a_way_out(
    names: tuple[str, ...], what: str, hint: str
) -> None:
    check_names(("a", "b_1"))
    with pytest.raises(UsageError, match=what) as caught:
        check_names(names)
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["missing", "T1.nii.gz"])
def test_what_is_no_case_is_refused(tmp_path: Path, name: str) -> None:
    write_case(tmp_path / "a")
    with pytest.raises(InputError) as caught:
        list_cases([str(tmp_path / "a" / name)])
    assert caught.value.id in {"N40", "N41"}


def test_no_case_at_all_is_refused(tmp_path: Path) -> None:
    write_case(tmp_path / "a")
    table = tmp_path / "all.csv"
    table.write_text("subject,T1,split\n7,a/T1.nii.gz,train\n")
    with pytest.raises(InputError, match="no case"):
        list_cases([str(table)], role="test")


def test_a_purpose_needs_a_manifest_that_tells_it(tmp_path: Path) -> None:
    for name in ("sub-1", "sub-2"):
        write_case(tmp_path / "all" / name)
    table = tmp_path / "all.csv"
    table.write_text("subject,T1\n7,all/sub-1/T1.nii.gz\n")
    for place in (tmp_path / "all" / "sub-1", tmp_path / "all", table):
        with pytest.raises(UsageError, match="--split needs a manifest with a column split"):
            list_cases([str(place)], role="test")


def test_only_the_wanted_scans_are_read(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a")
    (folder / "PET.nii.gz").write_bytes(b"damaged")
    (case,) = list_cases([str(folder)])
    study = read_case(case, ("T2", "T1", "T2", "FLAIR"))
    assert list(study.volumes) == ["T2", "T1"]
    with pytest.raises(InputError):
        read_case(case, ("PET",))
    with pytest.raises(InputError) as caught:
        read_case(case, ("FLAIR",))
    assert caught.value.id == "M11"


def test_dicom_series_are_scans_too(tmp_path: Path) -> None:
    dicom_maker.series(tmp_path / "a" / "ct", count=4)
    (case,) = list_cases([str(tmp_path / "a")])
    assert list(read_case(case, ("CT", "T1")).volumes) == ["CT"]


def test_a_series_beside_files_is_read_too(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a", ("T1",))
    dicom_maker.series(folder / "ct", count=4)
    (case,) = list_cases([str(folder)])
    assert set(read_case(case, ("T1", "CT")).volumes) == {"T1", "CT"}


def kept(folder: Path, name: str, number: int) -> None:
    """Write a series as a scanner would, of 4 slices."""

    def edit(k: int, made: Dataset) -> None:
        made.SeriesNumber, made.SeriesDescription = number, name
        made.SeriesInstanceUID = f"{dicom_maker.ROOT}.{number}"
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = (
            f"{made.SeriesInstanceUID}.{k + 1}"
        )

    dicom_maker.series(folder, edit, count=4, modality="MR")


def test_C13_the_original_dicom_beside_files_is_passed_over(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "sub-101", ("T1", "FLAIR"))
    for number, name in enumerate(("T1", "FLAIR", "T2"), 1):
        kept(folder / "dicom" / name, name, number)
    (case,) = list_cases([str(folder)])
    with pytest.warns(Repair, match="DICOM files were passed over: files are named T1, FLAIR"):
        study = read_case(case, ("T1", "FLAIR"))
    assert [volume.array.shape for volume in study.volumes.values()] == [(8, 10, 12)] * 2
    with pytest.warns(Repair) as told:
        study = read_case(case, ("T1", "T2"))
    assert [volume.array.shape for volume in study.volumes.values()] == [(8, 10, 12), (4, 16, 14)]
    (said,) = [str(one.message) for one in told if "passed over" in str(one.message)]
    assert said == "[C13] series 1 (MR) was passed over: a file is named T1"


def test_a_damaged_scan_that_is_not_wanted_stops_nothing(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a", ("T1",))
    (folder / "T2.nii.gz").write_bytes(b"cut")
    (folder / "notes.nii.gz").write_bytes(b"cut")
    dicom_maker.series(folder / "ct", count=4)
    (case,) = list_cases([str(folder)])
    assert list(read_case(case, ("T1", "CT")).volumes) == ["T1", "CT"]


def test_C5_of_two_scans_of_a_kind_none_is_taken(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a")
    shutil.copy(folder / "T1.nii.gz", folder / "T1_old.nii.gz")
    (case,) = list_cases([str(folder)])
    with pytest.raises(InputError, match=r"of T1: T1.nii.gz and T1_old.nii.gz") as caught:
        read_case(case, NAMES)
    assert caught.value.id == "C5"
    assert set(read_case(case, ("T2", "PET")).volumes) == {"T2", "PET"}, "they do not matter here"


def test_C5_of_two_series_of_a_kind_none_is_taken(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a", ("T1",))
    for number in (3, 7):
        kept(folder / str(number), "FLAIR", number)
    (case,) = list_cases([str(folder)])
    with pytest.raises(InputError, match="of FLAIR: series 3 and series 7") as caught:
        read_case(case, ("T1", "FLAIR"))
    assert caught.value.id == "C5"


def test_a_patient_without_a_known_scan_is_not_sought_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write_case(tmp_path / "all" / name, ("T1",))
    (tmp_path / "all" / "b" / "T1.nii.gz").rename(tmp_path / "all" / "b" / "x.nii.gz")
    monkeypatch.chdir(tmp_path / "all" / "a")
    with pytest.warns(Repair, match="tells no modality"):
        cases = list_cases([str(tmp_path / "all")])
    case = next(case for case in cases if case.id == "b")
    with pytest.raises(InputError) as caught:
        read_case(case, NAMES)
    assert caught.value.id == "M11"


def test_C9_scans_on_two_grids_are_refused(tmp_path: Path) -> None:
    (case,) = list_cases([str(write_case(tmp_path / "a", shift=4.0))])
    with pytest.raises(GeometryError, match="T2 lies on another grid than T1") as caught:
        on_one_grid(read_case(case, NAMES), None)
    assert caught.value.id == "C9"
    assert "medfuse register" in caught.value.hint


def test_headers_can_be_trusted(tmp_path: Path) -> None:
    (case,) = list_cases([str(write_case(tmp_path / "a", shift=4.0))])
    aligned = on_one_grid(read_case(case, NAMES), "header")
    assert aligned.fixed == "T1"
    moved = aligned.volumes["T2"].array
    # 4 mm along the file's first axis: four voxels of 1 mm later
    np.testing.assert_allclose(moved[:, :, 4:], aligned.volumes["T1"].array[:, :, :-4], atol=1e-5)


def registered(folder: Path, case: Path, *, verdict: str = "pass", shift: float = 0.0) -> Path:
    """Write what ``medfuse register`` leaves: a record, and a transform a moving scan."""
    inputs = {name: {"sha256": sha256(case / f"{name}.nii.gz")} for name in NAMES}
    moving = [{"name": name, "verdict": verdict if name == "T2" else "pass"} for name in NAMES[1:]]
    record = {"command": "register", "fixed": "T1", "inputs": inputs, "moving": moving}
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(record))
    for name in NAMES[1:]:
        matrix = np.eye(4)
        matrix[0, 3] = -shift if name == "T2" else 0.0  # RAS x + is LPS x -
        (folder / name).mkdir()
        write_transform(Affine(matrix), folder / name / "transform.tfm")
    return folder


@pytest.mark.parametrize("nested", [False, True])
def test_transforms_of_a_registration_bring_scans_together(tmp_path: Path, nested: bool) -> None:
    folder = write_case(tmp_path / "a", shift=4.0)
    home = registered(tmp_path / "out" / ("a" if nested else ""), folder, shift=4.0)
    (case,) = list_cases([str(folder)])
    aligned = on_one_grid(read_case(case, NAMES), str(tmp_path / "out" if nested else home))
    np.testing.assert_allclose(aligned.volumes["T2"].array > 0.5, truth() > 0)
    assert set(aligned.transforms) == {"T2", "PET"}


def test_a_failed_alignment_is_dropped(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a")
    home = registered(tmp_path / "out", folder, verdict="fail")
    (case,) = list_cases([str(folder)])
    aligned = on_one_grid(read_case(case, NAMES), str(home))
    assert set(aligned.volumes) == {"T1", "PET"}
    assert aligned.dropped == {"T2": "its alignment failed"}


def test_transforms_of_another_patient_are_refused(tmp_path: Path) -> None:
    folder, other = write_case(tmp_path / "a"), write_case(tmp_path / "b")
    home = registered(tmp_path / "out", other)
    (case,) = list_cases([str(folder)])
    with pytest.raises(InputError, match="not made for this T1"):
        on_one_grid(read_case(case, NAMES), str(home))


def test_a_folder_without_a_registration_is_refused(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a")
    home = registered(tmp_path / "out", folder)
    (case,) = list_cases([str(folder)])
    study = read_case(case, NAMES)
    (home / "PET" / "transform.tfm").unlink()
    with pytest.raises(InputError, match="no transform for PET"):
        on_one_grid(study, str(home))
    (home / "record.json").write_text("[]")
    with pytest.raises(InputError, match="no record of medfuse register"):
        on_one_grid(study, str(home))
    registered(tmp_path / "out2", folder)
    alone = read_case(case, ("T2",))
    with pytest.raises(InputError, match="T1, which is not among"):
        on_one_grid(alone, str(tmp_path / "out2"))
