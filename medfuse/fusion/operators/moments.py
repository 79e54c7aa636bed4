"""Mean and variance over the modalities that are there: works for any number, order-free.

HeMIS (Havaei et al., MICCAI 2016). Different here: moments are taken at every scale of a U-Net,
and one convolution brings both back to the width of the scale. The variance of one is zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medfuse.nets.blocks import ConvBlock, silence, spread


class Moments(nn.Module):
    """First two moments over modalities, mixed by a 1 x 1 x 1 convolution; see ``operators``."""

    symmetric = True

    def __init__(self, channels: int, modalities: int) -> None:  # noqa: ARG002 - of any number
        super().__init__()
        self.mix = ConvBlock(2 * channels, channels, 1)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        mean, variance = moments(x, present)
        fused: Tensor = self.mix(torch.cat([mean, variance], dim=1))  # (B, C, D, H, W)
        return fused


def moments(x: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance over the present of (B, M, ...), both (B, ...)."""
    there = spread(present, x).to(x.dtype)
    count = there.sum(dim=1)
    mean = silence(x, present).sum(dim=1) / count
    apart = silence(x - mean[:, None], present)
    return mean, apart.square().sum(dim=1) / count
