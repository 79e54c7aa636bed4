"""Pairs by name: the layouts that people have, and every way in which two folders can disagree."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import InputError
from pipelines.pairing import Pairs, pair
from tests.medfuse.io import dicom_maker
from tests.pipelines.toy_model import write_case


def touch(path: Path) -> Path:
    """Write a file that may be paired: only its name is looked at."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not opened")
    return path


def names(found: Pairs) -> list[tuple[str, str, str, str]]:
    return [
        (one.subset, one.case, one.prediction.parent.name, one.truth.parent.name)
        for one in found.pairs
    ]


def test_folders_of_cases(tmp_path: Path) -> None:
    for name in ("sub-001", "sub-002"):
        touch(tmp_path / "seg" / name / "labels.nii.gz")
        touch(tmp_path / "seg" / name / "labels.dcm")
        touch(tmp_path / "seg" / name / "probabilities" / "lesion.nii.gz")
        write_case(tmp_path / "heads" / name)
    found = pair(tmp_path / "seg", tmp_path / "heads")
    assert names(found) == [("", name, name, name) for name in ("sub-001", "sub-002")]
    assert {path.name for path in found.pairs[0].scans} == {"T1.nii.gz", "T2.nii.gz", "PET.nii.gz"}
    assert found.pairs[0].regions is None


def test_a_folder_a_subset(tmp_path: Path) -> None:
    for subset in ("T1+CT+PET", "T1", "CT", "T1+CT"):
        touch(tmp_path / "seg" / subset / "sub-001" / "labels.nii.gz")
    touch(tmp_path / "heads" / "sub-001" / "labels.nii.gz")
    found = pair(tmp_path / "seg", tmp_path / "heads")
    assert found.subsets == ("CT", "T1", "T1+CT", "T1+CT+PET")
    assert {one.case for one in found.pairs} == {"sub-001"}


@pytest.mark.parametrize(
    ("prediction", "truth"),
    [
        ("a.nii.gz", "a.nii.gz"),
        ("a_seg.nii.gz", "a-label.nrrd"),
        ("a_prediction.nrrd", "a_label-lesion_mask.nii.gz"),
        ("T1/a.nii.gz", "a_gt.nii.gz"),
        ("a/labels.nii.gz", "a.nii.gz"),
        ("a.nii.gz", "a/labels.nii.gz"),
        ("sub-1_ses-2/labels.nii.gz", "sub-1/ses-2/labels.nii.gz"),
        ("sub-1_ses-2.nii.gz", "derivatives/x/sub-1/ses-2/anat/sub-1_ses-2_dseg.nii.gz"),
    ],
)
def test_names_mean_the_same_case(prediction: str, truth: str, tmp_path: Path) -> None:
    touch(tmp_path / "seg" / prediction)
    touch(tmp_path / "truth" / truth)
    (one,) = pair(tmp_path / "seg", tmp_path / "truth").pairs
    assert one.truth == tmp_path / "truth" / truth


def test_one_map_beside_scans_is_its_folders(tmp_path: Path) -> None:
    """As the open MS set lies: patient07/{T1,T2,FLAIR,lesion_gt}.nii.gz."""
    for name in ("patient07", "patient26"):
        for file in ("T1", "FLAIR", "lesion_gt"):
            touch(tmp_path / "truth" / name / f"{file}.nii.gz")
        touch(tmp_path / "seg" / f"{name}.nii.gz")
    found = pair(tmp_path / "seg", tmp_path / "truth")
    assert [one.truth.name for one in found.pairs] == ["lesion_gt.nii.gz"] * 2
    assert [path.name for path in found.pairs[0].scans] == ["FLAIR.nii.gz", "T1.nii.gz"]


def test_scans_and_maps_of_many_in_one_folder(tmp_path: Path) -> None:
    """As pyradiomics' data lie: brain1_image.nrrd, brain1_label.nrrd, breast1_..."""
    for name in ("brain1", "breast1"):
        for kind in ("image", "label"):
            touch(tmp_path / "all" / f"{name}_{kind}.nrrd")
    found = pair(tmp_path / "all", tmp_path / "all")
    assert [one.case for one in found.pairs] == ["brain1", "breast1"]
    assert [path.name for path in found.pairs[0].scans] == ["brain1_image.nrrd"]


def test_a_manifest_may_be_the_truth(tmp_path: Path) -> None:
    write_case(tmp_path / "x")
    (tmp_path / "all.csv").write_text("subject,visit,T1,label\n7,2,x/T1.nii.gz,x/labels.nii.gz\n")
    touch(tmp_path / "seg" / "7_2" / "labels.nii.gz")
    (one,) = pair(tmp_path / "seg", tmp_path / "all.csv").pairs
    assert (one.case, one.truth) == ("7_2", tmp_path / "x" / "labels.nii.gz")


def test_listed_truths_may_share_a_scan(tmp_path: Path) -> None:
    write_case(tmp_path / "x", ("T1",))
    rows = "".join(f"{name},x/T1.nii.gz,x/labels.nii.gz\n" for name in "ab")
    (tmp_path / "all.csv").write_text(f"subject,T1,label\n{rows}")
    touch(tmp_path / "seg" / "a" / "labels.nii.gz")
    assert [one.case for one in pair(tmp_path / "seg", tmp_path / "all.csv").pairs] == ["a"]


def test_slices_of_a_series_are_no_label_maps(tmp_path: Path) -> None:
    dicom_maker.series(tmp_path / "seg" / "a" / "ct", count=3)
    square = np.zeros((16, 14), np.uint8)
    square[2:5, 2:5] = 1
    dicom_maker.save(
        dicom_maker.segmentation([square], [0], [1]), tmp_path / "seg" / "a" / "labels.dcm"
    )
    touch(tmp_path / "truth" / "a.nii.gz")
    (one,) = pair(tmp_path / "seg", tmp_path / "truth").pairs
    assert one.prediction.name == "labels.dcm"


def test_what_the_model_looked_for_is_read_from_its_record(tmp_path: Path) -> None:
    touch(tmp_path / "seg" / "a" / "labels.nii.gz")
    touch(tmp_path / "truth" / "a.nii.gz")
    record = tmp_path / "seg" / "a" / "record.json"
    document = {"command": "segment", "model": {"labels": {"whole": [1, 4], "core": [4]}}}
    record.write_text(json.dumps(document))
    assert pair(tmp_path / "seg", tmp_path / "truth").pairs[0].regions == {
        "whole": (1, 4),
        "core": (4,),
    }
    odd = (
        "[]",
        '{"labels": 1}',
        '{"labels": [1]}',
        '{"labels": {"a": 1}}',
        '{"labels": {"a": ["b"]}}',
    )
    models = [f'{{"command": "segment", "model": {model}}}' for model in odd]
    for text in ("{", "[]", "[" * 100_000, '{"command": "register"}', *models):
        record.write_text(text)
        assert pair(tmp_path / "seg", tmp_path / "truth").pairs[0].regions is None


def test_nobody_waits_for_predictions_of_what_was_learned_from(tmp_path: Path) -> None:
    rows = ["subject,T1,label,split"]
    for case, role in zip("abcde", ("train", "validate", "test", "test", ""), strict=True):
        touch(tmp_path / "data" / case / "T1.nii.gz")
        touch(tmp_path / "data" / case / "labels.nii.gz")
        rows.append(f"{case},{case}/T1.nii.gz,{case}/labels.nii.gz,{role}")
    manifest = tmp_path / "data" / "all.csv"
    manifest.write_text("\n".join(rows))
    touch(tmp_path / "seg" / "c" / "labels.nii.gz")
    found = pair(tmp_path / "seg", manifest)
    assert [one.case for one in found.pairs] == ["c"]
    assert found.unpredicted == {"": ("d", "e")}
    touch(tmp_path / "seg" / "a" / "labels.nii.gz")  # scored all the same where it is there
    touch(tmp_path / "seg" / "b" / "labels.nii.gz")
    again = pair(tmp_path / "seg", manifest).pairs
    assert [(one.case, one.learned) for one in again] == [("a", True), ("b", True), ("c", False)]


def test_a_truth_without_a_prediction_is_told(tmp_path: Path) -> None:
    for subset, cases in (("T1", "ab"), ("T1+CT", "abc")):
        for case in cases:
            touch(tmp_path / "seg" / subset / case / "labels.nii.gz")
    for case in "abcd":
        touch(tmp_path / "truth" / f"{case}_seg.nii.gz")
    found = pair(tmp_path / "seg", tmp_path / "truth")
    assert found.unpredicted == {"T1": ("c", "d"), "T1+CT": ("d",)}


def test_the_folder_of_a_case_may_be_named_itself(tmp_path: Path) -> None:
    for root in ("seg", "truth"):
        for case in ("sub-1", "sub-2", "sub-3/ses-1", "sub-4/ses-1"):
            touch(tmp_path / root / case / "labels.nii.gz")
    touch(tmp_path / "scans" / "sub-1" / "T1.nii.gz")
    touch(tmp_path / "scans" / "sub-1" / "lesion_gt.nii.gz")
    for truth in ("truth/sub-1", "scans/sub-1"):
        (one,) = pair(tmp_path / "seg" / "sub-1", tmp_path / truth).pairs
        assert (one.case, one.truth.parent) == ("sub-1", tmp_path / truth)
    assert pair(tmp_path / "seg" / "sub-1", tmp_path / "truth").pairs[0].case == "sub-1"
    (one,) = pair(
        tmp_path / "seg" / "sub-3" / "ses-1", tmp_path / "truth" / "sub-3" / "ses-1"
    ).pairs
    assert one.case == "sub-3_ses-1"
    for case, other in (("sub-1", "sub-2"), ("sub-3/ses-1", "sub-4/ses-1")):
        with pytest.raises(InputError, match="1 prediction has no truth") as caught:
            pair(tmp_path / "seg" / case, tmp_path / "truth" / other)
        assert caught.value.id == "C4"
        assert other.replace("/", "_") in caught.value.hint


def test_C4_a_prediction_without_a_truth_is_refused(tmp_path: Path) -> None:
    for case in ("a", "b", "stranger"):
        touch(tmp_path / "seg" / case / "labels.nii.gz")
    for case in "ab":
        touch(tmp_path / "truth" / case / "labels.nii.gz")
    with pytest.raises(InputError, match="1 prediction has no truth: stranger") as caught:
        pair(tmp_path / "seg", tmp_path / "truth")
    assert caught.value.id == "C4"
    assert "a, b" in caught.value.hint


def test_C4_a_folder_without_label_maps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    touch(tmp_path / "some" / "a.nii.gz")
    for predictions, truth in (("none", "some"), ("some", "none")):
        with pytest.raises(InputError) as caught:
            pair(tmp_path / predictions, tmp_path / truth)
        assert caught.value.id == "C4"


def test_C5_two_maps_of_one_case_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "one" / "a.nii.gz")
    touch(tmp_path / "seg" / "a_seg.nii.gz")
    touch(tmp_path / "seg" / "a_mask.nrrd")
    with pytest.raises(InputError) as caught:
        pair(tmp_path / "seg", tmp_path / "one")
    assert caught.value.id == "C5"
    touch(tmp_path / "twice" / "x" / "a_seg.nii.gz")
    touch(tmp_path / "twice" / "y" / "a_seg.nii.gz")
    with pytest.raises(InputError) as caught:
        pair(tmp_path / "one", tmp_path / "twice")
    assert caught.value.id == "C5"


def test_C4_a_manifest_without_label_maps_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "T1.nii.gz")
    touch(tmp_path / "seg" / "a" / "labels.nii.gz")
    table = tmp_path / "all.csv"
    for text, what in (
        ("subject,T1\na,a/T1.nii.gz\n", "has no column 'label'"),
        ("subject,T1,label\na,a/T1.nii.gz,\n", "its column 'label' is empty in every row"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=what) as caught:
            pair(tmp_path / "seg", table)
        assert (caught.value.id, caught.value.where) == ("C4", table)


def test_a_label_map_in_place_of_the_truths_folder_is_refused(tmp_path: Path) -> None:
    map_ = touch(tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="LABELS is a folder of label maps, or a CSV") as caught:
        pair(map_, map_)
    assert caught.value.id == "N41"
    assert "name the folder that holds the label map" in caught.value.hint
    with pytest.raises(InputError) as caught:
        pair(tmp_path, tmp_path / "nowhere.nii.gz")
    assert caught.value.id == "N40"


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    nib.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(InputError) as caught:
        pair(tmp_path / "a.nii.gz", tmp_path)
    assert caught.value.id == "N41"
