"""What a contest is: levels on the same patients, and the time shared evenly."""

from __future__ import annotations

import pytest

from medfuse.errors import ModelError, UsageError
from medfuse.study import Cohort, StudyEntry
from medfuse.training.settings import TrainSettings
from pipelines.contest import Contest, dice_of
from tests.pipelines.reporting.test_compare_page import evaluation

LEVELS = ("data", "model")


def cohort(count: int = 4) -> Cohort:
    return Cohort(tuple(StudyEntry(f"s{n}", "", {"T1": "t1.nii"}, "l.nii") for n in range(count)))


def test_the_minutes_are_shared_evenly_and_everybody_is_held_out_once() -> None:
    made = Contest.of(cohort(), levels=LEVELS, folds=2, minutes=12, seed=0)
    assert made.minutes == 3
    held = [id for split in made.splits for id in split.validate]
    assert sorted(held) == ["s0", "s1", "s2", "s3"]
    for split in made.splits:
        assert not set(split.train) & set(split.validate)


@pytest.mark.parametrize(
    ("levels", "folds", "what"),
    [
        (("data",), 2, "two levels"),
        (("data", "data"), 2, "two levels"),
        (("data", "late"), 2, "'late' is no level"),
        (("data", "model"), 1, "nobody is held out"),
    ],
)
def test_no_contest_is_refused(levels: tuple[str, ...], folds: int, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Contest.of(cohort(), levels=levels, folds=folds, minutes=1, seed=0)


def test_too_few_cases_to_judge_are_refused_before_a_training() -> None:
    with pytest.raises(UsageError, match="2 held-out cases cannot show a difference"):
        Contest.of(cohort(2), levels=LEVELS, folds=2, minutes=1, seed=0)
    assert Contest.of(cohort(3), levels=LEVELS, folds=2, minutes=1, seed=0).minutes == 0.25


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/b", "a\\b", ".a", "a\nb", "S1"])
def test_who_cannot_have_a_folder_is_refused_before_a_training(name: str) -> None:
    odd = StudyEntry(name, "", {"T1": "t1.nii"}, "l.nii")
    with pytest.raises(UsageError, match=r"name cannot be that of a folder|two cases are called"):
        Contest.of(Cohort((*cohort().studies, odd)), levels=LEVELS, folds=2, minutes=1, seed=0)


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        (TrainSettings(required=("T1",), modalities=("T1", "T2")), ""),
        (TrainSettings(required=("T2",), modalities=("T1", "T2")), "lacks T2"),
        (TrainSettings(modalities=("T2",)), "lacks T2"),
    ],
)
def test_m11_who_lacks_a_required_scan_is_named_before_a_training(
    asked: TrainSettings, refused: str
) -> None:
    both = StudyEntry("s9", "", {"T1": "t1.nii", "T2": "t2.nii"}, "l.nii")
    everybody = Cohort((*cohort(3).studies, both))
    contest = Contest.of(everybody, levels=LEVELS, folds=2, minutes=1, seed=0)
    if not refused:
        contest.check_scans(everybody, asked)
        return
    with pytest.raises(ModelError, match=refused) as told:
        contest.check_scans(everybody, asked)
    assert told.value.id == "M11"
    assert told.value.where in {"s0", "s1", "s2"}


def test_the_dice_of_a_case_is_the_mean_over_labels() -> None:
    found = evaluation({"data": [(0.4, 0.8)], "model": [(0.1, 0.2)]})
    assert dice_of(found, LEVELS) == {
        "data": {"sub-1": pytest.approx(0.6)},
        "model": {"sub-1": pytest.approx(0.15)},
    }
