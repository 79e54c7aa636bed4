"""Mutual information of one pair at one resolution, as a smooth function of the pose.

Samples of the fixed volume are kept, the moving volume is read between its voxels at their places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfuse.geometry import Array64
from medfuse.similarity import Indices, smooth_mutual_information
from medfuse.volume import Array32
from registration.levels import Level, Prepared

Points32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Measure:
    """Mutual information of one pair at one resolution, as a function of the pose.

    ``points`` (N, 3) fixed LPS mm, ``fixed`` (N,) their bins, ``moving`` the moving level in bins,
    ``weight`` 1 where moving samples count (its mask), or None.
    """

    points: Array64
    fixed: Indices
    moving: Array32
    level: Level
    weight: Array32 | None
    bins: int
    sigma: float

    @classmethod
    def between(
        cls,
        fixed: tuple[Prepared, Level],
        moving: tuple[Prepared, Level],
        points: Array64,
        *,
        bins: int = 40,
        sigma: float = 1.0,
        ranks: float = 0.25,
    ) -> Measure:
        """Return the measure on ``points`` (fixed LPS mm) at the two levels."""
        places = fixed[1].geometry.voxel(points).astype(np.float32)
        samples = _between_voxels(fixed[1].array, places)[0]
        level = moving[1]
        weight = None
        if moving[0].mask is not None:
            grid = np.indices(level.geometry.shape).reshape(3, -1).T
            there = np.rint(moving[0].middle.geometry.voxel(level.geometry.world(grid))).astype(int)
            there = np.clip(there, 0, np.array(moving[0].mask.shape) - 1)
            weight = moving[0].mask[tuple(there.T)].reshape(level.geometry.shape).astype(np.float32)
        return cls(
            points,
            np.rint(fixed[0].in_bins(samples, bins, ranks=ranks)).astype(np.intp),
            moving[0].in_bins(level.array, bins, ranks=ranks),
            level,
            weight,
            bins,
            sigma,
        )

    def at(self, matrix: Array64) -> tuple[float, Array64, Array64, float]:
        """Return mutual information, its slope (N, 3) per mm, moved points (N, 3), the overlap.

        ``matrix`` (4, 4) maps fixed to moving points, LPS mm; the overlap is the share of points
        that fall inside the moving volume. Points outside it do not count.
        """
        places = self.points @ matrix[:3, :3].T + matrix[:3, 3]
        voxels = self.level.geometry.voxel(places).astype(np.float32)
        values, slope, inside = _between_voxels(self.moving, voxels)
        if self.weight is not None:
            inside = inside * _between_voxels(self.weight, voxels)[0]
        total = float(inside.sum())
        if total < 50:
            return 0.0, np.zeros_like(places), places, total / len(places)
        information, gain = smooth_mutual_information(
            self.fixed, values, inside, bins=self.bins, sigma=self.sigma
        )
        world = slope @ self.level.geometry.voxel_from_world[:3, :3]
        return information, world * gain[:, None], places, total / len(places)


def _between_voxels(array: Array32, voxels: Points32) -> tuple[Points32, Points32, Array64]:
    """Return trilinear values (N,), their slopes per voxel (N, 3), and how far inside (N,), 0..1.

    The weight falls from 1 at the outermost voxel centre to 0 half a voxel outside it, so that
    points leave the field of view without a jump.
    """
    shape = np.asarray(array.shape)
    last = (shape - 1).astype(np.float32)
    outside = np.maximum(-voxels, voxels - last).clip(min=0)
    inside = np.prod((1 - 2 * outside).clip(min=0), axis=1).astype(np.float64)
    held = np.minimum(np.maximum(voxels, 0), last)
    low = np.minimum(held.astype(np.int32), np.maximum(shape - 2, 0).astype(np.int32))
    d, h, w = (held - low).T
    step = np.where(shape > 1, [shape[1] * shape[2], shape[2], 1], 0).astype(np.int64)
    base = low @ np.array([shape[1] * shape[2], shape[2], 1])
    flat = array.ravel()
    c000, c001 = flat[base], flat[base + step[2]]
    base += step[1]
    c010, c011 = flat[base], flat[base + step[2]]
    base += step[0]
    c110, c111 = flat[base], flat[base + step[2]]
    base -= step[1]
    c100, c101 = flat[base], flat[base + step[2]]
    dw = [c001 - c000, c011 - c010, c101 - c100, c111 - c110]
    e00, e01, e10, e11 = c000 + w * dw[0], c010 + w * dw[1], c100 + w * dw[2], c110 + w * dw[3]
    f0, f1 = e00 + h * (e01 - e00), e10 + h * (e11 - e10)
    slope = np.empty_like(held)
    slope[:, 0] = f1 - f0
    slope[:, 1] = (1 - d) * (e01 - e00) + d * (e11 - e10)
    slope[:, 2] = (1 - d) * ((1 - h) * dw[0] + h * dw[1]) + d * ((1 - h) * dw[2] + h * dw[3])
    return f0 + d * (f1 - f0), slope, inside
