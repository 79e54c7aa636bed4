"""Attention over shifts: find out how far each modality is displaced, move it, then join.

A correlation of learned features over all shifts, pooled over the patch, and its soft maximum, as
in optical flow (Dosovitskiy et al., FlowNet, ICCV 2015) and phase correlation. Different here: one
shift a case and modality, against the first one that is present; no labels of shifts are needed.
The encoders of all modalities start from the same weights: from different ones, the correlation
may begin negative and the soft maximum sticks in a corner. And they leave their start slowly: it
finds shifts untrained, and the first steps of a segmentation, which says nothing yet, would throw
that away.
"""

from __future__ import annotations

import copy
from math import log

import torch
from torch import Tensor, nn

from medfuse.fusion.operators.concat import Concat
from medfuse.nets.blocks import ConvBlock, silence
from medfuse.nets.near import held_near

_FEATURES = 16
_SHARPNESS = 40.0  # of the softmax over shifts at the start; correlations lie in -1 to 1
_PACE = 0.01  # how far a weight of the encoders moves where others move by 1


class Aligner(nn.Module):
    """Move all modalities into the frame of the first that is present.

    ``reach``: the largest shift looked for along each axis, voxels.
    """

    def __init__(self, channels: int, modalities: int, *, reach: int) -> None:
        super().__init__()
        first = nn.Sequential(
            ConvBlock(2 * channels, _FEATURES, stride=2, spread=0.0),  # finds shifts untrained
            ConvBlock(_FEATURES, _FEATURES, spread=0.0),
            nn.Conv3d(_FEATURES, _FEATURES, 3, padding=1),
        )
        self.encoders = nn.ModuleList(
            held_near(copy.deepcopy(first), _PACE) for _ in range(modalities)
        )
        self.sharpness = nn.Parameter(torch.tensor(log(_SHARPNESS)))
        self.reach = reach

    def align(self, x: Tensor, present: Tensor) -> Tensor:
        """Return ``x`` (B, M, C, D, H, W) with each modality moved by its shift."""
        moved = shifted(x.flatten(0, 1), self.shifts(x, present).flatten(0, 1))
        return silence(moved.reshape(x.shape), present)

    def shifts(self, x: Tensor, present: Tensor) -> Tensor:
        """Return where each modality lies against the first present one, (B, M, 3), d h w voxels.

        The content at ``p`` of the first lies at ``p + shift`` of the other; 0 for absent ones.
        """
        with torch.autocast(x.device.type, enabled=False):
            x = silence(x, present).float()
            both = torch.cat([x, slope(x)], dim=2)  # (B, M, 2C, D, H, W)
            seen = self._features(both, present)
            first = present.int().argmax(dim=1)
            fixed = seen[torch.arange(len(x), device=x.device), first]
            # features lie at every second voxel
            reach = [min(self.reach // 2, n - 1) for n in seen.shape[-3:]]
            found = correlation(fixed[:, None], seen, reach)  # (B, M, shifts...)
            weights = (found.flatten(2) * self.sharpness.exp()).softmax(dim=-1)
            steps = torch.meshgrid(
                *(torch.arange(-r, r + 1, device=x.device) for r in reach), indexing="ij"
            )
            places = torch.stack([step.flatten() for step in steps], dim=-1).to(x.dtype)
            moves = 2 * weights @ places  # (B, M, 3)
            still = ~present | (torch.arange(x.shape[1], device=x.device) == first[:, None])
            return moves.masked_fill(still[:, :, None], 0.0)

    def _features(self, both: Tensor, present: Tensor) -> Tensor:
        """Return (B, M, F, d, h, w), zero where absent: only who is there is looked at."""
        sizes = [-(-n // 2) for n in both.shape[-3:]]
        seen = both.new_zeros(*present.shape, _FEATURES, *sizes)
        for number, encoder in enumerate(self.encoders):
            rows = present[:, number].nonzero()[:, 0]
            if len(rows):
                seen[rows, number] = encoder(both[rows, number])
        return seen


class Offset(nn.Module):
    """``Aligner``, then ``Concat``; see ``operators``."""

    symmetric = False

    def __init__(self, channels: int, modalities: int, *, reach: int = 12) -> None:
        super().__init__()
        self.aligner = Aligner(channels, modalities, reach=reach)
        self.concat = Concat(channels, modalities)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return the fused features, (B, C, D, H, W)."""
        fused: Tensor = self.concat(self.aligner.align(x, present), present)
        return fused


def slope(x: Tensor) -> Tensor:
    """Return how steep ``x`` is at each voxel: an edge, whichever side of it is bright."""
    steps = torch.gradient(x, dim=(-3, -2, -1))
    return (torch.stack([step.square() for step in steps]).sum(dim=0) + 1e-6).sqrt()


def correlation(fixed: Tensor, moving: Tensor, reach: list[int]) -> Tensor:
    """Return the correlation of two stacks of features (..., F, D, H, W) at each shift.

    (..., 2r+1, 2r+1, 2r+1) for ``reach`` r along d, h, w; entry ``r + s`` compares ``fixed`` at p
    with ``moving`` at p + s; outside, both are their mean. Lies in -1 to 1.
    """
    axes = (-3, -2, -1)
    size = [n + r for n, r in zip(fixed.shape[-3:], reach, strict=True)]
    spectra = []
    for x in (fixed, moving):
        centred = x - x.mean(dim=axes, keepdim=True)
        length = centred.square().sum(dim=(-4, *axes), keepdim=True)
        spectra.append(torch.fft.rfftn(centred / (length + 1e-6).sqrt(), s=size, dim=axes))
    product = (spectra[0].conj() * spectra[1]).sum(dim=-4)
    found = torch.fft.irfftn(product, s=size, dim=axes)
    found = torch.roll(found, reach, dims=axes)
    d, h, w = (2 * r + 1 for r in reach)
    return found[..., :d, :h, :w]


def shifted(x: Tensor, shift: Tensor) -> Tensor:
    """Return ``x`` (P, C, D, H, W) read at p + ``shift`` (P, 3), linearly; edges go on."""
    for axis in range(3):
        length = x.shape[2 + axis]
        place = torch.arange(length, device=x.device) + shift[:, axis, None]  # (P, n)
        place = place.clamp(0, length - 1)
        lower = place.detach().floor().clamp(max=max(0, length - 2))
        share = (place - lower).to(x.dtype)
        shape = [len(x), 1, 1, 1, 1]
        shape[2 + axis] = length
        index = lower.long().reshape(shape)
        sizes = list(x.shape)
        before = x.gather(2 + axis, index.expand(sizes))
        upper = (index + 1).clamp(max=length - 1)
        after = x.gather(2 + axis, upper.expand(sizes))
        x = torch.lerp(before, after, share.reshape(shape))
    return x
