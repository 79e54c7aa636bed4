"""Attention over modalities: soft weights sum to one, hard ones look at one modality alone."""

from __future__ import annotations

import torch

from medfuse.fusion.operators.attention import Hard, Soft
from medfuse.nets.blocks import generator, seeded

PRESENT = torch.tensor([[True, False, True], [False, True, False]])


def drawn(kind: type[Soft]) -> tuple[Soft, torch.Tensor]:
    with seeded(0, "test"):
        return kind(4, 3), torch.randn(2, 3, 4, 3, 3, 3, generator=generator(0, "x"))


def test_soft_weights_sum_to_one_over_the_present() -> None:
    fuse, x = drawn(Soft)
    weights = fuse.weights(x, PRESENT)
    assert weights.shape == (2, 3, 1, 3, 3, 3)
    assert torch.allclose(weights.sum(dim=1), torch.ones(()))
    assert weights[~PRESENT].abs().max() == 0
    assert torch.allclose(fuse(x, PRESENT), (weights * x).sum(dim=1))
    assert weights[0, 0].std() > 1e-3  # a voxel decides for itself


def test_hard_attention_takes_each_voxel_from_one_modality() -> None:
    fuse, x = drawn(Hard)
    fused = fuse(x, PRESENT)
    best = Soft.weights(fuse, x, PRESENT).argmax(dim=1, keepdim=True).expand(-1, 1, 4, 3, 3, 3)
    assert torch.allclose(fused, x.gather(1, best)[:, 0], atol=1e-6)
