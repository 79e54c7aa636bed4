"""Where modalities meet: as channels, as features, as logits, or at all three.

Each level is a network ``(x (B, M, 1, D, H, W), present (B, M)) -> logits (B, K, D, H, W)`` that
works with any subset: encoders run for the modalities that are there and for no others, so cost
falls with their number (but for level *data*, which has one encoder for all).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from medfuse.errors import UsageError
from medfuse.fusion import operators
from medfuse.fusion.combiners import COMBINERS, Activation, weighted
from medfuse.fusion.operators.offset import Aligner
from medfuse.fusion.settings import FusionSettings
from medfuse.fusion.singles import single
from medfuse.nets.blocks import conv, seeded, silence, spread
from medfuse.nets.unet import Decoder, Encoder


@dataclass(frozen=True)
class Heads:
    """All that a training step looks at.

    ``logits`` (B, K, D, H, W) of the fused network; ``deep``: the same at coarser scales, finest
    first; ``unimodal`` (B, M, K, D, H, W): logits of single modalities, zero where one is absent
    (not to be trained on), or None where the level has none.
    """

    logits: Tensor
    deep: tuple[Tensor, ...] = ()
    unimodal: Tensor | None = None


class FusionNetwork(nn.Module):
    """What all levels share: the interface, and the check of what came in."""

    def __init__(self, settings: FusionSettings, modalities: int, classes: int) -> None:
        super().__init__()
        self.settings, self.modalities, self.classes = settings, modalities, classes

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return logits (B, K, D, H, W) of ``x`` (B, M, 1, D, H, W) and ``present`` (B, M).

        Raises ``UsageError`` for other shapes, or a row without any modality.
        """
        return self._run(self._checked(x, present), present, train=False).logits

    def heads(self, x: Tensor, present: Tensor) -> Heads:
        """Return the logits with those that only training looks at; as ``forward``."""
        return self._run(self._checked(x, present), present, train=True)

    def _checked(self, x: Tensor, present: Tensor) -> Tensor:
        """Return ``x`` with absent modalities silenced."""
        rows = (x.shape[0], self.modalities)
        if x.ndim != 6 or x.shape[:2] != rows or x.shape[2] != 1 or present.shape != rows:
            raise UsageError(
                f"x is {tuple(x.shape)} and present {tuple(present.shape)}: they must be "
                f"(B, {self.modalities}, 1, D, H, W) and (B, {self.modalities})"
            )
        if present.dtype != torch.bool or not bool(present.any(dim=1).all()):
            raise UsageError("present must be bool, with at least one modality in each row")
        return silence(x, present)

    def _run(self, x: Tensor, present: Tensor, *, train: bool) -> Heads:
        raise NotImplementedError


class DataLevel(FusionNetwork):
    """Modalities as channels of one network, with which are present beside them."""

    def __init__(self, settings: FusionSettings, modalities: int, classes: int) -> None:
        super().__init__(settings, modalities, classes)
        self.aligner = _aligner(settings, modalities)
        self.network = single(settings, modalities, classes, conditions=modalities)

    def _run(self, x: Tensor, present: Tensor, *, train: bool) -> Heads:
        x = x if self.aligner is None else self.aligner.align(x, present)
        channels = rearrange(x, "b m c d h w -> b (m c) d h w")
        logits, *deep = self.network(channels, present, deep=train)
        return Heads(logits, tuple(deep))


class FeatureLevel(FusionNetwork):
    """One encoder a modality, features fused at every scale, one decoder.

    HeMIS (Havaei et al., MICCAI 2016) for the idea, with any operator. ``rounds`` above one are
    progressive fusion (Shankar et al., arXiv 2202.01425): the fused state of the coarsest scale
    is fed back into the encoders, behind their stems. ``auxiliary``: a second decoder that reads
    single modalities, shared by them, so that each encoder stands on its own (RFNet, Ding et
    al., ICCV 2021).
    """

    def __init__(self, settings: FusionSettings, modalities: int, classes: int) -> None:
        super().__init__(settings, modalities, classes)
        shape, scales = settings.shape, len(settings.shape.channels)
        conditions = modalities if settings.shared else 0
        count = 1 if settings.shared else modalities
        self.aligner = _aligner(settings, modalities)
        self.encoders = nn.ModuleList(
            Encoder(1, shape, conditions=conditions) for _ in range(count)
        )
        name = "concat" if settings.operator == "offset" else settings.operator
        fused = range(scales) if settings.dense else (scales - 1,)
        self.operators = nn.ModuleDict(
            {str(scale): operators.make(name, shape.channels[scale], modalities) for scale in fused}
        )
        self.decoder = Decoder(classes, shape)
        self.feedback = conv(shape.widths[-1], shape.widths[0], 1) if settings.rounds > 1 else None
        if self.feedback is not None:
            nn.init.zeros_(self.feedback.weight)  # the second round starts as the first one
        self.auxiliary = Decoder(classes, shape, deep=False) if settings.auxiliary else None

    def _run(self, x: Tensor, present: Tensor, *, train: bool) -> Heads:
        x = x if self.aligner is None else self.aligner.align(x, present)
        features = self._encode(x, present, None)
        for _ in range(self.settings.rounds - 1):
            features = self._encode(x, present, self._fused(features, present, only_last=True)[-1])
        logits, *deep = self.decoder(self._fused(features, present), deep=train)
        unimodal = None
        if train and self.auxiliary is not None:
            pairs = [scale[present] for scale in features]  # (P, C, D, H, W)
            unimodal = _placed(self.auxiliary(pairs)[0], present)
        return Heads(logits, tuple(deep), unimodal)

    def _encode(self, x: Tensor, present: Tensor, state: Tensor | None) -> list[Tensor]:
        """Return the features (B, M, C, D, H, W) of each scale, zero for absent modalities."""
        extra = None if state is None else self._fed_back(state, x)

        def run(rows: Tensor, encoder: nn.Module, condition: Tensor | None) -> list[Tensor]:
            added = None if extra is None else extra[rows.nonzero()[:, 0]]
            made: list[Tensor] = encoder(x[rows], condition, added)
            return made

        return _for_each(present, self.encoders, run)

    def _fed_back(self, state: Tensor, x: Tensor) -> Tensor:
        assert self.feedback is not None
        stem = self.settings.shape.stem
        size = [-(-n // s) for n, s in zip(x.shape[-3:], stem, strict=True)]
        return F.interpolate(self.feedback(state), size=size, mode="trilinear")

    def _fused(
        self, features: list[Tensor], present: Tensor, *, only_last: bool = False
    ) -> list[Tensor]:
        start = len(features) - 1 if only_last else 0
        fused = []
        for scale, x in list(enumerate(features))[start:]:
            if str(scale) in self.operators:
                fused.append(self.operators[str(scale)](x, present))
            else:
                fused.append(_mean(x, present))
        return fused


class ModelLevel(FusionNetwork):
    """One whole network a modality, and one answer of theirs; see ``combiners``."""

    def __init__(
        self, settings: FusionSettings, modalities: int, classes: int, activation: Activation
    ) -> None:
        super().__init__(settings, modalities, classes)
        self.combiner = COMBINERS[settings.combiner](modalities, classes, activation)
        outputs = classes + self.combiner.extra
        conditions, count = (modalities, 1) if settings.shared else (0, modalities)
        self.networks = nn.ModuleList(
            single(settings, 1, outputs, conditions=conditions) for _ in range(count)
        )

    def _run(self, x: Tensor, present: Tensor, *, train: bool) -> Heads:
        def run(rows: Tensor, network: nn.Module, condition: Tensor | None) -> list[Tensor]:
            made: list[Tensor] = network(x[rows], condition, deep=train)
            return made

        whole, *coarse = _for_each(present, self.networks, run)
        deep = tuple(_mean(answer[:, :, : self.classes], present) for answer in coarse)
        unimodal = whole[:, :, : self.classes] if train else None
        return Heads(self.combiner(whole, present), deep, unimodal)


class CascadeLevel(FusionNetwork):
    """One network a modality, each of which sees and corrects what those before it said.

    Guo & Zhang's cascade; the order is that of the modalities, absent ones are passed over.
    """

    def __init__(self, settings: FusionSettings, modalities: int, classes: int) -> None:
        super().__init__(settings, modalities, classes)
        self.networks = nn.ModuleList(
            single(settings, 1 + classes, classes, deep=False) for _ in range(modalities)
        )

    def _run(self, x: Tensor, present: Tensor, *, train: bool) -> Heads:  # noqa: ARG002
        state = x.new_zeros(x.shape[0], self.classes, *x.shape[-3:])
        for number, network in enumerate(self.networks):
            rows = present[:, number].nonzero()[:, 0]
            if len(rows):
                seen = torch.cat([x[rows, number], state[rows]], dim=1)
                state = state.index_add(0, rows, network(seen)[0].to(state.dtype))
        return Heads(state)


class HybridLevel(FusionNetwork):
    """The logits of the three levels, weighted at each voxel; starts as their mean."""

    def __init__(
        self, settings: FusionSettings, modalities: int, classes: int, activation: Activation
    ) -> None:
        super().__init__(settings, modalities, classes)
        plain = replace(settings, operator="concat", rounds=1, auxiliary=False)
        self.data = DataLevel(replace(plain, level="data"), modalities, classes)
        self.feature = FeatureLevel(replace(settings, auxiliary=False), modalities, classes)
        self.model = _model(replace(plain, level="model"), modalities, classes, activation)
        self.gate = conv(3 * classes, 3, 1)
        self.who = nn.Linear(modalities, 3, bias=False)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.who.weight)

    def _run(self, x: Tensor, present: Tensor, *, train: bool) -> Heads:
        levels = (self.data, self.feature, self.model)
        found = [level._run(x, present, train=train) for level in levels]
        logits = torch.stack([heads.logits for heads in found], dim=1)  # (B, 3, K, D, H, W)
        scores = self.gate(rearrange(logits, "b l k d h w -> b (l k) d h w"))
        scores = scores + spread(self.who(present.to(scores.dtype)), scores)
        weights = scores.softmax(dim=1)[:, :, None]  # (B, 3, 1, D, H, W)
        scales = zip(*(heads.deep for heads in found if heads.deep), strict=True)
        deep = tuple(torch.stack(scale).mean(dim=0) for scale in scales)
        return Heads((weights * logits).sum(dim=1), deep, found[2].unimodal)


def build(
    settings: FusionSettings,
    *,
    modalities: int,
    classes: int,
    seed: int,
    activation: Activation = "softmax",
) -> FusionNetwork:
    """Return a new network for so many ``modalities`` and ``classes``, its weights from ``seed``.

    ``classes`` counts the background for softmax, the regions for sigmoid.
    """
    if modalities < 1 or classes < 1:
        raise UsageError("a network needs at least one modality and one class")
    with seeded(seed, "fusion", "weights"):
        if settings.level == "data":
            return DataLevel(settings, modalities, classes)
        if settings.level == "feature":
            return FeatureLevel(settings, modalities, classes)
        kind = HybridLevel if settings.level == "hybrid" else _model
        return kind(settings, modalities, classes, activation)


def _model(
    settings: FusionSettings, modalities: int, classes: int, activation: Activation
) -> FusionNetwork:
    if settings.combiner == "cascade":
        return CascadeLevel(settings, modalities, classes)
    return ModelLevel(settings, modalities, classes, activation)


def _aligner(settings: FusionSettings, modalities: int) -> Any:
    """Return what moves the inputs into one frame: operator "offset" works there, before all."""
    if settings.operator != "offset":
        return None
    return Aligner(1, modalities, reach=settings.reach)


Run = Callable[[Tensor, nn.Module, Tensor | None], list[Tensor]]


def _for_each(present: Tensor, networks: nn.ModuleList, run: Run) -> list[Tensor]:
    """Run the present pairs of ``present`` (B, M) and no others, and put them in their places.

    ``run`` gets the chosen pairs as a mask (B, M), their network, and (P, M) which modality each
    is where one network serves all. Returns (B, M, ...) of each of its results, zero elsewhere.
    """
    if len(networks) == 1 and present.shape[1] > 1:
        which = torch.eye(present.shape[1], device=present.device)[present.nonzero()[:, 1]]
        return [_placed(part, present) for part in run(present, networks[0], which)]
    columns = torch.eye(present.shape[1], dtype=torch.bool, device=present.device)
    found: list[Tensor] = []
    for column, network in zip(columns, networks, strict=True):
        rows = present & column
        if not bool(rows.any()):
            continue
        parts = run(rows, network, None)
        if not found:
            found = [_placed(part, rows) for part in parts]
            continue
        for whole, part in zip(found, parts, strict=True):
            whole[rows] = part
    return found


def _placed(parts: Tensor, rows: Tensor) -> Tensor:
    """Return (B, M, ...) with ``parts`` (P, ...) where ``rows`` (B, M) is True, else zero."""
    whole = parts.new_zeros(*rows.shape, *parts.shape[1:])
    whole[rows] = parts
    return whole


def _mean(x: Tensor, present: Tensor) -> Tensor:
    """Return the mean over the present of (B, M, ...), (B, ...)."""
    return weighted(x, torch.zeros_like(x[:, :, :1]), present)
