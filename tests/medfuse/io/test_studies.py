"""A patient's folder, a list or a mapping as a study: names, labels, report, one grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medfuse.errors import GeometryError, InputError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.io.locators import Locator
from medfuse.io.studies import is_label_name, name_volumes, read_aligned, read_study, series_in
from medfuse.io.volumes import write_labels, write_volume
from medfuse.modality import MODALITIES
from medfuse.volume import LabelMap, Volume
from tests.medfuse.io import dicom_maker as maker

SHAPE = (3, 4, 5)


def scan(path: Path, value: float, *, shift: float = 0.0) -> Path:
    """Write a constant volume; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    matrix = np.eye(4)
    matrix[0, 3] = shift
    return write_volume(
        Volume(np.full(SHAPE, value), Geometry(SHAPE, matrix), MODALITIES["OTHER"]), path
    )


def labels(path: Path, *, shift: float = 0.0) -> Path:
    """Write a label map with one voxel of label 2."""
    array = np.zeros(SHAPE, "u2")
    array[1, 1, 1] = 2
    matrix = np.eye(4)
    matrix[0, 3] = shift
    return write_labels(LabelMap(array, Geometry(SHAPE, matrix)), path)


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """Make the folder that ``medfuse phantom`` makes."""
    folder = tmp_path / "sub-001"
    for value, name in enumerate(("T1", "T1CE", "T2", "FLAIR", "CT", "PET"), start=1):
        scan(folder / f"{name}.nii.gz", value)
        scan(folder / "truth" / f"{name}.nii.gz", 99)
        (folder / "truth" / f"{name}.tfm").write_text("#Insight Transform File V1.0\n")
    labels(folder / "labels.nii.gz")
    (folder / "report.txt").write_text("左侧额叶病变。\n", encoding="utf-8")
    (folder / ".DS_Store").write_bytes(b"x" * 200)
    return folder


def values(study: object) -> dict[str, float]:
    """Return the constant of each volume."""
    return {name: float(volume.array.max()) for name, volume in study.volumes.items()}  # type: ignore[attr-defined]


def test_the_phantoms_folder(patient: Path) -> None:
    for source in (patient, str(patient), patient.parent):  # a cohort of one is a patient
        study = read_study(source)
        assert study.id == "sub-001"
        assert values(study) == {"T1": 1, "T1CE": 2, "T2": 3, "FLAIR": 4, "CT": 5, "PET": 6}
        assert study.volumes["CT"].unit == "HU"
        assert study.report == "左侧额叶病变。\n"
        assert study.labels is not None
        assert study.labels.array[1, 1, 1] == 2


def test_bids(tmp_path: Path) -> None:
    root = tmp_path / "sub-7" / "ses-1"
    scan(root / "anat" / "sub-7_ses-1_T1w.nii.gz", 1)
    scan(root / "anat" / "sub-7_ses-1_ce-gad_T1w.nii.gz", 2)
    scan(root / "ct" / "sub-7_ses-1_ct.nii.gz", 3)
    scan(root / "pet" / "sub-7_ses-1_pet.nii.gz", 4)
    scan(root / "func" / "sub-7_ses-1_bold.nii.gz", 5)
    (root / "anat" / "sub-7_ses-1_T1w.json").write_text("{}")
    study = read_study(tmp_path)
    assert values(study) == {"T1": 1, "T1CE": 2, "CT": 3, "PET": 4}
    assert read_study(root / "anat").id == "anat"


def test_several_of_one_modality_are_numbered(tmp_path: Path) -> None:
    for value, name in enumerate(("day1_T1w", "day1_ct", "day2_T1w", "day3_T1w", "thing"), start=1):
        scan(tmp_path / f"{name}.nii", value)
    assert values(read_study(tmp_path)) == {"T1": 1, "CT": 2, "T1-2": 3, "T1-3": 4, "OTHER": 5}


def test_name_volumes() -> None:
    made = [
        Volume(np.zeros(SHAPE), Geometry(SHAPE, np.eye(4)), MODALITIES[name])
        for name in ("CT", "T1", "CT")
    ]
    assert name_volumes(made) == {"CT": made[0], "T1": made[1], "CT-2": made[2]}
    assert name_volumes([]) == {}


def test_a_list_and_a_mapping(tmp_path: Path) -> None:
    one, two = scan(tmp_path / "a_T1w.nii", 1), scan(tmp_path / "b.mha", 2)
    (tmp_path / "text").write_text("all well")
    study = read_study([one, f"{two}:CT"], report=tmp_path / "text")
    assert values(study) == {"T1": 1, "CT": 2}
    assert study.report == "all well"
    assert values(read_study([one, one])) == {"T1": 1, "T1-2": 1}
    named = read_study({"before": one, "after": Locator(str(two), MODALITIES["T1"])})
    assert values(named) == {"before": 1, "after": 2}
    assert named.volumes["after"].modality.name == "T1"
    for name in ("../x", "", "a/b", "a\nb"):
        with pytest.raises(UsageError, match="cannot name a scan"):
            read_study({name: one})


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("labels", True),
        ("CT_mask", True),
        ("sub-01_space-T1w_dseg", True),
        ("sub-01_label-lesion_mask", True),
        ("segmentation", True),
        ("T1_masked", False),
        ("sub-01_desc-masked_T1w", False),
        ("sub-seg01_T1w", False),
        ("segura_T1", False),
        ("mask_T1", False),
        ("label-free_ct", False),
        ("common_space_brainmask", True),
        ("sub-1_dseg", True),
        ("lesion_gt", True),
        ("tumour-seg", True),
        ("Segmentation", True),
        ("T1", False),
        ("gtx_T1w", False),
        ("CT_image", False),
    ],
)
def test_what_is_called_a_label_map(name: str, label: bool) -> None:
    assert is_label_name(Path(f"{name}.nii.gz")) is label


def test_what_is_left_out_of_a_folder_of_series_is_said_once(tmp_path: Path) -> None:
    for number in (5, 6):

        def edit(k: int, made: Dataset, number: int = number) -> None:
            made.SeriesNumber, made.SeriesInstanceUID = number, f"{maker.SERIES}{number}"
            made.SOPInstanceUID = f"{maker.SERIES}{number}.{k}"

        maker.series(tmp_path / str(number), edit, count=3)
    plan = maker.blank("CT", f"{maker.ROOT}.6.1")
    plan.Modality, plan.SeriesInstanceUID = "RTPLAN", f"{maker.ROOT}.6"
    maker.save(plan, tmp_path / "plan.dcm")
    (tmp_path / "notes.doc").write_text("x")
    with pytest.warns(Repair) as caught:
        study = read_study(tmp_path)
    said = [str(warning.message) for warning in caught]
    assert said == ["[D45] objects that are no image were left out: 1 RTPLAN"]
    for volume in study.volumes.values():
        assert volume.source is not None
        assert volume.source.repairs == ()  # of a folder of scans in several formats


def test_several_label_maps_are_left_out_aloud(tmp_path: Path) -> None:
    scan(tmp_path / "T1.nii", 1)
    labels(tmp_path / "a_mask.nii")
    assert read_study(tmp_path).labels is not None
    labels(tmp_path / "b_mask.nii")
    with pytest.warns(Repair, match="2 label maps were left out"):
        assert read_study(tmp_path).labels is None
    labels(tmp_path / "labels.nii")
    assert read_study(tmp_path).labels is not None  # this one counts


def test_C5_several_patients_or_visits(tmp_path: Path, patient: Path) -> None:
    scan(tmp_path / "sub-002" / "T1.nii", 1)
    with pytest.raises(InputError, match="holds 2 patients; name the folder of one") as caught:
        read_study(tmp_path)
    assert caught.value.id == "C5"
    for visit in ("ses-1", "ses-2"):
        scan(tmp_path / "sub-002" / visit / "anat" / "T1.nii", 1)
    with pytest.raises(InputError, match="holds 2 visits"):
        read_study(tmp_path / "sub-002")


def test_what_is_no_study(tmp_path: Path) -> None:
    path = scan(tmp_path / "in" / "T1.nii", 1)
    for source, row in ((path, "N41"), (tmp_path / "none", "N40"), (tmp_path, "N41")):
        with pytest.raises(InputError) as caught:
            read_study(source)
        assert caught.value.id == row


def test_a_broken_scan_is_an_error_and_not_left_out(patient: Path) -> None:
    path = patient / "CT.nii.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="CT"):
        read_study(patient)


def test_read_aligned(patient: Path) -> None:
    aligned = read_aligned(patient)
    assert aligned.fixed == "T1"
    assert aligned.labels is not None
    assert sorted(aligned.volumes) == ["CT", "FLAIR", "PET", "T1", "T1CE", "T2"]
    array, present = aligned.stack(["CT", "PD"])
    assert array[0].max() == 5
    assert present.tolist() == [True, False]


def test_C9_another_grid(patient: Path) -> None:
    scan(patient / "CT.nii.gz", 5, shift=5e-4)
    read_aligned(patient)  # within 0.001 mm
    scan(patient / "CT.nii.gz", 5, shift=2e-3)
    with pytest.raises(GeometryError, match="lies on another grid than T1") as caught:
        read_aligned(patient)
    assert (caught.value.id, caught.value.where) == ("C9", "CT")


def test_C8_labels_on_another_grid(patient: Path) -> None:
    labels(patient / "labels.nii.gz", shift=1.0)
    assert read_study(patient).labels is not None
    with pytest.raises(GeometryError) as caught:
        read_aligned(patient)
    assert (caught.value.id, caught.value.where) == ("C8", "labels")


def test_real_studies(real_data: Path) -> None:
    study = read_aligned(real_data / "open_ms_mni" / "patient07")
    assert sorted(study.volumes) == ["FLAIR", "T1", "T2"]
    assert study.labels is not None
    with pytest.warns(Repair, match="label maps were left out"):
        visits = read_study(real_data / "open_ms_longitudinal" / "patient01")
    assert sorted(visits.volumes) == ["FLAIR", "FLAIR-2", "T1", "T1-2", "T2"]


def test_real_dicom_study(real_data: Path) -> None:
    with pytest.warns(Repair, match="left out: 3 RTSTRUCT"):
        study = read_study(real_data / "sts_ct_mr_pet" / "dicom" / "STS_008")
    assert {"CT", "PET"} <= set(study.volumes)
    assert len(study.volumes) == 3


def test_wanted_series_alone_are_read_and_a_localizer_is_none(tmp_path: Path) -> None:
    def number(n: int, what: str) -> maker.Edit:
        def edit(k: int, made: Dataset) -> None:
            made.SeriesNumber, made.SeriesDescription = n, what
            made.SeriesInstanceUID = f"{maker.ROOT}.{n}"
            made.SOPInstanceUID = f"{maker.ROOT}.{n}.{k + 1}"
            made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID

        return edit

    maker.series(tmp_path / "a", number(1, "T1"), modality="MR")
    maker.series(tmp_path / "b", number(2, "FLAIR"), modality="MR")
    maker.series(tmp_path / "c", number(3, "FLAIR"), modality="MR", count=3)
    with pytest.warns(Repair) as told:
        read, _ = series_in(tmp_path, wanted=["FLAIR"], given=["T1"])
    assert [info.number for info, _ in read] == [2]
    said = [str(one.message) for one in told]
    assert "[C13] series 1 (MR) was passed over: a file is named T1" in said
    assert "[D1] series 3 (MR) was left out: it has too few slices to be aligned" in said
