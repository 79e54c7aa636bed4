"""The product: an absent modality is the neutral factor."""

from __future__ import annotations

import torch

from medfuse.fusion.operators.product import Product
from medfuse.nets.blocks import generator


def test_mean_product_and_largest_are_what_is_mixed() -> None:
    fuse = Product(2, 3)
    fuse.mix = torch.nn.Identity()
    x = torch.randn(1, 3, 2, 2, 2, 2, generator=generator(0, "x"))
    fused = fuse(x, torch.tensor([[True, False, True]]))
    there = x[:, [0, 2]]
    factors = 1 + torch.tanh(there)
    expected = torch.cat([there.mean(1), factors[:, 0] * factors[:, 1], there.amax(1)], dim=1)
    assert torch.allclose(fused, expected, atol=1e-6)
