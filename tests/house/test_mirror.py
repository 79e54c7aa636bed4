"""The tests mirror the packages: who knows a product file knows where its tests are."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    path.relative_to(ROOT)
    for package in ("medfuse", "registration", "pipelines")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name != "__init__.py"
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.as_posix())
def test_a_file_has_its_test_file(path: Path) -> None:
    mirror = ROOT / "tests" / path.parent
    assert list(mirror.glob(f"test_{path.stem}*.py")), f"no test_{path.stem}.py in {mirror}"
