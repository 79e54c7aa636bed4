"""Masks that the tests of the metrics are asked about: a few blobs, and the same disturbed."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medfuse.geometry import Geometry

Mask = np.ndarray
SPACING = (3.0, 0.7, 1.2)  # mm


def blobs(seed: int, shape: tuple[int, int, int] = (9, 16, 14)) -> tuple[Mask, Mask]:
    """Return a prediction and a truth (D, H, W): smooth noise above a level, and a bit of other."""
    rng = np.random.default_rng([seed, 5])
    one, other = (ndimage.gaussian_filter(rng.normal(size=shape), 1.3) for _ in range(2))
    level = one.std()
    return one + 0.5 * other > level, one > level


def straight(shape: tuple[int, int, int]) -> Geometry:
    """Return a grid whose array axes are the world's, with unequal steps."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(SPACING)
    return Geometry(shape, matrix)


def sheared(seed: int, shape: tuple[int, int, int]) -> Geometry:
    """Return a turned grid whose axes are not at right angles."""
    rng = np.random.default_rng([seed, 6])
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() @ np.diag(SPACING)
    matrix[:3, 0] += 0.3 * matrix[:3, 1]
    return Geometry(shape, matrix)
