"""Lesions: counted by hand, and matched as a slow reading of the definition does."""

from __future__ import annotations

from collections import deque
from itertools import product

import numpy as np
import pytest

from medfuse.metrics import match_lesions
from tests.medfuse.metrics.masks import blobs

STEPS = [step for step in product((-1, 0, 1), repeat=3) if any(step)]


def pieces(mask: np.ndarray) -> list[frozenset[tuple[int, ...]]]:
    """Return the 26-connected components by walking from voxel to voxel."""
    left = {tuple(map(int, voxel)) for voxel in np.argwhere(mask)}
    found = []
    while left:
        waiting, piece = deque([left.pop()]), set()
        while waiting:
            voxel = waiting.popleft()
            piece.add(voxel)
            for step in STEPS:
                near = tuple(a + b for a, b in zip(voxel, step, strict=True))
                if near in left:
                    left.remove(near)
                    waiting.append(near)
        found.append(frozenset(piece))
    return found


def slowly(
    prediction: np.ndarray, truth: np.ndarray, overlap: float
) -> tuple[int, int, list[float]]:
    """Return lesions there, lesions predicted, and the Dice of the greedy one-to-one pairs."""
    made, true = pieces(prediction), pieces(truth)
    pairs = [(len(a & b) / len(a | b), a, b) for a in made for b in true if a & b]
    found = []
    used: set[frozenset[tuple[int, ...]]] = set()
    for iou, a, b in sorted(pairs, key=lambda pair: -pair[0]):
        if iou >= overlap and a not in used and b not in used:
            used |= {a, b}
            found.append(2 * len(a & b) / (len(a) + len(b)))
    return len(true), len(made), found


@pytest.mark.parametrize("overlap", [0.1, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_matching_is_the_greedy_one_to_one_of_the_definition(seed: int, overlap: float) -> None:
    prediction, truth = blobs(seed)
    there, predicted, dices = slowly(prediction, truth, overlap)
    found = match_lesions(prediction, truth, overlap=overlap)
    assert (found.truth, found.prediction) == (there, predicted)
    np.testing.assert_allclose(sorted(found.dice), sorted(dices), atol=1e-12)
    whole = len(dices) + 0.5 * (there - len(dices)) + 0.5 * (predicted - len(dices))
    assert found.f1 == pytest.approx(len(dices) / whole)  # recognition quality


def empty() -> np.ndarray:
    return np.zeros((6, 10, 10), bool)


def test_one_found_one_missed_one_false_alarm() -> None:
    truth, prediction = empty(), empty()
    truth[1:3, 1:3, 1:3] = truth[1:3, 7:9, 7:9] = True
    prediction[1:3, 1:3, 1] = prediction[4, 4, 4] = True
    found = match_lesions(prediction, truth)
    assert (found.found, found.missed, found.false_alarms) == (1, 1, 1)
    assert found.dice == (pytest.approx(2 / 3),)
    assert found.sensitivity == found.precision == found.f1 == 0.5
    assert found.lesion_dice == pytest.approx(2 / 9)


def test_voxels_that_touch_by_a_corner_are_one_lesion() -> None:
    mask = empty()
    mask[1, 1, 1] = mask[2, 2, 2] = True
    assert match_lesions(mask, mask).truth == 1


def test_a_lesion_in_two_pieces_is_found_once() -> None:
    truth, prediction = empty(), empty()
    truth[2, 2, 1:8] = True
    prediction[2, 2, 1:4] = prediction[2, 2, 5:8] = True
    found = match_lesions(prediction, truth)
    assert (found.found, found.missed, found.false_alarms) == (1, 0, 1)


def test_two_lesions_in_one_piece_are_found_once() -> None:
    truth, prediction = empty(), empty()
    truth[2, 2, 1:4] = truth[2, 2, 5:8] = True
    prediction[2, 2, 1:8] = True
    found = match_lesions(prediction, truth)
    assert (found.found, found.missed, found.false_alarms) == (1, 1, 0)


def test_too_little_overlap_is_no_detection() -> None:
    truth, prediction = empty(), empty()
    truth[1:5, 1:9, 1:9] = True
    prediction[2, 2, 2] = True
    assert match_lesions(prediction, truth).found == 0
    assert match_lesions(prediction, truth, overlap=0.0).found == 1


def test_nothing_there_and_nothing_said_is_perfect() -> None:
    found = match_lesions(empty(), empty())
    assert (found.f1, found.sensitivity, found.precision, found.lesion_dice) == (1, 1, 1, 1)


def test_one_empty_mask_finds_nothing() -> None:
    some = empty()
    some[1, 1, 1] = True
    assert match_lesions(some, empty()).f1 == match_lesions(empty(), some).f1 == 0
    assert match_lesions(some, empty()).lesion_dice == match_lesions(empty(), some).lesion_dice == 0
    assert match_lesions(some, empty()).false_alarms == 1
