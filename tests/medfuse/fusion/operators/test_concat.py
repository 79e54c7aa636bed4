"""Concatenation: one matrix over the channels of all, and a word on who is there."""

from __future__ import annotations

import torch

from medfuse.fusion.operators.concat import Concat
from medfuse.nets.blocks import generator, seeded


def test_it_mixes_the_channels_of_all_by_one_matrix() -> None:
    with seeded(0, "test"):
        fuse = Concat(2, 2)
        torch.nn.init.zeros_(fuse.who.weight)
    x = torch.randn(1, 2, 2, 3, 3, 3, generator=generator(0, "x"))
    matrix = fuse.mix.weight[:, :, 0, 0, 0]
    mixed = torch.einsum("ok,bkdhw->bodhw", matrix, x.reshape(1, 4, 3, 3, 3))
    mixed = (mixed - mixed.mean((2, 3, 4), True)) / mixed.std((2, 3, 4), False, keepdim=True)
    mixed = mixed + fuse.norm.bias[:, None, None, None]
    expected = torch.where(mixed > 0, mixed, 0.01 * mixed)
    assert torch.allclose(fuse(x, torch.ones(1, 2, dtype=torch.bool)), expected, atol=1e-3)


def test_who_is_present_is_heard_even_where_all_is_zero() -> None:
    with seeded(0, "test"):
        fuse = Concat(4, 2)
    x = torch.zeros(2, 2, 4, 3, 3, 3)
    one, other = fuse(x, torch.tensor([[True, False], [False, True]]))
    assert (one - other).abs().max() > 0.1
