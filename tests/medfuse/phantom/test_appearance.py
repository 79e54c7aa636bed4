"""What the scanners do to a head: against closed forms of blur, noise and partial volume."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from medfuse.geometry import Geometry
from medfuse.phantom.anatomy import Anatomy
from medfuse.phantom.appearance import scan
from medfuse.phantom.brain import Lesion
from medfuse.phantom.scanners import grid_of
from medfuse.phantom.tissues import Tissue


def lattice(top: np.ndarray) -> Anatomy:
    """Return a head of 1-mm voxels of whole tissues whose voxel (0, 0, 0) is the origin."""
    matrix = np.eye(4)[:, [2, 1, 0, 3]]
    return Anatomy(
        seed=0,
        geometry=Geometry(top.shape, matrix),
        top=top,
        under=top,
        part=np.ones(top.shape, np.float32),
        mottle=np.zeros((12, 12, 12)),
        lesion=Lesion("left", "frontal", (0.0, 0.0, 0.0), 1.0, 2.0),
    )


def half_filled(axis: int, tissue: Tissue) -> Anatomy:
    """Return a block that is ``tissue`` from 30.5 mm on along an array axis, air before."""
    top = np.zeros((60, 60, 60), np.uint8)
    np.moveaxis(top, axis, 0)[31:] = tissue
    return lattice(top)


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float], low: float) -> Geometry:
    matrix = np.zeros((4, 4))
    matrix[2, 0], matrix[1, 1], matrix[0, 2] = spacing
    matrix[:3, 3], matrix[3, 3] = low, 1
    return Geometry(shape, matrix)


def test_pet_has_a_point_spread_of_six_and_a_half_millimetres() -> None:
    made = scan(
        half_filled(2, Tissue.GREY),
        "PET",
        geometry=grid((8, 12, 26), (4, 2.4, 2.4), 0.0),
        rng=np.random.default_rng(0),
        noise=0,
    )
    edge = made.array[4, 6]
    x = made.geometry.world(np.stack(np.broadcast_arrays(4, 6, np.arange(26)), axis=-1))[:, 0]
    plateau = edge[-6:-3].mean()
    expected = 0.5 * (1 + erf((x - 30.5) / (np.sqrt(2) * 6.5 / 2.3548)))
    keep = (x > 10) & (x < 50)
    np.testing.assert_allclose(edge[keep] / plateau, expected[keep], atol=0.035)


def test_a_thick_slice_is_the_mean_over_its_thickness() -> None:
    made = scan(
        half_filled(0, Tissue.GREY),
        "T2",
        geometry=grid((11, 40, 40), (5, 1, 1), 4.0),
        rng=np.random.default_rng(0),
        noise=0,
    )
    signal = made.array[:, 12:28, 12:28].mean(axis=(1, 2))
    # slices are centred at 4, 9, ..., 29, 34: the one at 29 holds 1 mm of tissue above 30.5
    assert signal[4] == pytest.approx(0, abs=1e-3 * float(signal[8]))
    assert signal[5] / signal[7] == pytest.approx(0.2, abs=0.06)
    assert signal[6] / signal[7] == pytest.approx(1, abs=0.06)


def test_magnetic_resonance_has_rician_air() -> None:
    empty = lattice(np.zeros((60, 60, 60), np.uint8))
    made = scan(
        empty, "T1", geometry=grid((40, 40, 40), (1, 1, 1), 5.0), rng=np.random.default_rng(0)
    )
    air = made.array.astype(float)
    assert air.min() >= 0
    # of a Rayleigh distribution: mean / spread = sqrt(pi / (4 - pi))
    assert air.mean() / air.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.01)


def test_the_receive_field_is_smooth_and_a_quarter() -> None:
    full = lattice(np.full((60, 60, 60), Tissue.WHITE, np.uint8))
    made = scan(
        full,
        "T1",
        geometry=grid((40, 40, 40), (1, 1, 1), 5.0),
        rng=np.random.default_rng(4),
        noise=0,
    )
    field = made.array / made.array.mean()
    assert 0.15 < max(field.max() - 1, 1 - field.min()) < 0.5
    assert np.abs(np.diff(field, axis=0)).max() < 0.05


@pytest.mark.parametrize(
    ("tissue", "low", "high"),
    [
        (Tissue.WHITE, 22, 36),
        (Tissue.CSF, 0, 15),
        (Tissue.FAT, -115, -75),
        (Tissue.AIR, -1024, -990),
    ],
)
def test_ct_is_in_hounsfield_units(tissue: Tissue, low: float, high: float) -> None:
    full = lattice(np.full((60, 60, 60), tissue, np.uint8))
    made = scan(
        full, "CT", geometry=grid((20, 50, 50), (2, 0.75, 0.75), 8.0), rng=np.random.default_rng(0)
    )
    assert low < made.array.mean() < high
    assert made.unit == "HU"
    assert 3 < made.array.std() < 15


def test_the_head_holder_stays_when_the_head_moves(coarse: Anatomy) -> None:
    plan = grid_of("CT", np.random.default_rng(0)).respace((8, 2, 2))
    there = np.eye(4)
    there[:3, 3] = (6, -5, 4)
    first, second = (
        scan(coarse, "CT", geometry=plan, rng=np.random.default_rng(1), moving_from_anatomy=pose)
        for pose in (np.eye(4), there)
    )
    d, h, w = plan.shape
    rows = plan.world(np.stack(np.broadcast_arrays(d // 2, np.arange(h), w // 2), axis=-1))[:, 1]
    back = rows > 97  # behind the head in both: the holder and the noise, the same draw
    middle = (slice(d // 3, d // 2), back, slice(w // 3, 2 * w // 3))
    np.testing.assert_allclose(first.array[middle], second.array[middle], atol=1e-3)
    assert first.array[middle].max() > -900
    assert np.abs(first.array - second.array).max() > 500


def test_a_moved_head_is_seen_where_it_was_moved_to(coarse: Anatomy) -> None:
    plan = grid_of("T1", np.random.default_rng(0)).respace((4, 4, 4))
    there = np.eye(4)
    there[:3, 3] = (8, -4, 12)  # whole voxels
    first, second = (
        scan(
            coarse,
            "T2",
            geometry=plan,
            rng=np.random.default_rng(1),
            moving_from_anatomy=pose,
            noise=0,
        )
        for pose in (np.eye(4), there)
    )
    ratio = second.array[3:, :-1, 2:] / np.maximum(first.array[:-3, 1:, :-2], 1e-3)
    seen = first.array[:-3, 1:, :-2] > 0.3 * np.percentile(first.array, 99)
    # the same tissues under another place of the receive field, which is smooth
    assert np.percentile(np.abs(np.log(ratio[seen])), 95) < 0.25


def test_the_same_stream_makes_the_same_scan(coarse: Anatomy) -> None:
    plan = grid_of("PET", np.random.default_rng(0)).respace((6, 6, 6))
    one, other, third = (
        scan(coarse, "PET", geometry=plan, rng=np.random.default_rng(seed)).array
        for seed in (2, 2, 3)
    )
    np.testing.assert_array_equal(one, other)
    assert (one != third).any()
    assert one.min() >= 0
    assert 3 < one.max() < 20
