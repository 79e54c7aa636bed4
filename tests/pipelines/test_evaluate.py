"""From two folders to a table: right figures, every label in every case, no mean unexplained."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.errors import GeometryError, InputError, OutputError, UsageError
from medfuse.io.files import sha256
from medfuse.record import Record
from pipelines.evaluate import evaluate, write_evaluation
from pipelines.evaluation import COLUMNS, EvaluateSettings, Evaluation
from pipelines.output_folder import OutputFolder, output_folder
from pipelines.pairing import pair
from tests.pipelines.toy_model import STEP, truth, write_case


def put(path: Path, array: np.ndarray, step: tuple[float, ...] = STEP) -> Path:
    """Write a label map (D, H, W)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.T.astype(np.uint8), np.diag([*step, 1.0])), path)
    return path


def moved() -> np.ndarray:
    """The truth one voxel further along the rows."""
    return np.roll(truth(), 1, axis=1)


def judged(folder: Path, **options: object) -> Evaluation:
    settings = EvaluateSettings(**options)  # type: ignore[arg-type]
    return evaluate(pair(folder / "seg", folder / "truth"), settings=settings)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two cases: one predicted as it is, one moved by a voxel of 2 mm; scans beside the truth."""
    for name in ("a", "b"):
        write_case(tmp_path / "truth" / name)
    put(tmp_path / "seg" / "a" / "labels.nii.gz", truth())
    put(tmp_path / "seg" / "b" / "labels.nii.gz", moved())
    return tmp_path


def test_perfect_and_moved(folders: Path) -> None:
    found = judged(folders)
    first, second = (one.scores.labels for one in found.scored)
    assert list(first) == ["label 4", "label 9"]
    assert all(one.dice == 1 and one.hd95_mm == 0 for one in first.values())
    # the core is 2 x 2 voxels of one slice: half of it is shared
    assert second["label 9"].dice == 0.5
    assert second["label 9"].hd95_mm == pytest.approx(2.0)
    shared = int(((truth() == 4) & (moved() == 4)).sum())
    assert second["label 4"].dice == pytest.approx(2 * shared / (2 * 71))
    assert found.summary.subsets[""]["label 9"].dice == pytest.approx(0.75)


def test_labels_can_be_asked_for(folders: Path) -> None:
    found = judged(folders, labels=("whole=4,9", "9"))
    assert list(found.scored[0].scores.labels) == ["whole", "label 9"]
    whole = found.scored[1].scores.labels["whole"]
    assert whole.dice == pytest.approx(2 * 60 / (2 * 75))  # a box of 5 rows moved by one
    with pytest.raises(UsageError, match="no label 'core'"):
        judged(folders, labels=("core",))


def test_a_label_that_nothing_holds_is_refused_before_any_scoring(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.evaluate.score", None)
        with pytest.raises(UsageError, match="no label map holds"):
            judged(folders, labels=("9", "99"))
    for asked in ("99", "x=98,99"):
        with pytest.raises(UsageError, match="no label map holds"):
            judged(folders, labels=("9", asked))
    assert list(judged(folders, labels=("x=9,99",)).scored[0].scores.labels) == ["x"]


def test_a_label_that_a_model_looked_for_may_be_nowhere(folders: Path) -> None:
    document = {"command": "segment", "model": {"labels": {"stroke": [5]}}}
    (folders / "seg" / "a" / "record.json").write_text(json.dumps(document))
    found = judged(folders, labels=("stroke",))
    assert found.summary.subsets[""]["stroke"].empty["both"] == 2


def test_options_of_a_listed_truth_are_followed(folders: Path, place: OutputFolder) -> None:
    """Only the sform of this map says where it lies: without the option it is refused (N11)."""
    path = folders / "truth" / "a" / "labels.nii.gz"
    image = nib.load(path)
    image.set_qform(np.diag([*STEP, 1.0]) + 50 * np.eye(4, k=3), 1)
    image.set_sform(np.diag([*STEP, 1.0]), 1)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), path)
    table = folders / "truth" / "all.csv"
    table.write_text("subject,T1,label\na,a/T1.nii.gz:T1,a/labels.nii.gz:xform=sform\n")
    (folders / "seg" / "b" / "labels.nii.gz").unlink()
    record = Record("evaluate")
    found = evaluate(pair(folders / "seg", table), record=record)
    assert all(one.dice == 1 for one in found.summary.subsets[""].values())
    assert record.inputs["a"]["truth_sha256"] == sha256(path)
    write_evaluation(found, place, record, EvaluateSettings())
    assert "no scan" not in (place.folder / "page.html").read_text()


def test_the_record_of_a_segmentation_says_what_was_looked_for(folders: Path) -> None:
    document = {"command": "segment", "model": {"labels": {"core": [9], "whole": [4, 9]}}}
    for name in ("a", "b"):
        (folders / "seg" / name / "record.json").write_text(json.dumps(document))
    assert set(judged(folders).summary.subsets[""]) == {"core", "whole"}
    assert set(judged(folders, labels=("core",)).summary.subsets[""]) == {"core"}


def test_C7_names_that_change_their_meaning_are_refused(folders: Path) -> None:
    for name, values in (("a", [9]), ("b", [4])):
        document = {"command": "segment", "model": {"labels": {"core": values}}}
        (folders / "seg" / name / "record.json").write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        judged(folders)
    assert caught.value.id == "C7"


def looked_for(folder: Path, case: str, **labels: list[int]) -> None:
    """Write beside a prediction which labels its model knows."""
    document = {"command": "segment", "model": {"labels": labels}}
    (folder / "seg" / case / "record.json").write_text(json.dumps(document))


def test_a_label_that_a_cases_own_model_does_not_know_is_looked_for_in_its_truth(
    folders: Path,
) -> None:
    """Both truths hold the core; the model of a never learned of it, and so cannot be right."""
    looked_for(folders, "a", lesion=[4])
    looked_for(folders, "b", lesion=[4], core=[9])
    put(folders / "seg" / "a" / "labels.nii.gz", np.where(truth() == 9, 4, truth()))
    found = judged(folders)
    core = found.scored[0].scores.labels["core"]
    assert (core.dice, core.empty, core.voxels) == (0, "prediction", (0, 0, 4))
    summary = found.summary.subsets[""]["core"]
    assert summary.dice == pytest.approx((0 + 0.5) / 2)
    assert dict(summary.empty) == {"prediction": 1, "no": 1}
    assert judged(folders, labels=("core",)).summary.subsets[""]["core"] == summary


def test_a_label_that_only_one_record_names_counts_once(folders: Path) -> None:
    looked_for(folders, "a", core=[9])
    found = judged(folders)
    assert [list(one.scores.labels) for one in found.scored] == [["label 4", "core"]] * 2
    assert [one.scores.labels["core"].dice for one in found.scored] == [1, 0.5]


def test_a_label_that_some_case_has_counts_in_every_case(folders: Path) -> None:
    """Case a holds no core at all, in neither map: Dice 1 by rule, and counted as such."""
    put(folders / "truth" / "a" / "labels.nii.gz", np.where(truth() == 9, 4, truth()))
    put(folders / "seg" / "a" / "labels.nii.gz", np.where(truth() == 9, 4, truth()))
    core = judged(folders).summary.subsets[""]["label 9"]
    assert core.cases == 2
    assert core.empty["both"] == 1
    assert core.dice == 0.75
    assert core.dice_present == 0.5


def test_C12_a_prediction_of_nothing_is_nought_and_said(folders: Path) -> None:
    put(folders / "seg" / "a" / "labels.nii.gz", np.zeros(truth().shape))
    found = judged(folders).summary.subsets[""]["label 4"]
    assert found.empty["prediction"] == 1
    assert found.worst_dice == 0
    assert found.hd95_infinite == 1


def test_C8_another_patients_grid_is_refused(folders: Path) -> None:
    put(folders / "seg" / "b" / "labels.nii.gz", moved(), (1.0, 2.0, 3.5))
    with pytest.raises(GeometryError, match=r"3.5 x 2 x 1 mm against 3 x 2 x 1 mm") as caught:
        judged(folders)
    assert (caught.value.id, caught.value.where) == ("C8", "b")
    found = judged(folders, resample=True)
    assert [(case, repair.id) for case, repair in found.repairs] == [("b", "C8")]


def test_ignored_voxels_say_nothing(folders: Path) -> None:
    doubtful = np.where(truth() == 9, 200, truth())
    put(folders / "truth" / "a" / "labels.nii.gz", doubtful)
    found = judged(folders, ignore=200).scored[0].scores
    assert found.ignored == 4
    assert found.labels["label 4"].dice == 1


def test_subsets_are_scored_apart(folders: Path) -> None:
    (folders / "seg").rename(folders / "T1")
    (folders / "seg").mkdir()
    (folders / "T1").rename(folders / "seg" / "T1")
    for name in ("a", "b"):
        put(folders / "seg" / "T1+PET" / name / "labels.nii.gz", truth())
    found = judged(folders)
    assert list(found.summary.subsets) == ["T1", "T1+PET"]
    assert found.summary.overall["T1+PET"][0] == 1
    assert found.summary.counter == (0, 4)


def test_cases_that_were_learned_are_said(folders: Path, place: OutputFolder) -> None:
    table = folders / "truth" / "all.csv"
    rows = [f"{case},{case}/T1.nii.gz,{case}/labels.nii.gz" for case in "ab"]
    table.write_text("\n".join(["subject,T1,label,split", f"{rows[0]},train", f"{rows[1]},test"]))
    record = Record("evaluate")
    found = evaluate(pair(folders / "seg", table), record=record)
    what = "1 of 2 cases was learned from or chose the weights: its score is too good"
    assert [(case, repair.id, repair.what) for case, repair in found.repairs] == [
        ("data", "learned", what)
    ]
    write_evaluation(found, place, record, EvaluateSettings())
    document = json.loads((place.folder / "record.json").read_text())
    assert document["warnings"] == [{"volume": "data", "id": "learned", "what": what}]
    assert document["summary"]["learned"] == ["a"]
    assert f'<p class="missing">{what}.</p>' in (place.folder / "page.html").read_text()
    table.write_text(table.read_text().replace("test", "validate"))
    ((_, repair),) = evaluate(pair(folders / "seg", table)).repairs
    assert "2 of 2 cases were learned from" in repair.what
    assert "their scores are too good" in repair.what
    assert not judged(folders).repairs


@pytest.fixture
def place(tmp_path: Path) -> Iterator[OutputFolder]:
    with output_folder(tmp_path / "out") as folder:
        yield folder


def test_a_table_a_record_and_a_page(folders: Path, place: OutputFolder) -> None:
    settings = EvaluateSettings(worst=1)
    record = Record("evaluate")
    found = evaluate(pair(folders / "seg", folders / "truth"), settings=settings, record=record)
    write_evaluation(found, place, record, settings)
    with (place.folder / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["case"], row["label"]) for row in rows] == [
        (case, label) for case in "ab" for label in ("label 4", "label 9")
    ]
    assert float(rows[3]["dice"]) == 0.5
    assert rows[3]["empty"] == "no"
    document = json.loads((place.folder / "record.json").read_text())
    assert document["summary"] == found.document()
    assert set(document["inputs"]["a"]) == {"prediction_sha256", "truth_sha256"}
    assert str(folders) not in (place.folder / "record.json").read_text()
    page = (place.folder / "page.html").read_text()
    assert str(folders) not in page
    assert "<h3>b: Dice" in page


def test_C11_a_name_cannot_become_a_formula(folders: Path, place: OutputFolder) -> None:
    (folders / "seg" / "a").rename(folders / "seg" / "=cmd()")
    (folders / "truth" / "a").rename(folders / "truth" / "=cmd()")
    settings = EvaluateSettings(worst=0)
    found = evaluate(pair(folders / "seg", folders / "truth"), settings=settings)
    write_evaluation(found, place, Record("evaluate"), settings)
    assert ",'=cmd()," in (place.folder / "scores.csv").read_text()


def test_an_earlier_evaluation_stays_unless_it_may_go(folders: Path, place: OutputFolder) -> None:
    settings = EvaluateSettings(worst=0)
    found = evaluate(pair(folders / "seg", folders / "truth"), settings=settings)
    write_evaluation(found, place, Record("evaluate"), settings)
    with pytest.raises(OutputError):
        place.reserve(())


def test_real_labels_come_to_the_published_figures(real_data: Path) -> None:
    """The volume of the brain tumour as another radiomics package published it."""
    folder = real_data / "pyradiomics"
    found = evaluate(pair(folder, folder))
    brain = next(one for one in found.scored if one.paired.case == "brain1")
    (label,) = brain.scores.labels.values()
    rows = (folder / "brain1_baseline_shape.csv").read_text().splitlines()
    volume = next(float(row.split(",")[1]) for row in rows if "VoxelVolume," in row)
    assert label.truth_ml * 1000 == pytest.approx(volume, rel=1e-9)
    assert label.voxels == (4137, 4137, 4137)
    assert all(one.dice == 1 for one in found.summary.subsets[""].values())


def test_real_lesions_are_counted_as_another_tool_does(real_data: Path) -> None:
    folder = real_data / "open_ms_mni"
    found = evaluate(pair(folder, folder))
    for one, ml in zip(found.scored, (1.3, 8.2), strict=True):  # as the set describes itself
        (label,) = one.scores.labels.values()
        assert label.truth_ml == pytest.approx(ml, abs=0.05)
        mask = sitk.ReadImage(str(one.paired.truth)) > 0
        pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(mask, True))
        assert label.lesions.truth == label.lesions.found == pieces.max()
