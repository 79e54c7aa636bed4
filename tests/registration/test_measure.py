"""The measure of one pose: its value by another way, its slope by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from medfuse.geometry import Array64, Geometry
from medfuse.modality import MODALITIES
from medfuse.transform import Affine
from medfuse.volume import Volume
from registration.levels import Level, Prepared
from registration.measure import Measure, _between_voxels
from tests.registration import toy

RNG = np.random.default_rng
TRUTH = toy.motion((1, 2, 3), 15, (8, -6, 10))


@pytest.fixture(scope="module")
def measure() -> Measure:
    """Return T1 against CT at the middle level."""
    fixed = Prepared.of(toy.still("T1"))
    moving = Prepared.of(toy.scan("CT", TRUTH, grid=toy.around(TRUTH)))
    return between(fixed, moving)


def between(fixed: Prepared, moving: Prepared, count: int = 6000) -> Measure:
    points = fixed.points(count, RNG(1))
    return Measure.between((fixed, fixed.middle), (moving, moving.middle), points)


def nudged(matrix: Array64, turn: Array64, shift: Array64) -> Array64:
    """Return ``matrix`` after a small turn about the origin and a shift."""
    step = np.eye(4)
    step[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    step[:3, 3] = shift
    return step @ matrix


@pytest.mark.parametrize("seed", range(4))
def test_the_slope_is_that_of_finite_differences(measure: Measure, seed: int) -> None:
    rng = RNG(seed)
    pose = nudged(TRUTH.moving_from_fixed, rng.normal(size=3) * 0.05, rng.normal(size=3) * 4)
    _, slope, places, overlap = measure.at(pose)
    assert overlap > 0.99  # else points leave, whose weight has no slope here
    for shift in np.eye(3) * 0.03:
        ahead = measure.at(nudged(pose, np.zeros(3), shift))[0]
        behind = measure.at(nudged(pose, np.zeros(3), -shift))[0]
        expected = (ahead - behind) / 0.06
        assert slope.sum(axis=0) @ shift / 0.03 == pytest.approx(expected, rel=0.03, abs=3e-4)
    moment = np.cross(places, slope).sum(axis=0)
    for turn in np.eye(3) * 5e-4:
        ahead = measure.at(nudged(pose, turn, np.zeros(3)))[0]
        behind = measure.at(nudged(pose, -turn, np.zeros(3)))[0]
        expected = (ahead - behind) / 1e-3
        assert moment @ turn / 5e-4 == pytest.approx(expected, rel=0.03, abs=0.02)


def test_the_truth_is_a_maximum(measure: Measure) -> None:
    best = measure.at(TRUTH.moving_from_fixed)[0]
    for shift in np.vstack([np.eye(3), -np.eye(3)]) * 3:
        assert measure.at(nudged(TRUTH.moving_from_fixed, np.zeros(3), shift))[0] < best
        turned = toy.motion(tuple(shift), 4).moving_from_fixed
        assert measure.at(TRUTH.moving_from_fixed @ turned)[0] < best


def test_points_are_carried_by_the_matrix(measure: Measure) -> None:
    places = measure.at(TRUTH.moving_from_fixed)[2]
    assert np.allclose(places, TRUTH.map(measure.points))


def test_out_of_sight_there_is_nothing_and_no_slope(measure: Measure) -> None:
    away = np.eye(4)
    away[:3, 3] = 5000
    value, slope, _, overlap = measure.at(away)
    assert (value, overlap) == (0, 0)
    assert (slope == 0).all()


def test_overlap_is_the_share_of_points_inside(measure: Measure) -> None:
    pose = TRUTH.moving_from_fixed.copy()
    pose[:3, 3] += 70, 0, 0
    _, slope, places, overlap = measure.at(pose)
    voxels = measure.level.geometry.voxel(places)
    last = np.asarray(measure.level.geometry.shape) - 1
    inside = ((voxels >= -0.25) & (voxels <= last + 0.25)).all(axis=1).mean()
    assert 0.3 < inside < 0.9
    assert overlap == pytest.approx(inside, abs=0.02)
    gone = ((voxels < -0.5) | (voxels > last + 0.5)).any(axis=1)
    assert (slope[gone] == 0).all()


def test_leaving_is_smooth(measure: Measure) -> None:
    shifts = np.linspace(60, 64, 81)
    values = []
    for shift in shifts:
        pose = TRUTH.moving_from_fixed.copy()
        pose[0, 3] += shift
        values.append(measure.at(pose)[3])
    # 4 mm take a few hundred of 6,000 points out, and no step of 0.05 mm takes many at once
    assert np.abs(np.diff(values)).max() < 3 * np.abs(np.diff(values)).mean() + 2e-4


def test_between_voxels_as_scipy_reads_them() -> None:
    array = RNG(1).normal(size=(6, 7, 8)).astype(np.float32)
    voxels = RNG(2).uniform(0, [5, 6, 7], (400, 3)).astype(np.float32)
    values, slope, inside = _between_voxels(array, voxels)
    assert np.allclose(values, map_coordinates(array, voxels.T, order=1), atol=1e-4)
    assert (inside == 1).all()
    off = np.abs(voxels - np.rint(voxels)).min(axis=1) > 0.02
    for axis in range(3):
        step = 0.01 * np.eye(3, dtype=np.float32)[axis]
        ahead = _between_voxels(array.astype(np.float64), voxels + step)[0]
        behind = _between_voxels(array.astype(np.float64), voxels - step)[0]
        assert np.allclose(slope[off, axis], ((ahead - behind) / 0.02)[off], atol=2e-3)


def test_the_weight_falls_over_half_a_voxel_and_values_are_held() -> None:
    array = RNG(3).normal(size=(5, 5, 5)).astype(np.float32)
    d = np.float32([0, -0.25, -0.5, -0.75, 4.25, 4.6, 2])
    voxels = np.stack([d, np.full(7, 2), np.full(7, 2)], axis=1).astype(np.float32)
    values, _, inside = _between_voxels(array, voxels)
    assert inside == pytest.approx([1, 0.5, 0, 0, 0.5, 0, 1], abs=1e-6)
    assert values[1] == array[0, 2, 2]
    assert values[4] == array[4, 2, 2]


def test_one_voxel_thin_is_read_too() -> None:
    array = np.float32([[[1, 3]]])
    values, slope, _ = _between_voxels(array, np.float32([[0, 0, 0.5], [0, 0, 1]]))
    assert values == pytest.approx([2, 3])
    assert slope[0] == pytest.approx([0, 0, 2])


def test_a_linear_volume_has_its_slope_in_mm_on_a_turned_grid() -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=RNG(4)).as_matrix() * [2, 3, 1.5]
    grid = Geometry((20, 20, 20), matrix)
    slopes = np.array([0.02, -0.05, 0.03])
    array = (grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)) @ slopes).astype(np.float32)
    level = Level(array, grid)
    voxels = RNG(5).uniform(1, 18, (50, 3)).astype(np.float32)
    values, slope, _ = _between_voxels(level.array, voxels)
    assert np.allclose(slope @ grid.voxel_from_world[:3, :3], slopes, atol=1e-5)
    assert np.allclose(values, grid.world(voxels) @ slopes, atol=1e-5)


def test_a_moving_mask_takes_samples_away() -> None:
    grid = toy.HEAD
    left = Volume(
        1.0 * (grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0] > 0),
        grid,
        MODALITIES["OTHER"],
    )
    fixed = Prepared.of(toy.still("T1"))
    halved = between(fixed, Prepared.of(toy.still("CT"), left))
    _, slope, places, overlap = halved.at(Affine(np.eye(4)).moving_from_fixed)
    assert 0.4 < overlap < 0.6
    assert (slope[places[:, 0] < -8] == 0).all()
