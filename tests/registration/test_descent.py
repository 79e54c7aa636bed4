"""The descent: against scipy's on known functions, how many looks it needs, what it never does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from medfuse.geometry import Array64
from registration.descent import descend


def rosenbrock(at: Array64) -> tuple[float, Array64]:
    return float(optimize.rosen(at)), optimize.rosen_der(at)


def quadratic(seed: int, size: int) -> tuple[Array64, Array64]:
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(size, size)))[0]
    return turn @ np.diag(np.geomspace(1, 200, size)) @ turn.T, rng.normal(size=size)


@given(seed=st.integers(0, 50), size=st.sampled_from([6, 12]))
def test_it_finds_the_bottom_of_any_bowl(seed: int, size: int) -> None:
    bowl, bottom = quadratic(seed, size)

    def cost(at: Array64) -> tuple[float, Array64]:
        return 1 + float((at - bottom) @ bowl @ (at - bottom)) / 2, bowl @ (at - bottom)

    found = descend(cost, np.zeros(size), iterations=60)
    assert found.value == pytest.approx(1, abs=1e-5)
    # a gain below 1e-7 of the value ends it: the softest axis is known to sqrt(2e-7 / 1)
    np.testing.assert_allclose(found.at, bottom, atol=5e-3)


def test_it_gets_round_a_bend_as_scipys_does() -> None:
    start = np.array([-1.2, 1.0, -0.5, 0.8, 1.3, 0.6])
    theirs = optimize.minimize(rosenbrock, start, jac=True, method="BFGS")
    looks = 0

    def counted(at: Array64) -> tuple[float, Array64]:
        nonlocal looks
        looks += 1
        return rosenbrock(at)

    found = descend(counted, start, iterations=200)
    np.testing.assert_allclose(found.at, np.ones(6), atol=2e-3)
    np.testing.assert_allclose(found.at, theirs.x, atol=2e-3)
    assert looks < 1.5 * theirs.nfev


def test_it_never_ends_higher_than_it_began_even_where_the_slope_lies() -> None:
    def cost(at: Array64) -> tuple[float, Array64]:
        return float(at @ at), -2 * at  # points up the hill

    start = np.array([1.0, -2.0])
    assert descend(cost, start, iterations=10).value <= 5.0


def test_a_flat_place_is_an_end_and_iterations_bound_it() -> None:
    looks = []

    def flat(at: Array64) -> tuple[float, Array64]:
        looks.append(at)
        return 3.0, np.zeros_like(at)

    assert descend(flat, np.ones(6), iterations=50).value == 3.0
    assert len(looks) == 1
    far = descend(rosenbrock, np.array([-1.2, 1.0]), iterations=2)
    assert far.value > 1e-3  # two steps do not get there
