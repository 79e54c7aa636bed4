"""One whole network for one input: an encoder with its decoder, or one of MONAI's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medfuse.fusion.settings import FusionSettings
from medfuse.nets.blocks import Step, cut, spread
from medfuse.nets.unet import Decoder, Encoder, check_size


class Single(nn.Module):
    """Our encoder and decoder: (B, inputs, D, H, W) to logits, finest first."""

    def __init__(
        self,
        settings: FusionSettings,
        inputs: int,
        classes: int,
        *,
        conditions: int = 0,
        deep: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(inputs, settings.shape, conditions=conditions)
        self.decoder = Decoder(classes, settings.shape, deep=deep)

    def forward(
        self, x: Tensor, condition: Tensor | None = None, *, deep: bool = False
    ) -> list[Tensor]:
        """Return logits of the size of ``x``, with ``deep`` those of coarser scales behind."""
        logits: list[Tensor] = self.decoder(self.encoder(x, condition), deep=deep)
        return logits


class MonaiSingle(nn.Module):
    """A network of MONAI in the place of ours; the condition enters as constant planes."""

    def __init__(
        self, settings: FusionSettings, inputs: int, classes: int, *, conditions: int = 0
    ) -> None:
        super().__init__()
        self.network, self.span = _monai(settings, inputs + conditions, classes)

    def forward(self, x: Tensor, condition: Tensor | None = None, **_: bool) -> list[Tensor]:
        """Return the logits alone in a list: MONAI's networks are not asked for deep ones.

        Raises ``UsageError`` for a patch so small that one voxel is left at the bottleneck.
        """
        size = x.shape[-3:]
        check_size(size, self.span)
        if condition is not None:
            planes = spread(condition.to(x.dtype), x).expand(*condition.shape, *size)
            x = torch.cat([x, planes], dim=1)
        logits: Tensor = self.network(_filled(x, self.span))
        return [cut(logits, size)]


def single(
    settings: FusionSettings,
    inputs: int,
    classes: int,
    *,
    conditions: int = 0,
    deep: bool = True,
) -> nn.Module:
    """Return the network that the settings name; ``deep``: with heads at coarser scales."""
    if settings.network == "medfuse":
        return Single(settings, inputs, classes, conditions=conditions, deep=deep)
    return MonaiSingle(settings, inputs, classes, conditions=conditions)


def _monai(settings: FusionSettings, inputs: int, classes: int) -> tuple[nn.Module, Step]:
    name = settings.network.removeprefix("monai:")
    widths, strides = settings.widths, settings.shape.strides
    if name == "DynUNet":
        from monai.networks.nets.dynunet import DynUNet  # slow to load: only where asked for

        made: Any = DynUNet(
            spatial_dims=3,
            in_channels=inputs,
            out_channels=classes,
            kernel_size=[3] * len(widths),
            strides=[1, *[list(step) for step in strides]],
            upsample_kernel_size=[list(step) for step in strides],
            filters=list(widths),
        )
        d, h, w = (_product(step[axis] for step in strides) for axis in range(3))
        return made, (d, h, w)
    if name == "SegResNet":
        from monai.networks.nets.segresnet import SegResNet

        made = SegResNet(
            spatial_dims=3, in_channels=inputs, out_channels=classes, init_filters=widths[0]
        )
        return made, (8, 8, 8)
    from monai.networks.nets.swin_unetr import SwinUNETR

    # 12 is the smallest width that its three heads divide; the size is a multiple of 2 ** 5
    features = max(12, 12 * (widths[0] // 12))
    made = SwinUNETR(in_channels=inputs, out_channels=classes, feature_size=features)
    return made, (32, 32, 32)


def _product(numbers: Any) -> int:
    made = 1
    for number in numbers:
        made *= number
    return made


def _filled(x: Tensor, span: Sequence[int]) -> Tensor:
    """Fill up with zeros behind, to sizes that MONAI's networks can halve so often."""
    missing = [-n % s for n, s in zip(x.shape[-3:], span, strict=True)]
    return F.pad(x, (0, missing[2], 0, missing[1], 0, missing[0])) if any(missing) else x
