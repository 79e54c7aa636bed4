"""What a file of ITK's transforms holds, whichever format it has: kinds, numbers, their order.

ITK stores a transform as a kind (``AffineTransform_double_3_3``), parameters, and fixed parameters
(the centre of rotation, or the grid of a displacement field). Points are LPS mm and go from fixed
to moving, as in medfuse. Of a composite, the part stored last acts first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfuse.errors import GeometryError, InputError
from medfuse.geometry import Array64, Geometry
from medfuse.io.transforms.itk_linear import LINEAR, linear
from medfuse.transform import IDENTITY, Affine, Chain, Displacement, Transform

COMPOSITE = "CompositeTransform_double_3_3"
AFFINE = "AffineTransform_double_3_3"
FIELD = "DisplacementFieldTransform_float_3_3"


@dataclass(frozen=True, eq=False)
class Stored:
    """One transform as a file holds it: ``parameters`` (P,) and ``fixed`` (F,) of a ``kind``."""

    kind: str
    parameters: npt.NDArray[np.float64] | npt.NDArray[np.float32]
    fixed: Array64


def transform_of(items: Sequence[Stored], where: object) -> Transform:
    """Return the transform that the ``items`` of one file make.

    Raises ``InputError`` for no transform (X11), several without a composite (X7), another
    dimension (X1), an unknown kind (X4), a wrong count (X6), and for what ``linear`` refuses.
    """
    if not items:
        raise InputError("holds no transform", where=where, hint="write it again", id="X11")
    if not items[0].kind.startswith("CompositeTransform_"):
        if len(items) > 1:
            raise InputError(
                f"holds {len(items)} transforms that no composite joins",
                where=where,
                hint="write them as one CompositeTransform, or as one file each",
                id="X7",
            )
        return _single(items[0], where)
    check_kind(items[0].kind, where)
    if len(items) == 1:
        raise InputError(
            "holds a composite without parts", where=where, hint="write it again", id="X11"
        )
    made: Transform = Chain(())
    for item in reversed(items[1:]):
        made = made.then(_single(item, where))
    return made


def stored(transform: Transform) -> list[Stored]:
    """Return what a file must hold for ``transform``: one linear one or field, or a composite.

    Neighbouring matrices become one. Raises ``GeometryError`` for a field on a sheared grid.
    """
    parts = [_item(part) for part in flat(transform)]
    if len(parts) == 1:
        return parts
    nothing = np.zeros(0)
    return [Stored(COMPOSITE, nothing, nothing), *reversed(parts)]


def flat(transform: Transform) -> tuple[Affine | Displacement, ...]:
    """Return the parts of a chain of any depth in their order of acting, matrices joined."""
    made: Transform = Chain(())
    for part in _leaves(transform):
        made = made.then(part)
    parts = made.parts if isinstance(made, Chain) else (made,)
    return tuple(part for part in parts or (IDENTITY,) if isinstance(part, (Affine, Displacement)))


def _leaves(transform: Transform) -> Iterable[Affine | Displacement]:
    if isinstance(transform, Chain):
        for part in transform.parts:
            yield from _leaves(part)
    elif isinstance(transform, (Affine, Displacement)):
        yield transform
    else:
        raise TypeError(f"a {type(transform).__name__} cannot be stored")


def _item(part: Affine | Displacement) -> Stored:
    if isinstance(part, Affine):
        matrix = part.moving_from_fixed
        return Stored(AFFINE, np.concatenate([matrix[:3, :3].ravel(), matrix[:3, 3]]), np.zeros(3))
    grid = part.geometry
    if not grid.is_orthonormal:
        raise GeometryError("a displacement field on a sheared grid cannot be stored", id="N10")
    size, spacing = grid.shape[::-1], grid.spacing[::-1]
    fixed = np.concatenate([size, grid.origin, spacing, grid.direction[:, ::-1].ravel()])
    return Stored(FIELD, np.moveaxis(part.field, 0, -1).ravel(), fixed)  # (D, H, W, 3) in a row


def check_kind(kind: str, where: object) -> str:
    """Return the name of a kind without its numbers, once it is one of ours and in space."""
    found = re.fullmatch(r"([A-Za-z0-9]+)_(?:double|float)_(\d+)_(\d+)", kind)
    name = found[1] if found else kind
    if found and (found[2], found[3]) != ("3", "3"):
        raise InputError(
            f"the transform has {found[2]} dimensions, not 3",
            where=where,
            hint="give a transform of space",
            id="X1",
        )
    if not found or name not in {*LINEAR, "DisplacementFieldTransform", "CompositeTransform"}:
        raise InputError(
            f"transforms of the kind {name[:60]!r} are not supported",
            where=where,
            hint="write it as an AffineTransform or a displacement field",
            id="X4",
        )
    return name


def _single(item: Stored, where: object) -> Transform:
    name = check_kind(item.kind, where)
    if name == "CompositeTransform":
        raise InputError(
            "holds a composite inside a list of transforms",
            where=where,
            hint="write them as one CompositeTransform, or as one file each",
            id="X7",
        )
    if name == "DisplacementFieldTransform":
        return _displacement(item, where)
    count, fixed_counts, _ = LINEAR[name]
    _check_count(name, "parameters", len(item.parameters), (count,), where)
    _check_count(name, "fixed parameters", len(item.fixed), fixed_counts, where)
    return linear(name, item.parameters.astype(np.float64), item.fixed, where)


def _check_count(name: str, what: str, count: int, allowed: tuple[int, ...], where: object) -> None:
    if count not in allowed:
        raise InputError(
            f"{name} needs {allowed[0]} {what}, the file holds {count}",
            where=where,
            hint="copy or write the file again",
            id="X6",
        )


def _displacement(item: Stored, where: object) -> Displacement:
    shape, matrix = field_grid(item.fixed, where)
    expected = 3 * shape[0] * shape[1] * shape[2]
    _check_count("this displacement field", "parameters", len(item.parameters), (expected,), where)
    if not np.isfinite(item.parameters).all():
        raise InputError(
            "the displacement field holds values that are not finite",
            where=where,
            hint="make it again",
            id="X14",
        )
    vectors = item.parameters.astype(np.float32).reshape(*shape, 3)  # (D, H, W, 3)
    return Displacement(np.moveaxis(vectors, -1, 0), Geometry(shape, matrix))


def field_grid(fixed: Array64, where: object) -> tuple[tuple[int, int, int], Array64]:
    """Return the shape (D, H, W) and ``world_from_voxel`` of a displacement field's grid.

    ``fixed`` (18,): size, origin, spacing (each x, y, z) and direction, row by row.
    """
    _check_count("DisplacementFieldTransform", "fixed parameters", len(fixed), (18,), where)
    size, spacing = fixed[:3], fixed[6:9]
    whole = np.isfinite(fixed).all() and bool((size == np.round(size)).all())
    if not whole or size.min() < 1 or size.max() > 2**16 or spacing.min() <= 0:
        raise InputError(
            "the grid of the displacement field makes no sense",
            where=where,
            hint="make it again",
            id="X6",
        )
    width, height, depth = (int(n) for n in size)
    matrix = np.eye(4)
    matrix[:3, :3] = (fixed[9:].reshape(3, 3) * spacing)[:, ::-1]
    matrix[:3, 3] = fixed[3:6]
    return (depth, height, width), matrix
