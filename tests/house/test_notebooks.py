"""Notebooks come without outputs: what they show is drawn anew, and no patient is committed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_holds_no_outputs(path: Path) -> None:
    code = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if "outputs" in cell]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_uses_the_face_alone(path: Path) -> None:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert "import medfuse as mf" in text
    assert not any(f"{word} {name}" in text for word in ("import", "from") for name in INNER)


INNER = ("registration", "pipelines", "medfuse.")
