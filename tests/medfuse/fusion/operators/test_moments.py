"""Moments: numpy's mean and variance over those that are there."""

from __future__ import annotations

import numpy as np
import torch

from medfuse.fusion.operators.moments import Moments, moments
from medfuse.nets.blocks import generator


def test_moments_are_those_of_numpy_over_the_present() -> None:
    x = torch.randn(2, 4, 3, 2, 2, 2, generator=generator(0, "x"))
    present = torch.tensor([[True, False, True, True], [False, True, False, False]])
    mean, variance = moments(x, present)
    for row in range(2):
        there = x[row][present[row]].numpy()
        assert np.allclose(mean[row], there.mean(axis=0), atol=1e-6)
        assert np.allclose(variance[row], there.var(axis=0), atol=1e-6)


def test_any_number_of_modalities_fits() -> None:
    fuse = Moments(4, 2)
    x = torch.randn(1, 7, 4, 3, 3, 3, generator=generator(0, "x"))
    assert fuse(x, torch.ones(1, 7, dtype=torch.bool)).shape == (1, 4, 3, 3, 3)
