"""Random streams depend on what they are for, and on nothing else."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from medfuse import seeds


def test_one_purpose_one_stream() -> None:
    first = seeds.rng(7, "phantom", "noise").random(4)
    seeds.rng(7, "other").random(100)
    np.random.default_rng(7).random(3)
    assert np.array_equal(seeds.rng(7, "phantom", "noise").random(4), first)


def test_other_purposes_and_seeds_differ() -> None:
    streams = [
        seeds.rng(7),
        seeds.rng(8),
        seeds.rng(7, "a"),
        seeds.rng(7, "b"),
        seeds.rng(7, "a", "b"),
        seeds.rng(7, "b", "a"),
        seeds.rng(7, "ab"),
        seeds.rng(7, 1),
    ]
    assert len({stream.random() for stream in streams}) == len(streams)


def test_another_process_draws_the_same() -> None:
    code = "from medfuse import seeds; print(seeds.integer(3, 'augment'), seeds.rng(3).random())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.split() == [str(seeds.integer(3, "augment")), str(seeds.rng(3).random())]


def test_integers_fit_63_bits() -> None:
    drawn = [seeds.integer(seed, "x") for seed in range(50)]
    assert all(0 <= value < 2**63 for value in drawn)
    assert max(drawn) > 2**62


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"non-negative|negative"):
        seeds.rng(-1)


def test_global_generators_are_left_alone() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - that is what must not change
    seeds.rng(1, "x").random(10)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
