"""Carry a scan, a label map or points through transforms: the flow behind ``medfuse apply``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from medfuse.errors import QualityRefused
from medfuse.geometry import Geometry
from medfuse.resampling import LEAST_OVERLAP, overlap, resample
from medfuse.transform import Transform
from medfuse.volume import LabelMap, Volume

V = TypeVar("V", Volume, LabelMap)


def chained(transforms: Sequence[Transform], *, inverse: bool = False) -> Transform:
    """Return one transform for several, in the order in which a fixed point passes through them.

    ``inverse`` inverts the whole chain.
    """
    whole, *rest = transforms
    for part in rest:
        whole = whole.then(part)
    return whole.inverse() if inverse else whole


def carry(what: V, onto: Geometry, transform: Transform) -> V:
    """Return ``what`` on the grid ``onto``.

    Raises ``QualityRefused`` (X9) where less than a tenth of the smaller field of view is shared:
    the result would be empty, and look like one.
    """
    shared = overlap(onto, what.geometry, transform)
    if shared < LEAST_OVERLAP:
        raise QualityRefused(
            f"only {shared:.0%} of the smaller scan lies inside the other after the transform",
            hint="check the transforms, their order and --inverse",
            id="X9",
        )
    return resample(what, onto, transform)
