"""Ways to make one feature map of several: one file each, one line each in ``OPERATORS``.

An operator is made for ``channels`` and ``modalities`` and maps ``x`` (B, M, C, D, H, W) with
``present`` (B, M) to (B, C, D, H, W). What an absent modality holds, NaN too, must not matter;
``symmetric`` says that the order of modalities does not either.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from torch import Tensor, nn

from medfuse.errors import UsageError

OPERATORS = {
    "concat": "medfuse.fusion.operators.concat:Concat",
    "moments": "medfuse.fusion.operators.moments:Moments",
    "product": "medfuse.fusion.operators.product:Product",
    "gated": "medfuse.fusion.operators.gated:Gated",
    "soft_attention": "medfuse.fusion.operators.attention:Soft",
    "hard_attention": "medfuse.fusion.operators.attention:Hard",
    "cross_attention": "medfuse.fusion.operators.tokens:Cross",
    "self_attention": "medfuse.fusion.operators.tokens:SelfAttention",
    "offset": "medfuse.fusion.operators.offset:Offset",
    "low_rank": "medfuse.fusion.operators.low_rank:LowRank",
    "graph": "medfuse.fusion.operators.graph:Graph",
}


class Operator(Protocol):
    """What every operator offers, beside being a torch module."""

    symmetric: bool

    def __init__(self, channels: int, modalities: int) -> None:
        """Make it for features of ``channels`` and a number of ``modalities``."""

    def __call__(self, x: Tensor, present: Tensor) -> Tensor:
        """Return (B, C, D, H, W) of ``x`` (B, M, C, D, H, W) and ``present`` (B, M)."""


def make(name: str, channels: int, modalities: int) -> nn.Module:
    """Return a new operator; its file is loaded on first use.

    Raises ``UsageError`` for an unknown name.
    """
    if name not in OPERATORS:
        known = ", ".join(OPERATORS)
        raise UsageError(f"unknown operator {name!r}", hint=f"use one of {known}")
    module, kind = OPERATORS[name].split(":")
    return cast(nn.Module, getattr(import_module(module), kind)(channels, modalities))
