"""Which visits a training takes, who of them is held out, and what a kept split contradicts."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from medfuse.errors import InputError, Repair, UsageError
from medfuse.study import Cohort
from tests.medfuse.training import toy
from tests.medfuse.training.toy import settle


def test_the_split_is_saved_and_taken_as_it_is(tmp_path: Path) -> None:
    cohort, out = toy.cohort(tmp_path / "d"), tmp_path / "o"
    settle(cohort, out)
    path = out / "splits.json"
    mine = {"train": ["sub-4"], "validate": ["sub-1"]}
    path.write_text(json.dumps(mine))
    with pytest.warns(Repair, match="sub-2, sub-3: not in splits.json"):
        made = settle(cohort, out)
    assert [entry.id for entry in made.learned] == ["sub-4"]
    assert [entry.id for entry in made.watched] == ["sub-1"]
    path.write_text(json.dumps({**mine, "train": ["sub-9"]}))
    with pytest.raises(UsageError, match="names 'sub-9'"):
        settle(cohort, out)
    path.write_text("[]")
    with pytest.raises(UsageError, match="no split"):
        settle(cohort, out)


def test_C6_a_changed_split_may_not_mix_patients(tmp_path: Path) -> None:
    cohort, out = toy.cohort(tmp_path / "d"), tmp_path / "o"
    settle(cohort, out)
    both = {"train": ["sub-1"], "validate": ["sub-1"]}
    (out / "splits.json").write_text(json.dumps(both))
    with pytest.raises(InputError) as caught:
        settle(cohort, out)
    assert caught.value.id == "C6"


def test_folds_are_other_patients(tmp_path: Path) -> None:
    cohort = toy.cohort(tmp_path / "d")
    one, two = (settle(cohort, tmp_path / f"o{k}", fold=k) for k in (0, 1))
    assert {entry.id for entry in one.watched} == {entry.id for entry in two.learned}


def test_few_patients_are_as_many_folds(tmp_path: Path) -> None:
    made = settle(toy.cohort(tmp_path / "d", 3), tmp_path / "o", folds=None)
    assert (len(made.learned), len(made.watched)) == (2, 1)
    alone = settle(toy.cohort(tmp_path / "e", 1), tmp_path / "p", folds=None)
    assert (len(alone.learned), len(alone.watched)) == (1, 0)
    with pytest.raises(UsageError, match="fold 4 is none of 3"):
        settle(toy.cohort(tmp_path / "f", 3), tmp_path / "q", folds=None, fold=4)


def test_a_fold_is_none_where_the_manifest_says_who_is_held_out(tmp_path: Path) -> None:
    first, *rest = toy.cohort(tmp_path / "d").studies
    cohort = Cohort((replace(first, role="validate"), *rest))
    with pytest.raises(UsageError, match="the manifest says who is held out"):
        settle(cohort, tmp_path / "o", folds=3, fold=2)
    made = settle(cohort, tmp_path / "p", folds=3)
    assert [entry.id for entry in made.watched] == [first.id]


def test_visits_without_labels_are_left_out_and_told(tmp_path: Path) -> None:
    toy.write(tmp_path / "d", 3)
    (tmp_path / "d" / "sub-2" / "labels.nii").unlink()
    cohort = toy.read_manifest(tmp_path / "d")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = settle(cohort, tmp_path / "o")
    assert made.unlabelled == 1
    said = [str(one.message) for one in caught if isinstance(one.message, Repair)]
    assert said == ["[C4] 1 visits without a label map were left out"]


def test_M11_visits_without_a_required_scan_are_left_out_and_told(tmp_path: Path) -> None:
    toy.write(tmp_path / "d", 4)
    (tmp_path / "d" / "sub-2" / "CT.nii").unlink()
    cohort = toy.read_manifest(tmp_path / "d")
    assert {len(settle(cohort, tmp_path / "all").split.train)} == {2}
    with pytest.warns(Repair, match=r"\[M11\] sub-2: left out without CT"):
        made = settle(cohort, tmp_path / "o", required=("CT",))
    assert sorted([*made.split.train, *made.split.validate]) == ["sub-1", "sub-3", "sub-4"]
    for number in (1, 3, 4):
        (tmp_path / "d" / f"sub-{number}" / "labels.nii").unlink()
    with (
        pytest.warns(Repair, match="3 visits without a label map"),
        pytest.raises(InputError, match="no visit with a label map has CT") as caught,
    ):
        settle(toy.read_manifest(tmp_path / "d"), tmp_path / "p", required=("CT",))
    assert caught.value.id == "M11"


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    toy.write(tmp_path / "d", 1)
    (tmp_path / "d" / "sub-1" / "labels.nii").unlink()
    with pytest.raises(InputError, match="no visit has a label map"):
        settle(toy.read_manifest(tmp_path / "d"), tmp_path / "o")


def test_a_manifest_that_contradicts_the_kept_split_is_told(tmp_path: Path) -> None:
    cohort, out = toy.cohort(tmp_path / "d"), tmp_path / "o"
    split = settle(cohort, out).split
    learned = split.train[0]
    roles = {learned: "validate"}
    changed = Cohort(tuple(replace(e, role=roles.get(e.id, "")) for e in cohort.studies))  # type: ignore[arg-type]
    with pytest.warns(Repair, match=rf"\[split\] {learned}: the manifest puts them on the other"):
        assert settle(changed, out).split == split
