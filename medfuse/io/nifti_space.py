"""Where a NIfTI file says that it lies: sform, qform, units, and what to do when they disagree.

nifti1.h: "method 2" (quaternion) and "method 3" (affine). All affines here are RAS+, mm, (4, 4).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medfuse.errors import GeometryError, Repair, UsageError
from medfuse.geometry import Array64

_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}  # unknown means mm
_UNIT_NAMES = {1: "metre", 3: "micron"}
_LAST_CODE = 5  # nifti1.h: NIFTI_XFORM_TEMPLATE_OTHER
_HALF_TURN = 3 * float(np.finfo(np.float32).eps)  # as nibabel has it
_APART_MM = 0.1
_NOTED_MM = 1e-3


def world(
    fields: np.void,
    shape: tuple[int, int, int],
    path: Path,
    *,
    xform: str | None = None,
    centred: bool = False,
) -> tuple[Array64, list[Repair]]:
    """Return the affine of a header (RAS+, mm) and the repairs made on the way.

    ``xform`` chooses between sform and qform; ``centred`` allows a file with neither. Raises
    ``GeometryError`` for a place that is unknown (N12), contradictory (N11), not finite (N7),
    singular (N8, N38) or no rotation (N39).
    """
    repairs: list[Repair] = []
    scale = _units(int(fields["xyzt_units"]) & 7, repairs)
    forms = {}
    if xform != "qform" and _is_set(fields, "sform", path):
        forms["sform"] = scale @ _checked(_sform(fields), "sform", path)
    if xform != "sform" and _is_set(fields, "qform", path):
        forms["qform"] = scale @ _checked(_qform(fields, path), "qform", path)
    if xform is not None and xform not in forms:
        raise UsageError(f"has no {xform}", where=path, hint="leave xform= away")
    if len(forms) == 2:
        _compare(forms["sform"], forms["qform"], shape, path, repairs)
    if not forms:
        return scale @ _centred(fields, shape, path, centred, repairs), repairs
    return forms.get("sform", forms.get("qform")), repairs  # type: ignore[return-value]


def quaternion(affine: Array64) -> tuple[Array64, float, Array64]:
    """Return (b, c, d), qfac and the voxel sizes of an affine whose axes are orthogonal.

    Shepperd 1978: divide by the largest component, so that no rotation loses digits.
    """
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    rotation = affine[:3, :3] / sizes
    qfac = -1.0 if np.linalg.det(rotation) < 0 else 1.0
    rotation = rotation * [1.0, 1.0, qfac]
    xx, yy, zz = np.diag(rotation)
    # 4 q qT, built from sums and differences of the matrix, (4, 4)
    outer = np.diag([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz])
    for row, (p, q) in enumerate(((2, 1), (0, 2), (1, 0)), start=1):
        outer[0, row] = outer[row, 0] = rotation[p, q] - rotation[q, p]
    for (m, n), (p, q) in {(1, 2): (0, 1), (1, 3): (0, 2), (2, 3): (1, 2)}.items():
        outer[m, n] = outer[n, m] = rotation[p, q] + rotation[q, p]
    best = int(np.argmax(np.diag(outer)))
    unit = outer[best] / np.linalg.norm(outer[best])
    return unit[1:] * (-1.0 if unit[0] < 0 else 1.0), qfac, sizes


def _units(code: int, repairs: list[Repair]) -> Array64:
    if code in _UNIT_NAMES:
        repairs.append(Repair(f"lengths are in {_UNIT_NAMES[code]}s; converted to mm", id="N13"))
    elif code not in _MM:
        repairs.append(Repair(f"unknown unit of length ({code}); mm assumed", id="N13"))
    return np.diag([*[_MM.get(code, 1.0)] * 3, 1.0])


def _is_set(fields: np.void, form: str, path: Path) -> bool:
    code = int(fields[f"{form}_code"])
    if not 0 <= code <= _LAST_CODE:
        raise GeometryError(
            f"the {form} is of the unknown kind {code}",
            where=path,
            hint="say which form is right: xform=sform or xform=qform",
            id="N11",
        )
    return code > 0


def _sform(fields: np.void) -> Array64:
    return np.vstack([np.asarray(fields["srow"], dtype=np.float64), [0.0, 0.0, 0.0, 1.0]])


def _qform(fields: np.void, path: Path) -> Array64:
    vector = np.asarray(fields["quatern"], dtype=np.float64)
    rest = 1.0 - float(vector @ vector)
    if rest <= -_HALF_TURN:
        raise GeometryError(
            f"the quaternion ({', '.join(f'{part:g}' for part in vector)}) is no rotation",
            where=path,
            hint="if the sform is right, say xform=sform",
            id="N39",
        )
    # what rounding to float32 leaves of half a turn is half a turn; NaN stays NaN
    a, (b, c, d) = float(np.sqrt(rest)) if not abs(rest) < _HALF_TURN else 0.0, vector
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    sizes = _sizes(fields, path)
    qfac = -1.0 if float(fields["pixdim"][0]) < 0 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation * sizes * [1.0, 1.0, qfac]
    affine[:3, 3] = fields["qoffset"]
    return affine


def _sizes(fields: np.void, path: Path) -> Array64:
    sizes = np.asarray(fields["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        raise GeometryError(
            f"the voxel sizes {sizes.tolist()} are not all positive",
            where=path,
            hint="if the sform is right, say xform=sform",
            id="N38",
        )
    return sizes


def _checked(affine: Array64, name: str, path: Path) -> Array64:
    if not np.isfinite(affine).all():
        raise GeometryError(f"the {name} is not finite", where=path, id="N7")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() == 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-6:
        raise GeometryError(f"the {name} is singular", where=path, id="N8")
    return affine


def _compare(
    sform: Array64,
    qform: Array64,
    shape: tuple[int, int, int],
    path: Path,
    repairs: list[Repair],
) -> None:
    last = np.asarray(shape) - 1
    corners = np.column_stack([np.indices((2, 2, 2)).reshape(3, -1).T * last, np.ones(8)])  # (8, 4)
    apart = float(np.linalg.norm(corners @ (sform - qform).T, axis=1).max())
    # a float32 quaternion holds a = sqrt(1 - b2 - c2 - d2) badly where a is near 0
    a = float(np.sqrt(max(1.0 - float(np.sum(quaternion(qform)[0] ** 2)), 0.0)))
    angle = 2e-7 / a if a**2 > _HALF_TURN else 2 * np.sqrt(_HALF_TURN)
    extent = float(np.linalg.norm(corners[-1, :3] * np.linalg.norm(qform[:3, :3], axis=0)))
    rounding = float(extent * angle)
    if apart > _APART_MM + rounding:
        raise GeometryError(
            f"its sform and its qform place it up to {apart:.3g} mm apart",
            where=path,
            hint="say which is right: xform=sform or xform=qform",
            id="N11",
        )
    if apart > _NOTED_MM + rounding:
        repairs.append(
            Repair(f"sform and qform differ by {apart:.3f} mm; the sform is used", id="N11")
        )


def _centred(
    fields: np.void,
    shape: tuple[int, int, int],
    path: Path,
    allowed: bool,
    repairs: list[Repair],
) -> Array64:
    sizes = _sizes(fields, path)
    if not allowed:
        raise GeometryError(
            "does not say where it lies (no sform, no qform)",
            where=path,
            hint="convert it from the original scan again, or say centred=ok",
            id="N12",
        )
    repairs.append(
        Repair(
            "no position in the header: taken as centred, with axes to the left, front and top",
            id="N12",
        )
    )
    steps = sizes * [-1.0, 1.0, 1.0]  # as nibabel does
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = -steps * (np.asarray(shape) - 1) / 2
    return affine
