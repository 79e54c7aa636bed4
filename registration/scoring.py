"""Score thousands of rigid poses at once by normalised mutual information on a few hundred points.

Nearest voxel, few bins of equal population, one histogram a pose, all poses in one count.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medfuse.geometry import Array64
from medfuse.similarity import normalised_mutual_information
from registration.levels import Level, Prepared

ScoreArray = npt.NDArray[np.floating]

FULL_OVERLAP = 0.85  # the share of points inside from which overlap no longer matters
_CHUNK = 100_000  # samples scored at once: what a core keeps near it


class Scorer:
    """Score many poses at once on few points: nearest voxel, few bins, one histogram a pose."""

    def __init__(
        self,
        fixed: tuple[Prepared, Level],
        moving: tuple[Prepared, Level],
        *,
        points: Array64,
        bins: int,
    ) -> None:
        """Look up the fixed bins of ``points`` (K, 3) and lay out the moving bins, padded."""
        self.points = points.astype(np.float32)
        self.bins = bins
        grid = fixed[0].in_bins(fixed[1].array, bins, ranks=1.0)
        at = np.rint(fixed[1].geometry.voxel(points)).astype(int)
        at = np.clip(at, 0, np.asarray(grid.shape) - 1)
        self._fixed = np.rint(grid[tuple(at.T)]).astype(np.int32) * (bins + 1)
        table = np.rint(moving[0].in_bins(moving[1].array, bins, ranks=1.0)).astype(np.uint8)
        if moving[0].mask is not None:
            table[~_coarse_mask(moving[0], moving[1])] = bins
        table = np.pad(table, 1, constant_values=bins)  # outside is a bin of its own
        self._table, self._shape = table.ravel(), np.asarray(table.shape)
        self._voxel_from_world = moving[1].geometry.voxel_from_world

    def __call__(self, poses: Array64) -> tuple[ScoreArray, ScoreArray]:
        """Return the scores (P,) and overlaps (P,) of ``poses`` (P, 4, 4)."""
        size = max(1, _CHUNK // len(self.points))
        parts = [self._score(poses[first : first + size]) for first in range(0, len(poses), size)]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _score(self, poses: Array64) -> tuple[ScoreArray, ScoreArray]:
        count, width = len(poses), self.bins + 1
        into = (self._voxel_from_world @ poses)[:, :3].astype(np.float32)  # (P, 3, 4)
        into[:, :, 3] += 1.5  # the padding, and rounding by truncation
        index = np.zeros((count, len(self.points)), dtype=np.int32)
        for axis in range(3):
            place = into[:, axis, :3] @ self.points.T  # (P, K)
            place += into[:, axis, 3:]
            np.clip(place, 0, self._shape[axis] - 1, out=place)
            index *= self._shape[axis]
            index += place.astype(np.int32)
        cells = self._table[index].astype(np.int32)
        cells += self._fixed
        cells += (np.arange(count, dtype=np.int32) * (self.bins * width))[:, None]
        counts = np.bincount(cells.ravel(), minlength=count * self.bins * width)
        joint = counts.reshape(count, self.bins, width)[:, :, : self.bins].astype(np.float64)
        overlap = joint.sum(axis=(1, 2)) / len(self.points)
        known = normalised_mutual_information(joint) - 1
        return known * np.minimum(1, overlap / FULL_OVERLAP), overlap


def _coarse_mask(prepared: Prepared, level: Level) -> npt.NDArray[np.bool_]:
    assert prepared.mask is not None
    grid = np.indices(level.geometry.shape).reshape(3, -1).T
    there = np.rint(prepared.middle.geometry.voxel(level.geometry.world(grid))).astype(int)
    there = np.clip(there, 0, np.asarray(prepared.mask.shape) - 1)
    found: npt.NDArray[np.bool_] = prepared.mask[tuple(there.T)].reshape(level.geometry.shape)
    return found
