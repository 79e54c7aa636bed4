"""``medfuse phantom``: the options reach the maker of heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Run


def test_the_options_arrive(medfuse: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def phantom(out: str, *, progress: Any, **options: Any) -> Path:
        asked.update(options, out=out)
        progress("making heads", 0, 2)
        return Path(out)

    monkeypatch.setattr("medfuse.phantom.cohort.write_phantom", phantom)
    out = str(tmp_path / "heads")
    said = medfuse("phantom", out, "--subjects", "2", "--seed", "5", "--aligned", "--dicom")
    assert (said.code, said.err) == (0, [])
    assert asked == {"out": out, "subjects": 2, "seed": 5, "aligned": True, "dicom": True}
    assert said.out.splitlines() == ["making heads", f"wrote 2 heads into {out}"]


def test_S5_an_existing_head_is_not_replaced(medfuse: Run, tmp_path: Path) -> None:
    (tmp_path / "sub-001").mkdir()
    said = medfuse("phantom", tmp_path)
    assert said.code == 5
    assert len(said.err) == 1
    assert said.err[0].startswith("medfuse: error[S5]: ")
