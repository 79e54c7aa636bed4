"""A head: believable by numbers of real ones, and never mirror-symmetric."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from medfuse.phantom.anatomy import Anatomy, head
from medfuse.phantom.tissues import BRAIN, Tissue


def amount(body: Anatomy, *tissues: Tissue) -> float:
    """Return the volume of tissues, ml."""
    table = np.zeros(256, np.float32)
    table[list(tissues)] = 1
    return float(body.value(table).sum(dtype=float)) / 1000


def test_volumes_are_those_of_an_adult(body: Anatomy) -> None:
    assert 900 < amount(body, *BRAIN) < 1600
    grey = amount(body, Tissue.GREY, Tissue.CEREBELLAR_GREY)
    white = amount(body, Tissue.WHITE, Tissue.CEREBELLAR_WHITE, Tissue.OEDEMA)
    assert 0.8 < grey / white < 2.2
    assert 90 < amount(body, Tissue.CSF, Tissue.VENTRICLE) < 450
    assert 8 < amount(body, Tissue.VENTRICLE) < 60
    assert 8 < amount(body, Tissue.VITREOUS) < 20  # two eyes of about 6.5 ml
    assert 90 < amount(body, Tissue.CEREBELLAR_GREY, Tissue.CEREBELLAR_WHITE) < 200


def test_every_tissue_is_there(body: Anatomy) -> None:
    assert {int(t) for t in np.unique(body.top)} == {int(t) for t in Tissue}


def is_brain(body: Anatomy) -> np.ndarray:
    table = np.zeros(256, bool)
    table[list(BRAIN)] = True
    return table[body.top]


def test_the_brain_touches_neither_air_nor_skin(body: Anatomy) -> None:
    brain = is_brain(body)
    around = binary_dilation(brain) & ~brain
    assert np.bincount(body.top[around], minlength=3)[[Tissue.AIR, Tissue.SKIN]].max() < 20


def test_left_is_not_right(body: Anatomy) -> None:
    half = (body.top.shape[2] - 1) // 2
    x = body.geometry.world(np.array([[0, 0, half]]))[0, 0]
    assert abs(x) < 1
    ventricle = body.top == Tissue.VENTRICLE
    left, right = ventricle[:, :, half + 1 :].sum(), ventricle[:, :, :half].sum()
    assert left > 1.1 * right
    grey = body.top == Tissue.GREY
    a, b = grey[:, :, half + 1 : 2 * half + 1], grey[:, :, half - 1 :: -1]
    both = 2 * (a & b[:, :, : a.shape[2]]).sum() / (a.sum() + b.sum())
    assert both < 0.7


def test_the_lesion_is_where_it_says(body: Anatomy) -> None:
    core = np.argwhere((body.top == Tissue.RIM) | (body.top == Tissue.CORE))
    centre = body.geometry.world(core).mean(axis=0)
    assert (centre[0] > 0) == (body.lesion.side == "left")
    extent = body.geometry.world(core)
    widest = np.ptp(extent, axis=0).max()
    assert widest == pytest.approx(body.lesion.size_mm, rel=0.45)
    spread = np.ptp(body.geometry.world(np.argwhere(body.top == Tissue.OEDEMA)), axis=0).max()
    assert spread > widest


def test_brain_points_lie_in_the_brain(body: Anatomy) -> None:
    points = body.brain_points(500, np.random.default_rng(0))
    voxels = np.rint(body.geometry.voxel(points)).astype(int)
    assert np.isin(body.top[tuple(voxels.T)], BRAIN).all()
    assert np.ptp(points, axis=0).min() > 100


def test_a_property_is_mixed_by_its_parts(body: Anatomy) -> None:
    table = np.arange(256, dtype=np.float32)
    expected = body.part * body.top + (1 - body.part) * body.under
    np.testing.assert_allclose(body.value(table), expected, atol=1e-4)
    mottled = body.value(np.ones(256, np.float32), mottled=0.05)
    assert mottled.std() == pytest.approx(0.05, rel=0.3)


def test_the_same_seed_is_the_same_head(body: Anatomy) -> None:
    again = head(body.seed)
    np.testing.assert_array_equal(again.top, body.top)
    np.testing.assert_array_equal(again.part, body.part)
    assert again.lesion == body.lesion


def test_another_seed_is_another_head(body: Anatomy) -> None:
    other = head(body.seed + 1)
    brains = [is_brain(one) for one in (body, other)]
    both = 2 * (brains[0] & brains[1]).sum() / sum(brain.sum() for brain in brains)
    assert 0.6 < both < 0.95
