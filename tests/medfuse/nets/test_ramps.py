"""A value lies in one range, and the ranges together are the value again."""

from __future__ import annotations

import torch

from medfuse.nets.ramps import RAMPS, ramps


def test_zero_stays_silent_and_each_channel_keeps_its_own_ranges() -> None:
    x = torch.zeros(1, 2, 1, 1, 1)
    x[0, 1] = 2.5
    made = ramps(x)
    assert made.shape == (1, 2 * RAMPS, 1, 1, 1)
    assert not made[0, :RAMPS].any()
    assert made[0, RAMPS] == 2.5


def test_the_ranges_add_up_to_the_value_between_their_ends() -> None:
    x = torch.linspace(-6, 7, 261).reshape(1, 1, 1, 1, -1)
    made = ramps(x)[0, 1:, 0, 0]
    assert torch.allclose(made.sum(dim=0), x.reshape(-1).clamp(-4, 5), atol=1e-5)


def test_one_range_moves_with_a_value_and_the_others_do_not() -> None:
    x = torch.linspace(-3.95, 4.95, 179).reshape(1, 1, 1, 1, -1)
    steps = ramps(x)[0, 1:, 0, 0].diff(dim=1).abs() > 1e-4
    assert int((steps.sum(dim=0) == 1).sum()) >= 173  # but for the five steps across a border
    assert bool(steps.any(dim=1).all())
