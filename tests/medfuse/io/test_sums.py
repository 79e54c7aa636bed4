"""Checksums of visits: they follow the bytes and how these are read, not where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from medfuse.io.sums import visit_sum
from medfuse.study import StudyEntry


def visit(root: Path, option: str = "") -> StudyEntry:
    (root / "ct").mkdir(parents=True, exist_ok=True)
    files = root / "t1.nii", root / "ct" / "IM1", root / "labels.nii"
    for file in files:
        if not file.exists():
            file.write_text(file.name)
    volumes = {"T1": f"{files[0]}{option}", "CT": str(files[1].parent)}
    return StudyEntry("a", "", volumes, str(files[2]))


def test_a_copy_elsewhere_has_the_same_sum(tmp_path: Path) -> None:
    assert visit_sum(visit(tmp_path / "one")) == visit_sum(visit(tmp_path / "two"))


@pytest.mark.parametrize("name", ["t1.nii", "ct/IM1", "labels.nii"])
def test_one_byte_changes_it(tmp_path: Path, name: str) -> None:
    before = visit_sum(visit(tmp_path))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"0")
    assert visit_sum(visit(tmp_path)) != before


def test_another_way_of_reading_changes_it(tmp_path: Path) -> None:
    assert visit_sum(visit(tmp_path)) != visit_sum(visit(tmp_path, ":xform=sform"))


def test_scans_that_are_not_asked_for_and_hidden_files_do_not_count(tmp_path: Path) -> None:
    before = visit_sum(visit(tmp_path), ["CT"])
    (tmp_path / "t1.nii").write_text("another")
    (tmp_path / "ct" / ".DS_Store").write_text("where icons lie")
    assert visit_sum(visit(tmp_path), ["CT"]) == before
    assert visit_sum(visit(tmp_path), ["T1", "CT"]) != before
