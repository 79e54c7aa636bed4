"""Where results may not go: among the scans, the true labels and the transforms they came from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from medfuse.errors import OutputError, UsageError
from medfuse.io.manifest import read_manifest
from pipelines.apart import check_scores, check_segmentation, check_training
from pipelines.cases import list_cases
from pipelines.pairing import pair
from tests.medfuse.io import dicom_maker
from tests.pipelines.toy_model import write_case


def refused(out: Path, *places: Path, transforms: str | None = None) -> bool:
    named = [str(place) for place in places]
    try:
        check_segmentation(out, named, list_cases(named), transforms)
    except OutputError as error:
        return error.id == "S4"
    return False


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    """A folder of two patients."""
    for name in ("sub-1", "sub-2"):
        write_case(tmp_path / "heads" / name)
    return tmp_path / "heads"


def test_S4_a_folder_of_patients_takes_no_results(heads: Path, tmp_path: Path) -> None:
    assert refused(heads, heads)
    assert refused(heads, heads / "sub-1")
    assert refused(heads / "sub-1", heads / "sub-1")
    (tmp_path / "link").symlink_to(heads)
    assert refused(tmp_path / "link", heads / "sub-2")
    for fine in (tmp_path / "seg", heads / "seg", heads / "sub-1" / "seg"):
        assert not refused(fine, heads)


def test_S4_visits_of_bids_take_no_results(tmp_path: Path) -> None:
    write_case(tmp_path / "sub-1" / "ses-1")
    write_case(tmp_path / "sub-2" / "ses-2")
    assert refused(tmp_path, tmp_path)
    assert refused(tmp_path / "sub-1" / "ses-1", tmp_path)


def test_S4_a_folder_of_series_takes_no_results(tmp_path: Path) -> None:
    dicom_maker.series(tmp_path / "p" / "ct", count=4)
    assert refused(tmp_path, tmp_path / "p")
    assert refused(tmp_path / "p", tmp_path / "p")
    table = tmp_path / "all.csv"
    table.write_text("subject,CT\n7,p/ct\n")
    for out in (tmp_path / "p", tmp_path / "p" / "ct", tmp_path / "p" / "ct" / "seg"):
        assert refused(out, table)
    assert not refused(tmp_path / "seg", table)


def test_S4_listed_labels_and_the_manifest_are_not_written_over(
    heads: Path, tmp_path: Path
) -> None:
    (tmp_path / "truth" / "7").mkdir(parents=True)
    shutil.move(heads / "sub-1" / "labels.nii.gz", tmp_path / "truth" / "7")
    table = tmp_path / "volumes.csv"
    table.write_text("subject,T1,label\n7,heads/sub-1/T1.nii.gz,truth/7/labels.nii.gz\n")
    assert refused(tmp_path / "truth", table)
    assert refused(tmp_path, table)
    assert not refused(tmp_path / "seg", table)


def test_S4_transforms_are_not_written_over(heads: Path, tmp_path: Path) -> None:
    aligned = tmp_path / "aligned"
    assert refused(aligned, heads / "sub-1", transforms=str(aligned))
    assert refused(tmp_path, heads / "sub-1", transforms=str(tmp_path / "sub-1"))
    assert not refused(tmp_path / "seg", heads / "sub-1", transforms=str(aligned))


def test_S4_a_folder_of_anybodys_scans_takes_no_results(heads: Path, tmp_path: Path) -> None:
    assert refused(heads / "sub-2", heads / "sub-1")
    shutil.copytree(heads, tmp_path / "others")
    assert refused(tmp_path / "others", heads / "sub-1")
    manual = tmp_path / "manual" / "sub-1"
    manual.mkdir(parents=True)
    shutil.copy(heads / "sub-1" / "labels.nii.gz", manual)
    assert refused(manual, heads / "sub-1")
    assert not refused(tmp_path / "manual", heads / "sub-1")  # S5: never over it without a word
    (manual / "record.json").write_text('{"command": "segment", "model": {}}')
    assert not refused(manual, heads / "sub-1")
    (manual / "record.json").unlink()
    (manual / "labels.nii.gz").rename(manual / "sub-1_dseg.nii.gz")
    assert refused(tmp_path / "manual", heads / "sub-1")


def kept_out(out: Path, data: Path) -> bool:
    try:
        check_training(out, str(data), read_manifest(data, learned=False), table="history.csv")
    except OutputError as error:
        return error.id == "S4"
    return False


def test_S4_nothing_is_trained_into_a_folder_of_scans(heads: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(heads)
    shutil.copytree(heads / "sub-1", tmp_path / "other")
    for out in (heads, heads / "sub-1", tmp_path / "link", tmp_path / "other"):
        assert kept_out(out, heads)
    for fine in (tmp_path / "run", heads / "run", tmp_path):
        assert not kept_out(fine, heads)


def test_S4_nothing_is_trained_into_a_listed_series_or_over_the_manifest(tmp_path: Path) -> None:
    dicom_maker.series(tmp_path / "p" / "ct", count=4)
    table = tmp_path / "cohort.csv"
    table.write_text("subject,CT\n7,p/ct\n")
    for out in (tmp_path / "p", tmp_path / "p" / "ct", tmp_path / "p" / "ct" / "run"):
        assert kept_out(out, table)
    assert not kept_out(tmp_path, table)
    assert kept_out(tmp_path, table.rename(tmp_path / "history.csv"))


def test_S4_scores_lie_neither_among_the_truth_nor_beside_a_map(
    heads: Path, tmp_path: Path
) -> None:
    for name in ("sub-1", "sub-2"):
        (tmp_path / "seg" / name).mkdir(parents=True)
        shutil.copy(heads / name / "labels.nii.gz", tmp_path / "seg" / name)
    pairs = pair(tmp_path / "seg", heads).pairs
    for out in (heads, heads / "sub-2", tmp_path / "seg" / "sub-1"):
        with pytest.raises(OutputError) as caught:
            check_scores(out, str(heads), pairs)
        assert caught.value.id == "S4"
    check_scores(tmp_path / "scores", str(heads), pairs)


def test_a_map_is_not_scored_against_itself(heads: Path, tmp_path: Path) -> None:
    (tmp_path / "seg").symlink_to(heads)
    for predictions in (heads, tmp_path / "seg"):
        with pytest.raises(UsageError, match="one file"):
            check_scores(tmp_path / "scores", str(heads), pair(predictions, heads).pairs)
