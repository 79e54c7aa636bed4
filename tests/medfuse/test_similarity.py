"""Mutual information against closed forms and scipy; its slope against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from scipy.stats import entropy

from medfuse.similarity import (
    joint_histogram,
    mutual_information,
    normalised_mutual_information,
    smooth_mutual_information,
)

SEEDS = st.integers(0, 100_000)


def from_entropies(joint: np.ndarray) -> float:
    """Return H(f) + H(m) - H(f, m) in nats, by scipy."""
    return entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.ravel())


def samples(seed: int, count: int = 3000, bins: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Return samples that hang together: fixed bins, and real moving values clear of the bins."""
    rng = np.random.default_rng(seed)
    fixed = rng.integers(0, bins, count)
    moving = np.clip((fixed * 7) % bins + rng.normal(0, 1.5, count), 0.05, bins - 1.05)
    whole = np.rint(moving)  # a kink lies at each whole number
    return fixed, np.where(np.abs(moving - whole) < 0.02, whole + 0.02, moving)


@pytest.mark.parametrize("bins", [2, 5, 32])
def test_alike_and_even_over_k_bins_is_log_k(bins: int) -> None:
    assert mutual_information(np.eye(bins) * 7) == pytest.approx(np.log(bins), abs=1e-9)
    assert mutual_information(np.eye(bins)[::-1]) == pytest.approx(np.log(bins), abs=1e-9)


@given(seed=SEEDS)
def test_independent_is_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joint = np.outer(rng.uniform(0, 5, 9), rng.uniform(0, 5, 9))
    assert mutual_information(joint) == pytest.approx(0, abs=1e-9)


@given(seed=SEEDS)
def test_is_the_sum_of_entropies_less_the_joint_one(seed: int) -> None:
    joint = np.random.default_rng(seed).poisson(1.2, (11, 11)).astype(float)
    assert mutual_information(joint) == pytest.approx(from_entropies(joint), abs=1e-9)
    assert mutual_information(joint * 1e4) == pytest.approx(mutual_information(joint), abs=1e-9)
    assert mutual_information(joint.T) == pytest.approx(mutual_information(joint), abs=1e-9)


def test_of_two_correlated_gaussians_is_the_closed_form() -> None:
    # Cover & Thomas, Elements of Information Theory, 8.5: -log(1 - r^2) / 2
    for r in (0.3, 0.7, 0.9):
        edge = np.linspace(-5, 5, 201)
        x, y = np.meshgrid(edge, edge, indexing="ij")
        density = np.exp(-(x**2 - 2 * r * x * y + y**2) / (2 * (1 - r**2)))
        assert mutual_information(density) == pytest.approx(-np.log(1 - r**2) / 2, abs=1e-4)


def test_an_empty_histogram_tells_nothing() -> None:
    assert mutual_information(np.zeros((4, 4))) == 0
    none = np.zeros(3)
    value, slope = smooth_mutual_information(np.array([0, 1, 2]), none, none, bins=4)
    assert value == 0
    assert (slope == 0).all()


def test_whole_values_are_counted_as_numpy_counts_them() -> None:
    rng = np.random.default_rng(1)
    fixed, moving, weights = rng.integers(0, 8, 500), rng.integers(0, 8, 500), rng.uniform(size=500)
    joint, _ = joint_histogram(fixed, moving.astype(np.float32), 8, weights)
    counts, *_ = np.histogram2d(
        fixed, moving, bins=8, range=[(-0.5, 7.5), (-0.5, 7.5)], weights=weights
    )
    assert np.allclose(joint, counts)


def test_a_value_between_bins_is_shared_linearly() -> None:
    joint, cell = joint_histogram(np.array([2]), np.array([4.25]), 8, np.array([2.0]))
    expected = np.zeros((8, 8))
    expected[2, 4], expected[2, 5] = 1.5, 0.5
    assert np.allclose(joint, expected)
    assert cell.tolist() == [2 * 8 + 4]


@given(seed=SEEDS)
def test_sharing_keeps_the_weight_and_the_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fixed, moving = rng.integers(0, 6, 200), rng.uniform(0, 5, 200)
    moving[:2] = 0, 5  # both ends count
    weights = rng.uniform(0, 1, 200)
    joint, _ = joint_histogram(fixed, moving, 6, weights)
    assert joint.sum() == pytest.approx(weights.sum())
    assert (joint >= -1e-12).all()
    assert joint.sum(0) @ np.arange(6) == pytest.approx(weights @ moving)
    assert np.allclose(joint.sum(1), np.bincount(fixed, weights, 6))


@given(seed=SEEDS)
def test_the_slope_is_that_of_finite_differences(seed: int) -> None:
    fixed, moving = samples(seed)
    weights = np.random.default_rng(seed).uniform(0.2, 1, len(fixed))
    value, slope = smooth_mutual_information(fixed, moving, weights, bins=16)
    for direction in (np.ones(len(fixed)), np.random.default_rng(seed + 1).normal(size=len(fixed))):
        step = 0.01 * direction / np.abs(direction).max()
        ahead, _ = smooth_mutual_information(fixed, moving + step, weights, bins=16)
        behind, _ = smooth_mutual_information(fixed, moving - step, weights, bins=16)
        assert slope @ step == pytest.approx((ahead - behind) / 2, rel=2e-3, abs=1e-8)
    assert value > 0


def test_the_slope_of_one_sample() -> None:
    fixed, moving = samples(3, count=300)
    weights = np.ones(len(fixed))
    _, slope = smooth_mutual_information(fixed, moving, weights, bins=16)
    for n in (0, 17, 255):
        step = np.zeros(len(fixed))
        step[n] = 0.01
        ahead, _ = smooth_mutual_information(fixed, moving + step, weights, bins=16)
        behind, _ = smooth_mutual_information(fixed, moving - step, weights, bins=16)
        assert slope[n] == pytest.approx((ahead - behind) / 0.02, rel=1e-2, abs=1e-8)


def test_the_slope_climbs() -> None:
    fixed, moving = samples(4)
    weights = np.ones(len(fixed))
    before, slope = smooth_mutual_information(fixed, moving, weights, bins=16)
    step = np.clip(moving + 0.1 * slope / np.abs(slope).max(), 0, 15)
    after, _ = smooth_mutual_information(fixed, step, weights, bins=16)
    assert after > before


def test_smoothing_is_a_gaussian_of_the_joint_histogram() -> None:
    # far from the edges a normalised Gaussian is scipy's
    fixed = np.random.default_rng(5).integers(12, 20, 4000)
    moving = np.clip(31 - fixed + np.random.default_rng(6).normal(0, 1, 4000), 10, 21)
    joint, _ = joint_histogram(fixed, moving, 32, np.ones(4000))
    for axis in (0, 1):
        joint = gaussian_filter1d(joint, 1.5, axis=axis, mode="constant", truncate=8)
    value, _ = smooth_mutual_information(fixed, moving, np.ones(4000), bins=32, sigma=1.5)
    assert value == pytest.approx(from_entropies(joint), abs=1e-6)


def test_without_smoothing_it_is_the_plain_measure() -> None:
    fixed, moving = samples(7)
    joint, _ = joint_histogram(fixed, moving, 16, np.ones(len(fixed)))
    value, _ = smooth_mutual_information(fixed, moving, np.ones(len(fixed)), bins=16, sigma=1e-3)
    assert value == pytest.approx(from_entropies(joint), abs=1e-9)


def test_weights_count_as_copies() -> None:
    fixed, moving = samples(8, count=200)
    twice = np.concatenate([fixed, fixed[:50]]), np.concatenate([moving, moving[:50]])
    weights = np.where(np.arange(200) < 50, 2.0, 1.0)
    weighted, slope = smooth_mutual_information(fixed, moving, weights, bins=16)
    copied, _ = smooth_mutual_information(*twice, np.ones(250), bins=16)
    assert weighted == pytest.approx(copied)
    off, slope = smooth_mutual_information(fixed, moving, 1.0 * (np.arange(200) < 100), bins=16)
    assert off == pytest.approx(
        smooth_mutual_information(fixed[:100], moving[:100], np.ones(100), bins=16)[0]
    )
    assert (slope[100:] == 0).all()


@given(seed=SEEDS)
def test_the_normalised_form_of_a_batch(seed: int) -> None:
    joints = np.random.default_rng(seed).poisson(0.7, (5, 7, 7)).astype(float)
    joints[3, 2, 2] += 1  # none is empty
    joints[joints.sum(axis=(1, 2)) == 0, 0, 0] = 1
    found = normalised_mutual_information(joints)
    for value, joint in zip(found, joints, strict=True):
        both = entropy(joint.ravel())
        single = entropy(joint.sum(1)) + entropy(joint.sum(0))
        assert value == pytest.approx(single / both if both > 1e-9 else 1.0, abs=1e-9)
        assert 1 - 1e-9 <= value <= 2 + 1e-9


def test_the_normalised_form_at_its_ends() -> None:
    ends = np.stack(
        [np.eye(6) * 3, np.full((6, 6), 2.0), np.zeros((6, 6)), np.diag([9.0] + [0] * 5)]
    )
    assert normalised_mutual_information(ends) == pytest.approx([2, 1, 1, 1])
