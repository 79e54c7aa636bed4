"""DICOM that says oddly what its numbers are or where they lie: refused, or read by its word."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut

from medfuse.errors import InputError
from medfuse.io.dicom_scan import list_series
from medfuse.io.dicom_seg import read_segmentation
from medfuse.io.inspection import inspect
from medfuse.io.volumes import read_volume
from tests.medfuse.io import dicom_maker as maker
from tests.medfuse.io.test_bad_dicom import at, everywhere, refused, repaired


def without(*names: str) -> Callable[[pydicom.Dataset], None]:
    """Return a change that takes tags away."""

    def change(made: pydicom.Dataset) -> None:
        for name in names:
            del made[name]

    return change


@pytest.mark.parametrize("name", ["RescaleIntercept", "RescaleSlope"])
def test_D48_one_slice_lacks_its_rescale(tmp_path: Path, name: str) -> None:
    """Read without a word, its values would be a thousand off those of its neighbours."""
    folder = maker.series(tmp_path / "x", at(3, without(name)))
    assert "1 of 10 slices lack" in str(refused(folder, "D48"))


def test_D48_one_slice_of_a_pet_lacks_its_rescale(tmp_path: Path) -> None:
    refused(maker.pet(tmp_path / "x", at(1, without("RescaleSlope"))), "D48")


def test_D48_a_ct_without_any_rescale_is_not_in_hu(tmp_path: Path) -> None:
    edit = without("RescaleSlope", "RescaleIntercept")
    volume = repaired(maker.series(tmp_path / "x", lambda _, made: edit(made)), "D48")
    assert volume.unit == "unknown"
    np.testing.assert_array_equal(volume.array[2], maker.stored(2))


@pytest.mark.parametrize("kind", ["US", "EDW", "MGML"])
def test_D48_a_ct_rescaled_to_something_else(tmp_path: Path, kind: str) -> None:
    volume = repaired(maker.series(tmp_path / "x", everywhere(RescaleType=kind)), "D48")
    assert volume.unit == "unknown"
    np.testing.assert_array_equal(volume.array[2], maker.stored(2) - 1024.0)


def test_D48_a_table_in_place_of_a_rescale(tmp_path: Path) -> None:
    """What pydicom makes of it is not what slope and intercept alone would give."""
    table = pydicom.Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 16])
    table.ModalityLUTType = "US"
    table.add_new("LUTData", "US", list(range(5000, 5000 + 4096)))

    def edit(k: int, made: pydicom.Dataset) -> None:
        made.ModalityLUTSequence = pydicom.Sequence([table])

    folder = maker.series(tmp_path / "x", edit)
    truth = apply_modality_lut(maker.stored(0), pydicom.dcmread(folder / "000.dcm"))
    assert truth[0, 0] == maker.stored(0)[0, 0] + 5000
    assert "000.dcm" in str(refused(folder, "D48"))


def moved(place: int, z: float) -> Callable[[int, pydicom.Dataset], None]:
    """Return an edit that puts slice ``place`` at height ``z``."""
    return at(place, lambda made: made.ImagePositionPatient.__setitem__(2, z))


@pytest.mark.parametrize("z", [1e300, -1e6])
def test_D10_a_position_where_nobody_is(tmp_path: Path, z: float) -> None:
    said = str(refused(maker.series(tmp_path / "x", moved(9, z)), "D10", gaps="ok"))
    assert len(said) < 300


def test_D43_one_slice_far_away_makes_no_huge_grid(tmp_path: Path) -> None:
    """Two slices 0.02 mm apart, a third 9 km off: 4.5 million slices in between."""
    edit = at(1, lambda made: made.ImagePositionPatient.__setitem__(2, maker.ORIGIN[2] + 0.02))
    folder = maker.series(tmp_path / "x", edit, count=2)
    maker.save(maker.slice_of(2), folder / "002.dcm")
    far = pydicom.dcmread(folder / "002.dcm")
    far.ImagePositionPatient[2] = 9e4
    far.save_as(folder / "002.dcm")
    assert "a grid through them" in str(refused(folder, "D43", gaps="ok"))


def test_D43_a_segmentation_of_three_frames_makes_no_huge_grid(tmp_path: Path) -> None:
    made = maker.segmentation([maker.stored(k) % 2 for k in range(3)], [0, 1, 100000], [1, 1, 1])
    for k, frame in enumerate(made.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient[2] = (0, 0.02, 3000)[k]
    measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SliceThickness = measures.SpacingBetweenSlices = 0.02
    path = maker.save(made, tmp_path / "seg.dcm")
    with pytest.raises(InputError) as caught:
        read_segmentation(path)
    assert (caught.value.id, caught.value.exit_code) == ("D43", 3)


def test_D36_slices_too_far_apart(tmp_path: Path) -> None:
    def spread(k: int, made: pydicom.Dataset) -> None:
        made.ImagePositionPatient[2] = 60.0 * k

    assert "60 mm apart" in str(refused(maker.series(tmp_path / "x", spread), "D36"))


@pytest.mark.parametrize("name", ["RescaleSlope", "RescaleIntercept"])
def test_D18_a_rescale_beyond_all_numbers(tmp_path: Path, name: str) -> None:
    folder = maker.series(tmp_path / "x", at(2, lambda made: setattr(made, name, "1e40")))
    assert "002.dcm" in str(refused(folder, "D18"))


def test_D44_a_compressed_file(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm.gz"
    path.write_bytes(
        gzip.compress((maker.series(tmp_path / "x", count=1) / "000.dcm").read_bytes())
    )
    with pytest.raises(InputError, match="compressed DICOM file; unpack it") as caught:
        read_volume(path)
    assert caught.value.id == "D44"


def test_a_folder_may_be_called_as_its_files(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "case.dcm", count=3)
    assert read_volume(folder).array.shape == (3, 16, 14)
    assert [found.shape for found in inspect(folder)] == [(3, 16, 14)]
    with pytest.raises(InputError, match="is a folder"):
        read_volume(folder.rename(tmp_path / "case.nii.gz"))


@pytest.mark.parametrize("word", ["DOE JOHN", "DOEJOHN"])
def test_a_name_in_place_of_the_modality_goes_no_further(tmp_path: Path, word: str) -> None:
    def edit(k: int, made: pydicom.Dataset) -> None:
        made.Modality = word
        made.SeriesInstanceUID, made.SeriesNumber = f"{maker.SERIES}.{k % 2}", k % 2 + 1

    folder = maker.series(tmp_path / "x", edit, count=6)
    error = refused(folder, "D1")
    assert "DOE" not in str(error)
    assert "number 1 (unknown, 3 files)" in str(error)
    assert {info.modality for info in list_series(folder)} == {"unknown"}
