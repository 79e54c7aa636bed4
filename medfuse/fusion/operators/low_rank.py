"""The outer product of all modalities, factorised: every pair and triple interacts, cheaply.

Low-rank multimodal fusion (Liu et al., ACL 2018): the weights of the full outer product are a sum
of a few products of one linear map a modality. Different here: it works at each voxel, an absent
modality is the neutral factor (its map's constant is left out too), and a norm follows, as
products have no scale of their own.
"""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from medfuse.nets.blocks import norm, silence, spread

RANK = 4


class LowRank(nn.Module):
    """A sum of ``RANK`` products of one affine map a modality; see ``operators``."""

    symmetric = False

    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__()
        self.maps = nn.Conv3d(
            channels * modalities, channels * modalities * RANK, 1, groups=modalities
        )
        assert self.maps.bias is not None
        nn.init.ones_(self.maps.bias)  # products begin near 1 plus the sum of the modalities
        self.norm = norm(channels)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        fused: Tensor = self.norm(self.products(x, present))
        return F.leaky_relu(fused, 0.01)

    def products(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the sum of products before the norm, (B, C, D, H, W)."""
        flat = rearrange(silence(x, present), "b m c d h w -> b (m c) d h w")
        factors = rearrange(
            self.maps(flat), "b (m r c) d h w -> b m r c d h w", m=x.shape[1], r=RANK
        )
        factors = factors.masked_fill(~spread(present, factors), 1.0)
        product = factors[:, 0]
        for factor in factors.unbind(dim=1)[1:]:
            product = product * factor
        summed: Tensor = product.sum(dim=1)
        return summed
