"""``medfuse demo``: verdicts, true errors and the path of the page, line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medfuse.study import Quality
from pipelines.demo import Demonstration
from tests.end_to_end.conftest import Run


def test_what_it_says(medfuse: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quality = {"CT": Quality("pass", {}), "PET": Quality("review", {}, ("weak",))}

    def run_demo(out: str, *, overwrite: bool, progress: Any, announce: Any) -> Demonstration:
        assert (out, overwrite) == ("here", True)
        return Demonstration(quality, {"CT": 0.041, "PET": 0.6}, tmp_path / "page.html", 0)

    monkeypatch.setattr("pipelines.demo.run_demo", run_demo)
    said = medfuse("demo", "--out", "here", "--overwrite")
    assert said.code == 0
    assert said.out.splitlines() == [
        "CT: pass, true error 0.04 mm",
        "PET: review, true error 0.60 mm (weak)",
        f"page: {tmp_path / 'page.html'}",
    ]


def test_S5_a_folder_that_holds_something_is_left_alone(medfuse: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    said = medfuse("demo", "--out", tmp_path)
    assert said.code == 5
    assert len(said.err) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
