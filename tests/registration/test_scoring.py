"""Scores of many poses against the plain way: one pose, one histogram, scipy's entropy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.stats import entropy

from medfuse.geometry import Array64
from medfuse.modality import MODALITIES
from medfuse.volume import Volume
from registration import scoring
from registration.levels import Prepared
from registration.pose import about
from registration.scoring import FULL_OVERLAP, Scorer
from tests.registration import toy

BINS = 12


@pytest.fixture(scope="module")
def fixed() -> Prepared:
    """Return the prepared T1."""
    return Prepared.of(toy.still("T1"))


@pytest.fixture(scope="module")
def moving() -> Prepared:
    """Return the prepared CT of the same head in the same pose."""
    return Prepared.of(toy.still("CT"))


@pytest.fixture(scope="module")
def poses() -> Array64:
    """Return the true pose, small and large motions, and one that leaves the field of view."""
    rng = np.random.default_rng(3)
    made = about(
        np.zeros(3), Rotation.random(30, rng=rng).as_matrix(), rng.normal(size=(30, 3)) * 50
    )
    made[0] = np.eye(4)
    made[1, :3, 3] = 1000
    made[2] = np.eye(4)
    made[2, :3, 3] = 100, 3, 3
    return made


def scorer(fixed: Prepared, moving: Prepared, count: int = 500) -> Scorer:
    points = fixed.points(count, np.random.default_rng(1))
    return Scorer((fixed, fixed.coarse), (moving, moving.coarse), points=points, bins=BINS)


def plainly(
    points: Array64, fixed: Prepared, moving: Prepared, pose: Array64
) -> tuple[float, float]:
    """Return score and overlap of one pose in the most direct words."""
    still = np.rint(fixed.in_bins(fixed.coarse.array, BINS, ranks=1.0)).astype(int)
    seen = np.rint(moving.in_bins(moving.coarse.array, BINS, ranks=1.0)).astype(int)
    joint = np.zeros((BINS, BINS))
    for point in points:
        at = np.rint(fixed.coarse.geometry.voxel(point)).astype(int)
        at = np.clip(at, 0, np.array(still.shape) - 1)
        to = np.rint(moving.coarse.geometry.voxel(pose[:3, :3] @ point + pose[:3, 3])).astype(int)
        if (to >= 0).all() and (to < seen.shape).all():
            joint[still[tuple(at)], seen[tuple(to)]] += 1
    overlap = joint.sum() / len(points)
    if not joint.any() or not (both := entropy(joint.ravel())):
        return 0.0, overlap
    single = entropy(joint.sum(0)) + entropy(joint.sum(1))
    return (single / both - 1) * min(1, overlap / FULL_OVERLAP), overlap


def test_scores_are_those_of_the_plain_way(
    fixed: Prepared, moving: Prepared, poses: Array64
) -> None:
    fast = scorer(fixed, moving)
    scores, overlaps = fast(poses)
    for score, overlap, pose in zip(scores, overlaps, poses, strict=True):
        expected = plainly(fast.points.astype(np.float64), fixed, moving, pose)
        # a point between two voxels may be rounded the other way in single precision
        assert (score, overlap) == pytest.approx(expected, abs=4e-3)


def test_the_truth_scores_best(fixed: Prepared, moving: Prepared, poses: Array64) -> None:
    scores, overlaps = scorer(fixed, moving)(poses)
    assert scores.argmax() == 0
    assert overlaps[0] > 0.95


def test_nothing_inside_scores_nothing(fixed: Prepared, moving: Prepared, poses: Array64) -> None:
    scores, overlaps = scorer(fixed, moving)(poses)
    assert scores[1] == pytest.approx(0, abs=1e-9)
    assert overlaps[1] == 0
    assert 0 < overlaps[2] < 0.6


def test_chunks_change_nothing(
    fixed: Prepared, moving: Prepared, poses: Array64, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scorer(fixed, moving)
    scores, overlaps = whole(poses)
    monkeypatch.setattr(scoring, "_CHUNK", 1700)  # three poses at once
    again = whole(poses)
    assert np.array_equal(scores, again[0])
    assert np.array_equal(overlaps, again[1])


def test_samples_outside_a_moving_mask_do_not_count(fixed: Prepared) -> None:
    grid = toy.HEAD
    left = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))[..., 0] > 0
    mask = Volume(1.0 * left, grid, MODALITIES["OTHER"])
    halved = Prepared.of(toy.still("CT"), mask)
    score, overlap = scorer(fixed, halved)(np.eye(4)[None])
    assert 0.4 < overlap[0] < 0.6
    noise = np.random.default_rng(4).normal(500, 400, grid.shape)
    spoilt = Volume(np.where(left, toy.still("CT").array, noise), grid, MODALITIES["CT"])
    beside = scorer(fixed, Prepared.of(spoilt, mask))(np.eye(4)[None])
    assert (score[0], overlap[0]) == pytest.approx((beside[0][0], beside[1][0]), abs=0.03)
