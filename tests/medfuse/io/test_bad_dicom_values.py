"""DICOM that does not say what its numbers are, or says it oddly: refused, or read by its word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_modality_lut

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
