"""The ladder's cases are what its ceilings take for granted; nothing is trained here."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from ladder import ceilings, trials
from ladder.tables import report
from ladder.tasks import DAMAGES, Cases, Task, damaged, generate
from ledger import Ledger

CODES = Task("code-match", side=24, margin=2, lesions=4)
SHIFTS = Task("code-match", side=24, reach=3, margin=3, lesions=4)
TYPES = Task("subset", side=24, lesions=4)


@pytest.fixture(scope="module")
def codes() -> Cases:
    return generate(CODES, 24, seed=3, purpose="test")


@pytest.fixture(scope="module")
def types() -> Cases:
    return generate(TYPES, 24, seed=3, purpose="test")


def named(cases: Cases, which: np.ndarray) -> np.ndarray:
    """Return the voxels of the lesions that ``which`` (N, L) names."""
    table = np.concatenate([np.zeros((len(which), 1), dtype=bool), which], axis=1)
    return np.stack([row[own] for row, own in zip(table, cases.lesions, strict=True)])


def test_the_same_seed_makes_the_same_cases_and_another_others() -> None:
    one, two = (generate(CODES, 2, seed=1, purpose="test") for _ in range(2))
    np.testing.assert_array_equal(one.x, two.x)
    assert not np.array_equal(one.x, generate(CODES, 2, seed=2, purpose="test").x)
    assert not np.array_equal(one.x, generate(CODES, 2, seed=1, purpose="train").x)


def test_lesions_are_equal_and_the_deck_is_even(codes: Cases, types: Cases) -> None:
    for cases in (codes, types):
        sizes = [np.bincount(own.ravel(), minlength=5)[1:] for own in cases.lesions]
        assert np.unique(sizes).size == 1
    cells = np.bincount((4 * codes.codes[..., 0] + codes.codes[..., 1]).ravel(), minlength=16)
    assert set(cells) == {6}
    assert set(np.bincount(types.codes[..., 0].ravel(), minlength=4)) == {24}


def test_no_difference_of_grey_levels_tells_a_match(codes: Cases) -> None:
    levels = np.zeros((2, 4))
    for scan, code in product(range(2), range(4)):
        mask = named(codes, codes.codes[..., scan] == code)
        levels[scan, code] = codes.x[:, scan][mask].mean()
    steps = np.diff(levels[:, np.argsort(levels[0])], axis=1)
    assert np.all(steps[0] > 0.2)
    assert np.any(steps[1] > 0.2)
    assert np.any(steps[1] < -0.2)
    assert np.ptp(levels[1] - levels[0]) > 0.5


def test_perfect_and_blind_readers_reach_their_ceilings(codes: Cases) -> None:
    assert ceilings.micro(codes.target, codes.target) == 1
    everything = codes.lesions > 0
    assert ceilings.micro(everything, codes.target) == pytest.approx(ceilings.blind(4))
    assert ceilings.blind(4) == pytest.approx(0.4)


def test_the_best_monotone_reader_reaches_its_ceiling(codes: Cases) -> None:
    a, b = codes.codes[..., 0], codes.codes[..., 1]
    # row 0 takes column 0, row 1 columns 0 and 1, row 2 columns 0 to 2, row 3 none: nested
    rule = (b <= a) & (a < 3)
    assert ceilings.micro(named(codes, rule), codes.target) == pytest.approx(0.6)
    assert ceilings.monotone(4) == pytest.approx(0.6)
    assert ceilings.monotone(8) == pytest.approx(8 / 18)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_no_staircase_beats_the_closed_form(count: int) -> None:
    assert ceilings.staircase(count) == pytest.approx(ceilings.monotone(count))


def test_who_names_what_shows_reaches_the_ceiling_of_each_subset(types: Cases) -> None:
    for size in (1, 2, 3, 4):
        for seen in combinations(range(4), size):
            shown = named(types, np.isin(types.codes[..., 0], seen))
            assert ceilings.micro(shown, types.target) == pytest.approx(ceilings.subset(size, 4))
    means = [types.x[:, scan][named(types, types.codes[..., 0] == 1)].mean() for scan in range(4)]
    assert np.argmax(means) == 1
    assert max(means[0], *means[2:]) < 0.7


def test_unseen_lesions_are_too_rare_to_guess() -> None:
    cases = generate(Task("subset"), 4, seed=0, purpose="test")
    body = np.median(cases.x, axis=1) > 0.1
    assert cases.target.sum() / body.sum() < 1 / 5


def test_the_second_scan_is_moved_with_all_it_shows() -> None:
    cases = generate(SHIFTS, 8, seed=5, purpose="test")
    still = generate(SHIFTS, 8, seed=5, purpose="test").x
    assert np.abs(cases.shifts[:, 1]).max() <= 3
    assert np.abs(cases.shifts[:, 1]).sum() > 0
    assert not cases.shifts[:, 0].any()
    for x, own, shift in zip(still, cases.lesions, cases.shifts[:, 1], strict=True):
        there = np.roll(own > 0, shift, axis=(0, 1, 2))
        assert x[1][there].min() > 0.5  # lesions are brighter than all else
        rim = np.ones(x[1].shape, dtype=bool)
        rim[1:-1, 1:-1, 1:-1] = False
        assert x[1][rim].max() < 0.35  # the body is inside


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_scan_of_each_case_is_spoilt(types: Cases, damage: str) -> None:
    spoilt, which = damaged(types, damage, seed=1)
    assert set(np.bincount(which, minlength=4)) == {6}
    for case, scan in enumerate(which):
        for other in range(4):
            same = np.array_equal(spoilt.x[case, other], types.x[case, other])
            assert same == (other != scan)
        if damage == "foreign":
            foreign = types.x[(case + 1) % len(which), scan]
            np.testing.assert_array_equal(spoilt.x[case, scan], foreign)
    np.testing.assert_array_equal(spoilt.target, types.target)


def test_a_believed_foreign_scan_costs_what_the_closed_form_says(types: Cases) -> None:
    spoilt, which = damaged(types, "foreign", seed=1)
    claimed = named(types, types.codes[..., 0] != which[:, None])
    wrong = np.stack([spoilt.x[case, scan] > 0.8 for case, scan in enumerate(which)])
    believed = ceilings.micro(claimed | wrong, types.target)
    assert believed == pytest.approx(ceilings.believed(4), abs=0.06)  # chance overlaps
    assert ceilings.subset(3, 4) - ceilings.believed(4) == pytest.approx(0.107, abs=1e-3)


def test_the_check_names_a_foreign_scan_and_no_good_one() -> None:
    """Bodies of the same size in the same place: their outlines agree, organs do not."""
    found = trials.check_rates(Task("subset", lesions=6), "foreign", 12, seed=0)
    assert (found["named"], found["false"]) == (1, 0)


def test_the_search_finds_every_shift() -> None:
    cases = generate(SHIFTS, 8, seed=2, purpose="test")
    np.testing.assert_array_equal(trials.searched(cases.x, 3), cases.shifts[:, 1])


def test_a_table_keeps_apart_who_looks_for_shifts_and_who_does_not(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ladder.jsonl")
    run = {"part": "shift-match", "side": 32, "device": "cpu", "budget": 2.0, "seed": 0}
    costs = {"ceiling": 1.0, "steps": 7, "seconds": 2.0, "parameters": 1000}
    ledger.add({**run, "name": "data offset"}, dice_1=0.9, dice_3=0.8, error_1=0.1, error_3=0.2,
               **costs)  # fmt: skip
    ledger.add({**run, "name": "data concat"}, dice_1=0.4, dice_3=0.3, **costs)
    lines = report(ledger).splitlines()
    assert "| data offset | 0 | 0.900 / 0.800 | 1.00 | 0.10 / 0.20 | 7 | 2 | 1 k |" in lines
    assert "| data concat | 0 | 0.400 / 0.300 | 1.00 | - | 7 | 2 | 1 k |" in lines


def test_the_tables_in_the_docs_are_those_of_the_recorded_runs() -> None:
    root = Path(__file__).resolve().parents[2]
    told = (root / "docs" / "benchmarks.md").read_text("utf-8")
    printed = report(Ledger(root / "benchmarks" / "recorded" / "ladder.jsonl"))
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(lines) > 40
    missing = [line for line in lines if line not in told]
    assert not missing
