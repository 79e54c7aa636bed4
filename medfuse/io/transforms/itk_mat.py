"""ANTs' binary ``.mat`` files: a transform in two matrices of a Matlab 4 file.

The first matrix is named after the kind of the transform and holds its parameters, the second is
called ``fixed``. The format: https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf,
Level 4.
"""

from __future__ import annotations

import struct

import numpy as np

from medfuse.errors import InputError
from medfuse.geometry import Array64
from medfuse.io.transforms.itk_kinds import Stored

_HEADER = 20
_TYPES = {0: "f8", 1: "f4"}  # what ITK writes; whole numbers never stand there


def sniff(head: bytes) -> bool:
    """Tell whether a file starts with the header of a real matrix named after a transform."""
    order = _byte_order(head[:_HEADER])
    if order is None:
        return False
    kind, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", head)
    name = head[_HEADER : _HEADER + max(0, min(length, 100))]
    return (
        kind % 1000 in {0, 10}
        and rows * columns < 2**20
        and imaginary == 0
        and (b"_double_" in name or b"_float_" in name)
    )


def read(raw: bytes, where: object) -> list[Stored]:
    """Return the transforms in a file's bytes. Raises ``InputError`` for a cut file (X12)."""
    order = _byte_order(raw[:_HEADER]) or "<"
    found: list[tuple[str, Array64]] = []
    at = 0
    while at < len(raw):
        name, values, at = _matrix(raw, at, order, where)
        found.append((name, values))
    if len(found) % 2 or any(name != "fixed" for name, _ in found[1::2]):
        raise _cut(where)
    pairs = zip(found[::2], found[1::2], strict=True)
    return [Stored(kind, parameters, fixed) for (kind, parameters), (_, fixed) in pairs]


def _matrix(raw: bytes, at: int, order: str, where: object) -> tuple[str, Array64, int]:
    if at + _HEADER > len(raw):
        raise _cut(where)
    kind, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", raw, at)
    precision = _TYPES.get(kind % 100 // 10)
    if precision is None or imaginary or min(rows, columns) < 0 or not 0 < length < 256:
        raise _cut(where)
    start = at + _HEADER + length
    stop = start + rows * columns * int(precision[1])
    if stop > len(raw):
        raise _cut(where)
    name = raw[at + _HEADER : start].split(b"\0")[0].decode("ascii", "replace")
    values = np.frombuffer(raw[start:stop], dtype=f"{order}{precision}").astype(np.float64)
    return name, values, stop


def _byte_order(header: bytes) -> str | None:
    if len(header) < _HEADER:
        return None
    # the first number is 1000 * (0 little, 1 big endian) + 10 * precision
    if struct.unpack("<i", header[:4])[0] in {0, 10}:
        return "<"
    return ">" if struct.unpack(">i", header[:4])[0] in {1000, 1010} else None


def _cut(where: object) -> InputError:
    return InputError(
        "the ANTs matrix file is cut or damaged",
        where=where,
        hint="copy it again from where it came",
        id="X12",
    )
