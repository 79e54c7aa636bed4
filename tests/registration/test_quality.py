"""Verdicts: what is right passes; what is wrong, or could as well be otherwise, does not."""

from __future__ import annotations

import numpy as np
import pytest

from medfuse.errors import QualityRefused, UsageError
from medfuse.modality import MODALITIES
from medfuse.study import AlignedStudy, Quality, Study
from medfuse.transform import IDENTITY, Affine, Chain, Displacement
from medfuse.volume import Volume
from registration import assess, gate, register
from registration.pair import Pair
from registration.quality import judge
from tests.registration import toy

TRUTH = toy.motion((1, 2, 3), 15, (8, -6, 10))
HALF_TURN = toy.motion((0, 0, 1), 180).then(TRUTH)
PLACES = toy.HEAD.world(np.moveaxis(np.indices(toy.HEAD.shape), 0, -1))


@pytest.fixture(scope="module")
def moving() -> Volume:
    """Return the CT of a head that moved."""
    return toy.scan("CT", TRUTH, grid=toy.around(TRUTH), seed=1)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=toy.HEAD.shape)


def test_the_truth_passes_with_figures_that_make_sense(moving: Volume) -> None:
    found = assess(toy.still("T1"), moving, TRUTH)
    assert (found.verdict, found.reasons) == ("pass", ())
    assert found.figures["overlap"] > 0.95
    assert found.figures["information_nats"] > 0.5
    assert found.figures["margin"] > 1.1
    assert found.figures["sharpness"] > 1
    assert 0 <= found.figures["stability_mm"] < 2


def test_the_way_there_and_back_ends_where_it_began_only_for_the_truth(moving: Volume) -> None:
    rivals = (HALF_TURN,)
    assert "inverse_consistency_mm" not in assess(toy.still("T1"), moving, TRUTH).figures
    true = assess(toy.still("T1"), moving, TRUTH, rivals=rivals, both_ways=True)
    assert true.figures["inverse_consistency_mm"] < 0.5
    off = TRUTH.then(toy.motion((1, 0, 0), 0, (6, 0, 0)))
    false = assess(toy.still("T1"), moving, off, rivals=rivals, both_ways=True)
    # the way back is refined to the truth: what is left is the 6 mm that the way there is off
    assert false.figures["inverse_consistency_mm"] == pytest.approx(6, abs=0.5)


def piece(volume: Volume, middle: Affine, side: int) -> Volume:
    """Return a cube of ``side`` voxels out of ``volume``, where ``middle`` carries a place."""
    at = np.round(volume.geometry.voxel(middle.map([[12.0, -20.0, 10.0]]))[0]).astype(int)
    low, high = at - side // 2, at - side // 2 + side
    cut = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    grid = volume.geometry.crop(tuple(low.tolist()), tuple(high.tolist()))
    return volume.with_array(volume.array[cut].copy(), grid)


@pytest.mark.parametrize("side", [14, 20])
def test_a_small_piece_never_passes_and_overlap_is_the_fixed_ones(
    moving: Volume, side: int
) -> None:
    small = piece(moving, TRUTH, side)
    found = assess(toy.still("T1"), small, TRUTH, rivals=(HALF_TURN,))
    body = np.prod([62, 76, 66]) * 4 / 3 * np.pi  # mm3 of the scalp's ellipsoid
    assert found.figures["overlap"] == pytest.approx((3 * side) ** 3 / body, rel=0.15)
    assert found.figures["compared"] > 0.9
    assert found.figures["compared_cm3"] == pytest.approx((3 * side) ** 3 / 1000, rel=0.3)
    assert found.verdict == "review"
    other = assess(piece(toy.still("T1"), IDENTITY, side), moving, TRUTH, rivals=(HALF_TURN,))
    assert other.figures["overlap"] > 0.9
    assert other.verdict == "review"
    assert any("cm3 of tissue" in reason for reason in other.reasons)


def test_half_a_turn_does_not_pass_and_the_reason_is_said(moving: Volume) -> None:
    found = assess(toy.still("T1"), moving, HALF_TURN)
    assert found.verdict != "pass"
    assert any("another pose" in reason for reason in found.reasons)
    assert found.figures["margin"] < 1


@pytest.mark.parametrize("millimetres", [8, 15, 30, 60])
def test_a_shifted_pose_does_not_pass(moving: Volume, millimetres: float) -> None:
    for direction in ((1, 0, 0), (0, -0.6, 0.8)):
        off = toy.motion((1, 0, 0), 0, tuple(millimetres * np.array(direction)))
        known = assess(toy.still("T1"), moving, TRUTH.then(off), rivals=(TRUTH,))
        assert known.verdict != "pass"
        # nor where nobody names the better pose: its own neighbours give it away
        alone = assess(toy.still("T1"), moving, TRUTH.then(off), rivals=(HALF_TURN,))
        assert alone.verdict != "pass"


@pytest.mark.parametrize("degrees", [12, 25, 90])
def test_a_turned_pose_does_not_pass(moving: Volume, degrees: float) -> None:
    for axis in ((0, 0, 1), (1, 1, 0)):
        off = toy.motion(axis, degrees).then(TRUTH)
        assert assess(toy.still("T1"), moving, off, rivals=(TRUTH,)).verdict != "pass"


def test_no_overlap_fails(moving: Volume) -> None:
    away = TRUTH.then(toy.motion((1, 0, 0), 0, (400, 0, 0)))
    found = assess(toy.still("T1"), moving, away, rivals=(TRUTH,))
    assert found.verdict == "fail"
    assert found.figures["overlap"] == 0
    assert "0%" in found.reasons[0]
    assert "next to nothing in common" in found.reasons[-1]


def test_little_overlap_is_doubted(moving: Volume) -> None:
    edge = TRUTH.then(toy.motion((1, 0, 0), 0, (150, 0, 0)))
    found = assess(toy.still("T1"), moving, edge, rivals=(TRUTH,))
    assert 0 < found.figures["overlap"] < 0.35
    assert found.verdict != "pass"


def test_a_rival_that_is_as_good_is_named() -> None:
    still, twin = toy.still("T1"), toy.scan("T1", seed=9)
    alone = assess(still, twin, IDENTITY, rivals=(HALF_TURN,))
    assert alone.verdict == "pass"
    same = assess(still, twin, IDENTITY, rivals=(toy.motion((0, 0, 1), 1),))
    assert same.figures["margin"] == alone.figures["margin"] or same.figures["margin"] == 10


def test_a_ball_has_no_orientation_and_never_passes() -> None:
    inside = np.linalg.norm(PLACES - [4, -3, 6], axis=-1) < 55
    balls = [Volume(100 * inside + noise(n), toy.HEAD, MODALITIES["MR"]) for n in (1, 2)]
    found = register(*balls).quality
    assert found.verdict != "pass"
    assert any("another pose" in reason for reason in found.reasons)


def test_noise_never_passes() -> None:
    volumes = [Volume(noise(n), toy.HEAD, MODALITIES["MR"]) for n in (3, 4)]
    assert register(*volumes).quality.verdict != "pass"


def test_another_thing_never_passes() -> None:
    # three balls in a row against a head
    row = np.zeros(toy.HEAD.shape)
    for x, radius in ((-55, 25), (0, 30), (50, 20)):
        row[np.linalg.norm(PLACES - [x, 0, x / 5], axis=-1) < radius] = 60 + x
    thing = Volume(row + noise(5), toy.HEAD, MODALITIES["CT"])
    assert register(toy.still("T1"), thing).quality.verdict != "pass"


def test_the_verdict_is_the_same_every_time(moving: Volume) -> None:
    one, two = (
        assess(toy.still("T1"), moving, TRUTH, rivals=(HALF_TURN,), seed=4) for _ in range(2)
    )
    assert one == two


def test_what_bends_is_judged_by_its_linear_part_and_its_folds(moving: Volume) -> None:
    pair = Pair.of(toy.still("T1"), moving)
    flat = Displacement(np.zeros((3, *toy.HEAD.shape)), toy.HEAD)
    mirror = np.zeros((3, *toy.HEAD.shape))
    mirror[0] = -2 * PLACES[..., 0]
    folded = Displacement(mirror, toy.HEAD)
    rivals = [HALF_TURN.moving_from_fixed]
    smooth = judge(pair, Chain((flat, TRUTH)), TRUTH, rivals, 0)
    assert smooth.figures["folding_percent"] == 0
    bent = judge(pair, Chain((folded, TRUTH)), TRUTH, rivals, 0)
    assert bent.figures["folding_percent"] == 100
    assert (smooth.verdict, bent.verdict) == ("pass", "review")
    assert any("folds 1e+02 % of space" in reason for reason in bent.reasons)
    assert "folding_percent" not in judge(pair, TRUTH, TRUTH, rivals, 0).figures
    with pytest.raises(UsageError, match="linear"):
        assess(toy.still("T1"), moving, Chain((flat, TRUTH)))


def aligned(**verdicts: Quality) -> AlignedStudy:
    """Return a study on one grid with these verdicts."""
    names = ["T1", *verdicts]
    volumes = {name: toy.still("T1") for name in names}
    transforms = {name: Affine(np.eye(4)) for name in verdicts}
    return AlignedStudy(Study("case", volumes), "T1", toy.HEAD, volumes, transforms, verdicts)


PASS, REVIEW = Quality("pass", {}), Quality("review", {}, ("one doubt", "another"))
FAIL = Quality("fail", {}, ("no overlap",))


def test_the_gate_drops_what_failed_and_keeps_the_reason() -> None:
    given = aligned(CT=PASS, PET=FAIL, T2=REVIEW)
    kept = gate(given)
    assert set(kept.volumes) == {"T1", "CT", "T2"}
    assert dict(kept.dropped) == {"PET": "no overlap"}
    assert kept.quality["PET"] is FAIL  # the verdict stays readable
    assert set(given.volumes) == {"T1", "CT", "T2", "PET"}
    strict = gate(given, keep="pass")
    assert set(strict.volumes) == {"T1", "CT"}
    assert strict.dropped["T2"] == "one doubt; another"


def test_the_gate_may_be_passed_twice() -> None:
    once = gate(aligned(CT=PASS, PET=FAIL))
    assert dict(gate(once).dropped) == dict(once.dropped)
    assert set(gate(once).volumes) == {"T1", "CT"}


def test_the_gate_leaves_alone_what_never_moved() -> None:
    assert set(gate(aligned()).volumes) == {"T1"}
    assert set(gate(aligned(CT=PASS)).volumes) == {"T1", "CT"}


def test_the_gate_refuses_where_nothing_is_left() -> None:
    with pytest.raises(QualityRefused) as caught:
        gate(aligned(CT=FAIL, PET=FAIL))
    assert caught.value.exit_code == 4
    assert caught.value.verdicts == {"CT": ("no overlap",), "PET": ("no overlap",)}
    with pytest.raises(QualityRefused):
        gate(aligned(CT=REVIEW), keep="pass")
