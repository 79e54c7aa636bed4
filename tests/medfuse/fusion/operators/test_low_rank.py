"""Low rank: the full outer product, written out, is the judge."""

from __future__ import annotations

import torch

from medfuse.fusion.operators.low_rank import RANK, LowRank
from medfuse.nets.blocks import generator, seeded


def test_it_is_the_full_outer_product_with_a_weight_of_low_rank() -> None:
    with seeded(0, "test"):
        fuse = LowRank(2, 2)
    x = torch.randn(1, 2, 2, 1, 1, 2, generator=generator(0, "x"))
    maps = fuse.maps.weight.reshape(2, RANK, 2, 2)  # (M, R, C out, C in)
    constants = fuse.maps.bias.reshape(2, RANK, 2)
    full = torch.cat([maps, constants[..., None]], dim=-1)  # (M, R, O, C + 1)
    weight = torch.einsum("roi,roj->oij", *full)  # (O, C + 1, C + 1), rank R
    one, other = (torch.cat([x[:, m], torch.ones(1, 1, 1, 1, 2)], dim=1) for m in range(2))
    expected = torch.einsum("oij,bidhw,bjdhw->bodhw", weight, one, other)
    present = torch.ones(1, 2, dtype=torch.bool)
    assert torch.allclose(fuse.products(x, present), expected, atol=1e-5)


def test_an_absent_modality_is_the_neutral_factor() -> None:
    with seeded(0, "test"):
        fuse = LowRank(2, 2)
    x = torch.randn(1, 2, 2, 1, 1, 2, generator=generator(0, "x"))
    made = fuse.products(x, torch.tensor([[True, False]]))
    alone = fuse.maps(x.reshape(1, 4, 1, 1, 2)).reshape(1, 2, RANK, 2, 1, 1, 2)[:, 0].sum(1)
    assert torch.allclose(made, alone, atol=1e-6)
