"""Drawing patches: fair decks, uniform subsets, places, and nothing that depends on the past."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from medfuse.training.cases import Case
from medfuse.training.draw import Drawing, draw_batch, draw_subset

PATCH = (4, 4, 4)


def case(
    number: int = 0,
    *,
    shape: tuple[int, int, int] = (6, 7, 8),
    finer: tuple[int, int, int] = (1, 1, 1),
) -> Case:
    """Return a case whose values and codes say where they came from."""
    d, h, w = np.indices(shape)
    place = torch.from_numpy((number * 1000 + d * 100 + h * 10 + w).astype(np.float32))
    fine = np.indices(tuple(n * f for n, f in zip(shape, finer, strict=True)))
    codes = torch.from_numpy((fine.sum(axis=0) % 5).astype(np.uint8))
    spot = np.array([[3, 2, 1]])
    present = torch.tensor([True, True, False])
    images = torch.stack([place, place + 0.5, 0 * place])
    return Case(str(number), images, present, codes, (spot,), finer)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    cases, drawing = [case(n) for n in range(3)], Drawing(PATCH, 2)
    late = draw_batch(cases, drawing, 7, 40)
    draw_batch(cases, drawing, 7, 3)
    again = draw_batch(cases, drawing, 7, 40)
    assert torch.equal(late.x, again.x)
    assert torch.equal(late.codes, again.codes)
    assert torch.equal(late.present, again.present)
    others = [draw_batch(cases, drawing, *which) for which in ((8, 40), (7, 41))]
    assert not any(torch.equal(late.x, other.x) for other in others)


def test_every_visit_is_dealt_equally_often() -> None:
    cases, drawing = [case(n) for n in range(5)], Drawing(PATCH, 2, subsets="all")
    seen: Counter[int] = Counter()
    for step in range(10):
        seen.update(int(x[0].max() // 1000) for x in draw_batch(cases, drawing, 0, step).x)
    assert dict(seen) == dict.fromkeys(range(5), 4)


def test_values_and_codes_come_from_the_same_place() -> None:
    cases = [case(finer=(1, 2, 2))]
    drawing = Drawing(PATCH, 1, subsets="all")
    for step in range(20):
        batch = draw_batch(cases, drawing, 0, step)
        assert batch.x.shape == (1, 3, 1, *PATCH)
        assert batch.codes.shape == (1, 4, 8, 8)
        corner = int(batch.x[0, 0, 0, 0, 0, 0])
        d, h, w = corner // 100, corner // 10 % 10, corner % 10
        assert int(batch.codes[0, 0, 0, 0]) == (d + 2 * h + 2 * w) % 5
        assert int(batch.x[0, 0, 0, -1, -1, -1]) == corner + 333


def test_oversampled_patches_hold_the_label() -> None:
    spot = 321.0
    for step in range(20):
        batch = draw_batch([case()], Drawing(PATCH, 1, 1.0, "all"), 0, step)
        assert bool((batch.x[0, 0] == spot).any())
    seen = [
        bool((draw_batch([case()], Drawing(PATCH, 1, 0.0, "all"), 0, step).x[0, 0] == spot).any())
        for step in range(40)
    ]
    assert 0 < sum(seen) < 35


def test_a_visit_smaller_than_a_patch_is_filled_up_and_does_not_count_there() -> None:
    small = case(shape=(2, 6, 4))
    batch = draw_batch([small], Drawing((4, 4, 4), 1, 0.0, "all"), 0, 0)
    assert (batch.codes[0] == 255).sum() == 2 * 16
    assert (batch.codes[0, 1:3] == 255).sum() == 0
    assert torch.equal(batch.x[0, 0, 0, 0], batch.x[0, 0, 0, 1])  # the edge goes on


def test_what_is_not_shown_is_zero_and_marked() -> None:
    drawing = Drawing(PATCH, 1)
    counts: Counter[tuple[bool, ...]] = Counter()
    for step in range(60):
        batch = draw_batch([case(1)], drawing, 0, step)
        shown = tuple(bool(flag) for flag in batch.present[0])
        counts[shown] += 1
        assert not batch.x[0, [not flag for flag in shown]].any()
        assert bool(batch.x[0, list(shown)].any())
    assert set(counts) == {(True, False, False), (False, True, False), (True, True, False)}


def test_every_size_of_subset_is_as_likely() -> None:
    rng = np.random.default_rng(0)
    present = torch.ones(4, dtype=torch.bool)
    drawing = Drawing(PATCH, 1)
    sizes = Counter(int(draw_subset(present, drawing, rng).sum()) for _ in range(4000))
    assert all(sizes[k] == pytest.approx(1000, abs=120) for k in range(1, 5))
    ones = Counter(
        int(shown.nonzero()[0, 0])
        for _ in range(4000)
        if int((shown := draw_subset(present, drawing, rng)).sum()) == 1
    )
    assert all(ones[k] == pytest.approx(250, abs=70) for k in range(4))


def test_required_modalities_are_always_shown() -> None:
    rng = np.random.default_rng(0)
    drawing = Drawing(PATCH, 1, required=(1,))
    for _ in range(30):
        assert bool(draw_subset(torch.ones(3, dtype=torch.bool), drawing, rng)[1])
    gone = draw_subset(torch.tensor([True, False, True]), drawing, rng)
    assert not bool(gone[1])


@pytest.mark.parametrize(
    ("whole", "least", "most"), [(1.0, 200, 200), (0.5, 100, 150), (0.0, 30, 70)]
)
def test_a_share_is_shown_all_and_the_rest_by_even_sizes(
    whole: float, least: int, most: int
) -> None:
    """Of 4 scans even sizes show all in a quarter of the cases: whole + (1 - whole) / 4."""
    rng, present = np.random.default_rng(0), torch.ones(4, dtype=torch.bool)
    drawing = Drawing(PATCH, 1, whole=whole)
    shown = sum(bool(draw_subset(present, drawing, rng).all()) for _ in range(200))
    assert least <= shown <= most


def test_what_is_hidden_is_in_the_batch_where_it_is_asked_for_alone() -> None:
    drawing = Drawing(PATCH, 4)
    plain, held = (
        draw_batch([case()], replace(drawing, hidden=hidden), 0, 1) for hidden in (False, True)
    )
    assert torch.equal(plain.present, plain.shown)
    assert torch.equal(plain.shown, held.shown)
    assert held.present[:, :2].all()
    assert not held.shown[:, :2].all()
    rows = held.shown[:, :, None, None, None, None]
    assert torch.equal(plain.x, torch.where(rows, held.x, 0.0))
    assert held.x[:, :2].flatten(2).any(dim=2).all()
