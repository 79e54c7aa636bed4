"""Where a head lies in a scanner, and the grid on which the scanner sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfuse.geometry import Array64, Geometry
from medfuse.volume import Volume

CENTRE = np.array([0.0, -8.0, 5.0])  # of the head, in its own frame


@dataclass(frozen=True)
class _Plan:
    shape: tuple[int, int, int]  # slices along z, rows along y, columns along x
    spacing: tuple[float, float, float]  # mm
    bottom: tuple[float, float]  # where the lowest slice may lie, LPS z of the head, mm


SCANNERS = {
    "T1": _Plan((224, 232, 176), (1, 1, 1), (-132, -116)),
    "T1CE": _Plan((208, 232, 176), (1, 1, 1), (-112, -100)),
    "T2": _Plan((33, 256, 240), (5, 0.94, 0.94), (-80, -60)),
    "FLAIR": _Plan((60, 240, 192), (3, 1, 1), (-92, -72)),
    "CT": _Plan((96, 320, 280), (2, 0.75, 0.75), (-112, -78)),
    "PET": _Plan((52, 112, 112), (4, 2.4, 2.4), (-120, -98)),
}


def grid_of(
    name: str,
    rng: np.random.Generator,
    *,
    millimetres: float | None = None,
    slab: bool = False,
) -> Geometry:
    """Return the field of view of a scanner over a head in its frame, varied a little.

    ``millimetres`` makes it isotropic; ``slab`` leaves 100 mm along z, somewhere on the brain.
    """
    plan = SCANNERS[name]
    matrix = np.zeros((4, 4))
    matrix[2, 0], matrix[1, 1], matrix[0, 2] = plan.spacing
    matrix[3, 3] = 1
    half = (np.asarray(plan.shape[::-1]) - 1) / 2 * np.asarray(plan.spacing[::-1])
    x, y = rng.normal(0, 2, 2)
    matrix[:3, 3] = (x - half[0], y - 10 - half[1], rng.uniform(*plan.bottom))
    grid = Geometry(plan.shape, matrix)
    if slab:
        slices = round(100 / plan.spacing[0])
        start = round((rng.uniform(-45, -10) - matrix[2, 3]) / plan.spacing[0])
        grid = grid.crop((start, 0, 0), (start + slices, *plan.shape[1:]))
    if millimetres is not None:
        grid = grid.respace((millimetres, millimetres, millimetres))
    return grid


def pose(rng: np.random.Generator, degrees: float, shift: float) -> Array64:
    """Return how a head lies in a scanner, (4, 4): turned and shifted by at most so much."""
    return about(CENTRE, rotation(rng, degrees), rng.uniform(-shift, shift, 3))


def rotation(rng: np.random.Generator, degrees: float) -> Array64:
    """Return a random rotation (3, 3): up to ``degrees`` about each axis, any from 180 on."""
    if degrees >= 180:
        q = rng.normal(size=4)
        return _of_quaternion(q / np.linalg.norm(q))
    turn: Array64 = np.eye(3)
    for axis, angle in enumerate(np.radians(rng.uniform(-degrees, degrees, 3))):
        half = np.zeros(4)
        half[0], half[axis + 1] = np.cos(angle / 2), np.sin(angle / 2)
        turn = _of_quaternion(half) @ turn
    return turn


def about(centre: npt.ArrayLike, turn: npt.ArrayLike, shift: npt.ArrayLike) -> Array64:
    """Return the (4, 4) matrix that turns about ``centre`` and then shifts."""
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = np.asarray(centre) - matrix[:3, :3] @ np.asarray(centre) + np.asarray(shift)
    return matrix


def stored(volume: Volume, rng: np.random.Generator) -> Volume:
    """Return the same volume with the axes of its array permuted and flipped at random."""
    order = rng.permutation(3)
    matrix = volume.geometry.world_from_voxel.copy()
    array = volume.array
    for axis in range(3):
        if rng.random() < 0.5:
            array = np.flip(array, axis)
            matrix[:3, 3] += matrix[:3, axis] * (array.shape[axis] - 1)
            matrix[:3, axis] *= -1
    matrix[:, :3] = matrix[:, order]
    array = np.ascontiguousarray(array.transpose(order))
    d, h, w = array.shape
    return volume.with_array(array, Geometry((d, h, w), matrix))


def _of_quaternion(q: Array64) -> Array64:
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
