"""The rest of the head: eyes in front, air inside, a spine with its cord."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from medfuse.phantom.anatomy import Anatomy
from medfuse.phantom.tissues import Tissue


def places(body: Anatomy, tissue: Tissue) -> np.ndarray:
    return body.geometry.world(np.argwhere(body.top == tissue))


def test_two_eyes_look_forward(body: Anatomy) -> None:
    eyes = places(body, Tissue.VITREOUS)
    left, right = eyes[eyes[:, 0] > 0], eyes[eyes[:, 0] < 0]
    apart = np.linalg.norm(left.mean(axis=0) - right.mean(axis=0))
    assert 52 < apart < 74  # mm between human pupils
    for side in (left, right):
        np.testing.assert_allclose(np.ptp(side, axis=0), 23, atol=5)
        assert side[:, 1].mean() < -60
    lens = places(body, Tissue.LENS)
    assert lens[:, 1].mean() < eyes[:, 1].mean() - 4


def test_air_fills_sinuses_and_airway(body: Anatomy) -> None:
    parts, count = label(body.top == Tissue.AIR)
    outside = parts[-1, 0, 0]
    enclosed = sum((parts == k).sum() for k in range(1, count + 1) if k != outside)
    assert enclosed > 10_000  # mm3: the maxillary sinuses alone hold about 2 x 15 ml
    low = body.geometry.voxel((0.0, -20.0, -160.0)).round().astype(int)
    window = body.top[low[0], low[1] - 12 : low[1] + 12, low[2] - 12 : low[2] + 12]
    assert (window == Tissue.AIR).sum() > 100  # the windpipe


def test_the_spine_holds_the_cord(body: Anatomy) -> None:
    cord = places(body, Tissue.CORD)
    cord = cord[(cord[:, 2] < -80) & (np.abs(cord[:, 0]) < 25)]
    bone = places(body, Tissue.BONE)
    neck = bone[(bone[:, 2] < -90) & (np.abs(bone[:, 0]) < 20) & (bone[:, 1] > -10)]
    assert len(cord) > 2000
    assert neck[:, 1].min() < cord[:, 1].mean() < neck[:, 1].max()


def test_teeth_are_two_rows(body: Anatomy) -> None:
    teeth = places(body, Tissue.TOOTH)
    assert 1000 < len(teeth) < 20_000
    assert 10 < np.ptp(teeth[:, 2]) < 45
