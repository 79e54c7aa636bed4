"""One head for all tests of the phantom: it takes seconds to paint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medfuse.geometry import Geometry
from medfuse.phantom.anatomy import Anatomy, head

SEED = 5


@pytest.fixture(scope="session")
def body() -> Anatomy:
    """Return the head of one seed."""
    return head(SEED)


@pytest.fixture(scope="session")
def coarse(body: Anatomy) -> Anatomy:
    """Return every third voxel of the same head, for tests that scan it often."""
    top, under, part = (
        np.ascontiguousarray(array[::3, ::3, ::3]) for array in (body.top, body.under, body.part)
    )
    matrix = body.geometry.world_from_voxel @ np.diag([3.0, 3.0, 3.0, 1.0])
    d, h, w = top.shape
    return replace(body, top=top, under=under, part=part, geometry=Geometry((d, h, w), matrix))
