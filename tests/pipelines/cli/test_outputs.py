"""Where a single result may go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medfuse.errors import OutputError, UsageError
from pipelines.cli import outputs


def test_a_good_target_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = outputs.target("ct.NII.gz", given=["none.nii"], overwrite=False)
    assert path == tmp_path / "ct.NII.gz"
    assert outputs.target("points.csv", given=[], overwrite=False, scan=False).name == "points.csv"


@pytest.mark.parametrize("name", ["ct", "ct.jpg", "ct.dcm", "points.csv"])
def test_a_scan_needs_a_name_with_a_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="format"):
        outputs.target(str(tmp_path / name), given=[], overwrite=True)


def test_S4_an_input_is_not_written_over(tmp_path: Path) -> None:
    given, link = tmp_path / "in.nii", tmp_path / "link.nii"
    given.write_bytes(b"scan")
    os.link(given, link)
    for name in (given, link):
        with pytest.raises(OutputError, match="one of the inputs") as caught:
            outputs.target(str(name), given=[f"{given}:CT"], overwrite=True)
        assert caught.value.id == "S4"


def test_S5_an_existing_file_needs_the_word(tmp_path: Path) -> None:
    (tmp_path / "out.nii").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        outputs.target(str(tmp_path / "out.nii"), given=[], overwrite=False)
    assert outputs.target(str(tmp_path / "out.nii"), given=[], overwrite=True)
    with pytest.raises(OutputError, match="no such folder"):
        outputs.target(str(tmp_path / "none" / "out.nii"), given=[], overwrite=True)
