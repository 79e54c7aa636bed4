"""Encoder and decoder of a residual U-Net as separate parts, so that fusion can stand between.

Ronneberger et al., MICCAI 2015; residual encoder as nnU-Net's ResEnc (Isensee et al., MICCAI
2024), one convolution a scale on the way up. Values enter with their ranges (see ``ramps``). With
a half-resolution stem, 2 x 2 x 2 neighbours enter as channels and their ranges as means, and
beside it the voxels go through a few pointwise channels (``detail``) that join at the end: a
decision on a single voxel needs no path through half the resolution, and no 3 x 3 x 3 convolution
works at full resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medfuse.errors import UsageError
from medfuse.nets.blocks import ConvBlock, ResidualBlock, Step, Up, bend, conv, spread, unshuffle
from medfuse.nets.ramps import RAMPS, ramps

_DOWN: Step = (2, 2, 2)
_DETAIL = 8  # channels at full resolution beside a coarser stem


@dataclass(frozen=True)
class Shape:
    """The sizes of one U-Net: what an encoder and its decoder must agree on.

    ``widths``: channels of each scale, finest first (multiples of 16 are fast on a CPU);
    ``blocks``: residual blocks of each scale (empty: one at the finest, two below);
    ``strides``: the step (d, h, w) into each scale below the finest (empty: 2 on each axis);
    ``stem``: the step from voxels to the finest scale, (1, 1, 1) for full resolution. Raises
    ``UsageError`` where the lengths do not fit together.
    """

    widths: tuple[int, ...]
    blocks: tuple[int, ...] = ()
    strides: tuple[Step, ...] = ()
    stem: Step = (1, 1, 1)

    def __post_init__(self) -> None:
        """Fill in what was left out, and check."""
        scales = len(self.widths)
        if scales < 2 or min(self.widths) < 1:
            raise UsageError("widths needs at least two positive numbers, finest scale first")
        object.__setattr__(self, "blocks", self.blocks or (1, *[2] * (scales - 1)))
        object.__setattr__(self, "strides", self.strides or (_DOWN,) * (scales - 1))
        if len(self.blocks) != scales or min(self.blocks) < 1:
            raise UsageError(f"blocks needs {scales} positive numbers, one for each of widths")
        if len(self.strides) != scales - 1:
            raise UsageError(f"strides needs {scales - 1} steps, one less than widths")
        if any(len(step) != 3 or min(step) < 1 for step in (*self.strides, self.stem)):
            raise UsageError("a stride is three positive numbers: along d, h and w")

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each of an encoder's features, finest first: the detail, then the widths."""
        return (_DETAIL, *self.widths) if prod(self.stem) > 1 else self.widths

    @property
    def reduction(self) -> Step:
        """How many voxels of the input one voxel of the coarsest scale spans, along d, h, w."""
        steps = (self.stem, *self.strides)
        d, h, w = (prod(step[axis] for step in steps) for axis in range(3))
        return d, h, w


def check_size(size: Sequence[int], reduction: Step) -> None:
    """Refuse (``UsageError``) a patch that leaves one voxel, which no instance norm takes."""
    if prod(-(-n // s) for n, s in zip(size, reduction, strict=True)) < 2:
        raise UsageError(
            f"a patch of {tuple(size)} voxels leaves one voxel at the coarsest scale",
            hint="take a larger patch or fewer widths",
        )


class Encoder(nn.Module):
    """(B, inputs, D, H, W) to the features of each scale, finest first, bottleneck last.

    ``conditions``: length of a vector (B, conditions) that shifts the channels after the stem
    (which modalities are present, or which one this is): a constant plane among the inputs would
    be taken out by the first norm. The stem has none, for inputs come scaled: with one, the
    features of a scan would change their scale with which others are there.
    """

    def __init__(self, inputs: int, shape: Shape, *, conditions: int = 0) -> None:
        super().__init__()
        self.shape = shape
        cell = prod(shape.stem)
        self.stem = _bare(inputs * (RAMPS if cell == 1 else cell + RAMPS), shape.widths[0], 3)
        self.condition = nn.Linear(conditions, shape.widths[0], bias=False) if conditions else None
        self.detail = Detail(inputs * RAMPS, conditions) if cell > 1 else None
        stages = []
        steps: tuple[Step, ...] = ((1, 1, 1), *shape.strides)
        before = shape.widths[0]
        for width, count, step in zip(shape.widths, shape.blocks, steps, strict=True):
            rest = [ResidualBlock(width, width) for _ in range(count - 1)]
            stages.append(nn.Sequential(ResidualBlock(before, width, step), *rest))
            before = width
        self.stages = nn.ModuleList(stages)

    def forward(
        self, x: Tensor, condition: Tensor | None = None, extra: Tensor | None = None
    ) -> list[Tensor]:
        """Return the features; ``extra`` (B, widths[0], ...) is added after the stem.

        Raises ``UsageError`` where ``x`` is so small that one voxel is left at the bottleneck.
        """
        check_size(x.shape[-3:], self.shape.reduction)
        apart, features = ramps(x), []
        y = apart
        if self.detail is not None:
            features = [self.detail(apart, condition)]
            means = F.avg_pool3d(apart, self.shape.stem, ceil_mode=True)
            y = torch.cat([unshuffle(x, self.shape.stem), means], dim=1)
        y = self.stem(y)
        if self.condition is not None and condition is not None:
            y = y + spread(self.condition(condition.to(x.dtype)), y)
        if extra is not None:
            y = y + extra
        y = bend(y)
        for stage in self.stages:
            y = stage(y)
            features.append(y)
        return features


class Detail(nn.Module):
    """(B, inputs, D, H, W) to a few channels of the same size, voxel by voxel."""

    def __init__(self, inputs: int, conditions: int) -> None:
        super().__init__()
        self.first = _bare(inputs, _DETAIL, 1)
        self.condition = nn.Linear(conditions, _DETAIL, bias=False) if conditions else None
        self.second = ConvBlock(_DETAIL, _DETAIL, 1)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return the features; ``condition`` (B, conditions) shifts the channels."""
        y: Tensor = self.first(x)
        if self.condition is not None and condition is not None:
            y = y + spread(self.condition(condition.to(x.dtype)), y)
        made: Tensor = self.second(bend(y))
        return made


class Decoder(nn.Module):
    """The features of each scale to logits (B, K, D, H, W), finest first.

    ``deep``: have heads for deep supervision at the scales between finest and bottleneck.
    """

    def __init__(self, classes: int, shape: Shape, *, deep: bool = True) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.channels
        strides = (shape.stem, *shape.strides) if len(widths) > len(shape.widths) else shape.strides
        pairs = list(zip(widths[:-1], widths[1:], strides, strict=True))
        self.ups = nn.ModuleList(Up(below, width, step) for width, below, step in pairs)
        extra = len(widths) - len(shape.widths)  # the detail: joined voxel by voxel
        joins = [
            nn.Sequential(ConvBlock(2 * n, 2 * n, 1), ConvBlock(2 * n, n, 1))
            for n in widths[:extra]
        ]
        joins += [ConvBlock(2 * width, width) for width in widths[extra:-1]]
        self.blocks = nn.ModuleList(joins)
        self.head = conv(widths[0], classes, 1)
        coarse = widths[1:-1] if deep else ()
        self.deep = nn.ModuleList(conv(width, classes, 1) for width in coarse)

    def forward(self, features: Sequence[Tensor], *, deep: bool = False) -> list[Tensor]:
        """Return the finest logits first; with ``deep`` those of coarser scales too.

        Each of the coarser ones is smaller by the stride of its scale.
        """
        y = features[-1]
        coarse: list[Tensor] = []
        for scale in range(len(features) - 2, -1, -1):
            skip = features[scale]
            up = self.ups[scale](y, skip.shape[-3:])
            y = self.blocks[scale](torch.cat([up, skip], dim=1))  # (B, C, D, H, W)
            if deep and scale > 0 and self.deep:
                coarse.append(self.deep[scale - 1](y))
        return [self.head(y), *reversed(coarse)]


def _bare(inputs: int, outputs: int, kernel: int) -> nn.Conv3d:
    """Return a convolution that no norm follows; its units bend at different levels."""
    layer = conv(inputs, outputs, kernel)
    assert layer.bias is not None
    nn.init.normal_(layer.bias)
    return layer
