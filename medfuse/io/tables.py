"""Tables as text: CSV in without guessing what a cell means, CSV out without a formula in it.

Every cell is text, so ``007`` and ``1E5`` stay what they are and ``NA`` is a name like any other.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medfuse.errors import InputError
from medfuse.io import files

_MOST = 1 << 26  # bytes
_MARKS = (",", ";", "\t")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so


@dataclass(frozen=True)
class Row:
    """One row: its ``line`` in the file, and its cells by column, stripped of blanks."""

    line: int
    cells: dict[str, str]


def read_table(path: str | os.PathLike[str], *, key: str) -> tuple[tuple[str, ...], list[Row]]:
    """Return the columns of a CSV file and its rows; separators are comma, semicolon or tab.

    The separator is the one that makes a column called ``key``; a byte order mark, CRLF and blank
    rows are nothing (C1). Raises ``InputError``: not UTF-8, no column ``key``, a column twice, or
    a row longer than the header (C3); as ``files.readable`` for what cannot be opened.
    """
    text = _text(path)
    mark = next((mark for mark in _MARKS if key in _cells(text, mark)), None)
    if mark is None:
        raise InputError(
            f"has no column {key!r}",
            where=path,
            hint="the first line names the columns, separated by comma, semicolon or tab",
            id="C3",
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        return _parsed(reader, path)
    except csv.Error as error:
        what = f"line {reader.line_num} is no CSV ({error})"
        raise InputError(what, where=path, hint="save it as CSV again", id="C3") from None


def write_table(
    path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> Path:
    """Write a CSV file (UTF-8, comma, line feed), whole or not at all, and return its path.

    Text that a spreadsheet would run as a formula gets ``'`` before it (C11); numbers do not.
    """
    return files.write_text(path, table_text(columns, rows))


def table_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the text that ``write_table`` writes."""
    made = io.StringIO(newline="")
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow([_harmless(name) for name in columns])
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return made.getvalue()


def _harmless(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell


def _text(path: str | os.PathLike[str]) -> str:
    raw = files.stored(files.readable(path), limit=_MOST)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            "is not UTF-8 text", where=path, hint="save it as CSV in UTF-8", id="C3"
        ) from None


def _cells(text: str, mark: str) -> list[str]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return [cell.strip().strip('"').strip() for cell in first.split(mark)]


def _parsed(reader: Iterable[list[str]], path: object) -> tuple[tuple[str, ...], list[Row]]:
    columns: tuple[str, ...] = ()
    rows = []
    for cells in reader:
        line = int(getattr(reader, "line_num", 0))
        stripped = [cell.strip() for cell in cells]
        if not any(stripped):
            continue
        if not columns:
            columns = tuple(stripped)
            twice = sorted({name for name in columns if columns.count(name) > 1})
            if twice:
                raise InputError(f"has the column {twice[0]!r} twice", where=path, id="C3")
            continue
        if len(stripped) > len(columns):
            what = f"line {line} has {len(stripped)} cells, the header {len(columns)}"
            raise InputError(what, where=path, hint="check its separators", id="C3")
        stripped += [""] * (len(columns) - len(stripped))
        rows.append(Row(line, dict(zip(columns, stripped, strict=True))))
    return columns, rows
