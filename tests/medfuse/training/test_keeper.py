"""The keeper: which weights are the model, when a training ends, what it refuses to go on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from medfuse.errors import InputError, Repair, UsageError
from medfuse.nets import modelfile
from medfuse.study import Cohort
from medfuse.training.history import read_history
from medfuse.training.keeper import CHECKPOINT
from medfuse.training.tasks import Course, SegmentationTask
from tests.medfuse.training import toy
from tests.medfuse.training.toy import run


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return toy.cohort(tmp_path_factory.mktemp("heads"))


def test_it_stops_where_dice_no_longer_grows(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: object) -> torch.Tensor:
        return torch.full((2, 2), 0.5, dtype=torch.float64)

    monkeypatch.setattr(SegmentationTask, "look", look)
    run(cohort, tmp_path / "o", epochs=50, patience=3, subsets="all")
    assert read_history(tmp_path / "o")[0] == 4  # the first is the best, then three in vain


def test_a_resume_refuses_files_that_changed_under_their_names(tmp_path: Path) -> None:
    """A training on labels before and after a correction is that of neither."""
    cohort, out = toy.cohort(tmp_path / "heads"), tmp_path / "o"
    run(cohort, out)
    run(cohort, out, resume=True, epochs=3)
    labels = tmp_path / "heads" / "sub-2" / "labels.nii"
    before = labels.read_bytes()
    image = nib.load(labels, mmap=False)
    values = np.asanyarray(image.dataobj).copy()
    values[values == 7] = 3
    nib.save(nib.Nifti1Image(values, image.affine, image.header), labels)
    model = (out / "model.mfm").read_bytes()
    with pytest.raises(UsageError, match="the files of 'sub-2' are not what"):
        run(cohort, out, resume=True, epochs=4)
    labels.write_bytes(before)
    kept = json.loads((out / "splits.json").read_text())
    kept["train"].pop()
    (out / "splits.json").write_text(json.dumps(kept))
    with (
        pytest.warns(Repair, match="not in splits.json"),
        pytest.raises(UsageError, match="is not what this training began with"),
    ):
        run(cohort, out, resume=True, epochs=4)
    assert (out / "model.mfm").read_bytes() == model


def test_the_best_weights_are_kept(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter((0.2, 0.9, 0.4))
    monkeypatch.setattr(SegmentationTask, "look", lambda _: torch.full((2, 2), next(scores)))
    best = run(cohort, tmp_path / "three", epochs=3, subsets="all")
    scores = iter((0.2, 0.9))
    monkeypatch.setattr(Course, "rate", _rate_of(3))
    two = run(cohort, tmp_path / "two", epochs=2, subsets="all")
    assert modelfile.load(best)[1].keys() == modelfile.load(two)[1].keys()
    for name, value in modelfile.load(best)[1].items():
        torch.testing.assert_close(value, modelfile.load(two)[1][name])


def test_half_of_what_makes_weights_the_best_is_how_they_do_with_each_scan_alone(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All scans would take the first epoch: .9 against .8; with each alone .5 against .75."""
    whole, alone = iter((0.9, 0.8)), iter((0.1, 0.7))
    task = SegmentationTask
    monkeypatch.setattr(task, "look", lambda _: torch.full((2, 2), next(whole)))
    monkeypatch.setattr(task, "look_at_each_alone", lambda _: torch.full((4, 2), next(alone)))
    best = run(cohort, tmp_path / "o", epochs=2)
    kept = torch.load(tmp_path / "o" / CHECKPOINT, weights_only=True)["state_dict"]
    for name, value in modelfile.load(best)[1].items():
        torch.testing.assert_close(value, kept[f"averaged.{name}"])
    said = read_history(tmp_path / "o")[1]  # of the epoch whose weights were kept
    assert said == pytest.approx({"mean": 0.8, "left lesion": 0.8, "right lesion": 0.8})


def _rate_of(epochs: int) -> Callable[[Course, int, float], float]:
    true = Course.rate

    def rate(self: Course, step: int, top: float) -> float:
        return true(replace(self, epochs=epochs), step, top)

    return rate


def test_M10_a_loss_that_is_not_finite_ends_it(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = SegmentationTask.loss
    monkeypatch.setattr(SegmentationTask, "loss", lambda *given: true(*given) * float("nan"))
    with pytest.raises(InputError, match="the loss is not finite") as caught:
        run(cohort, tmp_path / "o")
    assert caught.value.id == "M10"
    assert not (tmp_path / "o" / "checkpoint.ckpt").exists()
