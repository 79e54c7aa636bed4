"""Tables of points: a CSV file with the columns x, y, z in LPS mm."""

from __future__ import annotations

import csv
import io
import math
import os
from pathlib import Path

import numpy as np

from medfuse.errors import InputError
from medfuse.geometry import Array64
from medfuse.io.files import content, readable, write_text

_LIMIT = 1 << 28  # bytes


def read_points(path: str | os.PathLike[str]) -> Array64:
    """Return the points (N, 3), LPS mm, of a table with columns ``x``, ``y``, ``z``.

    Commas, semicolons or tabs part the columns; other columns are passed over. A table of three
    bare columns may go without names. Raises ``InputError`` for a column that is missing and for
    a value that is no finite number, with its line.
    """
    file = readable(path)
    try:
        text = content(file, limit=_LIMIT).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is no text in UTF-8", where=path, hint="save it as CSV (UTF-8)") from None
    first = text.split("\n", 1)[0]
    part = max(",;\t", key=first.count)
    rows = [
        row for row in csv.reader(io.StringIO(text), delimiter=part) if any(map(str.strip, row))
    ]
    columns, below = _columns(rows, path)
    first_line = 2 if len(below) < len(rows) else 1
    places = [
        [_number(row, column, line, path) for column in columns]
        for line, row in enumerate(below, start=first_line)
    ]
    return np.asarray(places, dtype=np.float64).reshape(-1, 3)


def _columns(rows: list[list[str]], path: object) -> tuple[list[int], list[list[str]]]:
    """Return where x, y and z stand, and the rows below the names."""
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    if {"x", "y", "z"} <= set(names):
        return [names.index(axis) for axis in "xyz"], rows[1:]
    if len(names) == 3 and all(map(_is_number, names)):
        return [0, 1, 2], rows
    raise InputError("has no columns x, y and z", where=path, hint="begin with the line x,y,z")


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _number(row: list[str], column: int, line: int, path: object) -> float:
    cell = row[column] if column < len(row) else ""
    if not _is_number(cell):
        raise InputError(
            f"line {line}: {cell.strip()!r} is no finite number",
            where=path,
            hint="write numbers with a decimal point, in mm",
        )
    return float(cell)


def write_points(points: Array64, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write points (N, 3), LPS mm, as a table with the columns x, y, z and a nanometre's digits."""
    rounded = np.round(points, 6) + 0.0  # no "-0.000000"
    lines = ["x,y,z", *(",".join(f"{value:.6f}" for value in point) for point in rounded)]
    return write_text(path, "\n".join(lines) + "\n", overwrite=overwrite)
