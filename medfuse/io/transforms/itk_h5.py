"""ITK's transforms in HDF5 (``.h5``): linear ones, displacement fields, composites of both.

ITK's own writer stores the time, the host's system and its version; ours leaves all of it out, so
that the same transform gives the same bytes. The layout: ``/TransformGroup/N/TransformType``,
``TransformParameters`` and ``TransformFixedParameters``; N = 0 is the composite, if there is one.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medfuse.errors import InputError
from medfuse.io.transforms.itk_kinds import Stored, check_kind, field_grid

if TYPE_CHECKING:
    import h5py

MAGIC = b"\x89HDF\r\n\x1a\n"
_GROUP = "TransformGroup"
_INFLATION = 1100  # deflate cannot shrink more than 1032 times
_PARAMETERS = ("TransformParameters", "TranformParameters")  # older ITK misspelled its own names
_FIXED = ("TransformFixedParameters", "TranformFixedParameters")


def sniff(head: bytes) -> bool:
    """Tell whether ``head`` starts an HDF5 file."""
    return head.startswith(MAGIC)


def read(path: Path, where: object) -> list[Stored]:
    """Return the transforms in the file, in the order of their numbers.

    Raises ``InputError`` for a cut or damaged file and for links out of it (X5), no transforms
    (X11), and sizes that do not fit together or the file (X6).
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            group = _member(file, (_GROUP,), h5py.Group, where)
            if group is None or any(not name.isdecimal() for name in group):
                raise InputError(
                    "holds no ITK transforms", where=where, hint="give an ITK .h5", id="X11"
                )
            budget = path.stat().st_size * _INFLATION
            return [_stored(group, name, budget, where) for name in sorted(group, key=int)]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise _damaged(where) from error


def payload(items: list[Stored]) -> bytes:
    """Return the file of ``items``: the same bytes every time, without times, host or version.

    It is made in memory: on a disk that is full, or may not grow, HDF5 itself would crash.
    """
    import h5py

    word = h5py.string_dtype("ascii")
    made = BytesIO()
    with h5py.File(made, "w", libver="earliest", track_order=False) as file:
        # what ITK reads before anything else: which ITK wrote it; the layout is that of 5.x
        file.create_dataset("ITKVersion", data=np.array([b"5.4.0"], dtype=object), dtype=word)
        group = file.create_group(_GROUP)
        for number, item in enumerate(items):
            entry = group.create_group(str(number))
            kind = np.array([item.kind.encode()], dtype=object)
            entry.create_dataset("TransformType", data=kind, dtype=word)
            if item.kind.startswith("CompositeTransform"):
                continue
            entry.create_dataset(_FIXED[0], data=item.fixed)
            large = (
                {"compression": "gzip", "compression_opts": 5} if item.parameters.size > 99 else {}
            )
            entry.create_dataset(_PARAMETERS[0], data=item.parameters, **large)
    return made.getvalue()


def _stored(group: h5py.Group, name: str, budget: int, where: object) -> Stored:
    import h5py

    entry = _member(group, (name,), h5py.Group, where)
    kind = None if entry is None else _member(entry, ("TransformType",), h5py.Dataset, where)
    if entry is None or kind is None:
        raise _damaged(where)
    text = _word(kind, where)
    if check_kind(text, where) == "CompositeTransform":
        return Stored(text, np.zeros(0), np.zeros(0))
    fixed = _numbers(_member(entry, _FIXED, h5py.Dataset, where), 18, where)
    limit = 15
    if text.startswith("DisplacementField"):
        shape, _ = field_grid(fixed, where)
        limit = min(3 * shape[0] * shape[1] * shape[2], budget)
    parameters = _numbers(_member(entry, _PARAMETERS, h5py.Dataset, where), limit, where)
    return Stored(text, parameters, fixed)


def _word(data: h5py.Dataset, where: object) -> str:
    """Return the one word of a dataset, once it is known to hold a string: else HDF5 may crash."""
    import h5py

    held = h5py.check_string_dtype(data.dtype)
    stored = data.id.get_type()
    if held is None or data.shape not in {(), (1,)} or data.is_virtual or data.external:
        raise _damaged(where)
    if stored.get_class() != h5py.h5t.STRING or data.dtype.itemsize > 200:
        raise _damaged(where)
    word = np.asarray(data[()]).ravel()[0]
    return word.decode("ascii", "replace") if isinstance(word, bytes) else str(word)


def _numbers(data: h5py.Dataset | None, limit: int, where: object) -> Any:
    """Return a row of numbers, once it is known that there are at most ``limit`` of them."""
    if data is None:
        return np.zeros(0)
    if data.dtype.kind != "f" or data.ndim != 1 or data.is_virtual or data.external:
        raise _damaged(where)
    if data.size > limit:
        raise InputError(
            f"the transform holds {data.size} numbers, more than belong to it",
            where=where,
            hint="copy or write the file again",
            id="X6",
        )
    return np.asarray(data[()], dtype=np.float32 if data.dtype.itemsize == 4 else np.float64)


def _member(group: h5py.Group, names: tuple[str, ...], kind: type, where: object) -> Any:
    """Return the first of ``names`` in a group; links, which may lead elsewhere, are refused."""
    import h5py

    for name in names:
        if name in group:
            inside = isinstance(group.get(name, getlink=True), h5py.HardLink)
            if not inside or not isinstance(group[name], kind):
                raise _damaged(where)
            return group[name]
    return None


def _damaged(where: object) -> InputError:
    return InputError(
        "the HDF5 file is cut or damaged",
        where=where,
        hint="copy it again from where it came",
        id="X5",
    )
