"""A toy head: a few soft ellipsoids, without symmetry, that two scanners see differently.

It is a formula of the place in the world, so that a scan on any grid, in any pose, is made without
interpolation, and what is true of it is known to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from medfuse.geometry import Array64, Geometry
from medfuse.modality import MODALITIES
from medfuse.transform import Affine
from medfuse.volume import Volume

# centre and half axes, LPS mm; what is painted later lies over what came before
PARTS = (
    ((0, 0, 0), (62, 76, 66)),  # scalp
    ((8, -76, -30), (14, 16, 20)),  # nose, a little to the left
    ((-60, 6, -14), (12, 9, 20)),  # the only ear, on the right
    ((0, 2, 2), (55, 68, 58)),  # bone
    ((0, 2, 2), (50, 62, 52)),  # grey
    ((20, -10, 8), (21, 40, 30)),  # white, left
    ((-22, 2, 6), (20, 46, 27)),  # white, right, another shape
    ((7, -6, 12), (5, 22, 9)),  # ventricle, left
    ((-8, 2, 14), (7, 26, 8)),  # ventricle, right
    ((4, 40, -30), (28, 17, 15)),  # cerebellum
    ((30, -34, 22), (10, 9, 11)),  # a lesion in the left front
    ((-32, 30, -6), (7, 11, 8)),  # a cyst in the right back
)
SIGNALS = {
    "T1": (0, 80, 80, 80, 15, 60, 95, 95, 20, 20, 70, 45, 25),  # air first
    "T2": (0, 40, 40, 40, 8, 60, 45, 45, 100, 100, 55, 85, 98),
    "CT": (-1000, 20, 10, 15, 900, 80, 30, 32, 0, 2, 60, 110, -20),
    "PET": (0, 0.6, 0.5, 0.6, 0.3, 9, 3, 3.2, 0.6, 0.6, 7, 11, 0.4),
}
NOISE = {"T1": 3.0, "T2": 3.0, "CT": 15.0, "PET": 0.3}
HEAD = Geometry(
    (64, 64, 64),
    np.array([[0, 0, 3, -94.5], [0, 3, 0, -98.5], [3, 0, 0, -94.5], [0, 0, 0, 1.0]]),
)


def signal(name: str, places: Array64) -> Array64:
    """Return what scanner ``name`` sees at ``places`` (..., 3), LPS mm of the head, (...)."""
    rows = places.reshape(-1, 3)
    values = np.full(len(rows), float(SIGNALS[name][0]))
    for (centre, axes), value in zip(PARTS, SIGNALS[name][1:], strict=True):
        seen = np.flatnonzero((np.abs(rows - centre) < 1.25 * np.asarray(axes)).all(axis=1))
        reach = np.linalg.norm((rows[seen] - centre) / axes, axis=1)
        depth = (1 - reach) * min(axes)  # about mm below the surface
        values[seen] += np.clip(depth / 3 + 0.5, 0, 1) * (value - values[seen])  # soft over 3 mm
    return values.reshape(places.shape[:-1])


def scan(
    name: str,
    pose: Affine | Callable[[Array64], Array64] = Affine(np.eye(4)),  # noqa: B008
    *,
    grid: Geometry = HEAD,
    seed: int = 0,
) -> Volume:
    """Return a scan on ``grid`` of the head carried by ``pose`` (head to scan points).

    A function in place of a transform goes the other way: from points of the scan to the head's.
    """
    places = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    inverse = pose.inverse().map if isinstance(pose, Affine) else pose
    values = signal(name, inverse(places.reshape(-1, 3)).reshape(places.shape))
    noise = np.random.default_rng([seed, len(name), ord(name[0])]).normal(size=values.shape)
    return Volume(values + NOISE[name] * noise, grid, MODALITIES[name])


@cache
def still(name: str) -> Volume:
    """Return the scan that most tests look at, made once."""
    return scan(name)


def motion(axis: tuple[float, ...], degrees: float, shift: tuple[float, ...] = (0, 0, 0)) -> Affine:
    """Return the turn about ``axis`` through the head's centre, followed by ``shift`` mm."""
    turn = np.radians(degrees) * np.asarray(axis) / np.linalg.norm(axis)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    matrix[:3, 3] = shift
    return Affine(matrix)


def around(pose: Affine, grid: Geometry = HEAD) -> Geometry:
    """Return ``grid``, its middle carried to where ``pose`` carries it, its axes kept."""
    matrix = grid.world_from_voxel.copy()
    matrix[:3, 3] += pose.map(grid.centre) - grid.centre
    return Geometry(grid.shape, matrix)


def brain_points(count: int = 400, seed: int = 0) -> Array64:
    """Return points of the brain, (N, 3) LPS mm of the head."""
    centre, axes = PARTS[4]
    ball = np.random.default_rng([seed, 7]).normal(size=(count, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    radius = np.random.default_rng([seed, 8]).uniform(size=(count, 1)) ** (1 / 3)
    return np.asarray(centre) + ball * radius * np.asarray(axes)


def errors(found: object, truth: object) -> Array64:
    """Return how far apart both carry each point of the brain, mm (N,)."""
    points = brain_points()
    return np.linalg.norm(found.map(points) - truth.map(points), axis=1)  # type: ignore[attr-defined]
