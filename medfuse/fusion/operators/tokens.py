"""Attention between places: each modality as a few tokens, one for each part of the patch.

Cross-attention through fusion tokens (attention bottlenecks, Nagrani et al., NeurIPS 2021), and
masked self-attention over the tokens of all modalities (mmFormer, Zhang et al., MICCAI 2022).
Different here: tokens are means over a coarse grid of at most 4 x 4 x 4 parts, so that the cost
does not grow with the patch, and what they learn is added to the mean of the modalities. Plain
tokens do not find out where a shifted modality lies; see ``offset``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from medfuse.fusion.operators.moments import moments
from medfuse.nets.blocks import silence

PARTS = 4  # along each axis
_FUSION_TOKENS = 8


class Tokens(nn.Module):
    """What both kinds share: tokens with places, and queries, keys and values."""

    symmetric = True

    def __init__(self, channels: int, modalities: int) -> None:  # noqa: ARG002 - of any number
        super().__init__()
        self.places = nn.Parameter(0.02 * torch.randn(PARTS, PARTS, PARTS, channels))
        self.keys = nn.Linear(channels, 2 * channels)
        self.queries = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def tokens(self, x: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return one token a modality and part (B, M * P, C), and whether it counts (B, M * P)."""
        sizes = [min(PARTS, n) for n in x.shape[-3:]]
        flat = rearrange(silence(x, present), "b m c d h w -> (b m) c d h w")
        means = F.adaptive_avg_pool3d(flat, (sizes[0], sizes[1], sizes[2]))
        means = rearrange(means, "(b m) c d h w -> b m d h w c", m=x.shape[1])
        placed = means + self.places[: sizes[0], : sizes[1], : sizes[2]].to(means.dtype)
        parts = sizes[0] * sizes[1] * sizes[2]
        return rearrange(placed, "b m d h w c -> b (m d h w) c"), present.repeat_interleave(
            parts, dim=1
        )

    def attend(self, queries: Tensor, tokens: Tensor, allowed: Tensor | None) -> Tensor:
        """Return (B, Q, C): what ``queries`` gather from the ``allowed`` (B, Q or 1, T) tokens."""
        keys, values = self.keys(tokens).chunk(2, dim=-1)
        found = F.scaled_dot_product_attention(self.queries(queries), keys, values, allowed)
        gathered: Tensor = self.out(found)
        return gathered


class Cross(Tokens):
    """Fusion tokens gather from all present modalities, voxels from them; see ``operators``."""

    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__(channels, modalities)
        self.fusion = nn.Parameter(0.02 * torch.randn(_FUSION_TOKENS, channels))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        tokens, there = self.tokens(x, present)
        fusion = self.fusion.to(x.dtype).expand(x.shape[0], -1, -1)
        fusion = fusion + self.attend(fusion, tokens, there[:, None])
        mean, _ = moments(x, present)
        voxels = rearrange(mean, "b c d h w -> b (d h w) c")
        seen = voxels + self.attend(voxels, fusion, None)
        d, h, w = x.shape[-3:]
        return rearrange(seen, "b (d h w) c -> b c d h w", d=d, h=h, w=w)


class SelfAttention(Tokens):
    """Tokens of all present modalities look at each other; see ``operators``."""

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        tokens, there = self.tokens(x, present)
        seen = self.attend(tokens, tokens, self.allowed(x, there))
        mean, _ = moments(x, present)
        return mean + spread_out(seen, x, present)

    def allowed(self, x: Tensor, there: Tensor) -> Tensor:  # noqa: ARG002 - a graph needs x
        """Return which token may look at which, (B, 1, T): all at all that are present."""
        return there[:, None]


def spread_out(tokens: Tensor, x: Tensor, present: Tensor) -> Tensor:
    """Return tokens (B, M * P, C) as their mean over the present, at each voxel of ``x``."""
    sizes = [min(PARTS, n) for n in x.shape[-3:]]
    d, h, w = sizes
    grid = rearrange(
        tokens, "b (m d h w) c -> b m c d h w", m=x.shape[1], d=d, h=h, w=w
    )  # (B, M, C, d, h, w)
    mean, _ = moments(grid, present)
    return F.interpolate(mean, size=x.shape[-3:], mode="trilinear")
