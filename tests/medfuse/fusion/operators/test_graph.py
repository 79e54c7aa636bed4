"""The graph: edges counted by hand, and messages that travel along them and no further."""

from __future__ import annotations

import torch

from medfuse.fusion.operators.graph import Graph, joined
from medfuse.nets.blocks import generator, seeded


def test_edges_join_neighbours_of_one_scan_and_the_same_part_of_all() -> None:
    edges = joined([2, 2, 1], 2)
    assert edges.shape == (8, 8)
    assert torch.equal(edges, edges.T)
    square = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 1]]).bool()
    assert torch.equal(edges[:4, :4], square)
    assert torch.equal(edges[:4, 4:], torch.eye(4).bool())


def test_a_message_goes_two_parts_far_and_no_further() -> None:
    with seeded(0, "test"):
        fuse = Graph(4, 2)
    x = torch.randn(1, 2, 4, 16, 1, 1, generator=generator(0, "x"))
    other = x.clone()
    other[:, 1, :, 15] += 5
    moved = (fuse(other, present) - fuse(x, present)).abs().amax(dim=(0, 1, 3, 4))
    # four parts of four voxels; what is shown between two centres mixes their parts
    assert moved[6] > 1e-5
    assert moved[:2].max() == 0


present = torch.ones(1, 2, dtype=torch.bool)
