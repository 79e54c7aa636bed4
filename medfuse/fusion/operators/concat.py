"""Concatenation: all modalities side by side, one 1 x 1 x 1 convolution, and who is present.

The plain form of feature fusion (Ngiam et al., ICML 2011; in segmentation Havaei et al., HeMIS,
MICCAI 2016 compares against it). Different here: absent modalities are zero, and which are
present shifts the channels behind the norm, where a constant is not taken out again.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from medfuse.nets.blocks import conv, norm, silence


class Concat(nn.Module):
    """One convolution over the channels of all modalities; see ``operators``."""

    symmetric = False

    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__()
        self.mix = conv(channels * modalities, channels, 1, bias=False)
        self.norm = norm(channels)
        self.who = nn.Linear(modalities, channels, bias=False)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        side_by_side = rearrange(silence(x, present), "b m c d h w -> b (m c) d h w")
        fused: Tensor = self.norm(self.mix(side_by_side))
        shift = self.who(present.to(fused.dtype))[:, :, None, None, None]
        return F.leaky_relu(fused + shift, 0.01)
