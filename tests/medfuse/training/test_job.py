"""What is settled before a training starts: who is held out, the plan, what it needs."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from medfuse.errors import InputError, Repair, ResourceError, UsageError
from medfuse.study import Cohort
from medfuse.training import job as job_
from medfuse.training.job import Job, Machine, prepare
from tests.medfuse.training import toy


def settle(cohort: Cohort, out: Path, *, seed: int = 0, **changes: object) -> Job:
    out.mkdir(exist_ok=True)
    machine = Machine(device="cpu")
    return prepare(cohort, toy.settings(**changes), out, seed=seed, machine=machine)


def test_a_job_says_what_it_will_do(tmp_path: Path) -> None:
    made = settle(toy.cohort(tmp_path / "d"), tmp_path / "o")
    assert (len(made.learned), len(made.watched)) == (2, 2)
    said = made.summary()
    assert "2 visits to learn from, 2 held out; T1, CT; 2 labels" in said
    assert "patches of 16x16x16" in said
    assert "MB of memory" in said
    assert "\n" not in said


def test_the_split_is_saved_and_taken_as_it_is(tmp_path: Path) -> None:
    cohort, out = toy.cohort(tmp_path / "d"), tmp_path / "o"
    settle(cohort, out)
    path = out / "splits.json"
    mine = {"train": ["sub-4"], "validate": ["sub-1"]}
    path.write_text(json.dumps(mine))
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


def test_the_plan_in_the_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    cohort, out = toy.cohort(tmp_path / "d"), tmp_path / "o"
    settle(cohort, out)
    path = out / "plan.toml"
    path.write_text(path.read_text().replace("patch = [16, 16, 16]", "patch = [8, 16, 16]"))
    assert settle(cohort, out).plan.patch == (8, 16, 16)


def test_another_recipe_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    cohort, out = toy.cohort(tmp_path / "d"), tmp_path / "o"
    settle(cohort, out)
    settle(cohort, out, epochs=9, minutes=3.0, patience=2)  # to train longer is fine
    with pytest.raises(UsageError, match="rate is not what this folder"):
        settle(cohort, out, rate=0.5)
    with pytest.raises(UsageError, match="seed is not what this folder"):
        settle(cohort, out, seed=1)


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


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    toy.write(tmp_path / "d", 1)
    (tmp_path / "d" / "sub-1" / "labels.nii").unlink()
    with pytest.raises(InputError, match="no visit has a label map"):
        settle(toy.read_manifest(tmp_path / "d"), tmp_path / "o")


def test_a_modality_that_nobody_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no visit has the modality 'PET'") as caught:
        settle(toy.cohort(tmp_path / "d"), tmp_path / "o", modalities=("T1", "PET"))
    assert "T1, CT" in caught.value.hint


def test_S9_too_little_memory_is_said_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_, "free_memory", lambda: 10_000_000)
    with pytest.raises(ResourceError, match=r"needs about \d+ MB of memory, 10 MB are free"):
        settle(toy.cohort(tmp_path / "d"), tmp_path / "o")
    assert list((tmp_path / "o").iterdir()) == []


def test_free_memory_is_what_the_system_says() -> None:
    free = job_.free_memory()
    assert free is None or free > 10_000_000


def test_cuda_in_vain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert not Machine(device="auto").gpu
    with pytest.raises(UsageError, match="no CUDA device"):
        _ = Machine(device="cuda").gpu
