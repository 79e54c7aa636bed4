"""Plain grids and moves that tests of several parts use."""

from __future__ import annotations

import numpy as np

from medfuse.geometry import Geometry
from medfuse.transform import Affine


def cube(size: int, spacing: float = 1.0) -> Geometry:
    """Return a cube of ``size`` voxels with its centre at the origin."""
    matrix = np.diag([spacing, spacing, spacing, 1.0])
    matrix[:3, 3] = -(size - 1) / 2 * spacing
    return Geometry((size, size, size), matrix)


def shift(x: float, y: float = 0, z: float = 0) -> Affine:
    """Return a translation, LPS mm."""
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return Affine(matrix)
