"""Gates: weights that sum to one over the present, and follow what the voxel shows."""

from __future__ import annotations

import torch

from medfuse.fusion.operators.gated import Gated
from medfuse.nets.blocks import generator

PRESENT = torch.tensor([[True, False, True]])


def test_the_first_gates_are_equal() -> None:
    x = torch.randn(1, 3, 4, 2, 2, 2, generator=generator(0, "x"))
    assert torch.allclose(Gated(4, 3)(x, PRESENT), x[:, [0, 2]].mean(dim=1), atol=1e-6)


def test_a_gate_is_the_softmax_of_its_scores() -> None:
    x = torch.randn(1, 3, 4, 2, 2, 2, generator=generator(0, "x"))
    fuse = Gated(4, 3)
    with torch.no_grad():
        for layer in (fuse.here, fuse.overall):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator(1, "w")))
    scores = fuse.scores(x, PRESENT)[:, [0, 2]]
    expected = (scores.softmax(dim=1) * x[:, [0, 2]]).sum(dim=1)
    assert torch.allclose(fuse(x, PRESENT), expected, atol=1e-5)


def test_a_modality_scores_by_itself_alone() -> None:
    x = torch.randn(1, 3, 4, 2, 2, 2, generator=generator(0, "x"))
    fuse = Gated(4, 3)
    with torch.no_grad():
        fuse.here.weight.copy_(torch.randn(fuse.here.weight.shape, generator=generator(1, "w")))
    other = x.clone()
    other[:, 2] += 1
    moved = (fuse.scores(other, PRESENT) - fuse.scores(x, PRESENT)).abs().amax(dim=(0, 2, 3, 4, 5))
    assert (moved > 1e-3).tolist() == [False, False, True]
