"""Mean, product and largest of the modalities: agreement shows in the product.

The fusion block of Hi-Net (Zhou et al., IEEE TMI 2020), which mixes sum, product and maximum.
Different here: a mean in place of the sum, and each factor is squashed to 1 + tanh, so that the
product of many stays in range and an absent modality is the neutral factor 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medfuse.fusion.operators.moments import moments
from medfuse.nets.blocks import ConvBlock, silence, spread


class Product(nn.Module):
    """Mean, product and maximum, mixed by a 1 x 1 x 1 convolution; see ``operators``."""

    symmetric = True

    def __init__(self, channels: int, modalities: int) -> None:  # noqa: ARG002 - of any number
        super().__init__()
        self.mix = ConvBlock(3 * channels, channels, 1)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        mean, _ = moments(x, present)
        factors = 1 + torch.tanh(silence(x, present))  # an absent one is zero: factor 1
        product = factors[:, 0]
        for factor in factors.unbind(dim=1)[1:]:
            product = product * factor
        largest = x.masked_fill(~spread(present, x), float("-inf")).amax(dim=1)
        fused: Tensor = self.mix(torch.cat([mean, product, largest], dim=1))  # (B, C, D, H, W)
        return fused
