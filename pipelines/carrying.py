"""Carry a scan, a label map or points through transforms: the flow behind ``medfuse apply``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from medfuse.errors import QualityRefused
from medfuse.geometry import Geometry
from medfuse.resampling import resample
from medfuse.transform import Transform
from medfuse.volume import LabelMap, Volume

V = TypeVar("V", Volume, LabelMap)

_LEAST_OVERLAP = 0.1
_PER_AXIS = 24  # points that the overlap is counted on, along each axis of the grid


def chained(transforms: Sequence[Transform], *, inverse: bool = False) -> Transform:
    """Return one transform for several, in the order in which a fixed point passes through them.

    ``inverse`` inverts the whole chain.
    """
    whole, *rest = transforms
    for part in rest:
        whole = whole.then(part)
    return whole.inverse() if inverse else whole


def overlap(onto: Geometry, moving: Geometry, transform: Transform) -> float:
    """Return the part of the smaller field of view that both share under ``transform``, 0 to 1."""
    axes = [np.linspace(0, n - 1, min(n, _PER_AXIS)) for n in onto.shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)  # (N, 3)
    voxels = moving.voxel(transform.map(onto.world(grid)))
    last = np.asarray(moving.shape) - 1
    inside = float(((voxels >= -0.5) & (voxels <= last + 0.5)).all(axis=1).mean())
    here, there = (float(np.prod(g.shape)) * g.voxel_volume for g in (onto, moving))
    return min(1.0, inside * here / min(here, there))


def carry(what: V, onto: Geometry, transform: Transform) -> V:
    """Return ``what`` on the grid ``onto``.

    Raises ``QualityRefused`` (X9) where less than a tenth of the smaller field of view is shared:
    the result would be empty, and look like one.
    """
    shared = overlap(onto, what.geometry, transform)
    if shared < _LEAST_OVERLAP:
        raise QualityRefused(
            f"only {shared:.0%} of the smaller scan lies inside the other after the transform",
            hint="check the transforms, their order and --inverse",
            id="X9",
        )
    return resample(what, onto, transform)
