"""Each documented hostile input has a test that bears its id, and each id we raise is explained."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = {
    "N": [n for n in range(1, 51) if n != 29],
    "D": [*range(1, 26), 29, 30, 33, *range(35, 42), 45, 47],
    "R": list(range(1, 14)),
    "X": list(range(1, 12)),
    "S": list(range(1, 8)),
    "M": list(range(1, 12)),
    "C": list(range(1, 14)),
}
IDS = [f"{letter}{number}" for letter, numbers in ROWS.items() for number in numbers]


def rows_with_a_test() -> set[str]:
    """Return the ids that stand in the name of a test."""
    texts = (path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for text in texts for name in re.findall(r"def test_([A-Z]\d+)_", text)}


def raised() -> dict[str, str]:
    """Return the ids that product code gives to errors and repairs, and where."""
    found: dict[str, str] = {}
    for package in ("medfuse", "registration", "pipelines"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                for word in node.keywords if isinstance(node, ast.Call) else ():
                    if word.arg == "id" and isinstance(word.value, ast.Constant):
                        found[word.value.value] = f"{path.relative_to(ROOT)}:{word.value.lineno}"
    found.pop("", None)
    return found


@pytest.mark.parametrize("row", IDS)
def test_a_row_has_its_test(row: str) -> None:
    assert row in rows_with_a_test()


def test_ids_that_we_raise_are_explained() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    missing = {id: where for id, where in raised().items() if not re.search(rf"\b{id}\b", page)}
    assert missing == {}
