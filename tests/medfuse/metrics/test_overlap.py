"""Dice against MONAI's and its closed form; which mask is empty."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric

from medfuse.metrics import dice, emptiness
from tests.medfuse.metrics.masks import blobs


@pytest.mark.parametrize("seed", range(4))
def test_dice_is_monais(seed: int) -> None:
    prediction, truth = blobs(seed)
    oracle = DiceMetric()(*(torch.tensor(mask)[None, None].float() for mask in (prediction, truth)))
    ours = dice(int((prediction & truth).sum()), int(prediction.sum()), int(truth.sum()))
    assert ours == pytest.approx(float(oracle), abs=1e-6)


def test_dice_of_half_a_mask_is_two_thirds() -> None:
    assert dice(5, 5, 10) == pytest.approx(2 / 3)


def test_both_empty_is_one_and_one_empty_is_nought() -> None:
    assert dice(0, 0, 0) == 1
    assert dice(0, 3, 0) == dice(0, 0, 3) == 0


def test_the_empty_mask_is_named() -> None:
    none, some = np.zeros((2, 2, 2), bool), np.ones((2, 2, 2), bool)
    assert emptiness(some, some) == "no"
    assert emptiness(none, none) == "both"
    assert emptiness(some, none) == "truth"
    assert emptiness(none, some) == "prediction"
