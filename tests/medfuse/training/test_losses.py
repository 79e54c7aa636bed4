"""Losses: closed forms, MONAI where it is right, and gradients where it has none."""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceLoss
from torch import Tensor

from medfuse.training.losses import (
    deep_loss,
    dice_loss,
    segmentation_loss,
    shrink,
    targets_of,
    unimodal_loss,
)

SIZE = (4, 5, 6)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def masks(*shape: int, seed: int = 1) -> Tensor:
    return (random(*shape, seed=seed) < 0.4).float()


def everywhere(count: int) -> Tensor:
    return torch.ones(count, 1, *SIZE)


def test_dice_is_monais_where_every_channel_is_there() -> None:
    probability, target = random(2, 3, *SIZE), masks(2, 3, *SIZE)
    ours = dice_loss(probability, target, torch.tensor(240.0))
    theirs = DiceLoss(squared_pred=True, batch=True, smooth_nr=0, smooth_dr=1e-9)
    torch.testing.assert_close(ours, theirs(probability, target))


def test_cross_entropy_is_torchs() -> None:
    logits = random(2, 3, *SIZE) * 4
    classes = torch.randint(0, 3, (2, *SIZE), generator=torch.Generator().manual_seed(3))
    target = torch.nn.functional.one_hot(classes, 3).movedim(-1, 1).float()
    dice = dice_loss(logits.softmax(1)[:, 1:], target[:, 1:], torch.tensor(240.0))
    made = segmentation_loss(logits, target, everywhere(2), exclusive=True)
    torch.testing.assert_close(made - dice, torch.nn.functional.cross_entropy(logits, classes))


@pytest.mark.parametrize("exclusive", [True, False])
def test_the_right_answer_costs_nothing(exclusive: bool) -> None:
    codes = (random(2, *SIZE) * 3).to(torch.uint8)
    table = torch.eye(3, dtype=torch.bool)
    target, counted = targets_of(codes, table, SIZE)
    right = segmentation_loss(40 * (2 * target - 1), target, counted, exclusive=exclusive)
    assert float(right) < 1e-4
    wrong = segmentation_loss(-40 * (2 * target - 1), target, counted, exclusive=exclusive)
    assert float(wrong) > 10


@pytest.mark.parametrize("exclusive", [True, False])
def test_an_empty_target_has_a_gradient_and_an_end(exclusive: bool) -> None:
    """Where a plain Dice loss is 1 and flat, ours pulls the false alarm down to 0."""
    target = torch.zeros(1, 2, *SIZE)
    if exclusive:
        target[:, 0] = 1
    logits = torch.zeros(1, 2, *SIZE, requires_grad=True)
    segmentation_loss(logits, target, everywhere(1), exclusive=exclusive).backward()
    assert logits.grad is not None
    pull = logits.grad[:, 1]
    assert bool((pull > 1e-4).all())
    plain = DiceLoss(sigmoid=True)
    flat = torch.zeros(1, 2, *SIZE, requires_grad=True)
    plain(flat, torch.zeros(1, 2, *SIZE)).backward()
    assert flat.grad is not None
    assert float(flat.grad.abs().max()) < 1e-4 < float(pull.min())
    sure = torch.tensor([30.0, -30.0])[None, :, None, None, None].expand(1, 2, *SIZE)
    gone = sure if exclusive else -30 * torch.ones(1, 2, *SIZE)
    assert float(segmentation_loss(gone, target, everywhere(1), exclusive=exclusive)) < 1e-6


@pytest.mark.parametrize("exclusive", [True, False])
def test_ignored_voxels_have_no_influence(exclusive: bool) -> None:
    codes = (random(1, *SIZE) * 3).to(torch.uint8)
    codes[:, :2] = 255
    target, counted = targets_of(codes, torch.eye(3, dtype=torch.bool), SIZE)
    logits = random(1, 3, *SIZE) * 3
    other = logits.clone()
    other[:, :, :2] = 99 * random(1, 3, 2, 5, 6, seed=9)
    one, two = (segmentation_loss(x, target, counted, exclusive=exclusive) for x in (logits, other))
    torch.testing.assert_close(one, two)
    nothing = segmentation_loss(logits, target * 0, counted * 0, exclusive=exclusive)
    assert float(nothing) == 0


def test_half_precision_sums_do_not_overflow() -> None:
    logits = torch.full((1, 2, 48, 48, 48), 5.0, dtype=torch.float16)
    target = torch.ones(1, 2, 48, 48, 48)
    made = segmentation_loss(logits, target, torch.ones(1, 1, 48, 48, 48), exclusive=False)
    assert bool(torch.isfinite(made))
    assert made.dtype == torch.float32


def test_overlapping_regions_share_a_code() -> None:
    codes = torch.tensor([0, 1, 2, 255], dtype=torch.uint8).reshape(1, 1, 1, 4)
    table = torch.tensor([[0, 0], [1, 0], [1, 1]], dtype=torch.bool)  # whole; core inside it
    target, counted = targets_of(codes, table, (1, 1, 4))
    assert target[0, :, 0, 0, :3].tolist() == [[0, 1, 1], [0, 0, 1]]
    assert counted.flatten().tolist() == [1, 1, 1, 0]


def test_finer_codes_become_parts_of_voxels() -> None:
    codes = torch.zeros(1, 2, 2, 4, dtype=torch.uint8)
    codes[0, :, :, 0] = 1  # half of the first voxel
    codes[0, 0, 0, 2:] = 255  # two of eight do not count in the second
    codes[0, 1, :, 2] = 1  # two of the six that do
    target, counted = targets_of(codes, torch.eye(2, dtype=torch.bool), (1, 1, 2))
    assert target[0, 1, 0, 0].tolist() == pytest.approx([0.5, 2 / 6])
    assert target[0, 0, 0, 0].tolist() == pytest.approx([0.5, 4 / 6])
    assert counted.flatten().tolist() == [1, 1]
    codes[0, :, :, 2:] = 255
    _, counted = targets_of(codes, torch.eye(2, dtype=torch.bool), (1, 1, 2))
    assert counted.flatten().tolist() == [1, 0]


def test_a_border_between_voxels_is_learned_where_it_is() -> None:
    """The loss of a soft target is least at the target itself: Dice with squares, and entropy."""
    target = torch.full((1, 1, *SIZE), 0.3)
    values = torch.linspace(0.05, 0.95, 19)
    costs = [
        float(
            segmentation_loss(torch.logit(v) + 0 * target, target, everywhere(1), exclusive=False)
        )
        for v in values
    ]
    assert abs(float(values[costs.index(min(costs))]) - 0.3) < 0.06


def test_deep_supervision_weighs_halves() -> None:
    target, counted = masks(1, 2, 4, 4, 4), torch.ones(1, 1, 4, 4, 4)
    fine, coarse = random(1, 2, 4, 4, 4), random(1, 2, 2, 2, 2, seed=4)
    small = shrink(target, counted, (2, 2, 2))
    torch.testing.assert_close(small[0], torch.nn.functional.avg_pool3d(target, 2))
    one = segmentation_loss(fine, target, counted, exclusive=False)
    two = segmentation_loss(coarse, *small, exclusive=False)
    made = deep_loss([fine, coarse], target, counted, exclusive=False)
    torch.testing.assert_close(made, (one + two / 2) / 1.5)


def test_single_modalities_are_judged_where_they_are() -> None:
    logits = random(2, 3, 2, *SIZE)
    present = torch.tensor([[True, False, True], [False, True, False]])
    target, counted = masks(2, 2, *SIZE), everywhere(2)
    other = logits.clone()
    other[~present] = float("nan")
    one, two = (
        unimodal_loss(x, present, target, counted, exclusive=False) for x in (logits, other)
    )
    torch.testing.assert_close(one, two)
    rows = torch.stack([logits[0, 0], logits[0, 2], logits[1, 1]])
    wanted = segmentation_loss(rows, target[[0, 0, 1]], counted[[0, 0, 1]], exclusive=False)
    torch.testing.assert_close(one, wanted)
