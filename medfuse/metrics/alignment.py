"""Numbers that compare alignments: errors in mm, and folding of a displacement field."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medfuse.geometry import Array64
from medfuse.transform import Displacement, Transform


def target_registration_error(found: Transform, truth: Transform, points: npt.ArrayLike) -> Array64:
    """Return the distance between both images of each fixed point, mm, (N,) for (N, 3) points."""
    gaps: Array64 = np.linalg.norm(found.map(points) - truth.map(points), axis=1)
    return gaps


def jacobian_determinant(bent: Displacement) -> Array64:
    """Return the local change of volume of a displacement at its voxels, (D, H, W).

    1 is none; 0 or less is a fold. By central differences on the field's own grid.
    """
    return bent.determinant()


def folding(bent: Displacement) -> float:
    """Return the share of voxels where the field folds (determinant of 0 or less), 0 to 1."""
    return float((jacobian_determinant(bent) <= 0).mean())
