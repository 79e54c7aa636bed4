"""Encoder and decoder of a residual U-Net as separate parts, so that fusion can stand between.

Ronneberger et al., MICCAI 2015; residual encoder as nnU-Net's ResEnc (Isensee et al., MICCAI
2024), one convolution a scale on the way up. With a half-resolution stem, 2 x 2 x 2 neighbours
enter as channels (nothing is lost) and logits leave the same way, so that no layer works at full
resolution: a third of the time of a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from medfuse.errors import UsageError
from medfuse.nets.blocks import ConvBlock, ResidualBlock, Step, Up, conv, cut, shuffle, unshuffle

_DOWN: Step = (2, 2, 2)


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
    (which modalities are present, or which one this is). It enters behind the first norm: a
    constant plane among the inputs would be taken out by it.
    """

    def __init__(self, inputs: int, shape: Shape, *, conditions: int = 0) -> None:
        super().__init__()
        self.shape = shape
        self.stem = ConvBlock(inputs * prod(shape.stem), shape.widths[0])
        self.condition = nn.Linear(conditions, shape.widths[0], bias=False) if conditions else None
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
        y: Tensor = self.stem(unshuffle(x, self.shape.stem))
        if self.condition is not None and condition is not None:
            y = y + self.condition(condition.to(x.dtype))[:, :, None, None, None]
        if extra is not None:
            y = y + extra
        features = []
        for stage in self.stages:
            y = stage(y)
            features.append(y)
        return features


class Decoder(nn.Module):
    """The features of each scale to logits (B, K, D, H, W), finest first.

    ``deep``: have heads for deep supervision at the scales between finest and bottleneck.
    """

    def __init__(self, classes: int, shape: Shape, *, deep: bool = True) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.widths
        pairs = list(zip(widths[:-1], widths[1:], shape.strides, strict=True))
        self.ups = nn.ModuleList(Up(below, width, step) for width, below, step in pairs)
        self.blocks = nn.ModuleList(ConvBlock(2 * width, width) for width in widths[:-1])
        self.head = _head(widths[0], classes, prod(shape.stem))
        coarse = widths[1:-1] if deep else ()
        self.deep = nn.ModuleList(conv(width, classes, 1) for width in coarse)

    def forward(
        self, features: Sequence[Tensor], size: Sequence[int], *, deep: bool = False
    ) -> list[Tensor]:
        """Return logits of ``size`` (D, H, W) first; with ``deep`` those of coarser scales too.

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
        logits = cut(shuffle(self.head(y), self.shape.stem), size)
        return [logits, *reversed(coarse)]


def _head(width: int, classes: int, parts: int) -> nn.Conv3d:
    """Return the last convolution; with ``parts`` voxels a place, all start from one's weights.

    So the first logits hold no checkerboard (Aitken et al., arXiv 1707.02937).
    """
    layer = conv(width, classes * parts, 3 if parts > 1 else 1)
    with torch.no_grad():
        one = layer.weight[:classes].clone()
        layer.weight.copy_(one.repeat_interleave(parts, dim=0))
    return layer
