"""What is refused before any work, and which of the two volumes the points are drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from medfuse.errors import GeometryError, InputError
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.volume import Source, Volume
from registration.pair import Pair
from registration.pairwise import register
from tests.registration import toy

STRAIGHT = np.eye(4)[[2, 1, 0, 3]] * [3.0, 3, 3, 1]


def noise(shape: tuple[int, int, int], *, source: Source | None = None) -> Volume:
    values = np.random.default_rng(1).normal(size=shape)
    return Volume(values, Geometry(shape, STRAIGHT), MODALITIES["MR"], source=source)


def sheared(degrees: float, *, series: bool = False) -> Volume:
    """Return the toy head on a grid whose slices are pushed along the rows."""
    matrix = toy.HEAD.world_from_voxel.copy()
    matrix[:3, 0] += np.tan(np.radians(degrees)) * matrix[:3, 1]
    source = Source("folder", "0" * 64, series_uid="1.2.3") if series else None
    made = toy.scan("T1", grid=Geometry(toy.HEAD.shape, matrix))
    return Volume(made.array, made.geometry, made.modality, source=source)


@pytest.mark.parametrize("value", [0.0, 7.5, -1000.0])
@pytest.mark.parametrize("role", ["fixed", "moving"])
def test_N25_a_volume_without_contrast_is_not_registered(value: float, role: str) -> None:
    flat = noise((20, 20, 20)).with_array(np.full((20, 20, 20), value))
    both = (flat, toy.still("T1")) if role == "fixed" else (toy.still("T1"), flat)
    with pytest.raises(InputError, match="no contrast") as caught:
        register(*both)
    assert (caught.value.id, caught.value.exit_code) == ("N25", 3)
    assert role in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 1, 1), (20, 20, 1), (7, 20, 20), (20, 2, 20)])
def test_N30_too_few_voxels_are_not_registered(shape: tuple[int, int, int]) -> None:
    for both in ((noise(shape), toy.still("T1")), (toy.still("T1"), noise(shape))):
        with pytest.raises(InputError, match="at least 8 on each axis") as caught:
            register(*both)
        assert (caught.value.id, caught.value.exit_code) == ("N30", 3)
        assert "x".join(map(str, shape[::-1])) in str(caught.value)  # as a viewer lists the axes


def test_D40_one_slice_is_not_registered() -> None:
    slice_ = noise((1, 40, 40), source=Source("series", "0" * 64, series_uid="1.2.3"))
    with pytest.raises(InputError, match="40x40x1") as caught:
        Pair.of(toy.still("T1"), slice_)
    assert caught.value.id == "D40"
    assert "series" in str(caught.value)


def test_eight_voxels_are_enough() -> None:
    Pair.of(noise((8, 8, 8)), noise((8, 30, 9)))


def test_the_file_that_is_meant_is_named() -> None:
    with pytest.raises(InputError, match=r"^scan\.nii: "):
        Pair.of(toy.still("T1"), noise((4, 40, 40), source=Source("scan.nii", "0" * 64)))


@pytest.mark.parametrize("which", [0, 1])
def test_an_empty_mask_is_refused_by_its_role(which: int) -> None:
    empty = toy.still("T1").with_array(np.zeros(toy.HEAD.shape))
    masks = (empty, None) if which == 0 else (None, empty)
    with pytest.raises(InputError, match="mask is empty") as caught:
        register(toy.still("T1"), toy.still("CT"), masks=masks)
    assert ("fixed mask", "moving mask")[which] in str(caught.value)


@pytest.mark.parametrize("which", [0, 1])
def test_a_mask_that_covers_nothing_is_refused(which: int) -> None:
    matrix = STRAIGHT.copy()
    matrix[:3, 3] = 900
    away = Volume(np.ones((9, 9, 9)), Geometry((9, 9, 9), matrix), MODALITIES["OTHER"])
    masks = (away, None) if which == 0 else (None, away)
    with pytest.raises(InputError, match="covers nothing"):
        register(toy.still("T1"), toy.still("CT"), masks=masks)


def test_N10_a_sheared_file_is_straightened_up_to_5_degrees() -> None:
    pair = Pair.of(sheared(4), toy.still("CT"))
    assert pair.fixed.geometry.is_orthonormal
    assert not sheared(4).geometry.is_orthonormal
    grid = pair.fixed.geometry
    truth = toy.signal("T1", grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)))
    inside = truth > 50
    assert np.abs(pair.fixed.array - truth)[inside].mean() < 4  # noise of 3, and blurred edges
    with pytest.raises(GeometryError, match="sheared") as caught:
        Pair.of(sheared(8), toy.still("CT"))
    assert caught.value.id == "N10"


def test_a_tilted_series_is_straightened_up_to_30_degrees() -> None:
    assert Pair.of(sheared(20, series=True), toy.still("CT")).fixed.geometry.is_orthonormal
    with pytest.raises(GeometryError, match="sheared"):
        Pair.of(sheared(35, series=True), toy.still("CT"))


def test_points_are_drawn_from_the_volume_that_shows_less() -> None:
    whole, slab = toy.still("T1"), toy.HEAD.crop((20, 0, 0), (42, 64, 64))
    part = toy.scan("CT", grid=slab)
    ahead, back = Pair.of(part, whole), Pair.of(whole, part)
    assert not ahead.swapped
    assert back.swapped
    assert back.inner is back.prepared_moving
    assert back.outer is back.prepared_fixed
    assert ahead.inner is ahead.prepared_fixed
    assert not Pair.of(whole, toy.still("T2")).swapped
    matrix = toy.motion((1, 2, 3), 40, (5, 6, 7)).moving_from_fixed
    assert np.array_equal(ahead.turned(matrix), matrix)
    assert np.allclose(back.turned(matrix) @ matrix, np.eye(4))
    assert np.allclose(back.turned(back.turned(matrix)), matrix)


def test_each_volume_is_prepared_once_with_its_own_mask() -> None:
    left = toy.HEAD.world(np.moveaxis(np.indices(toy.HEAD.shape), 0, -1))[..., 0] > 0
    mask = toy.still("T1").with_array(1.0 * left)
    pair = Pair.of(toy.still("T1"), toy.still("CT"), (None, mask))
    assert pair.prepared_fixed is pair.prepared_fixed
    assert pair.prepared_fixed.mask is None
    assert pair.prepared_moving.mask is not None
    assert pair.prepared_moving.mass_centre[0] > 10


def test_the_finest_level_is_as_fine_as_asked_for() -> None:
    shape = (40, 40, 40)
    fine = Volume(
        np.random.default_rng(2).normal(size=shape),
        Geometry(shape, np.eye(4)[[2, 1, 0, 3]]),
        MODALITIES["MR"],
    )
    for spacing in (1.0, 2.0, 4.0):
        pair = Pair.of(fine, fine, spacing=spacing)
        assert pair.prepared_fixed.fine.geometry.spacing == pytest.approx((spacing,) * 3)
