"""The memory that an answer takes is told beforehand, and is what it then takes."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
from torch import Tensor

from medfuse.fusion.needs import memory_needed
from medfuse.fusion.segmenter import Segmenter, Sweep
from medfuse.nets.modelfile import Region
from tests.medfuse.fusion.test_segmenter import CARD, Fixed, grid, noise, probabilities


def test_memory_is_said_before_the_start() -> None:
    geometry = grid((200, 180, 170))
    few = memory_needed(geometry, CARD)
    many = memory_needed(
        geometry, replace(CARD, labels=tuple(Region(str(n), (n,)) for n in range(1, 101)))
    )
    whole = 4 * 100 * np.prod(geometry.upright().respace(CARD.spacing).shape)
    assert 4 * 4 * np.prod(geometry.shape) < few < many < 0.3 * whole + few


def test_a_search_for_shifts_is_counted() -> None:
    """36 floats a voxel and modality is what it took (4 of them, 96 voxels along each axis)."""
    geometry = grid((60, 60, 60))
    shifted = replace(CARD, fusion={**CARD.fusion, "level": "data", "operator": "offset"})
    plain = replace(CARD, fusion={**CARD.fusion, "level": "data", "operator": "concat"})
    more = memory_needed(geometry, shifted) - memory_needed(geometry, plain)
    a_window = 4 * np.prod(CARD.patch) * len(CARD.modalities) * Sweep().batch
    assert 30 * a_window <= more <= 50 * a_window
    models = [{**CARD.fusion, "level": "model", "operator": name} for name in ("offset", "concat")]
    one, other = (memory_needed(geometry, replace(CARD, fusion=fusion)) for fusion in models)
    assert one == other  # networks of single scans move nothing


def test_the_memory_of_probabilities_is_what_they_take() -> None:
    """Python's own count of what arrays hold is the judge; torch's are not in it."""
    geometry = grid((40, 40, 40))
    regions = tuple(Region(str(n), (n,)) for n in range(1, 201))
    card = replace(CARD, labels=regions, patch=(16, 16, 16))

    def even(x: Tensor, _: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], 201, *x.shape[-3:])

    tracemalloc.start()
    try:
        probabilities(noise(geometry, "T1", "T2", "FLAIR"), Segmenter(Fixed(even), card))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    asked = memory_needed(geometry, card, written=geometry)
    assert memory_needed(geometry, card) < peak < asked < 1.5 * peak
