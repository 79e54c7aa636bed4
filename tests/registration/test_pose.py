"""Rotations against scipy's, and how evenly a count of them covers all orientations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfuse.geometry import Array64
from registration.pose import (
    about,
    distinct,
    even_rotations,
    landmarks,
    left_jacobian,
    moved,
    rotations,
    steps,
)

SEEDS = st.integers(0, 100_000)


def angles(first: Array64, second: Array64) -> Array64:
    """Return the angle between each of ``first`` and each of ``second``, degrees (N, M)."""
    trace = np.einsum("nij,mij->nm", first, second)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


@given(seed=SEEDS)
def test_rotation_vectors_as_scipy_turns_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(6, 3)) * rng.choice([1e-9, 1e-4, 0.3, 3.0], size=(6, 1))
    assert np.allclose(rotations(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)


def test_no_turn_and_half_a_turn() -> None:
    assert np.array_equal(rotations(np.zeros(3)), np.eye(3)[None])
    assert np.allclose(rotations([0, 0, np.pi])[0], np.diag([-1, -1, 1]))


@given(seed=SEEDS)
def test_left_jacobian_is_the_slope_of_the_rotation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=3) * rng.choice([1e-8, 1e-3, 0.5, 2.0])
    matrix = left_jacobian(vector)
    for axis in range(3):
        step = 1e-6 * np.eye(3)[axis]
        ahead, behind = Rotation.from_rotvec(vector + step), Rotation.from_rotvec(vector - step)
        turned = (ahead * behind.inv()).as_rotvec() / 2e-6  # a turn on the left
        assert np.allclose(matrix[:, axis], turned, atol=1e-5)


@pytest.mark.parametrize("count", [60, 2000])
def test_even_rotations_are_rotations(count: int) -> None:
    found = even_rotations(count)
    assert found.shape == (count, 3, 3)
    assert np.allclose(found @ found.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(found), 1)


@pytest.mark.parametrize(("count", "bound"), [(600, 32), (2000, 22), (4000, 18)])
def test_even_rotations_leave_no_orientation_far_away(count: int, bound: float) -> None:
    anywhere = Rotation.random(1500, rng=np.random.default_rng(1)).as_matrix()
    nearest = angles(anywhere, even_rotations(count)).min(axis=1)
    assert nearest.max() < bound
    # no better can be done than balls of equal volume without gaps: (a - sin a) / pi = 1 / count
    ideal = np.degrees((6 * np.pi / count) ** (1 / 3))
    assert nearest.max() < 2 * ideal


def test_even_rotations_are_spread_and_not_repeated() -> None:
    found = even_rotations(500)
    apart = angles(found, found) + 360 * np.eye(500)
    assert apart.min() > 5
    assert np.abs(found.mean(axis=0)).max() < 0.05  # no direction is preferred


def test_turning_about_a_centre_leaves_it_but_for_the_shift() -> None:
    rng = np.random.default_rng(2)
    turn = Rotation.random(5, rng=rng).as_matrix()
    centre, shift = rng.normal(size=3) * 80, rng.normal(size=(5, 3)) * 20
    made = about(centre, turn, shift)
    carried = moved(made, centre[None])
    assert np.allclose(carried[:, 0], centre + shift)
    point = rng.normal(size=(1, 3)) * 50
    expected = np.einsum("nij,j->ni", turn, point[0] - centre) + centre + shift
    assert np.allclose(moved(made, point)[:, 0], expected)
    assert np.allclose(made[:, 3], [0, 0, 0, 1])


def test_each_pose_has_its_own_centre_where_several_are_given() -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(4, 3)) * 50
    made = about(centres, Rotation.random(4, rng=rng).as_matrix(), np.zeros(3))
    for matrix, centre in zip(made, centres, strict=True):
        assert np.allclose(matrix[:3, :3] @ centre + matrix[:3, 3], centre)


def test_twelve_steps_are_six_turns_and_six_shifts_there_and_back() -> None:
    turn, shift = steps(7.0, 3.0)
    angle = Rotation.from_matrix(turn).magnitude()
    length = np.linalg.norm(shift, axis=1)
    assert np.allclose(np.degrees(angle), [7] * 6 + [0] * 6)
    assert np.allclose(length, [0] * 6 + [3] * 6)
    assert np.allclose(turn[0] @ turn[1], np.eye(3))
    assert np.allclose(shift.sum(axis=0), 0)
    assert len({tuple(row.round(9)) for row in shift}) == 7  # and none twice


def test_landmarks_lie_on_a_sphere() -> None:
    centre = np.array([3.0, -5, 90])
    found = landmarks(centre, 60.0)
    assert np.allclose(found[0], centre)
    assert np.allclose(np.linalg.norm(found[1:] - centre, axis=1), 60)
    assert np.allclose(found.mean(axis=0), centre)


def test_moved_points_are_those_of_each_matrix() -> None:
    rng = np.random.default_rng(4)
    poses = about(np.zeros(3), Rotation.random(3, rng=rng).as_matrix(), rng.normal(size=(3, 3)))
    points = rng.normal(size=(5, 3)) * 40
    ones = np.column_stack([points, np.ones(5)])
    for places, matrix in zip(moved(poses, points), poses, strict=True):
        assert np.allclose(places, (ones @ matrix.T)[:, :3])


def test_poses_are_distinct_by_mm_and_the_first_is_kept() -> None:
    shifts = np.array([0, 5, 11.9, 12.1, 13, 24.5])
    poses = np.tile(np.eye(4), (6, 1, 1))
    poses[:, 0, 3] = shifts
    marks = landmarks(np.zeros(3), 70.0)
    assert distinct(poses, marks, 12.0) == [0, 3, 5]
    assert distinct(poses, marks, 0.0) == list(range(6))
    # a turn of 20 degrees moves four of seven landmarks at 70 mm by a chord of 24.3 mm
    turned = np.stack([np.eye(4), np.eye(4)])
    turned[1, :3, :3] = Rotation.from_euler("z", 20, degrees=True).as_matrix()
    chord = np.sqrt(4 / 7) * 2 * 70 * np.sin(np.radians(10))
    assert distinct(turned, marks, chord - 0.01) == [0, 1]
    assert distinct(turned, marks, chord + 0.01) == [0]
