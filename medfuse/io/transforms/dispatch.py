"""Transform files in and out: which format a file has, and one check for all of them.

Reading goes by content, writing by suffix. Points are LPS mm and go from fixed to moving.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from medfuse.errors import InputError, OutputError, UsageError
from medfuse.io import files
from medfuse.io.transforms import itk, itk_h5, itk_mat, strangers
from medfuse.io.transforms.itk_kinds import Stored, flat, stored, transform_of
from medfuse.transform import Displacement, Transform

_TEXT_LIMIT = 1 << 28


def read_transform(path: str | os.PathLike[str]) -> Transform:
    """Return the transform in an ITK file: text (.tfm, .txt), ANTs' .mat, or HDF5 (.h5).

    It maps points of the fixed volume to points of the moving one, LPS mm, as ITK's do. Raises
    ``InputError`` (rows X1 to X12 of the documented errors) for whatever is no such transform,
    and for numbers that no patient's alignment can have.
    """
    where = path
    try:
        file = files.readable(path)
    except InputError as error:
        id = "X11" if error.id == "N43" else error.id
        raise InputError(error.what, where=where, hint=error.hint, id=id) from None
    try:
        return transform_of(_stored(file, where), where)
    except InputError as error:  # a grid does not know its file
        error.where = where if error.where is None else error.where
        raise


def write_transform(
    transform: Transform,
    path: str | os.PathLike[str],
    *,
    inputs: Iterable[Path] = (),
    overwrite: bool = True,
) -> Path:
    """Write a transform whole or not at all, read it back, and return its path.

    ``.tfm`` or ``.txt``: a linear transform (a chain of matrices is one), always as an
    ``AffineTransform_double_3_3``; ``.h5``: any transform, a chain as an ITK composite. Both open
    in ITK, ANTs and 3D Slicer, and the same transform gives the same bytes. ``inputs`` are files
    that must not be written over. Raises ``UsageError`` for another suffix or a displacement field
    as text, ``OutputError`` where the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix in {".tfm", ".txt"}:
        payload = itk.text(transform).encode()
    elif suffix == ".h5":
        payload = itk_h5.payload(stored(transform))
    else:
        raise UsageError(
            f"transforms are not written as {suffix or 'files without a suffix'}",
            where=path,
            hint="name it .tfm (linear) or .h5 (any)",
        )

    def write(made: Path) -> None:
        with made.open("wb") as stream:
            stream.write(payload)

    def check(made: Path) -> None:
        try:
            same = _same(read_transform(made), transform)
        except InputError:  # cut by a disk that did not say so
            same = False
        if not same:
            raise OutputError("what was written reads differently", where=path, id="S2")

    return files.write_file(path, write, check=check, inputs=inputs, overwrite=overwrite)


def _stored(file: Path, where: object) -> list[Stored]:
    head = files.head(file)
    if itk_h5.sniff(head):
        return itk_h5.read(file, where)
    if itk_mat.sniff(head):
        return itk_mat.read(files.content(file, limit=_TEXT_LIMIT), where)
    if itk.sniff(head):
        return itk.read(files.content(file, limit=_TEXT_LIMIT), where)
    raise strangers.refusal(head, where)


def _same(one: Transform, other: Transform) -> bool:
    """Tell whether two transforms hold the same numbers."""
    parts, others = flat(one), flat(other)
    return len(parts) == len(others) and all(
        _same_part(part, twin) for part, twin in zip(parts, others, strict=True)
    )


def _same_part(one: Transform, other: Transform) -> bool:
    if isinstance(one, Displacement):
        return (
            isinstance(other, Displacement)
            and one.geometry.same_grid(other.geometry)
            and np.array_equal(one.field, other.field)
        )
    return not isinstance(other, Displacement) and np.array_equal(
        one.moving_from_fixed,  # type: ignore[attr-defined]
        other.moving_from_fixed,  # type: ignore[attr-defined]
    )
