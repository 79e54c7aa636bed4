"""Carry a scan, a label map or points through transforms: the flow behind ``medfuse apply``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from medfuse.errors import QualityRefused
from medfuse.geometry import Geometry
from medfuse.resampling import resample
from medfuse.transform import Affine, Transform
from medfuse.volume import LabelMap, Volume

V = TypeVar("V", Volume, LabelMap)

LEAST_OVERLAP = 0.1
_PER_AXIS = 24  # points that the overlap is counted on, along each axis of the grid
_PER_AXIS_BENT = 96  # the same where a small grid must be met from a large one


def chained(transforms: Sequence[Transform], *, inverse: bool = False) -> Transform:
    """Return one transform for several, in the order in which a fixed point passes through them.

    ``inverse`` inverts the whole chain.
    """
    whole, *rest = transforms
    for part in rest:
        whole = whole.then(part)
    return whole.inverse() if inverse else whole


def overlap(onto: Geometry, moving: Geometry, transform: Transform) -> float:
    """Return the part of the smaller field of view that both share under ``transform``, 0 to 1.

    Counted on points of the smaller one, which few points of a large grid may hit; where only the
    way from ``onto`` is known (a deformable transform), on many points of ``onto``.
    """
    here, there = (float(np.prod(g.shape)) * g.voxel_volume for g in (onto, moving))
    if there >= here:
        return _inside(onto, moving, transform, _PER_AXIS)
    if isinstance(transform, Affine):
        return _inside(moving, onto, transform.inverse(), _PER_AXIS)
    return min(1.0, _inside(onto, moving, transform, _PER_AXIS_BENT) * here / there)


def _inside(here: Geometry, there: Geometry, there_from_here: Transform, per_axis: int) -> float:
    """Return the share of points on a grid that lie inside another, 0 to 1."""
    axes = [np.linspace(0, n - 1, min(n, per_axis)) for n in here.shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)  # (N, 3)
    voxels = there.voxel(there_from_here.map(here.world(grid)))
    last = np.asarray(there.shape) - 1
    return float(((voxels >= -0.5) & (voxels <= last + 0.5)).all(axis=1).mean())


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
