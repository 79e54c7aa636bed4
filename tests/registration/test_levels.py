"""Levels lie where the volume lies; foreground, centres and bins of shapes that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from medfuse.errors import InputError
from medfuse.geometry import Array64, Geometry
from medfuse.modality import MODALITIES
from medfuse.volume import Volume
from registration.levels import Level, Prepared, _otsu
from tests.registration import toy

SEEDS = st.integers(0, 100_000)
SLOPES, OFFSET = np.array([0.3, -0.2, 0.5]), 7.0
RNG = np.random.default_rng


def oblique(seed: int, shape: tuple[int, int, int], spacing: tuple[float, ...]) -> Geometry:
    """Return a turned grid around the origin of the world."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=RNG(seed)).as_matrix() * spacing
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Geometry(shape, matrix)


def places(grid: Geometry) -> Array64:
    """Return the world positions of all voxels, (D, H, W, 3)."""
    return grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))


def ball(
    centre: tuple[float, ...], radius: float, *, grid: Geometry = toy.HEAD, value: float = 100.0
) -> Volume:
    """Return a noisy ball on air."""
    inside = np.linalg.norm(places(grid) - np.asarray(centre), axis=-1) < radius
    return Volume(value * inside + RNG(1).normal(size=grid.shape), grid, MODALITIES["MR"])


@given(seed=SEEDS, spacing=st.sampled_from([2.0, 4.0, 8.0]))
def test_a_binned_voxel_lies_at_the_middle_of_what_it_averages(seed: int, spacing: float) -> None:
    rng = RNG([seed, 1])
    grid = oblique(seed, (13, 24, 9), tuple(rng.uniform(0.5, 5, 3)))
    level = Level((places(grid) @ SLOPES + OFFSET).astype(np.float32), grid)
    found = level.binned(spacing)
    assert np.allclose(found.array, places(found.geometry) @ SLOPES + OFFSET, atol=1e-3)
    assert found.array.dtype == np.float32
    assert found.array.shape == found.geometry.shape


@pytest.mark.parametrize("spacing", [2.0, 4.0, 8.0])
def test_binning_keeps_the_mean_where_it_divides(spacing: float) -> None:
    grid = oblique(3, (16, 16, 16), (1.0, 2.0, 1.0))
    array = RNG(2).normal(5, 2, grid.shape).astype(np.float32)
    found = Level(array, grid).binned(spacing)
    assert found.geometry.spacing == pytest.approx((spacing,) * 3)
    assert found.array.mean() == pytest.approx(array.mean(), rel=1e-5)
    by_hand = array[: int(spacing), : max(1, int(spacing / 2)), : int(spacing)].mean()
    assert found.array[0, 0, 0] == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize(("step", "factor"), [(1.5, 1), (1.0, 1), (0.9, 2), (0.75, 2), (0.5, 3)])
def test_the_finest_level_of_1_mm_is_not_averaged_to_2_mm(step: float, factor: int) -> None:
    level = Level(np.zeros((12, 12, 12), np.float32), oblique(5, (12, 12, 12), (step,) * 3))
    assert level.binned(1.5).geometry.spacing == pytest.approx((step * factor,) * 3)


def test_thick_slices_are_left_alone_and_thin_axes_end_at_one_voxel() -> None:
    thick = Level(np.zeros((10, 64, 64), np.float32), oblique(4, (10, 64, 64), (5.0, 1.0, 1.0)))
    assert thick.binned(4.0).geometry.shape == (10, 16, 16)
    thin = Level(np.zeros((3, 8, 8), np.float32), oblique(4, (3, 8, 8), (0.5, 0.5, 0.5)))
    assert thin.binned(4.0).geometry.shape == (1, 1, 1)
    same = thin.binned(0.5)
    assert np.array_equal(same.array, thin.array)


def test_levels_get_coarser() -> None:
    made = Prepared.of(toy.still("T1"), spacing=3.0)
    assert made.fine.geometry.spacing == pytest.approx((3,) * 3)
    assert min(made.coarse.geometry.spacing) > min(made.middle.geometry.spacing) >= 3
    for level in (made.fine, made.middle, made.coarse):
        assert not np.isnan(level.array).any()


def test_the_foreground_is_the_head() -> None:
    made = Prepared.of(toy.still("T1"))
    truth = toy.signal("T1", places(made.middle.geometry)) > 5
    union = (made.foreground | truth).sum()
    assert (made.foreground & truth).sum() / union > 0.93
    (centre, axes), *_ = toy.PARTS
    assert made.extent_mm3 == pytest.approx(4 / 3 * np.pi * np.prod(axes), rel=0.1)
    assert np.allclose(made.mass_centre, centre, atol=4)


@pytest.mark.parametrize("name", ["T1", "T2", "CT", "PET"])
def test_the_foreground_hardly_depends_on_the_scanner(name: str) -> None:
    made = Prepared.of(toy.still(name))
    volume = 4 / 3 * np.pi * np.prod(toy.PARTS[0][1])
    assert 0.5 * volume < made.extent_mm3 < 1.15 * volume
    assert np.linalg.norm(made.mass_centre - toy.PARTS[0][0]) < 8


def test_holes_are_filled_and_other_pieces_left_out() -> None:
    centre = np.array([3.0, -4, 6])
    shell = ball(tuple(centre), 60).array.copy()
    far = np.linalg.norm(places(toy.HEAD) - centre, axis=-1)
    shell[far < 30] = 0  # a cavity
    shell[:4, :4, :4] = 100  # a headrest in the corner
    made = Prepared.of(Volume(shell, toy.HEAD, MODALITIES["MR"]))
    assert made.extent_mm3 == pytest.approx(4 / 3 * np.pi * 60**3, rel=0.05)
    assert np.allclose(made.mass_centre, centre, atol=0.5)
    assert np.allclose(made.ball_centre, centre, atol=2)
    assert made.radius == pytest.approx(60 * np.sqrt(3 / 5), rel=0.02)


def test_the_largest_ball_is_the_cranium_and_not_the_neck() -> None:
    grid = oblique(6, (60, 60, 60), (3.0, 3.0, 4.0))
    head = np.linalg.norm(places(grid) - [5, 8, 30], axis=-1) < 50
    across = places(grid)
    neck = (np.linalg.norm(across[..., :2] - [5, 8], axis=-1) < 25) & (across[..., 2] < 30)
    made = Prepared.of(Volume(100.0 * (head | neck), grid, MODALITIES["MR"]))
    assert np.allclose(made.ball_centre, [5, 8, 30], atol=3)
    assert made.mass_centre[2] < 26  # the neck pulls it down


def within(values: Array64, cut: float) -> float:
    """Return the variance that is left inside the two classes on both sides of ``cut``."""
    classes = values[values <= cut], values[values > cut]
    return sum(len(part) * part.var() for part in classes if len(part)) / len(values)


@given(seed=SEEDS)
def test_the_threshold_is_otsus(seed: int) -> None:
    # by its definition: of all cuts, the one that leaves least variance inside both classes
    rng = RNG(seed)
    counts = rng.integers(50, 800, 2)
    values = np.concatenate(
        [rng.normal(20, 4, counts[0]), rng.normal(rng.uniform(40, 90), 6, counts[1])]
    )
    found = _otsu(values.astype(np.float32), float(values.min()), float(values.max()))
    best = min(within(values, cut) for cut in np.linspace(values.min(), values.max(), 100)[:-1])
    assert within(values, found) <= best * 1.01


def test_between_two_values_the_threshold_is_their_middle() -> None:
    values = np.repeat(np.float32([10, 70]), [300, 20])
    assert _otsu(values, 10.0, 70.0) == pytest.approx(40, abs=0.5)
    assert _otsu(values, 10.0, 10.0) == 10


def test_points_lie_in_the_rim_and_are_spread() -> None:
    made = Prepared.of(toy.still("T1"))
    points = made.points(3000, RNG(1))
    assert points.shape == (3000, 3)
    at = np.rint(made.middle.geometry.voxel(points)).astype(int)
    assert made.rim[tuple(at.T)].all()
    assert len(np.unique(at, axis=0)) == 3000  # each voxel once, while there are enough
    assert np.array_equal(points, made.points(3000, RNG(1)))
    assert not np.array_equal(points, made.points(3000, RNG(2)))
    off = made.middle.geometry.voxel(points) - at
    assert np.allclose(off.mean(axis=0), 0, atol=0.03)
    assert off.std(axis=0) == pytest.approx(np.full(3, np.sqrt(1 / 12)), rel=0.05)
    everything = made.middle.geometry.world(np.argwhere(made.rim))
    assert np.allclose(points.mean(axis=0), everything.mean(axis=0), atol=3)


def test_more_points_than_voxels_lie_in_the_rim_too() -> None:
    small = ball((0, 0, 0), 14)
    made = Prepared.of(small)
    points = made.points(5000, RNG(1))
    assert points.shape == (5000, 3)
    at = np.rint(made.middle.geometry.voxel(points)).astype(int)
    assert made.rim[tuple(at.T)].all()


def test_the_rim_reaches_about_8_mm_into_the_air() -> None:
    made = Prepared.of(ball((0, 0, 0), 50))
    across = made.middle.geometry.world(np.argwhere(made.rim))
    assert 55 < across[:, 0].max() < 64
    assert (made.rim >= made.foreground).all()


def test_a_mask_confines_foreground_and_points() -> None:
    left = Volume(1.0 * (places(toy.HEAD)[..., 0] > 0), toy.HEAD, MODALITIES["OTHER"])
    made = Prepared.of(toy.still("T1"), left)
    points = made.points(500, RNG(3))
    step = max(made.middle.geometry.spacing)
    assert points[:, 0].min() > -step
    assert not (made.foreground & ~made.mask).any()
    assert made.mass_centre[0] > 10


def test_a_mask_on_another_grid_lies_where_it_lies() -> None:
    grid = oblique(9, (50, 50, 50), (4.0, 3.0, 5.0))
    small = Volume(
        1.0 * (np.linalg.norm(places(grid) - [20, 10, -10], axis=-1) < 30),
        grid,
        MODALITIES["OTHER"],
    )
    made = Prepared.of(toy.still("T1"), small)
    inside = made.middle.geometry.world(np.argwhere(made.mask))
    assert np.linalg.norm(inside - [20, 10, -10], axis=1).max() < 35
    assert len(inside) * made.middle.geometry.voxel_volume == pytest.approx(
        4 / 3 * np.pi * 30**3, rel=0.1
    )


def test_a_mask_beside_the_volume_is_refused() -> None:
    away = Geometry(
        (9, 9, 9), np.array([[0, 0, 1, 900.0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    )
    with pytest.raises(InputError, match="covers nothing"):
        Prepared.of(toy.still("T1"), Volume(np.ones((9, 9, 9)), away, MODALITIES["OTHER"]))


@pytest.mark.parametrize("ranks", [0.0, 0.25, 1.0])
def test_bins_rise_with_the_values(ranks: float) -> None:
    made = Prepared.of(toy.still("CT"))
    found = made.in_bins(made.middle.array, 32, ranks=ranks)
    order = np.argsort(made.middle.array, axis=None, kind="stable")
    assert (np.diff(found.ravel()[order]) >= -1e-4).all()
    assert found.min() >= 0
    assert found.max() <= 31
    assert np.ptp(found) > 25
    assert found.dtype == np.float32


def test_by_rank_every_bin_holds_as_many() -> None:
    rng = RNG(5)
    values = np.exp(rng.normal(size=(32, 32, 32)))  # far from even
    grid = Geometry(values.shape, np.eye(4)[[2, 1, 0, 3]] * [4, 4, 4, 1])
    made = Prepared.of(Volume(values, grid, MODALITIES["MR"]))
    found = made.in_bins(made.middle.array, 9, ranks=1.0)[made.rim]
    counts, _ = np.histogram(found, bins=8, range=(0, 8))
    assert counts / counts.sum() == pytest.approx(np.full(8, 1 / 8), abs=0.06)


def test_by_value_bins_are_linear_between_the_outer_quantiles() -> None:
    values = np.linspace(0, 1000, 32**3).reshape(32, 32, 32)
    grid = Geometry(values.shape, np.eye(4)[[2, 1, 0, 3]] * [4, 4, 4, 1])
    made = Prepared.of(Volume(values, grid, MODALITIES["MR"]))
    found = made.in_bins(made.middle.array, 11, ranks=0.0)
    known = made.middle.array[made.rim]
    low, high = np.quantile(known, [1 / 255, 254 / 255])
    expected = np.clip((made.middle.array - low) / (high - low), 0, 1) * 10
    assert np.allclose(found, expected, atol=0.05)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e30])
@pytest.mark.parametrize("offset", [0.0, -50.0])
def test_bins_and_foreground_do_not_depend_on_the_unit(scale: float, offset: float) -> None:
    plain = Prepared.of(toy.still("T1"))
    other = Prepared.of(
        Volume((toy.still("T1").array + offset) * scale, toy.HEAD, MODALITIES["T1"])
    )
    assert np.array_equal(plain.foreground, other.foreground)
    gap = plain.in_bins(plain.middle.array, 32) - other.in_bins(other.middle.array, 32)
    assert np.abs(gap).max() < 0.05


@pytest.mark.parametrize("air", [0.0, 1000.0, -1000.0])
def test_a_single_bright_voxel_is_prepared_without_a_word(air: float) -> None:
    values = np.full((24, 24, 24), air)
    values[12, 12, 12] += 1
    grid = Geometry(values.shape, np.eye(4)[[2, 1, 0, 3]] * [4, 4, 4, 1])
    made = Prepared.of(Volume(values, grid, MODALITIES["MR"]))
    assert made.foreground.any()
    assert np.isfinite(made.in_bins(made.middle.array, 16)).all()
    assert np.isfinite(made.radius)


def test_a_volume_of_a_few_mm_has_a_size() -> None:
    grid = Geometry((8, 8, 8), np.eye(4)[[2, 1, 0, 3]] * [0.4, 0.4, 0.4, 1])
    made = Prepared.of(Volume(RNG(6).normal(size=(8, 8, 8)), grid, MODALITIES["MR"]))
    assert made.radius > 0
    assert made.points(50, RNG(1)).shape == (50, 3)


def test_smoothing_averages_fine_axes_one_two_one_and_leaves_thick_slices() -> None:
    grid = oblique(4, (7, 12, 9), (5.0, 1.5, 2.0))
    array = RNG(3).normal(size=grid.shape).astype(np.float32)
    expected = array
    for axis in (1, 2):
        expected = ndimage.convolve1d(expected, [0.25, 0.5, 0.25], axis, mode="nearest")
    found = Level(array, grid).smoothed()
    np.testing.assert_allclose(found.array, expected, atol=1e-6)
    assert found.geometry is grid


def test_points_are_drawn_only_where_they_are_wanted_unless_nowhere() -> None:
    prepared = Prepared.of(toy.still("T1"))
    left = prepared.points(500, RNG(1), within=lambda places: places[:, 0] > 10)
    assert (left[:, 0] > 10 - 2).all()  # each lies inside its 4-mm voxel
    nowhere = prepared.points(500, RNG(1), within=lambda places: places[:, 0] > 1e6)
    np.testing.assert_array_equal(nowhere, prepared.points(500, RNG(1)))
