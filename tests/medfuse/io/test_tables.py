"""CSV in and out: cells stay text, whatever they look like, with Python's csv as judge."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from medfuse.errors import InputError
from medfuse.io.tables import read_table, write_table


def put(folder: Path, content: bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(content)
    return path


def test_C1_a_mark_and_windows_line_ends_are_nothing(tmp_path: Path) -> None:
    path = put(tmp_path, b"\xef\xbb\xbfsubject,T1\r\na,b.nii\r\n\r\n")
    columns, rows = read_table(path, key="subject")
    assert columns == ("subject", "T1")
    assert [(row.line, row.cells) for row in rows] == [(2, {"subject": "a", "T1": "b.nii"})]


def test_C2_cells_are_text(tmp_path: Path) -> None:
    path = put(tmp_path, b"subject,site\n007,NA\n1E5,nan\n  x ,\n")
    _, rows = read_table(path, key="subject")
    assert [tuple(row.cells.values()) for row in rows] == [
        ("007", "NA"),
        ("1E5", "nan"),
        ("x", ""),
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_C3_the_separator_is_found(tmp_path: Path, mark: str) -> None:
    path = put(tmp_path, f"subject{mark}T1\na{mark}b\n".encode())
    assert read_table(path, key="subject")[1][0].cells == {"subject": "a", "T1": "b"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"patient,T1\na,b\n", "no column 'subject'"),
        (b"subject|T1\na|b\n", "no column 'subject'"),
        (b"subject,T1,T1\na,b,c\n", "twice"),
        (b"subject,T1\na,b,c\n", "3 cells"),
        (b'subject,T1\na,"b\n', "is no CSV"),
        (b"subject,T1\n\xff\xfe,b\n", "UTF-8"),
        (b"\n\n", "no column"),
    ],
)
def test_C3_what_is_no_table_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read_table(put(tmp_path, content), key="subject")
    assert caught.value.id == "C3"


def test_a_short_row_is_filled_up(tmp_path: Path) -> None:
    path = put(tmp_path, b'subject,T1,CT\na\n"b, c",x\n')
    cells = [row.cells for row in read_table(path, key="subject")[1]]
    assert cells[0] == {"subject": "a", "T1": "", "CT": ""}
    assert cells[1] == {"subject": "b, c", "T1": "x", "CT": ""}


@pytest.mark.parametrize("bad", ["=cmd()", "+1", "-x", "@SUM(A1)", "\tx"])
def test_C11_a_formula_is_disarmed(tmp_path: Path, bad: str) -> None:
    path = write_table(tmp_path / "out.csv", ["id", "dice"], [[bad, -0.5], ["ok", None]])
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows == [["id", "dice"], [f"'{bad}", "-0.5"], ["ok", ""]]
