"""Carry a network's slabs onto the grid of the scans, plane by plane.

Both grids have the same axes and the same centre (``Geometry.respace``), so linear interpolation
takes one axis after the other, and never needs more than two planes of all classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medfuse.geometry import Geometry

Slabs = Iterator[tuple[int, Tensor]]
T = TypeVar("T", bound=np.generic)


def planes(slabs: Slabs, low: Geometry, high: Geometry) -> Slabs:
    """Yield ``(d, plane)`` (K, 1, H, W) of the grid ``high``, from slabs (K, n, h, w) of ``low``.

    ``high`` has the axes and the centre of ``low`` and any spacing; beyond the outermost voxel
    centres of ``low`` their values go on.
    """
    deep, tall, wide = (positions(low, high, axis) for axis in range(3))
    held: Tensor | None = None
    first = done = 0  # `held` begins with plane `first` of `low`
    for start, slab in slabs:
        held = slab if held is None else torch.cat([held, slab], dim=1)
        last = start + slab.shape[1] - 1
        while done < len(deep) and (deep[done] <= last or last == low.shape[0] - 1):
            plane = _between(held, deep[done : done + 1] - first, 1)  # (K, 1, h, w)
            yield done, _between(_between(plane, tall, 2), wide, 3)
            done += 1
        keep = int(deep[done]) - first if done < len(deep) else held.shape[1] - 1
        keep = min(max(keep, 0), held.shape[1] - 1)
        held, first = held[:, keep:], first + keep


def positions(low: Geometry, high: Geometry, axis: int) -> npt.NDArray[np.float64]:
    """Return where the voxels of ``high`` lie along an axis, in voxels of ``low``."""
    step = high.spacing[axis] / low.spacing[axis]
    centred = np.arange(high.shape[axis]) - (high.shape[axis] - 1) / 2
    place = centred * step + (low.shape[axis] - 1) / 2
    found: npt.NDArray[np.float64] = np.clip(place.round(9), 0, low.shape[axis] - 1)
    return found


def _between(x: Tensor, place: npt.NDArray[np.float64], axis: int) -> Tensor:
    """Interpolate ``x`` linearly at fractional indices of one axis."""
    if len(place) == x.shape[axis] and np.array_equal(place, np.arange(len(place))):
        return x
    lower = np.minimum(place.astype(np.intp), max(0, x.shape[axis] - 2))
    upper = np.minimum(lower + 1, x.shape[axis] - 1)
    share = torch.from_numpy(place - lower).to(x.device, x.dtype)
    share = share.reshape(-1, *[1] * (x.ndim - 1 - axis))
    before = x.index_select(axis, torch.from_numpy(lower).to(x.device))
    return torch.lerp(before, x.index_select(axis, torch.from_numpy(upper).to(x.device)), share)


def turned(array: npt.NDArray[T], upright: Geometry, onto: Geometry) -> npt.NDArray[T]:
    """Return an array of ``upright`` (..., D, H, W) in the axis order and direction of ``onto``.

    ``upright`` is ``onto.upright()``: voxels change their index, not their value.
    """
    matrix = np.rint((onto.voxel_from_world @ upright.world_from_voxel)[:3, :3])
    lead = array.ndim - 3
    order = [int(np.flatnonzero(row)[0]) for row in matrix]
    backwards = tuple(lead + axis for axis, row in enumerate(matrix) if row.sum() < 0)
    moved = array.transpose(*range(lead), *(lead + axis for axis in order))
    made: npt.NDArray[T] = np.flip(moved, axis=backwards)
    return made
