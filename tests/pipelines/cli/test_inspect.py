"""``medfuse inspect``: what is there, and nothing of the patient."""

from __future__ import annotations

import json
from pathlib import Path

from pydicom.dataset import Dataset

from tests.end_to_end.conftest import Run
from tests.medfuse.io import dicom_maker


def test_a_file(medfuse: Run, scans: Path) -> None:
    said = medfuse("inspect", "CT.nii.gz")
    assert (said.code, said.err) == (0, [])
    lines = said.out.splitlines()
    assert lines[0] == "CT.nii.gz"
    assert lines[1] == "  NIfTI, volume, CT"
    assert lines[2] == "  36 x 44 x 40 voxels of 4.5 x 4.5 x 4.5 mm, axes RAS"
    assert lines[3].endswith(" HU")


def test_json_is_json_alone(medfuse: Run, scans: Path) -> None:
    said = medfuse("inspect", ".", "--json")
    found = json.loads(said.out)["found"]
    assert {one["name"]: one["modality"] for one in found} == {
        "CT.nii.gz": "CT",
        "PET.nii.gz": "PET",
        "T1.nii.gz": "T1",
    }
    assert found[0]["shape"] == [40, 44, 36]


def test_a_folder_of_series_lists_what_picks_one(medfuse: Run, tmp_path: Path) -> None:
    dicom_maker.series(tmp_path / "a", count=4)
    other = f"{dicom_maker.SERIES}9"

    def renamed(_: int, made: Dataset) -> None:
        made.SeriesInstanceUID = other

    dicom_maker.series(tmp_path / "b", renamed, count=3)
    said = medfuse("inspect", tmp_path)
    assert said.code == 0
    assert f":series={dicom_maker.SERIES}\n" in said.out
    assert f":series={other}\n" in said.out
    assert "series 5, 4 instances" in said.out
    for secret in (dicom_maker.NAME, dicom_maker.BIRTH, dicom_maker.ID, dicom_maker.TALE):
        assert secret not in said.out


def test_D7_a_tilted_gantry_is_a_warning(medfuse: Run, tmp_path: Path) -> None:
    def tilt(k: int, made: Dataset) -> None:
        made.ImagePositionPatient = [-20.0, -30.0 + 0.8 * k, 40.0 + 3.0 * k]

    dicom_maker.series(tmp_path / "series", tilt)
    said = medfuse("inspect", tmp_path / "series")
    assert said.code == 0
    assert len(said.err) == 1
    assert said.err[0].startswith("medfuse: warning[D7]: ")


def test_what_cannot_be_read_is_refused(medfuse: Run, tmp_path: Path) -> None:
    said = medfuse("inspect", tmp_path / "none")
    assert said.code == 3
    assert len(said.err) == 1
    assert said.out == ""
