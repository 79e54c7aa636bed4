"""Attention over shifts: find out how far each modality is displaced, move it, then join.

A correlation of features over all shifts, pooled over the patch, and its soft maximum, as in
optical flow (Dosovitskiy et al., FlowNet, ICCV 2015) and phase correlation. Different here: one
shift a case and modality, against the first one that is present; no labels of shifts are needed.
The features are edges, whichever side is bright, and learned ones beside them that start at
nothing: edges find shifts untrained, and the first steps of a segmentation, which says nothing
yet, would throw away what a network that starts at random has found.
"""

from __future__ import annotations

import copy
from math import log

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor, nn

from medfuse.fusion.operators.concat import Concat
from medfuse.nets.blocks import ConvBlock, silence
from medfuse.nets.near import held_near

_FEATURES = 4  # learned, a modality
_SHARPNESS = 40.0  # of the softmax over shifts at the start; correlations lie in -1 to 1
_PACE = 0.01  # how far a weight of the encoders moves where others move by 1


class Aligner(nn.Module):
    """Move all modalities into the frame of the first that is present.

    ``reach``: the largest shift looked for along each axis, voxels.
    """

    def __init__(self, channels: int, modalities: int, *, reach: int) -> None:
        super().__init__()
        last = nn.Conv3d(_FEATURES, _FEATURES, 3, padding=1)
        nn.init.zeros_(last.weight)  # the bias is zero from its centring
        first = nn.Sequential(ConvBlock(2 * channels, _FEATURES, spread=0.0), last)
        self.encoders = nn.ModuleList(
            held_near(copy.deepcopy(first), _PACE) for _ in range(modalities)
        )
        self.sharpness = nn.Parameter(torch.tensor(log(_SHARPNESS)))
        self.reach = reach

    def align(self, x: Tensor, present: Tensor) -> Tensor:
        """Return ``x`` (B, M, C, D, H, W) with each modality moved by its shift."""
        moves = self.shifts(x, present)
        moving = _moving(present)
        aligned = silence(x, present)
        if bool(moving.any()):
            aligned = aligned.index_put((moving,), shifted(x[moving], moves[moving]))
        return aligned

    def shifts(self, x: Tensor, present: Tensor) -> Tensor:
        """Return where each modality lies against the first present one, (B, M, 3), d h w voxels.

        The content at ``p`` of the first lies at ``p + shift`` of the other; 0 for absent ones.
        """
        with torch.autocast(x.device.type, enabled=False):
            seen = self._features(silence(x, present).float(), present)
            reach = [min(self.reach, n - 1) for n in seen.shape[-3:]]
            found = correlation(seen, present.int().argmax(dim=1), reach)  # (B, M, shifts...)
            weights = (found.flatten(2) * self.sharpness.exp()).softmax(dim=-1)
            steps = torch.meshgrid(
                *(torch.arange(-r, r + 1, device=x.device) for r in reach), indexing="ij"
            )
            places = torch.stack([step.flatten() for step in steps], dim=-1).to(seen.dtype)
            moves: Tensor = weights @ places  # (B, M, 3)
            return moves.masked_fill(~_moving(present)[:, :, None], 0.0)

    def _features(self, x: Tensor, present: Tensor) -> Tensor:
        """Return (B, M, C + F, D, H, W), zero where absent: only who is there is looked at."""
        edges = F.instance_norm(slope(x).flatten(0, 1)).reshape(x.shape)
        learned = x.new_zeros(*present.shape, _FEATURES, *x.shape[-3:])
        for number, encoder in enumerate(self.encoders):
            rows = present[:, number].nonzero()[:, 0]
            if len(rows):
                both = torch.cat([x[rows, number], edges[rows, number]], dim=1)
                learned[rows, number] = encoder(both)
        return torch.cat([edges, learned], dim=2)


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


def correlation(seen: Tensor, first: Tensor, reach: list[int]) -> Tensor:
    """Return how well features (B, M, F, D, H, W) fit those of modality ``first`` (B,), shifted.

    (B, M, 2r+1, 2r+1, 2r+1) for ``reach`` r along d, h, w; entry ``r + s`` compares the first at p
    with the other at p + s; outside, both are their mean. Lies in -1 to 1.
    """
    axes = (-3, -2, -1)
    size = [next_fast_len(n + r, real=True) for n, r in zip(seen.shape[-3:], reach, strict=True)]
    centred = seen - seen.mean(dim=axes, keepdim=True)
    length = centred.square().sum(dim=(-4, *axes), keepdim=True)
    spectra = torch.fft.rfftn(centred / (length + 1e-6).sqrt(), s=size, dim=axes)
    fixed = spectra[torch.arange(len(seen), device=seen.device), first, None]
    product = (fixed.conj() * spectra).sum(dim=-4)
    found = torch.fft.irfftn(product, s=size, dim=axes)
    found = torch.roll(found, reach, dims=axes)
    d, h, w = (2 * r + 1 for r in reach)
    return found[..., :d, :h, :w]


def _moving(present: Tensor) -> Tensor:
    """Return who is there but not first, (B, M)."""
    return present & (present.cumsum(dim=1) > 1)


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
