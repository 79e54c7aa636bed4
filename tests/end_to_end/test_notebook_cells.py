"""Cells of the notebook where a run goes another way than on the made head: in words, no crash."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medfuse.geometry import Geometry
from medfuse.transform import IDENTITY

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_read_and_align.ipynb"


def cell(word: str) -> Any:
    """Return the code of the one cell that holds ``word``."""
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    (text,) = [text for one in cells if word in (text := "".join(one["source"]))]
    return compile(text, word, "exec")


def test_a_folder_with_one_scan_ends_with_a_sentence() -> None:
    shown: list[object] = []
    names = {
        "FIXED": "T1",
        "MOVING": ["CT"],
        "study": SimpleNamespace(volumes={"T1": 0, "FLAIR": 0}),
        "mf": SimpleNamespace(show=lambda *_, **__: shown.append(1)),
    }
    with pytest.raises(SystemExit, match=r"nothing to align: found T1, FLAIR\. Set FIXED"):
        exec(cell("names = [name for"), names)
    names["FIXED"], names["MOVING"] = "FLAIR", ["T1"]
    exec(cell("names = [name for"), names)
    assert shown == [1]


def test_a_scan_that_the_gate_dropped_takes_no_part_any_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "truth").mkdir()
    grid = Geometry((3, 3, 3), np.eye(4))
    transforms = {"CT": IDENTITY, "PET": IDENTITY}
    names = {
        "FIXED": "T1",
        "names": ["T1", "CT", "PET"],
        "folder": tmp_path,
        "np": np,
        "study": SimpleNamespace(labels=SimpleNamespace(array=np.ones((3, 3, 3)), geometry=grid)),
        "good": SimpleNamespace(volumes={"T1": 0, "CT": 0}, transforms=transforms),
        "aligned": SimpleNamespace(geometry=grid),
        "mf": SimpleNamespace(read_transform=lambda _: IDENTITY, apply=lambda _, points: points),
    }
    exec(cell("true error"), names)
    exec(cell("marked = "), names)
    said = capsys.readouterr().out
    assert "CT: true error 0.00 mm" in said
    assert "PET" not in said
