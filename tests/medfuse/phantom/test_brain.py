"""The brain: a ribbon of cortex over white matter, and fluid in its folds."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, label

from medfuse.phantom.anatomy import Anatomy
from medfuse.phantom.tissues import Tissue


def test_the_cortex_is_a_ribbon_of_two_to_four_millimetres(body: Anatomy) -> None:
    low, high = body.geometry.voxel([(0, 0, 25), (0, 0, 65)])[:, 0].astype(int)
    top = body.top[low:high, 20:-20:, 25:-25]
    white = (top == Tissue.WHITE) | (top == Tissue.OEDEMA)
    fluid = (top == Tissue.CSF) | (top == Tissue.DURA)
    thick = distance_transform_edt(~white) + distance_transform_edt(~fluid)
    assert 2 < np.median(thick[top == Tissue.GREY]) - 1 < 4.5


def test_sulci_reach_deep_into_the_brain(body: Anatomy) -> None:
    brain = np.isin(body.top, (Tissue.GREY, Tissue.WHITE))
    d = int(body.geometry.voxel((0.0, 0.0, 45.0))[0])
    plane, fluid = brain[d], body.top[d] == Tissue.CSF
    depth = distance_transform_edt(
        np.isin(body.top[d], (Tissue.GREY, Tissue.WHITE, Tissue.CSF, Tissue.DURA, Tissue.OEDEMA))
    )
    assert plane.sum() > 5000
    assert (fluid & (depth > 12)).sum() > 80


def test_white_matter_hangs_together(body: Anatomy) -> None:
    parts, count = label(np.isin(body.top, (Tissue.WHITE, Tissue.OEDEMA)))
    assert count > 0
    sizes = np.bincount(parts.ravel())[1:]
    assert sizes.max() / sizes.sum() > 0.9


def test_the_callosum_joins_the_hemispheres(body: Anatomy) -> None:
    middle = int(body.geometry.voxel((0.0, 0.0, 0.0))[2])
    assert (body.top[:, :, middle] == Tissue.WHITE).sum() > 300
