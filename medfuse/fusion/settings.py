"""What a fusion network is made of, in words of a recipe; it lives in the model card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medfuse.errors import UsageError
from medfuse.fusion.operators import OPERATORS
from medfuse.nets.blocks import Step
from medfuse.nets.unet import Shape

Level = Literal["data", "feature", "model", "hybrid"]
Combiner = Literal["mean", "learned", "inverse_variance", "entropy", "vote", "cascade", "stacking"]

MONAI = ("DynUNet", "SegResNet", "SwinUNETR")


@dataclass(frozen=True)
class FusionSettings:
    """The level of fusion, the operator at it, and the sizes of the networks.

    Raises ``UsageError`` for names that do not exist and for choices that exclude each other.
    """

    level: Level = "feature"  # where modalities meet
    operator: str = "concat"  # how features are fused (feature, hybrid; data: concat or offset)
    widths: tuple[int, ...] = (16, 32, 64, 128)  # channels of each scale, finest first
    blocks: tuple[int, ...] = ()  # residual blocks of each scale; empty: 1, 2, 2, ...
    strides: tuple[Step, ...] = ()  # step (d, h, w) into each coarser scale; empty: 2, 2, 2
    stem: Literal["full", "half"] = "half"  # resolution of the finest scale
    stem_stride: Step = (2, 2, 2)  # what "half" means along d, h, w: (1, 2, 2) for thick slices
    shared: bool = False  # one encoder (network) for all modalities instead of one for each
    dense: bool = True  # operator at every scale; else at the bottleneck alone, means above
    rounds: int = 1  # passes; from the second on the fused state is fed back into the encoders
    combiner: Combiner = "mean"  # how logits of one network a modality are combined
    auxiliary: bool = True  # a decoder of single modalities beside, for training
    reach: int = 12  # operator "offset": largest shift looked for along each axis, voxels
    network: str = "medfuse"  # or "monai:DynUNet", "monai:SegResNet", "monai:SwinUNETR"

    def __post_init__(self) -> None:
        """Refuse what does not exist or does not go together."""
        if self.operator not in OPERATORS:
            known = ", ".join(OPERATORS)
            raise UsageError(f"unknown operator {self.operator!r}", hint=f"use one of {known}")
        if self.level == "data" and self.operator not in ("concat", "offset"):
            raise UsageError(
                f"operator {self.operator!r} fuses features, level 'data' has channels",
                hint="use level 'feature', or operator 'concat' or 'offset'",
            )
        if self.rounds < 1 or self.reach < 1:
            raise UsageError("rounds and reach must be at least 1")
        if self.rounds > 1 and self.level not in ("feature", "hybrid"):
            raise UsageError("rounds above 1 need level 'feature' or 'hybrid'")
        self._check_network()
        _ = self.shape

    def _check_network(self) -> None:
        if self.network == "medfuse":
            return
        if self.network not in [f"monai:{name}" for name in MONAI]:
            known = ", ".join(f"monai:{name}" for name in MONAI)
            raise UsageError(
                f"unknown network {self.network!r}", hint=f"use one of medfuse, {known}"
            )
        if self.level not in ("data", "model") or self.combiner in ("inverse_variance", "cascade"):
            raise UsageError(
                f"network {self.network!r} shows no features to fuse",
                hint="use level 'data', or 'model' with combiner mean, learned, entropy or vote",
            )

    @property
    def shape(self) -> Shape:
        """The sizes of one encoder and decoder."""
        stem: Step = self.stem_stride if self.stem == "half" else (1, 1, 1)
        return Shape(self.widths, self.blocks, self.strides, stem)
