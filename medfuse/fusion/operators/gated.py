"""A gate for each modality, channel and voxel that opens by what the case shows.

Gated multimodal units (Arevalo et al., ICLR workshop 2017), adaptive as in squeeze-and-excitation
(Hu et al., CVPR 2018). Different here: gates are a softmax over the modalities that are present,
and their scores add what the voxel shows and what the whole patch does.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from medfuse.fusion.combiners import weighted
from medfuse.nets.blocks import silence


class Gated(nn.Module):
    """A weighted sum over modalities, weights by channel and voxel; see ``operators``."""

    symmetric = False

    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__()
        both = channels * modalities
        # groups: each modality has its own small scorers, none sees another
        self.here = nn.Conv3d(both, both, 1, groups=modalities)
        self.overall = nn.Conv3d(both, both, 1, groups=modalities, bias=False)
        nn.init.zeros_(self.here.weight)  # the first gates are equal: the fused state is the mean
        nn.init.zeros_(self.overall.weight)
        assert self.here.bias is not None
        nn.init.zeros_(self.here.bias)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        return weighted(x, self.scores(x, present), present)

    def scores(self, x: Tensor, present: Tensor) -> Tensor:
        """Return what stands in the softmax over modalities, (B, M, C, D, H, W)."""
        flat = rearrange(silence(x, present), "b m c d h w -> b (m c) d h w")
        scores = self.here(flat) + self.overall(F.adaptive_avg_pool3d(flat, 1))
        apart: Tensor = rearrange(scores, "b (m c) d h w -> b m c d h w", m=x.shape[1])
        return apart
