"""The deformable stage against a smooth displacement that is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from medfuse import itk
from medfuse.geometry import Array64, Geometry
from medfuse.metrics import folding, jacobian_determinant
from medfuse.transform import Affine, Chain, Displacement
from registration.deformable import _sampled, _unfolded, bend
from registration.pair import Pair
from registration.settings import RegisterSettings
from tests.registration import toy

WANTED = RegisterSettings(transform="deformable", grid_mm=40.0)
GRID = toy.HEAD.respace((5, 5, 5))
TURN = toy.motion((1, 2, 3), 20, (10, -5, 8))


def wave(places: Array64) -> Array64:
    """Return a smooth shift of up to about 7 mm, (..., 3)."""
    x, y, z = np.moveaxis(places, -1, 0)
    parts = [np.sin(y / 32), np.cos(z / 30) - 0.6, np.sin(x / 28 + 0.5)]
    return 4.5 * np.stack(parts, axis=-1)


def to_head(places: Array64) -> Array64:
    """Return where the head's points lie that a point of the moving scan shows."""
    back = TURN.inverse().map(places)
    return back + wave(back)


def truth(points: Array64) -> Array64:
    """Return the moving points of fixed ones: ``to_head`` backwards, by iteration."""
    found = points
    for _ in range(60):
        found = points - wave(found)
    return TURN.map(found)


@pytest.fixture(scope="module")
def pair() -> Pair:
    """Return a T1 and the T2 of the same head, turned and bent."""
    return Pair.of(toy.scan("T1", grid=GRID), toy.scan("T2", to_head, grid=toy.around(TURN, GRID)))


@pytest.fixture(scope="module")
def found(pair: Pair) -> Chain:
    """Return what the stage makes of them after the true turn."""
    made = bend(pair, TURN, WANTED, 1)
    assert isinstance(made, Chain)
    return made


def errors(transform: object) -> Array64:
    points = toy.brain_points()
    return np.linalg.norm(transform.map(points) - truth(points), axis=1)  # type: ignore[attr-defined]


def test_the_truth_of_these_tests_is_true() -> None:
    points = toy.brain_points()
    assert np.allclose(to_head(truth(points)), points, atol=1e-6)
    assert errors(TURN).mean() > 3


def test_less_than_half_of_the_error_is_left(found: Chain) -> None:
    before, after = errors(TURN), errors(found)
    assert after.mean() < before.mean() / 2
    assert np.quantile(after, 0.95) < np.quantile(before, 0.95) / 1.5


def test_it_is_a_displacement_of_the_fixed_space_and_then_the_linear_part(found: Chain) -> None:
    bent, linear = found.parts
    assert isinstance(bent, Displacement)
    assert isinstance(linear, Affine)
    assert np.array_equal(linear.moving_from_fixed, TURN.moving_from_fixed)
    points = toy.brain_points()
    assert np.allclose(found.map(points), TURN.map(bent.map(points)))
    assert min(bent.geometry.spacing) >= 3 - 1e-6
    assert bent.geometry.corners().min() < -80
    assert bent.geometry.corners().max() > 80


def test_nothing_folds(found: Chain) -> None:
    bent = found.parts[0]
    assert isinstance(bent, Displacement)
    assert folding(bent) == 0
    assert jacobian_determinant(bent).min() > 0


def test_the_same_seed_gives_the_same_bytes(pair: Pair, found: Chain) -> None:
    again = bend(pair, TURN, WANTED, 1)
    assert isinstance(again, Chain)
    one, two = found.parts[0], again.parts[0]
    assert one.field.tobytes() == two.field.tobytes()  # type: ignore[attr-defined]


def test_a_head_that_is_not_bent_stays_nearly_as_it_is() -> None:
    scans = toy.scan("T1", grid=GRID), toy.scan("T2", TURN, grid=toy.around(TURN, GRID))
    straight = Pair.of(*scans)
    made = bend(straight, TURN, WANTED, 1)
    assert toy.errors(made, TURN).mean() < 0.6


def test_a_sampled_spline_moves_points_as_the_spline() -> None:
    still = itk.image(toy.still("T1"))
    spline = sitk.BSplineTransformInitializer(still, [3, 3, 3], 3)
    rng = np.random.default_rng(1)
    spline.SetParameters(rng.normal(0, 6, len(spline.GetParameters())).tolist())
    turned = toy.HEAD.moved(toy.motion((1, 1, 0), 25).moving_from_fixed)
    for grid in (toy.HEAD, turned.respace((2.0, 3.0, 5.0))):
        made = _sampled(spline, grid)
        assert min(made.geometry.spacing) >= 3 - 1e-6
        inside = toy.brain_points(50) * 0.8
        theirs = np.array([spline.TransformPoint(point.tolist()) for point in inside])
        assert np.abs(made.map(inside) - theirs).max() < 0.3


def test_a_folded_field_is_smoothed_until_it_does_not_fold() -> None:
    grid = Geometry((24, 24, 24), np.eye(4)[[2, 1, 0, 3]] * [3.0, 3, 3, 1])
    push = np.zeros((3, *grid.shape))
    push[0, 12, 12, 10:14] = (0, 15, -15, 0)
    folded = Displacement(push, grid)
    assert folding(folded) > 0
    smooth = _unfolded(folded)
    assert folding(smooth) == 0
    assert np.abs(smooth.field).max() > 0
    straight = Displacement(np.full((3, *grid.shape), 2.0), grid)
    assert _unfolded(straight) is straight
