"""What ``inspect`` tells of files and folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medfuse.errors import InputError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.io import dicom_scan
from medfuse.io.inspection import inspect
from medfuse.io.studies import read_study
from medfuse.io.volumes import write_labels, write_volume
from medfuse.modality import MODALITIES
from medfuse.volume import LabelMap, Volume
from tests.medfuse.io import dicom_maker as maker


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Write a small CT."""
    geometry = Geometry((3, 4, 5), np.diag([3.0, 2.0, 1.0, 1.0])[[2, 1, 0, 3]])
    values = np.linspace(-1000, 500, 60).reshape(3, 4, 5)
    return write_volume(Volume(values, geometry, MODALITIES["CT"]), tmp_path / "head_ct.nii.gz")


def test_a_file(scan: Path) -> None:
    (found,) = inspect(scan)
    assert (found.name, found.format, found.kind) == (str(scan), "NIfTI", "volume")
    assert (found.modality, found.unit, found.shape) == ("CT", "HU", (3, 4, 5))
    assert found.spacing == pytest.approx((3.0, 2.0, 1.0))
    assert found.orientation == "LPS"
    assert found.values == (-1000, 500)
    assert found.repairs == ()


def test_labels(scan: Path) -> None:
    array = np.zeros((3, 4, 5), "u2")
    array[0], array[1, 1, 1] = 4, 2
    path = scan.with_name("labels.nii")
    write_labels(LabelMap(array, Geometry((3, 4, 5), np.eye(4))), path)
    (found,) = inspect(str(path))
    assert (found.kind, found.labels, found.values) == ("labels", (2, 4), None)


def test_repairs_are_listed_and_not_warned_of(scan: Path) -> None:
    (found,) = inspect(scan.rename(scan.with_name("head_ct.nii")))
    assert [repair.id for repair in found.repairs] == ["N32"]


def test_a_folder_lists_what_is_broken(scan: Path) -> None:
    bad = scan.with_name("bad_T1w.nii")
    bad.write_bytes(scan.read_bytes()[:-10])
    first, second = inspect(scan.parent)
    assert (first.name, second.name) == ("bad_T1w.nii", "head_ct.nii.gz")
    assert first.problem is not None
    assert first.problem.id == "N1"
    assert second.problem is None
    document = json.loads(json.dumps([first.document(), second.document()]))
    assert document[0]["problem"]["id"] == "N1"
    assert document[1]["shape"] == [3, 4, 5]
    assert "problem" not in document[1]


def test_one_broken_thing_is_an_error(scan: Path) -> None:
    scan.write_bytes(scan.read_bytes()[:-10])
    for path in (scan, scan.parent):
        with pytest.raises(InputError) as caught:
            inspect(path)
        assert caught.value.id == "N1"


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        inspect(tmp_path)
    assert caught.value.id == "D45"
    with pytest.raises(InputError) as caught:
        inspect(tmp_path / "missing")
    assert caught.value.id == "N40"


@pytest.mark.parametrize("one", [True, False])
def test_a_series_is_chosen_as_in_reading(tmp_path: Path, one: bool) -> None:
    folder = maker.series(tmp_path / "x", count=3)
    path = folder / "000.dcm" if one else folder
    for series in (maker.SERIES, "5"):
        (found,) = inspect(f"{path}:series={series}")
        assert (found.number, found.series, found.problem) == (5, maker.SERIES, None)
    for series in ("1.2.3", "4"):
        with pytest.raises(InputError, match="is not there") as caught:
            inspect(f"{path}:series={series}")
        assert (caught.value.id, caught.value.exit_code) == ("D1", 3)
    with pytest.raises(UsageError, match="xform= means nothing for DICOM"):
        inspect(f"{path}:xform=sform")


def test_a_series_without_uid(tmp_path: Path) -> None:
    def nameless(k: int, made: pydicom.Dataset) -> None:
        made.SeriesInstanceUID = ""

    (found,) = inspect(maker.series(tmp_path / "x", nameless, count=3))
    assert (found.shape, found.problem) == ((3, 16, 14), None)


def test_a_folder_is_scanned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker.series(tmp_path / "ct", count=3)
    maker.save(maker.segmentation([maker.stored(0) % 2], [0], [1]), tmp_path / "seg.dcm")
    looked = []
    real = dicom_scan.read_header
    monkeypatch.setattr(dicom_scan, "read_header", lambda path: looked.append(path) or real(path))
    assert [found.kind for found in inspect(tmp_path)] == ["volume", "labels"]
    assert len(looked) == 4
    looked.clear()
    with pytest.warns(Repair, match="label maps were left out"):
        assert list(read_study(tmp_path).volumes) == ["CT"]
    assert len(looked) == 4


def test_options_ride_on_the_path(real_data: Path) -> None:
    path = real_data / "odd_headers" / "functional.nii"
    with pytest.raises(InputError) as caught:
        inspect(path)
    assert caught.value.id == "N23"
    (found,) = inspect(f"{path}:volume=3")
    assert found.shape == (3, 21, 17)


def test_real_dicom(real_data: Path) -> None:
    found = inspect(real_data / "sts_ct_mr_pet" / "dicom" / "STS_008")
    assert sorted(one.modality for one in found if one.kind == "volume") == ["CT", "PET", "T1"]
    assert {one.kind for one in found} == {"volume", "RTSTRUCT"}
    text = json.dumps([one.document() for one in found])
    assert "STS" not in text.replace(str(real_data), "").replace("STS_008", "")


def test_D47_overlapping_segments_are_listed(real_data: Path) -> None:
    (found,) = inspect(real_data / "dcmqi_ct_seg" / "partial_overlaps.dcm")
    assert (found.kind, found.labels) == ("labels", (1, 2, 3, 4, 5))
    assert found.problem is not None
    assert found.problem.id == "D47"
    assert len(found.overlapping) > 0
    assert found.document()["label_names"]["1"] == "GREEN"
    (found,) = inspect(f"{real_data / 'dcmqi_ct_seg' / 'liver.dcm'}")
    assert (found.labels, found.overlapping, found.problem) == ((1,), (), None)
    assert found.label_names == ((1, "Liver"),)
