"""What the header of an NRRD or MetaImage file says, checked before any voxel is touched.

Both formats list axes in file order (x, y, z), fastest first; the last step here turns that into
our array order. Nothing of a header but what ``Header`` holds goes further into the house.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medfuse.errors import GeometryError, InputError, Repair
from medfuse.geometry import Array64, Geometry
from medfuse.io import files

MAX_HEADER = 1 << 20
MILLIMETRES = {"mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1e3, "um": 1e-3, "micron": 1e-3}

_NUMBER = re.compile(
    r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?(nan|inf|infinity)", re.IGNORECASE | re.ASCII
)
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")


@dataclass(frozen=True, eq=False)
class Header:
    """One file's header.

    ``sizes`` along all axes in file order, fastest first; ``space`` the three of them that lie in
    space; ``dtype`` as stored, with its byte order; ``world_from_index`` (4, 4) from (i, j, k)
    along the space axes to LPS mm; ``encoding`` raw, gzip, zlib or bzip2; the voxels begin at
    byte ``offset`` of ``data`` (negative: counted so that they end with the file).
    """

    sizes: tuple[int, ...]
    space: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    world_from_index: Array64
    encoding: str
    data: Path
    offset: int
    repairs: tuple[Repair, ...] = field(default=())

    @property
    def bytes(self) -> int:
        """How many bytes the voxels take."""
        return math.prod(self.sizes) * self.dtype.itemsize

    def geometry(self) -> Geometry:
        """Return the grid, axes in array order (d, h, w)."""
        width, height, depth = (self.sizes[axis] for axis in self.space)
        return Geometry((depth, height, width), self.world_from_index[:, [2, 1, 0, 3]])


def numbers(text: str, count: int, *, what: str, where: object, id: str) -> Array64:
    """Return the ``count`` finite numbers in ``text``, (count,).

    Raises ``InputError`` with ``id`` for words, a decimal comma, another count, NaN or infinity.
    """
    words = text.split()
    if any(_DECIMAL_COMMA.fullmatch(word) for word in words):
        raise InputError(
            f"the {what} has a decimal comma", where=where, hint="write it with a point", id=id
        )
    if len(words) != count or not all(_NUMBER.fullmatch(word) for word in words):
        raise InputError(
            f"the {what} is not {count} numbers", where=where, hint="mend the header", id=id
        )
    values = np.array([float(word) for word in words], dtype=np.float64)
    if not np.isfinite(values).all():
        raise GeometryError(
            f"the {what} holds numbers that are not finite",
            where=where,
            hint="mend the header",
            id=id,
        )
    return values


def sizes_of(text: str, count: int, *, where: object) -> tuple[int, ...]:
    """Return the sizes along all axes. Raises ``InputError`` (R12) unless they make sense."""
    words = text.split()
    if len(words) != count or not all(re.fullmatch(r"[-+]?[0-9]{1,18}", word) for word in words):
        raise InputError(
            f"the sizes are not {count} whole numbers",
            where=where,
            hint="mend the header",
            id="R12",
        )
    sizes = tuple(int(word) for word in words)
    if min(sizes) < 1 or math.prod(sizes) > files.MAX_VOXELS:
        raise InputError(
            f"the header declares {' x '.join(map(str, sizes))} voxels",
            where=where,
            hint="mend the header",
            id="R12",
        )
    return sizes


def placed(steps: Array64, origin: Array64, *, where: object) -> Array64:
    """Return ``world_from_index`` (4, 4) from the axis steps, as columns (3, 3), and the origin.

    Raises ``GeometryError`` (R10) where the steps do not span space.
    """
    lengths = np.linalg.norm(steps, axis=0)
    if lengths.min() < 1e-6 or abs(np.linalg.det(steps / lengths)) < 1e-6:
        raise GeometryError(
            "the directions of the axes do not span space",
            where=where,
            hint="mend the header",
            id="R10",
        )
    matrix = np.eye(4)
    matrix[:3, :3] = steps
    matrix[:3, 3] = origin
    return matrix


def centred(
    sizes: Iterable[int], steps: Array64, options: Mapping[str, str], *, where: object
) -> tuple[Array64, Repair]:
    """Return an origin that puts the middle of the grid at 0, where a header has none.

    Raises ``GeometryError`` (N12) unless the user said ``centred=ok``.
    """
    if options.get("centred") != "ok":
        raise GeometryError(
            "the header does not say where the volume lies",
            where=where,
            hint="add :centred=ok to the path to put its middle at 0",
            id="N12",
        )
    origin: Array64 = -steps @ ((np.array(tuple(sizes), dtype=np.float64) - 1) / 2)
    return origin, Repair(
        "no origin in the header: the middle of the volume was put at 0", id="N12"
    )


def data_file(name: str, header: Path, *, where: object, id: str) -> Path:
    """Return the path of a detached data file.

    Raises ``InputError``: it lies outside the header's folder (``id``: R2 or R3), is absent (R1),
    or is a list or pattern of several files.
    """
    words = name.split()
    pattern = len(words) > 3 and "%" in words[0] and all(w.lstrip("-").isdigit() for w in words[1:])
    if pattern or (words and words[0].upper() == "LIST" and len(words) < 3):
        raise InputError(
            "the header names several data files",
            where=where,
            hint="convert it to one file first",
            id=id,
        )
    folder = header.parent.resolve()
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):
        inside = False
    if not inside:
        raise InputError(
            "the header names a data file outside its own folder",
            where=where,
            hint="put the data file beside the header and name it without a folder",
            id=id,
        )
    if not path.exists():
        raise InputError(
            f"the data file {name!r} is missing",
            where=where,
            hint="copy it beside the header",
            id="R1",
        )
    return files.readable(path)


def to_millimetres(
    unit: str, steps: Array64, origin: Array64, *, where: object
) -> tuple[Array64, Array64, tuple[Repair, ...]]:
    """Return steps and origin in mm, with a repair where another unit was declared."""
    word = unit.strip(' "').lower()
    if word in {"", "?", "???", "mm", "millimeter"}:
        return steps, origin, ()
    if word not in MILLIMETRES:
        raise GeometryError(
            f"lengths are in the unknown unit {word[:20]!r}",
            where=where,
            hint="write the header in mm",
            id="N13",
        )
    factor = MILLIMETRES[word]
    repair = Repair(f"lengths were in {word} and were converted to mm", id="N13")
    return steps * factor, origin * factor, (repair,)
