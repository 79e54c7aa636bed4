"""From stored numbers to values and labels (the rows N16, N17, N21, N26, N27 on arrays)."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import InputError
from medfuse.geometry import Geometry
from medfuse.io.contents import as_labels, as_values
from medfuse.io.image import Image
from medfuse.io.volumes import read_volume, write_volume
from medfuse.modality import MODALITIES
from medfuse.volume import Volume

PATH = Path("scan.nii")
ONES, GRID = np.ones((9, 9, 9), "f4"), Geometry((9, 9, 9), np.eye(4))


def image(array: np.ndarray) -> Image:
    """Return an array as the content of a file."""
    return Image(array, Geometry(array.shape, np.eye(4)), "00")


def values(array: np.ndarray, modality: str = "T1") -> tuple[np.ndarray, list[str]]:
    """Return the values and what was repaired."""
    made, repairs = as_values(image(array), MODALITIES[modality], PATH)
    assert made.dtype == np.float32
    return made, [f"{repair.id}: {repair.what}" for repair in repairs]


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "u8", "f4", "f8", "?"])
def test_good_values_pass(kind: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    made, repairs = values(array)
    assert np.array_equal(made, array.astype("f4"))
    assert repairs == []


def test_float32_is_not_copied() -> None:
    array = np.ones((2, 3, 4), "f4")
    assert values(array)[0] is array


@pytest.mark.parametrize(("most", "rounded"), [(2**24, False), (2**24 + 1, True)])
def test_only_what_float32_cannot_hold_is_told(most: int, rounded: bool) -> None:
    _, repairs = values(np.full((2, 2, 2), most, "i4"))
    assert bool(repairs) is rounded


def test_a_nan_region_reaches_the_border_through_a_tunnel() -> None:
    array = np.ones((9, 9, 9), "f4")
    array[3:6, 3:6, 3:6] = np.nan  # inside
    with pytest.raises(InputError, match="27 of 729") as caught:
        values(array)
    assert caught.value.id == "N27"
    array[4, 4, :] = np.nan  # now it touches two faces
    made, repairs = values(array, "CT")
    assert (made[3:6, 3:6, 3:6] == -1000).all()
    assert len(repairs) == 1
    assert "33 NaN voxels at the border" in repairs[0]


def test_both_fillings_at_once() -> None:
    array = np.full((20, 20, 20), 5, "f4")
    array[0] = np.nan
    array[10, 10, 10] = -np.inf
    array[10, 10, 11] = 2
    made, repairs = values(array, "CT")
    assert (made[0] == -1000).all()
    assert made[10, 10, 10] == 2  # the least finite value of the file, not the air
    assert len(repairs) == 2


def test_nothing_finite() -> None:
    for value in (np.nan, np.inf):
        with pytest.raises(InputError) as caught:
            values(np.full((2, 2, 2), value, "f4"))
        assert caught.value.id == "N26"


@pytest.mark.parametrize("hole", [False, True])
def test_too_large_for_float32(hole: bool) -> None:
    array = np.full((9, 9, 9), 1e39)
    if hole:
        array[4, 4, 4] = np.nan
    with pytest.raises(InputError) as caught:
        values(array)
    assert caught.value.id == "N21"


@pytest.mark.parametrize("kind", ["u1", "i4", "u8", "f4", "f8", "?"])
def test_labels(kind: str) -> None:
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(kind)
    made = as_labels(image(array), PATH)
    assert made.dtype == np.uint16
    assert np.array_equal(made, array)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -1.0, 65536.0, 1e300])
def test_what_is_no_label(value: float) -> None:
    array = np.zeros((3, 3, 3))
    array[1, 1, 1] = value
    with pytest.raises(InputError) as caught:
        as_labels(image(array), PATH)
    assert caught.value.id == "N16"


@pytest.mark.parametrize("end", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("name", "unit", "said", "again"),
    [
        ("PET", "SUVbw", b"unit=SUVbw", "SUVbw"),
        ("PET", "Bq/ml", b"unit=Bq/ml", "Bq/ml"),
        ("PET", "counts", b"unit=unknown", "unknown"),
        ("PET", "PLANTED^NAME", b"unit=unknown", "unknown"),
        ("CT", "HU", b"unit=HU", "HU"),
        ("CT", "unknown", b"unit=unknown", "unknown"),
        ("T1", "a.u.", b"", "a.u."),
    ],
)
def test_the_unit_comes_back(
    tmp_path: Path, end: str, name: str, unit: str, said: bytes, again: str
) -> None:
    given = Volume(ONES, GRID, MODALITIES[name], unit)
    path = write_volume(given, tmp_path / f"{name}{end}")
    assert nib.load(path).header["descrip"].item() == said
    assert read_volume(path).unit == again


def test_a_foreign_pet_says_no_unit_and_a_foreign_ct_is_in_hu(tmp_path: Path) -> None:
    for name, text, unit in (
        ("PET", "", "unknown"),
        ("PET", "SUVbw", "unknown"),  # only the exact word is believed
        ("PET", "unit=SUVbw ", "unknown"),
        ("PET", "unit=HU", "unknown"),
        ("CT", "", "HU"),
        ("CT", "unit=SUVbw", "unknown"),
        ("T1", "unit=SUVbw", "a.u."),
    ):
        image = nib.Nifti1Image(ONES, np.eye(4))
        image.header["descrip"] = text
        nib.save(image, tmp_path / f"{name}.nii")
        assert read_volume(tmp_path / f"{name}.nii").unit == unit


@pytest.mark.parametrize("end", [".nrrd", ".mha"])
def test_nrrd_and_metaimage_say_no_unit(tmp_path: Path, end: str) -> None:
    given = Volume(ONES, GRID, MODALITIES["PET"])
    assert read_volume(write_volume(given, tmp_path / f"PET{end}")).unit == "unknown"
