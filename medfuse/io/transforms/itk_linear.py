"""ITK's linear transforms of space, from their parameters to one matrix.

Each kind gives a linear part M and a translation t; with the centre c of the fixed parameters a
point x goes to M (x - c) + c + t.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medfuse.errors import InputError
from medfuse.geometry import Array64
from medfuse.transform import Affine

_DETERMINANTS = (0.1, 10.0)
_UNIT = 1 + 1e-5  # a versor written with six digits may be that much longer than 1
_Parts = tuple[Array64, Array64]  # (3, 3) and (3,)
_NOWHERE = np.zeros(3)


def linear(name: str, parameters: Array64, fixed: Array64, where: object) -> Affine:
    """Return the matrix of one linear transform of the kind ``name`` (one of ``LINEAR``).

    Raises ``InputError`` for numbers that are not finite (X3), a determinant outside 0.1 to 10
    (X2), a mirror image or a versor longer than 1 (X10). The counts are checked by the caller.
    """
    if not (np.isfinite(parameters).all() and np.isfinite(fixed).all()):
        raise InputError(
            "the transform holds numbers that are not finite",
            where=where,
            hint="make it again",
            id="X3",
        )
    if name in _VERSORS and float(np.linalg.norm(parameters[:3])) > _UNIT:
        raise InputError(
            "the versor of the transform is longer than 1: it is no rotation",
            where=where,
            hint="make the transform again",
            id="X10",
        )
    turned, translation = LINEAR[name][2](parameters, fixed)
    _check_determinant(float(np.linalg.det(turned)), where)
    centre = fixed[:3] if len(fixed) else _NOWHERE
    matrix = np.eye(4)
    matrix[:3, :3] = turned
    matrix[:3, 3] = translation + centre - turned @ centre
    return Affine(matrix)


def _check_determinant(determinant: float, where: object) -> None:
    low, high = _DETERMINANTS
    if determinant <= -low:
        raise InputError(
            f"the transform mirrors space (determinant {determinant:.4g})",
            where=where,
            hint="no patient is their own mirror image: make the transform again",
            id="X10",
        )
    if not low <= determinant <= high:
        raise InputError(
            f"the determinant of the transform is {determinant:.4g}, outside {low:g} to {high:g}",
            where=where,
            hint="make the transform again",
            id="X2",
        )


def _from_matrix(p: Array64, _: Array64) -> _Parts:
    return p[:9].reshape(3, 3), p[9:]


def _from_euler(p: Array64, fixed: Array64) -> _Parts:
    (cx, cy, cz), (sx, sy, sz) = np.cos(p[:3]), np.sin(p[:3])
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    in_order_zyx = len(fixed) == 4 and fixed[3] != 0
    return (z @ y @ x if in_order_zyx else z @ x @ y), p[3:]


def _rotation(versor: Array64) -> Array64:
    x, y, z = versor / max(1.0, float(np.linalg.norm(versor)))
    w = np.sqrt(max(0.0, 1 - x * x - y * y - z * z))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _from_versor(p: Array64, _: Array64) -> _Parts:
    return _rotation(p[:3]), _NOWHERE


def _from_versor_rigid(p: Array64, _: Array64) -> _Parts:
    return _rotation(p[:3]), p[3:]


def _from_similarity(p: Array64, _: Array64) -> _Parts:
    return p[6] * _rotation(p[:3]), p[3:6]


def _from_scale(p: Array64, _: Array64) -> _Parts:
    return np.diag(p), _NOWHERE


def _from_scale_versor(p: Array64, _: Array64) -> _Parts:
    # ITK adds the scales to the rotation instead of multiplying by them
    return _rotation(p[:3]) + np.diag(p[6:9] - 1), p[3:6]


def _from_scale_skew_versor(p: Array64, fixed: Array64) -> _Parts:
    scaled, translation = _from_scale_versor(p, fixed)
    skew = np.zeros((3, 3))
    skew[[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]] = p[9:]
    return scaled + skew, translation


def _from_product(p: Array64, _: Array64) -> _Parts:
    skew = np.eye(3)
    skew[[0, 0, 1], [1, 2, 2]] = p[9:]
    return _rotation(p[:3]) @ np.diag(p[6:9]) @ skew, p[3:6]


def _from_translation(p: Array64, _: Array64) -> _Parts:
    return np.eye(3), p


def _from_nothing(_p: Array64, _: Array64) -> _Parts:
    return np.eye(3), _NOWHERE


_VERSORS = {
    "VersorTransform",
    "VersorRigid3DTransform",
    "Similarity3DTransform",
    "ScaleVersor3DTransform",
    "ScaleSkewVersor3DTransform",
    "ComposeScaleSkewVersor3DTransform",
}
# kind: how many parameters, how many fixed ones (the usual number first), what they mean
LINEAR: dict[str, tuple[int, tuple[int, ...], Callable[[Array64, Array64], _Parts]]] = {
    "AffineTransform": (12, (3, 0), _from_matrix),
    "MatrixOffsetTransformBase": (12, (3, 0), _from_matrix),
    "FixedCenterOfRotationAffineTransform": (12, (3, 0), _from_matrix),
    "Rigid3DTransform": (12, (3, 0), _from_matrix),
    "Euler3DTransform": (6, (3, 4, 0), _from_euler),
    "VersorTransform": (3, (3, 0), _from_versor),
    "VersorRigid3DTransform": (6, (3, 0), _from_versor_rigid),
    "Similarity3DTransform": (7, (3, 0), _from_similarity),
    "ScaleTransform": (3, (3, 0), _from_scale),
    "ScaleVersor3DTransform": (9, (3, 0), _from_scale_versor),
    "ScaleSkewVersor3DTransform": (15, (3, 0), _from_scale_skew_versor),
    "ComposeScaleSkewVersor3DTransform": (12, (3, 0), _from_product),
    "TranslationTransform": (3, (0, 3), _from_translation),
    "IdentityTransform": (0, (0, 3), _from_nothing),
}
