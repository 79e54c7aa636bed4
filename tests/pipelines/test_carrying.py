"""Chains, the shared field of view, and results that would be empty."""

from __future__ import annotations

import numpy as np
import pytest

from medfuse.errors import QualityRefused
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.transform import Affine
from medfuse.volume import LabelMap, Volume
from pipelines.carrying import carry, chained
from tests.medfuse.grids import cube, shift


def test_a_chain_acts_in_its_order_and_inverts_as_a_whole() -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[0, -1], [1, 0]]
    parts = [shift(1), Affine(turn)]
    assert chained(parts).map([[0, 0, 0]]).tolist() == [[0, 1, 0]]
    assert chained(parts, inverse=True).map([[0, 1, 0]]).tolist() == [[0, 0, 0]]


SLAB = Geometry((3, 40, 40), np.diag([1.0, 1.0, 1.0, 1.0]))  # 3 mm thick, in a field of 480 mm


@pytest.mark.parametrize("z", [100.0, 103.0, 117.3])
def test_X9_a_thin_or_small_scan_is_found_in_a_large_grid(z: float) -> None:
    """Points 20 mm apart over the large grid would miss it between them."""
    moved = shift(0, 0, -z)
    carried = carry(Volume(np.ones(SLAB.shape), SLAB, MODALITIES["CT"]), cube(240, 2.0), moved)
    assert (carried.array > 0).any()


def test_X9_an_empty_result_is_refused_for_scans_and_labels() -> None:
    grid = cube(12)
    volume = Volume(np.ones(grid.shape), grid, MODALITIES["CT"])
    labels = LabelMap(np.ones(grid.shape), grid)
    for what in (volume, labels):
        with pytest.raises(QualityRefused) as caught:
            carry(what, grid, shift(11))
        assert caught.value.id == "X9"
    assert carry(labels, grid, shift(6)).array.sum() == 6 * 12 * 12
