"""Small studies whose truth is known, for the tests of pictures and pages: the ``scenes``."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.resampling import resample
from medfuse.study import AlignedStudy, Quality, Study
from medfuse.transform import Affine
from medfuse.volume import Volume
from pipelines.reporting import figures

SECRET = "ZZPHI^NAME"


def grid(size: int = 40, spacing: float = 4.0) -> Geometry:
    """A cube of voxels around the origin, axes along z, y, x."""
    matrix = np.zeros((4, 4))
    matrix[[0, 1, 2], [2, 1, 0]] = spacing
    matrix[:3, 3] = -(size - 1) / 2 * spacing
    matrix[3, 3] = 1
    return Geometry((size, size, size), matrix)


def head(modality: str = "T1", geometry: Geometry | None = None) -> Volume:
    """An egg with a bright block on the patient's left and a ring of bone around it."""
    geometry = geometry or grid()
    points = geometry.world(np.indices(geometry.shape).reshape(3, -1).T)
    radius = np.sqrt(((points / np.array([55.0, 65.0, 60.0])) ** 2).sum(axis=1))
    block = (np.abs(points - np.array([28.0, -10.0, 6.0])) < 14).all(axis=1)
    air, brain, shell, bright = {
        "CT": (-1000.0, 35.0, 1200.0, 80.0),
        "PET": (0.0, 6.0, 0.5, 12.0),
    }.get(modality, (0.0, 500.0, 150.0, 900.0))
    values = np.select([radius > 1, radius > 0.88, block], [air, shell, bright], default=brain)
    return Volume(values.reshape(geometry.shape), geometry, MODALITIES[modality])


def turned(degrees: float = 20.0, shift: tuple[float, float, float] = (12.0, 0.0, -5.0)) -> Affine:
    """A turn about the head-foot axis followed by a shift, LPS mm."""
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = shift
    return Affine(matrix)


def aligned(*names: str, verdict: str = "pass", reasons: tuple[str, ...] = ()) -> AlignedStudy:
    """A T1 and moving volumes whose headers were turned by a known transform, and put right."""
    fixed = head()
    volumes, moved, transforms, quality = {"T1": fixed}, {"T1": fixed}, {}, {}
    for name in names or ("CT",):
        true = turned()
        still = head(name)
        came = Volume(still.array, still.geometry.moved(true.moving_from_fixed), still.modality)
        volumes[name], transforms[name] = came, true
        moved[name] = resample(came, fixed.geometry, true)
        figures = {"overlap": 0.93, "margin": 10.0, "stability_mm": 0.1234}
        quality[name] = Quality(verdict, figures, reasons)
    return AlignedStudy(Study(SECRET, volumes), "T1", fixed.geometry, moved, transforms, quality)


@pytest.fixture
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of 120 pixels: what a page says does not depend on their size."""
    monkeypatch.setattr(figures, "_LONGEST", 120)


@pytest.fixture(scope="session")
def scenes() -> SimpleNamespace:
    """The makers above, under one name."""
    return SimpleNamespace(secret=SECRET, grid=grid, head=head, turned=turned, aligned=aligned)
