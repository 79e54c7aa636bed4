"""Poses and grids: rotations are rotations, storage changes nothing in the world."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.phantom.scanners import CENTRE, SCANNERS, about, grid_of, pose, rotation, stored
from medfuse.volume import Volume


@given(st.integers(0, 10_000), st.sampled_from([5.0, 20.0, 60.0, 180.0]))
def test_a_rotation_keeps_lengths_and_hands(seed: int, degrees: float) -> None:
    turn = rotation(np.random.default_rng(seed), degrees)
    np.testing.assert_allclose(turn.T @ turn, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


@given(st.integers(0, 10_000))
def test_a_small_rotation_is_no_more_than_three_small_angles(seed: int) -> None:
    turn = rotation(np.random.default_rng(seed), 20)
    angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    assert angle <= 60


def test_any_orientation_is_uniform() -> None:
    rng = np.random.default_rng(0)
    turns = np.stack([rotation(rng, 180) for _ in range(4000)])
    # over SO(3) each entry has mean 0 and variance 1/3
    np.testing.assert_allclose(turns.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(turns.var(axis=0), 1 / 3, atol=0.03)


def test_turning_about_a_point_leaves_it() -> None:
    rng = np.random.default_rng(1)
    matrix = about(CENTRE, rotation(rng, 60), (1, 2, 3))
    np.testing.assert_allclose(
        matrix[:3, :3] @ CENTRE + matrix[:3, 3], CENTRE + np.array([1, 2, 3])
    )


def test_a_pose_keeps_within_its_limits() -> None:
    for seed in range(20):
        moved = pose(np.random.default_rng(seed), 10, 8)
        shift = moved[:3, :3] @ CENTRE + moved[:3, 3] - CENTRE
        assert np.abs(shift).max() <= 8


@given(st.integers(0, 10_000))
def test_storage_changes_nothing_in_the_world(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = about((0, 0, 0), rotation(rng, 180), rng.normal(0, 50, 3))
    matrix[:3, :3] = matrix[:3, :3] * rng.uniform(0.5, 3, 3)
    geometry = Geometry((3, 4, 5), matrix)
    volume = Volume(np.arange(60, dtype=np.float32).reshape(3, 4, 5), geometry, MODALITIES["T1"])
    again = stored(volume, rng)
    assert sorted(again.geometry.shape) == [3, 4, 5]
    at = np.argwhere(np.ones((3, 4, 5), bool))
    voxels = again.geometry.voxel(geometry.world(at))
    np.testing.assert_allclose(voxels, voxels.round(), atol=1e-9)
    np.testing.assert_array_equal(
        again.array[tuple(voxels.round().astype(int).T)], volume.array[tuple(at.T)]
    )


@pytest.mark.parametrize("name", sorted(SCANNERS))
def test_a_field_of_view_holds_the_cranium(name: str) -> None:
    for seed in range(10):
        grid = grid_of(name, np.random.default_rng(seed))
        voxels = grid.voxel([[-70, 0, 20], [70, 0, 20], [0, -90, 0], [0, 85, 0], [0, 0, 78]])
        assert (voxels >= 0).all()
        assert (voxels <= np.asarray(grid.shape) - 1).all()


@pytest.mark.parametrize("name", ["CT", "PET", "T2"])
def test_a_slab_is_100_mm_of_brain(name: str) -> None:
    for seed in range(10):
        grid = grid_of(name, np.random.default_rng(seed), slab=True)
        assert grid.shape[0] * grid.spacing[0] == pytest.approx(100, abs=2.5)
        low, high = sorted((grid.origin[2], grid.corners()[-1][2]))
        assert -50 < low < 0 < high < 95


def test_an_isotropic_grid_covers_the_same_field() -> None:
    rng = np.random.default_rng(0)
    grid = grid_of("T1", rng, millimetres=1.5)
    assert grid.shape == (149, 155, 117)
    assert grid.spacing == pytest.approx((1.5, 1.5, 1.5))
