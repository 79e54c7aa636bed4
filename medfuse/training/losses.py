"""Dice and cross-entropy that behave where a structure is absent, on regions and on classes.

A plain Dice loss is about 1 on an empty target whatever is predicted, and has no gradient there.
Here a channel without a voxel in the batch is judged by its mean probability instead, which falls
to 0 as the false alarm fades; cross-entropy looks at every voxel of every channel anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from medfuse.training.survey import IGNORED


def targets_of(codes: Tensor, membership: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return targets (B, K, D, H, W) float32 from 0 to 1, and what counts (B, 1, D, H, W).

    ``codes`` (B, ...) may be finer than ``size`` (D, H, W): a target is the part of a voxel that
    it covers, so a border keeps its place between voxels. ``membership`` (V + 1, K) says which
    channels a code belongs to; code 255 does not count.
    """
    counted = codes != IGNORED
    tables = F.pad(membership.to(torch.float32), (0, 0, 0, 1))  # what does not count is nowhere
    known = torch.where(counted, codes, len(membership)).long()
    if codes.shape[1:] == tuple(size):
        target = tables[known]  # (B, D, H, W, K)
        return target.movedim(-1, 1).contiguous(), counted[:, None].to(torch.float32)
    d, h, w = size
    parts = [  # one at a time: fine channels are large
        F.adaptive_avg_pool3d(table[known][:, None], (d, h, w)) for table in tables.unbind(1)
    ]
    target = torch.cat(parts, dim=1)
    if bool(counted.all()):  # as in most patches: its share need not be asked for
        return target, torch.ones_like(target[:, :1])
    share = F.adaptive_avg_pool3d(counted[:, None].to(torch.float32), (d, h, w))
    return target / share.clamp(min=1e-6), (share >= 0.5).to(target.dtype)


def segmentation_loss(
    logits: Tensor, target: Tensor, counted: Tensor, *, exclusive: bool
) -> Tensor:
    """Return Dice plus cross-entropy of logits (B, K, D, H, W), a scalar in float32.

    ``target`` may hold parts of voxels (0 to 1). ``exclusive``: classes that exclude each other
    (softmax, channel 0 is the background and not in the Dice term), else regions that may overlap
    (sigmoid). Voxels that are not ``counted`` (B, 1, D, H, W) have no influence; with none
    counted the loss is 0.
    """
    logits = logits.float()  # sums over a volume overflow half precision
    weight = counted.sum().clamp(min=1)
    target = target * counted
    if exclusive:
        chances = logits.log_softmax(dim=1)
        entropy = -(target * chances).sum() / weight
        probability = chances.exp() * counted
        return entropy + dice_loss(probability[:, 1:], target[:, 1:], weight)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    mean = (entropy * counted).sum() / (weight * logits.shape[1])
    return mean + dice_loss(logits.sigmoid() * counted, target, weight)


def dice_loss(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the mean over channels of 1 - Dice, pooled over the batch.

    Squares in the denominator (Milletari et al., 3DV 2016): the loss is 0 where the probability
    is the target, also where that is the part of a voxel. A channel that is empty in the whole
    batch gives its mean probability over the ``weight`` voxels that count (0 where nothing is
    claimed).
    """
    axes = (0, 2, 3, 4)
    both = (probability * target).sum(axes)
    sizes = probability.square().sum(axes) + target.square().sum(axes)
    missed = 1 - 2 * both / sizes.clamp(min=1e-6)
    false = probability.sum(axes) / weight
    return torch.where(target.sum(axes) > 0, missed, false).mean()


def shrink(target: Tensor, counted: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return target and counted at a coarser size: a voxel holds the part of it that is covered.

    A small structure fades so, where nearest neighbour would lose or double it.
    """
    d, h, w = size
    small = F.adaptive_avg_pool3d(counted, (d, h, w))
    held = F.adaptive_avg_pool3d(target * counted, (d, h, w)) / small.clamp(min=1e-6)
    return held, (small >= 0.5).to(target.dtype)


def deep_loss(
    outputs: Sequence[Tensor], target: Tensor, counted: Tensor, *, exclusive: bool
) -> Tensor:
    """Return the loss over scales, finest first; each coarser one counts half as much."""
    total = torch.zeros((), device=target.device)
    shares = [0.5**scale for scale in range(len(outputs))]
    for share, logits in zip(shares, outputs, strict=True):
        goal = (target, counted)
        if logits.shape[2:] != target.shape[2:]:
            goal = shrink(target, counted, logits.shape[2:])
        total = total + share * segmentation_loss(logits, *goal, exclusive=exclusive)
    return total / sum(shares)


def unimodal_loss(
    logits: Tensor, present: Tensor, target: Tensor, counted: Tensor, *, exclusive: bool
) -> Tensor:
    """Return the loss of single modalities' logits (B, M, K, D, H, W), over those present.

    Each sample's rows are weighed alike, whichever and however many modalities it has.
    """
    sample = present.nonzero()[:, 0]
    mine = logits[present]  # (rows, K, D, H, W)
    return segmentation_loss(mine, target[sample], counted[sample], exclusive=exclusive)
