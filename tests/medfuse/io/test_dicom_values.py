"""Stored numbers become values: in float32, slice by slice, with padding made air."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medfuse.errors import DicomError
from medfuse.io.dicom_scan import scan
from medfuse.io.dicom_series import lay_out
from medfuse.io.dicom_values import Values, values_of
from medfuse.modality import MODALITIES
from tests.medfuse.io import dicom_maker as maker


def read(path: Path, name: str = "CT", *, gaps: bool = False) -> Values:
    """Return the values of the one series at ``path``."""
    (headers,) = scan(path).series.values()
    return values_of(lay_out(headers, where=path, gaps=gaps), MODALITIES[name], where=path)


def test_values_units_and_checksum(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x", count=3)
    found = read(folder)
    truth = np.stack([maker.stored(k) for k in range(3)]) - 1024.0
    np.testing.assert_array_equal(found.array, truth)
    assert (found.array.dtype, found.unit, found.repairs) == (np.float32, "HU", ())
    files = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    assert found.sha256 == hashlib.sha256(files).hexdigest()


def test_a_multi_frame_file_is_hashed_once(tmp_path: Path) -> None:
    array = np.stack([maker.stored(k) for k in range(3)])
    places = [(0.0, 0.0, 3.0 * k) for k in (2, 0, 1)]
    path = maker.save(maker.enhanced(array, places), tmp_path / "x.dcm")
    found = read(path, "MR")
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(found.array, array[[1, 2, 0]])
    assert found.unit == "a.u."


def test_padding_is_the_air_of_the_modality_that_was_said(tmp_path: Path) -> None:
    def pad(k: int, made: pydicom.Dataset) -> None:
        made.add_new("PixelPaddingValue", "SS", 100)  # the first number of slice 0

    folder = maker.series(tmp_path / "x", pad, count=2)
    assert read(folder, "CT").array[0, 0, 0] == -1000
    assert read(folder, "MR").array[0, 0, 0] == 0


def test_padding_that_is_air_already_is_no_repair(tmp_path: Path) -> None:
    def pad(k: int, made: pydicom.Dataset) -> None:
        array = maker.stored(k)
        array[0] = 0
        maker.put_pixels(made, array)
        made.add_new("PixelPaddingValue", "SS", 0)

    assert read(maker.series(tmp_path / "x", pad, modality="MR"), "MR").repairs == ()


def test_wide_integers_are_scaled_before_they_are_rounded(tmp_path: Path) -> None:
    """2^24 + 1 is no float32, but half of it nearly is: scale in float64 first."""

    def widen(k: int, made: pydicom.Dataset) -> None:
        maker.put_pixels(made, np.full((16, 14), 2**31 - 1 - k, dtype=np.int32), bits=32)
        made.RescaleSlope, made.RescaleIntercept = 1, -(2**31 - 10)

    found = read(maker.series(tmp_path / "x", widen, count=2))
    np.testing.assert_array_equal(found.array[:, 0, 0], [9, 8])


def test_slices_between_are_interpolated(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x", count=4)
    (folder / "002.dcm").unlink()
    found = read(folder, gaps=True)
    expected = (maker.stored(1) + maker.stored(3)) / 2 - 1024.0
    np.testing.assert_allclose(found.array[2], expected)
    assert [repair.id for repair in found.repairs] == []  # told by the layout


def test_more_voxels_than_can_be_are_refused_before_any_is_read(tmp_path: Path) -> None:
    def claim(k: int, made: pydicom.Dataset) -> None:
        made.Rows, made.Columns = 60000, 60000

    with pytest.raises(DicomError, match="2 slices of 60000 x 60000 pixels") as caught:
        read(maker.series(tmp_path / "x", claim, count=2))
    assert caught.value.id == "D43"


@pytest.mark.parametrize("kind", ["HU", "HU_MOD", None])
def test_hounsfield_by_the_word_for_it(tmp_path: Path, kind: str | None) -> None:
    def edit(k: int, made: pydicom.Dataset) -> None:
        made.RescaleType = kind

    found = read(maker.series(tmp_path / "x", edit, count=2))
    assert (found.unit, found.repairs) == ("HU", ())
