"""Written reports: encodings, blanks, and what is no text (rows T1 to T5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from medfuse.errors import InputError, Repair
from medfuse.io.reports import read_text

TEXT = "Befund: Läsion rechts.\n左侧额叶病变。\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode(encoding))
    assert read_text(path) == TEXT


def test_T2_gb18030_aloud(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes("左侧额叶病变。".encode("gb18030"))
    with pytest.warns(Repair, match="GB18030"):
        assert read_text(path) == "左侧额叶病变。"


@pytest.mark.parametrize("content", [b"", b" \n\t \r\n", b"\xef\xbb\xbf"])
def test_T1_blank(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(content)
    assert read_text(path) is None


@pytest.mark.parametrize(
    ("content", "row"),
    [(b"\xff\xff\x80\x80 not text", "T2"), (b"PK\x03\x04\0\0", "T4"), (b"x" * 2_000_000, "T5")],
)
def test_T4_what_is_no_report(tmp_path: Path, content: bytes, row: str) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_text(path)
    assert caught.value.id == row
    assert "not text" not in str(caught.value) or row == "T4"  # nothing of it is repeated


def test_T1_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_text(tmp_path / "report.txt")
    assert caught.value.id == "N40"
