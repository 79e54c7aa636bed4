"""What a registration is asked for, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from medfuse.errors import UsageError
from medfuse.study import Quality
from medfuse.transform import Affine, Transform


@dataclass(frozen=True)
class RegisterSettings:
    """How to register one pair; unknown names are refused by their user-visible words."""

    transform: Literal["rigid", "affine", "deformable"] = "rigid"
    engine: str = "mi"  # a key of registration.ENGINES
    start: Literal["auto", "header", "search"] = "auto"  # where the pose is looked for
    threads: int = 1  # 1: the same bytes every time
    spacing: float = 1.5  # finest sampling of the linear engines, mm
    grid_mm: float = 40.0  # control point spacing of the deformable stage, mm

    def __post_init__(self) -> None:
        """Refuse contradictions, and words that are not among those known."""
        for name, known in get_type_hints(type(self)).items():
            given = getattr(self, name)
            if get_origin(known) is Literal and given not in get_args(known):
                raise UsageError(
                    f"unknown {name} {given!r}", hint=f"use one of {', '.join(get_args(known))}"
                )
        if self.threads < 1:
            raise UsageError("--threads must be at least 1")
        if not 0.5 <= self.spacing <= 8:
            raise UsageError("spacing must lie between 0.5 and 8 mm")
        if not 5 <= self.grid_mm <= 100:
            raise UsageError("grid_mm must lie between 5 and 100 mm")


@dataclass(frozen=True)
class Registration:
    """One answered pair: the ``transform`` (fixed to moving points), and how far to trust it."""

    transform: Transform
    quality: Quality
    settings: RegisterSettings


@dataclass(frozen=True)
class Refined:
    """What an engine hands back: a linear ``transform`` and its own ``similarity``."""

    transform: Affine
    similarity: float
