"""Only a whole record of ``medfuse segment`` makes a folder one of predictions."""

from __future__ import annotations

from pathlib import Path

import pytest

from medfuse.io.own_results import is_segmented


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ('{"command": "segment", "model": {}}', True),
        ('{"command": "register", "moving": []}', False),
        ('{"command": "segment"}', False),
        ('["segment"]', False),
        ('{"command": "segm', False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_whose_record_it_is(tmp_path: Path, text: str, ours: bool) -> None:
    (tmp_path / "record.json").write_text(text)
    assert is_segmented(tmp_path) is ours


def test_no_record_is_none(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    assert not is_segmented(tmp_path)
    assert not is_segmented(tmp_path / "nothing")
