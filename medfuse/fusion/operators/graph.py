"""Parts of the patch as nodes of a graph: each hears its neighbours and itself in other scans.

Graph attention (Velickovic et al., ICLR 2018) over one node a modality and part. Edges join
neighbouring parts of one modality, and the same part of all modalities. Different here: attention
is the scaled dot product over those edges, the parts are a coarse grid, and two rounds of
messages reach the neighbours of neighbours. Plain torch: such a graph has a few hundred nodes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from medfuse.fusion.operators.moments import moments
from medfuse.fusion.operators.tokens import PARTS, Tokens, spread_out

_ROUNDS = 2


class Graph(Tokens):
    """Messages between parts and modalities, added to the mean; see ``operators``."""

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        nodes, there = self.tokens(x, present)
        edges = joined([min(PARTS, n) for n in x.shape[-3:]], x.shape[1]).to(x.device)
        # a node keeps the edge to itself: an absent one, which nobody hears, hears nothing else
        own = torch.eye(edges.shape[0], dtype=torch.bool, device=x.device)
        heard = (edges[None] & there[:, None]) | own
        for _ in range(_ROUNDS):
            nodes = F.leaky_relu(nodes + self.attend(nodes, nodes, heard), 0.01)
        mean, _ = moments(x, present)
        return mean + spread_out(nodes, x, present)


def joined(sizes: list[int], modalities: int) -> Tensor:
    """Return the edges (N, N) of a graph of N = M * parts nodes, as ``Tokens`` orders them."""
    place = torch.stack(
        torch.meshgrid(*(torch.arange(n) for n in sizes), indexing="ij"), dim=-1
    ).reshape(-1, 3)
    apart = (place[:, None] - place[None]).abs().sum(dim=-1)  # (P, P) steps between parts
    same_scan = torch.eye(modalities, dtype=torch.bool).repeat_interleave(len(place), 0)
    same_scan = same_scan.repeat_interleave(len(place), 1)  # (N, N)
    apart = apart.repeat(modalities, modalities)
    return (same_scan & (apart <= 1)) | (apart == 0)
