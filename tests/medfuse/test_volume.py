"""Volumes and label maps: frozen, of one type, and never holding what is no number."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from medfuse.errors import InputError, Repair
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.volume import LabelMap, Source, Volume

GRID = Geometry((2, 3, 4), np.diag([1.0, 2, 3, 1]))
CT, MR = MODALITIES["CT"], MODALITIES["MR"]


def test_a_volume_is_float32_contiguous_and_read_only() -> None:
    given = np.arange(24, dtype=np.int16).reshape(4, 3, 2).T
    volume = Volume(given, GRID, CT)
    assert volume.array.dtype == np.float32
    assert volume.array.flags.c_contiguous
    assert np.array_equal(volume.array, given)
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1


def test_the_callers_array_stays_the_callers() -> None:
    values = np.zeros(GRID.shape, np.float32)
    volume = Volume(values, GRID, CT)
    assert np.shares_memory(volume.array, values)
    values[0, 0, 0] = 1  # still writable: it was not frozen behind its owner's back
    labels = np.zeros(GRID.shape, np.uint16)
    LabelMap(labels, GRID)
    labels[0, 0, 0] = 1


def test_the_unit_is_the_modalitys_unless_said() -> None:
    values = np.zeros(GRID.shape, np.float32)
    assert Volume(values, GRID, CT).unit == "HU"
    assert Volume(values, GRID, MODALITIES["PET"]).unit == "SUVbw"
    assert Volume(values, GRID, MODALITIES["PET"], "BQML").unit == "BQML"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_must_be_finite_in_float32(bad: float) -> None:
    values = np.zeros(GRID.shape, np.float64)
    values[1, 1, 1] = bad
    with pytest.raises(InputError) as caught:
        Volume(values, GRID, MR)
    assert caught.value.id == "N27"


@pytest.mark.parametrize("kind", [lambda a: Volume(a, GRID, MR), lambda a: LabelMap(a, GRID)])
def test_the_array_must_fit_the_grid(kind: type) -> None:
    with pytest.raises(InputError, match="grid"):
        kind(np.zeros((2, 3, 5)))


def test_other_values_keep_the_rest() -> None:
    source = Source("a.nii", "00", repairs=(Repair("slices sorted", id="D8"),))
    volume = Volume(np.zeros(GRID.shape), GRID, CT, source=source)
    smaller = Geometry((1, 3, 4), np.eye(4))
    other = volume.with_array(np.ones((1, 3, 4)), smaller)
    assert (other.modality, other.unit, other.source) == (CT, "HU", source)
    assert other.geometry is smaller
    assert volume.with_array(np.ones(GRID.shape)).geometry is GRID


def test_labels_are_whole_numbers() -> None:
    labels = LabelMap(np.full(GRID.shape, 65535.0), GRID, {1.0: "lesion"})  # type: ignore[dict-item]
    assert labels.array.dtype == np.uint16
    assert int(labels.array.max()) == 65535
    assert dict(labels.names) == {1: "lesion"}
    for bad in (0.5, -1, 65536, np.nan):
        with pytest.raises(InputError, match="whole numbers") as caught:
            LabelMap(np.full(GRID.shape, bad), GRID)
        assert caught.value.id == "N16"
        with pytest.raises(InputError, match="whole numbers"):
            labels.with_array(np.full(GRID.shape, bad))


def test_names_of_labels_cannot_be_changed() -> None:
    names = {1: "lesion"}
    labels = LabelMap(np.zeros(GRID.shape), GRID, names)
    names[2] = "other"
    assert dict(labels.names) == {1: "lesion"}
    with pytest.raises(TypeError):
        labels.names[2] = "other"  # type: ignore[index]
    again = labels.with_array(np.ones(GRID.shape))
    assert again.names == labels.names
    assert int(again.array.min()) == 1


def test_fields_are_frozen() -> None:
    volume = Volume(np.zeros(GRID.shape), GRID, CT)
    with pytest.raises(dataclasses.FrozenInstanceError):
        volume.unit = "SUV"  # type: ignore[misc]
