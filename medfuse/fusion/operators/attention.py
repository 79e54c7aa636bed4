"""Attention over modalities: at each voxel, how much each is looked at.

Soft attention (Bahdanau et al., ICLR 2015; Xu et al., ICML 2015), and hard attention, which looks
at one modality alone. Different here: the query is the mean of those present, scores are shared by
all modalities, and hard attention learns through the soft weights (straight-through, Bengio et
al., arXiv 1308.3432) instead of by sampling.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from medfuse.fusion.operators.moments import moments
from medfuse.nets.blocks import conv, silence, spread


class Soft(nn.Module):
    """A weighted mean, one weight a voxel and modality; see ``operators``."""

    symmetric = True

    def __init__(self, channels: int, modalities: int) -> None:  # noqa: ARG002 - of any number
        super().__init__()
        self.query = conv(channels, channels, 1)
        self.key = conv(channels, channels, 1, bias=False)
        self.score = conv(channels, 1, 1, bias=False)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        return (silence(x, present) * self.weights(x, present)).sum(dim=1)

    def weights(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the attention, (B, M, 1, D, H, W): sums to 1 over modalities, 0 for absent."""
        mean, _ = moments(x, present)
        keys = self.key(rearrange(silence(x, present), "b m c d h w -> (b m) c d h w"))
        keys = rearrange(keys, "(b m) c d h w -> b m c d h w", m=x.shape[1])
        bent = F.leaky_relu(keys + self.query(mean)[:, None], 0.01)
        scores = self.score(rearrange(bent, "b m c d h w -> (b m) c d h w"))
        scores = rearrange(scores, "(b m) c d h w -> b m c d h w", m=x.shape[1])
        scores = scores.masked_fill(~spread(present, scores), float("-inf"))
        weights: Tensor = scores.softmax(dim=1)
        return weights


class Hard(Soft):
    """One modality a voxel, the one with the largest soft weight; see ``operators``."""

    def weights(self, x: Tensor, present: Tensor) -> Tensor:
        """Return 1 for the modality that is looked at and 0 for the others, slopes of ``Soft``."""
        soft = super().weights(x, present)
        chosen = torch.zeros_like(soft).scatter(1, soft.argmax(dim=1, keepdim=True), 1.0)
        return soft + (chosen - soft).detach()
