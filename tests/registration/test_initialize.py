"""Where a search looks, and what it comes back with: ranked, distinct, near the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medfuse.geometry import Array64
from medfuse.transform import Affine
from registration.initialize import FIRST, SECOND, Candidate, everywhere, nearby, search
from registration.linear import Climbed
from registration.pair import Pair
from registration.pose import distinct, landmarks, moved
from registration.scoring import FULL_OVERLAP
from tests.registration import toy

FAR = toy.motion((1, -2, 2), 140, (35, -20, 30))
NEAR = toy.motion((1, 2, 3), 18, (8, -6, 10))


def seen(truth: Affine, name: str = "T2") -> Pair:
    return Pair.of(toy.still("T1"), toy.scan(name, truth, grid=toy.around(truth)))


@pytest.fixture(scope="module")
def far() -> Pair:
    """Return a head that was turned by 140 degrees."""
    return seen(FAR)


@pytest.fixture(scope="module")
def near() -> Pair:
    """Return a head that was turned by 18 degrees."""
    return seen(NEAR)


@pytest.fixture(scope="module")
def of_far(far: Pair) -> list[Candidate]:
    """Return what is found of the head that lies far from its header's pose."""
    return search(far, "auto", FIRST, 0)


@pytest.fixture(scope="module")
def of_near(near: Pair) -> list[Candidate]:
    """Return what is found of the head that moved a little."""
    return search(near, "auto", FIRST, 3)


def error(pose: Array64, truth: Affine) -> float:
    return float(toy.errors(Affine(pose), truth).mean())


def angle(pose: Array64) -> float:
    return float(np.degrees(Rotation.from_matrix(pose[:3, :3]).magnitude()))


def test_everywhere_is_every_orientation_about_the_middle(far: Pair) -> None:
    fixed, moving = far.inner, far.outer
    poses = everywhere(fixed, moving, FIRST)
    middle = moved(poses, fixed.ball_centre[None])[:, 0]
    off = np.linalg.norm(middle - moving.ball_centre, axis=1)
    assert (off < 1e-6).sum() >= FIRST.rotations
    for size in FIRST.shifts:
        assert (np.abs(off - size) < 1e-6).sum() >= 6 * FIRST.rotations  # along each axis
    there = np.array([angle(FAR.moving_from_fixed @ np.linalg.inv(pose)) for pose in poses[::7]])
    assert there.min() < 25
    linear = poses[:, :3, :3]
    assert np.allclose(linear @ linear.transpose(0, 2, 1), np.eye(3))
    assert np.allclose(np.linalg.det(linear), 1)


def test_the_second_round_looks_harder() -> None:
    assert SECOND.rotations > FIRST.rotations
    assert max(SECOND.shifts) > max(FIRST.shifts)
    assert SECOND.kept > FIRST.kept
    assert SECOND.refined > FIRST.refined


def test_nearby_starts_at_the_start_and_stays_about_there(near: Pair) -> None:
    start = toy.motion((0, 1, 1), 30, (20, 0, -5)).moving_from_fixed
    poses = nearby(near.inner, start, np.random.default_rng(1))
    assert np.allclose(poses[0], start)
    centre = near.inner.mass_centre
    turned = np.array([angle(pose @ np.linalg.inv(start)) for pose in poses])
    shifted = np.linalg.norm(
        (moved(poses, centre[None]) - moved(start[None], centre[None]))[:, 0], axis=1
    )
    for spread, reach in ((turned, 25), (shifted, 35)):
        assert np.median(spread) > reach / 3
        assert 0.8 < (spread < 1.05 * reach).mean() < 1
    assert np.allclose(np.linalg.det(poses[:, :3, :3]), 1)


def test_a_turned_head_is_found(far: Pair, of_far: list[Candidate]) -> None:
    for found in (of_far, search(far, "search", FIRST, 0)):
        assert error(found[0].climbed.matrix, FAR) < 1.5
        assert not found[0].near_header


def test_near_the_header_is_found_by_every_way(near: Pair, of_near: list[Candidate]) -> None:
    for found in (of_near, search(near, "header", FIRST, 0), search(near, "search", FIRST, 0)):
        assert error(found[0].climbed.matrix, NEAR) < 1.5


def test_the_header_way_does_not_turn_a_head_over(far: Pair) -> None:
    for candidate in search(far, "header", FIRST, 0):
        assert error(candidate.climbed.matrix, FAR) > 20


def test_candidates_are_distinct_rigid_and_ranked(far: Pair, of_far: list[Candidate]) -> None:
    found = of_far
    assert len(found) >= 2
    weights = [candidate.weight for candidate in found]
    assert weights == sorted(weights, reverse=True)
    poses = np.stack([candidate.climbed.matrix for candidate in found])
    marks = landmarks(far.inner.mass_centre, far.inner.radius)
    assert distinct(poses, marks, 10.0) == list(range(len(found)))
    for candidate in found:
        assert Affine(candidate.climbed.matrix).is_rigid
        assert 0 <= candidate.climbed.overlap <= 1


def test_the_seed_says_what_is_found(near: Pair, of_near: list[Candidate]) -> None:
    again = search(near, "auto", FIRST, 3)
    assert len(of_near) == len(again)
    for one, other in zip(of_near, again, strict=True):
        assert one.climbed.matrix.tobytes() == other.climbed.matrix.tobytes()
    another = search(near, "auto", FIRST, 4)[0].climbed.matrix
    assert not np.array_equal(another, again[0].climbed.matrix)
    assert toy.errors(Affine(another), Affine(again[0].climbed.matrix)).mean() < 1.5


def test_little_overlap_weighs_less() -> None:
    def weight(overlap: float) -> float:
        return Candidate(Climbed(np.eye(4), 0.8, overlap), near_header=True).weight

    assert weight(1.0) == weight(FULL_OVERLAP) == pytest.approx(0.8)
    assert weight(FULL_OVERLAP / 2) == pytest.approx(0.4)
    assert weight(0.0) == 0


def test_a_slab_is_found_in_a_whole_head_and_the_other_way_round() -> None:
    slab = toy.around(FAR, toy.HEAD.crop((22, 0, 0), (43, 64, 64)))
    part, whole = toy.scan("CT", FAR, grid=slab), toy.still("T1")
    there = Pair.of(whole, part)
    assert there.swapped
    best = search(there, "auto", FIRST, 0)[0].climbed.matrix
    assert error(there.turned(best), FAR) < 3  # of a candidate at 4 mm
    back = Pair.of(part, whole)
    best = search(back, "auto", FIRST, 0)[0].climbed.matrix
    assert error(np.linalg.inv(best), FAR) < 3
