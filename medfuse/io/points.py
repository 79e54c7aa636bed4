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

Row = tuple[int, list[str]]


def read_points(path: str | os.PathLike[str]) -> Array64:
    """Return the points (N, 3), LPS mm, of a table with columns ``x``, ``y``, ``z``.

    Commas, semicolons or tabs part the columns; other columns are passed over. A table of three
    bare columns may go without names. Raises ``InputError`` for a column that is missing, for a row
    longer than the first (a decimal comma makes one) and for a value that is no finite number, with
    its line.
    """
    file = readable(path)
    try:
        text = content(file, limit=_LIMIT).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is no text in UTF-8", where=path, hint="save it as CSV (UTF-8)") from None
    rows = _rows(text, path)
    columns, below = _columns(rows, path)
    width = len(rows[0][1])
    places = []
    for line, row in below:
        if any(map(str.strip, row[width:])):
            raise InputError(
                f"line {line} has {len(row)} columns, the first has {width}",
                where=path,
                hint="write numbers with a decimal point, in mm",
            )
        places.append([_number(row, column, line, path) for column in columns])
    return np.asarray(places, dtype=np.float64).reshape(-1, 3)


def _rows(text: str, path: object) -> list[Row]:
    """Return the number and the cells of each line that holds any."""
    lines = io.StringIO(text, newline=None)  # also those that end in a lone CR
    first = next((line for line in lines if line.strip()), "")
    lines.seek(0)
    table = csv.reader(lines, delimiter=max(",;\t", key=first.count))
    try:
        return [(table.line_num, row) for row in table if any(map(str.strip, row))]
    except csv.Error:
        raise InputError(
            f"line {table.line_num}: no row of a table",
            where=path,
            hint="save it as CSV (UTF-8) with the columns x, y and z",
        ) from None


def _columns(rows: list[Row], path: object) -> tuple[list[int], list[Row]]:
    """Return where x, y and z stand, and the rows below the names."""
    names = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    if {"x", "y", "z"} <= set(names):
        return [names.index(axis) for axis in "xyz"], rows[1:]
    if len(names) == 3 and all(map(_is_number, names)):
        return [0, 1, 2], rows
    raise InputError("has no columns x, y and z", where=path, hint="begin with the line x,y,z")


def _is_number(cell: str) -> bool:
    try:
        return cell.isascii() and "_" not in cell and math.isfinite(float(cell))
    except ValueError:
        return False


def _number(row: list[str], column: int, line: int, path: object) -> float:
    cell = row[column] if column < len(row) else ""
    if not _is_number(cell):
        raise InputError(
            f"line {line}: {cell.strip()[:40]!r} is no finite number",
            where=path,
            hint="write numbers with a decimal point, in mm",
        )
    return float(cell)


def write_points(points: Array64, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
    """Write points (N, 3), LPS mm, as a table with the columns x, y, z and a nanometre's digits."""
    rounded = np.round(points, 6) + 0.0  # no "-0.000000"
    lines = ["x,y,z", *(",".join(f"{value:.6f}" for value in point) for point in rounded)]
    return write_text(path, "\n".join(lines) + "\n", overwrite=overwrite)
