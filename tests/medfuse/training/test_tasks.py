"""The task: rates, the score of whole visits, and a loss that falls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from medfuse.fusion.levels import Heads, build
from medfuse.training.cases import load_cases
from medfuse.training.draw import draw_batch
from medfuse.training.plan import Plan
from medfuse.training.settings import Target
from medfuse.training.tasks import Course, SegmentationTask
from tests.medfuse.training import toy


def task(root: Path, plan: Plan, network: nn.Module | None = None) -> SegmentationTask:
    cases = load_cases(toy.cohort(root, 2).studies, plan)
    made = network or build(plan.fusion, modalities=2, classes=plan.coding.classes, seed=0)
    return SegmentationTask(made, plan, toy.settings(), Course(2, 2, 0), cases, cases)  # type: ignore[arg-type]


def test_the_rate_climbs_then_falls_to_nothing() -> None:
    course = Course(epochs=10, steps=100, seed=0)
    rates = [course.rate(step, 1.0) for step in range(1000)]
    top = rates.index(max(rates))
    assert 25 <= top <= 35
    assert rates[0] < 0.1
    assert all(a >= b for a, b in zip(rates[top:], rates[top + 1 :], strict=False))
    assert 0 < rates[-1] < 0.01
    assert course.rate(2000, 1.0) == 0  # past its end


class Knowing(nn.Module):
    """Answers from the scans by a rule: T1 above 2 spreads is lesion 7, CT above 0.8 lesion 3."""

    def __init__(self, *, overlapping: bool = False, empty: bool = False) -> None:
        super().__init__()
        self.overlapping, self.empty = overlapping, empty

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        left, right = x[:, 0, 0] > 5, x[:, 1, 0] > 0.8
        if self.empty:
            left, right = left & False, right & False
        first = torch.stack([left | right, right] if self.overlapping else [left, right], dim=1)
        logits = 20 * first.float() - 10
        zero = torch.zeros_like(logits[:, :1])
        return logits if self.overlapping else torch.cat([zero, logits], dim=1)

    def heads(self, x: Tensor, present: Tensor) -> Heads:
        return Heads(self(x, present))


def test_a_whole_visit_is_scored_by_hand(tmp_path: Path) -> None:
    plan = toy.plan(patch=(12, 12, 12))
    made = task(tmp_path, plan, Knowing())
    for case, dice in zip(made.watched, made.look(), strict=True):
        said = torch.stack([case.images[0] > 5, (case.images[1] > 0.8) & ~(case.images[0] > 5)])
        true = torch.stack([case.codes == 2, case.codes == 1])
        both = (said & true).sum((1, 2, 3))
        wanted = 2 * both / (said.sum((1, 2, 3)) + true.sum((1, 2, 3)))
        assert dice.tolist() == pytest.approx(wanted.tolist(), abs=0.02)
        assert float(dice.min()) > 0.5


def test_C12_empty_labels_score_1_and_false_or_missed_ones_0(tmp_path: Path) -> None:
    plan = toy.plan(labels=(*toy.TARGETS, Target("nothing", (99,))), patch=(12, 12, 12))

    class Three(Knowing):
        def forward(self, x: Tensor, present: Tensor) -> Tensor:
            logits = super().forward(x, present)
            return torch.cat([logits, torch.full_like(logits[:, :1], -10)], dim=1)

    made = task(tmp_path, plan, Three(empty=True))
    assert made.look().tolist() == [[0.0, 0.0, 1.0]] * 2


def test_C12_a_label_too_small_for_the_spacing_is_missed_not_absent(tmp_path: Path) -> None:
    plan = toy.plan(patch=(12, 12, 12))
    made = task(tmp_path, plan, Knowing(empty=True))
    empty = replace(made.watched[0], codes=torch.zeros_like(made.watched[0].codes))
    assert made.overlap(empty).tolist() == [1.0, 1.0]
    assert made.overlap(replace(empty, vanished=(1,))).tolist() == [1.0, 0.0]
    speck = empty.codes.repeat(*[2] * 3) * 0  # labels are twice as fine, and one voxel of them
    speck[9, 9, 9] = 2
    fine = replace(empty, codes=speck, finer=(2, 2, 2))
    assert made.overlap(fine).tolist() == [0.0, 1.0]


def test_regions_that_overlap_are_scored_each_by_itself(tmp_path: Path) -> None:
    both = (Target("any", (3, 7)), Target("right", (3,)))
    plan = toy.plan(labels=both, patch=(12, 12, 12))
    made = task(tmp_path, plan, Knowing(overlapping=True))
    assert not made.exclusive
    assert float(made.look().min()) > 0.5


def test_ignored_voxels_are_not_scored(tmp_path: Path) -> None:
    plan = toy.plan(patch=(12, 12, 12))
    made = task(tmp_path, plan, Knowing(empty=True))
    case = made.watched[0]
    blank = replace(case, codes=torch.full_like(case.codes, 255))
    assert made.overlap(blank).tolist() == [1.0, 1.0]


def test_each_scan_of_a_visit_is_looked_at_alone_with_those_that_are_required(
    tmp_path: Path,
) -> None:
    """T1 shows the left lesion alone, CT the right one: half of the answers is empty."""
    plan = toy.plan(patch=(12, 12, 12))
    made = task(tmp_path, plan, Silent())
    alone = made.look_at_each_alone()
    assert (alone > 0.5).tolist() == [[True, False], [False, True]] * 2
    made.drawing = replace(made.drawing, required=(0,))
    assert made.look_at_each_alone().shape == (0, 2)  # CT alone is left to part
    case = made.watched[0]
    images, present = case.images[[0, 1, 1]], torch.tensor([True, True, True])
    made.watched = [replace(case, images=images, present=present)]  # T1, CT, and one unseen
    assert (made.look_at_each_alone() > 0.5).tolist() == [[True, True], [True, False]]


class Silent(Knowing):
    """Sees nothing where a scan is not shown."""

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        return super().forward(torch.where(present[:, :, None, None, None, None], x, -9.0), present)


def test_steps_lower_the_loss(tmp_path: Path) -> None:
    plan = toy.plan(batch=2)
    made = task(tmp_path, plan)
    optimizer = made.configure_optimizers()
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    losses = []
    for step in range(12):
        batch = draw_batch(made.learned, made.drawing, 0, step % 2)
        loss = made.loss(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_norms_and_biases_do_not_decay(tmp_path: Path) -> None:
    made = task(tmp_path, toy.plan())
    pulled, free = made.configure_optimizers().param_groups
    assert (pulled["weight_decay"], free["weight_decay"]) == (made.settings.decay, 0.0)
    assert {p.ndim for p in free["params"]} == {1}


def test_all_scans_are_shown_at_the_start_and_even_sizes_at_the_end(tmp_path: Path) -> None:
    made = task(tmp_path, toy.plan(patch=(12, 12, 12)))  # 4 steps
    assert [made.drawing_at(step).whole for step in (0, 1, 2, 4, 5)] == [1, 0.75, 0.5, 0, 0]


def test_what_is_looked_at_is_the_running_mean_of_the_weights(tmp_path: Path) -> None:
    made = task(tmp_path, toy.plan(patch=(12, 12, 12)))
    before = {name: value.clone() for name, value in made.network.named_parameters()}
    with torch.no_grad():
        for value in made.network.parameters():
            value += 1.0
    made.on_train_batch_end()  # the first: a tenth of what was, nine tenths of what is
    for name, value in made.averaged.named_parameters():
        assert torch.allclose(value, before[name] + 0.9, atol=1e-5)
        assert not value.requires_grad
    made.train()
    made.network = Knowing(empty=True)  # type: ignore[assignment]
    made.averaged = Knowing()  # type: ignore[assignment]
    assert float(made.look().min()) > 0.5
    assert not made.averaged.training


def test_the_target_follows_what_is_said_of_all_scans_while_a_subset_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half way, with a share of .6, a target lies at .7 of the truth and .3 of the teacher."""
    made = task(tmp_path, toy.plan(batch=2, patch=(12, 12, 12)), Knowing())
    made.settings = replace(made.settings, distil=0.6)
    drawing = replace(made.drawing, hidden=True)
    batches = [draw_batch(made.learned, drawing, 0, step) for step in range(8)]
    batch = next(one for one in batches if not bool(one.shown.all()))
    assert bool(batch.present.all())
    target = torch.zeros(2, 3, 12, 12, 12)
    target[:, 0] = 1
    target[0, :2, 3, 3, 3] = torch.tensor([0.0, 1.0])  # one voxel of the first label, none else
    assert torch.equal(made.distilled(target, batch.x, batch), target)  # at the start
    monkeypatch.setattr(SegmentationTask, "global_step", 2)  # of 4
    said = Knowing()(batch.x, batch.present).softmax(dim=1)[:, :2]
    said = torch.cat([said / said.sum(dim=1, keepdim=True), torch.zeros(2, 1, 12, 12, 12)], dim=1)
    found = made.distilled(target, batch.x, batch)
    assert torch.allclose(found, 0.7 * target + 0.3 * said, atol=1e-6)
    assert not found[:, 2].any()  # what the batch does not hold is no soft truth either

    class Remembering(Knowing):
        def heads(self, x: Tensor, present: Tensor) -> Heads:
            self.given = present
            return super().heads(x.detach().requires_grad_(), present)

    made.network = Remembering()  # type: ignore[assignment]
    made.loss(batch, 0)
    assert torch.equal(made.network.given, batch.shown)  # type: ignore[arg-type]
