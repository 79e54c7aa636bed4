"""The climb: its cost's slope, where it ends from near and from some way off, what it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from medfuse.geometry import Array64
from medfuse.transform import Affine
from registration import linear
from registration.linear import climb, refine
from registration.measure import Measure
from registration.pair import Pair
from registration.settings import RegisterSettings
from tests.registration import toy

TRUTH = toy.motion((2, -1, 2), 12, (5, 7, -9))
START = toy.motion((1, 1, -1), 7, (4, -3, 2)).then(TRUTH).moving_from_fixed


@pytest.fixture(scope="module")
def pair() -> Pair:
    """Return T1 and T2 of a head that moved."""
    return Pair.of(toy.still("T1"), toy.scan("T2", TRUTH, grid=toy.around(TRUTH)))


@pytest.fixture(scope="module")
def measure(pair: Pair) -> Measure:
    """Return their measure at the middle level."""
    fixed, moving = pair.prepared_fixed, pair.prepared_moving
    points = fixed.points(6000, np.random.default_rng(1))
    return Measure.between((fixed, fixed.middle), (moving, moving.middle), points)


@pytest.mark.parametrize("freedom", ["rigid", "affine"])
def test_the_climb_is_told_the_true_slope(
    measure: Measure, monkeypatch: pytest.MonkeyPatch, freedom: str
) -> None:
    told = {}

    def looked_at(cost, start, **_: object) -> None:  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(2)
        for n in range(3):
            at = rng.normal(size=len(start)) * (3.0 if n else 0.0)
            slope = cost(at)[1]
            gap = check_grad(lambda p: cost(p)[0], lambda p: cost(p)[1], at, epsilon=0.02)
            told[n] = gap / np.linalg.norm(slope)

    monkeypatch.setattr(linear, "descend", looked_at)
    climb(measure, START, freedom=freedom, radius=60.0)  # type: ignore[arg-type]
    assert max(told.values()) < 0.03


def test_it_ends_at_the_truth_and_higher_than_it_began(measure: Measure) -> None:
    found = climb(measure, START, iterations=30)
    assert toy.errors(Affine(START), TRUTH).mean() > 5
    assert toy.errors(Affine(found.matrix), TRUTH).mean() < 0.5
    assert found.information > measure.at(START)[0]
    assert found.information == pytest.approx(measure.at(found.matrix)[0])
    assert found.overlap == pytest.approx(measure.at(found.matrix)[3])


def test_a_rigid_climb_stays_rigid(measure: Measure) -> None:
    assert Affine(climb(measure, START).matrix).is_rigid


def test_the_radius_is_only_a_scale(measure: Measure) -> None:
    ends = [climb(measure, START, iterations=60, radius=radius).matrix for radius in (40.0, 90.0)]
    assert toy.errors(Affine(ends[0]), Affine(ends[1])).max() < 0.2


def test_from_out_of_sight_it_comes_back_where_it_was(measure: Measure) -> None:
    away = START.copy()
    away[:3, 3] += 5000
    found = climb(measure, away)
    assert np.array_equal(found.matrix, away)
    assert (found.information, found.overlap) == (0, 0)


def stretched() -> Affine:
    """Return a true motion with 6 % of stretch and some shear."""
    change = np.eye(4)
    change[:3, :3] = [[1.06, 0.02, 0], [0, 0.97, 0.03], [0.01, 0, 1.03]]
    return Affine(TRUTH.moving_from_fixed @ change)


def error(found: Array64 | Affine, truth: Affine) -> float:
    made = found if isinstance(found, Affine) else Affine(found)
    return float(toy.errors(made, truth).mean())


def test_affine_finds_stretch_and_shear_and_rigid_cannot() -> None:
    truth = stretched()
    pair = Pair.of(toy.still("T1"), toy.scan("T2", truth, grid=toy.around(truth)))
    rng = np.random.default_rng
    found = refine(pair, Affine(START), RegisterSettings(transform="affine"), rng(1))
    assert error(found.transform, truth) < 0.4
    assert not found.transform.is_rigid
    rigid = refine(pair, Affine(START), RegisterSettings(), rng(1))
    assert rigid.transform.is_rigid
    assert 0.8 < error(rigid.transform, truth) < 4
    assert found.similarity > rigid.similarity


def test_points_drawn_from_the_moving_volume_give_the_same_answer(pair: Pair) -> None:
    back = Pair.of(pair.moving, pair.fixed)
    rng = np.random.default_rng
    there = refine(pair, Affine(START), RegisterSettings(), rng(1)).transform
    here = refine(back, Affine(START).inverse(), RegisterSettings(), rng(1)).transform
    assert toy.errors(there, here.inverse()).mean() < 0.4


@pytest.mark.parametrize("names", [("T1", "PET"), ("PET", "T1")])
def test_beside_a_pet_points_come_from_the_sharper_volume_where_the_pet_shows_it(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slab = toy.around(TRUTH, toy.HEAD.crop((22, 0, 0), (43, 64, 64)))
    made = {"T1": toy.still("T1"), "PET": toy.scan("PET", TRUTH, grid=slab)}
    pair = Pair.of(made[names[0]], made[names[1]])
    truth = TRUTH if names[0] == "T1" else TRUTH.inverse()
    start = Affine(START) if names[0] == "T1" else Affine(START).inverse()
    drawn = []
    between = Measure.between

    def watched(fixed, moving, points, **how):  # type: ignore[no-untyped-def]
        drawn.append((fixed[0], points))
        return between(fixed, moving, points, **how)

    monkeypatch.setattr(Measure, "between", watched)
    found = refine(pair, start, RegisterSettings(), np.random.default_rng(1)).transform
    assert toy.errors(found, truth).mean() < (1.0 if names[0] == "T1" else 40)
    sharp = pair.prepared_fixed if names[0] == "T1" else pair.prepared_moving
    assert drawn[-1][0] is sharp
    seen = slab.voxel(TRUTH.map(drawn[-1][1]))
    near = 4.0  # of a point's own voxel, and of the pose at that stage, in voxels of 3 mm
    assert ((seen > -near) & (seen < np.asarray(slab.shape) + near)).all()
    assert len(drawn[-1][1]) == 40_000
