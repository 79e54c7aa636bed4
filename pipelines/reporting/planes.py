"""Flat cuts through the world: where the planes of a picture lie, and what a volume shows there.

Every picture is drawn on planes that are aligned with the patient, whatever the grid of the
volume, in the radiological convention: the patient's right is on the left of axial and coronal
pictures, front is up (axial) or left (sagittal), the head is up. Values outside a volume's field
of view are NaN, so that a picture can tell "nothing was seen" from "air".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medfuse.geometry import Array64, Geometry
from medfuse.transform import IDENTITY, Transform
from medfuse.volume import Array32, LabelMap, Volume

PlaneName = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[PlaneName, ...] = ("axial", "coronal", "sagittal")

# LPS directions of a picture's columns (to the right) and rows (downwards), and the sides that
# its left, right, top and bottom edges look at
_AXES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], str]] = {
    "axial": ((1, 0, 0), (0, 1, 0), "RLAP"),
    "coronal": ((1, 0, 0), (0, 0, -1), "RLSI"),
    "sagittal": ((0, 1, 0), (0, 0, -1), "APSI"),
}
_COARSE = 64  # steps along the longest side when the content is looked for
_SKIN_HU = -300.0


@dataclass(frozen=True, eq=False)
class Plane:
    """One picture's grid of pixels in the world.

    ``first``: LPS mm of the pixel in row 0, column 0, (3,); ``step``: pixel size, mm; ``shape``
    (rows, columns).
    """

    name: PlaneName
    first: Array64
    step: float
    shape: tuple[int, int]

    @property
    def sides(self) -> str:
        """Four letters: what lies at the left, right, top and bottom edge of the picture."""
        return _AXES[self.name][2]

    @property
    def position(self) -> float:
        """Where the plane cuts its own axis, LPS mm."""
        axis = {"axial": 2, "coronal": 1, "sagittal": 0}[self.name]
        return float(self.first[axis])

    @property
    def place(self) -> str:
        """Where the plane lies, as a viewer says it, such as ``"axial S 12 mm"``."""
        toward = {"axial": "IS", "coronal": "AP", "sagittal": "RL"}[self.name]
        side = toward[int(self.position >= 0)]
        return f"{self.name} {side} {abs(self.position):.0f} mm"

    def points(self) -> Array64:
        """Return the world positions of all pixels, (rows * columns, 3) LPS mm."""
        right, down, _ = _AXES[self.name]
        rows = np.arange(self.shape[0])[:, None, None] * np.array(down, dtype=np.float64)
        columns = np.arange(self.shape[1])[None, :, None] * np.array(right, dtype=np.float64)
        places: Array64 = (self.first + self.step * (rows + columns)).reshape(-1, 3)
        return places


@dataclass(frozen=True, eq=False)
class Content:
    """What there is to see: ``points`` (N, 3) of the foreground, its ``centre`` and its box.

    ``low`` and ``high`` (3,) are the corners of the box that is worth showing, with a margin,
    LPS mm. ``covered`` is the part of the fixed volume's foreground that the moving volume's
    field of view holds, 0 to 1.
    """

    points: Array64
    centre: Array64
    low: Array64
    high: Array64
    covered: float = 1.0


def content(volume: Volume) -> Content:
    """Find the foreground of a volume on a coarse grid that is aligned with the patient."""
    corners = volume.geometry.corners()
    low, high = corners.min(axis=0), corners.max(axis=0)
    step = max(float((high - low).max()), 1e-3) / _COARSE
    counts = np.maximum(1, np.ceil((high - low) / step)).astype(int)
    grid = np.indices(counts).reshape(3, -1).T
    places = low + (high - low) * (grid + 0.5) / counts  # (N, 3)
    values = sample(volume, places)
    mask = (values > foreground_level(volume)).reshape(counts)
    parts, found = ndimage.label(mask)
    if found > 1:
        mask = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    inside = ndimage.binary_fill_holes(mask).ravel()
    # a volume without any contrast: show all that was seen
    points = places[inside] if inside.sum() > 8 else places[np.isfinite(values)]
    return _content(points, (low - step / 2, high + step / 2))


def shared_content(whole: Content, moving: Geometry, transform: Transform) -> Content:
    """Return the part of the fixed content ``whole`` that a moving volume covers.

    Where that is next to nothing (less than 2 %), the whole is returned, its ``covered`` set.
    """
    inside = _inside(moving.voxel(transform.map(whole.points)), moving)
    covered = float(inside.mean())
    if covered < 0.02:
        return replace(whole, covered=covered)
    return _content(whole.points[inside], (whole.low, whole.high), covered)


def _content(points: Array64, limits: tuple[Array64, Array64], covered: float = 1.0) -> Content:
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.08 * float((high - low).max()) + 4.0
    box = np.maximum(low - margin, limits[0]), np.minimum(high + margin, limits[1])
    return Content(points, points.mean(axis=0), *box, covered=covered)


def planes_through(
    shown: Content, *, finest: float, axials: Iterable[float] = (0.0,), sagittal: float = 2.0
) -> list[Plane]:
    """Lay planes through the centre of the content: axial ones first, then coronal, sagittal.

    ``axials`` are offsets as parts of the content's height; a pixel is at least ``finest`` mm,
    and as large as keeps a picture within about 256 pixels. The sagittal plane shows a profile,
    so its pixels are at least ``sagittal`` mm.
    """
    low, high = shown.low, shown.high
    size = high - low
    step = max(finest, float((high - low).max()) / 256)
    centres = []
    for part in axials:
        centre = shown.centre.copy()
        height = centre[2] + part * size[2]
        centre[2] = np.clip(height, low[2], high[2])
        centres.append(centre)
    cuts = [_plane("axial", centre, low, high, step) for centre in centres]
    cuts.append(_plane("coronal", shown.centre, low, high, step))
    cuts.append(_plane("sagittal", shown.centre, low, high, max(step, sagittal)))
    return cuts


def _plane(name: PlaneName, through: Array64, low: Array64, high: Array64, step: float) -> Plane:
    right, down, _ = (np.asarray(part) for part in _AXES[name])
    first = through.copy()
    sizes = []
    for direction in (down, right):
        axis = int(np.argmax(np.abs(direction)))
        count = max(2, int(np.ceil((high[axis] - low[axis]) / step)))
        half = (count - 1) / 2 * step
        middle = (low[axis] + high[axis]) / 2
        first[axis] = middle - direction[axis] * half
        sizes.append(count)
    return Plane(name, first, step, (sizes[0], sizes[1]))


def sample(
    volume: Volume | LabelMap, points: Array64, *, order: Literal[0, 1] = 1
) -> npt.NDArray[np.float32]:
    """Return the values at ``points`` (N, 3) LPS mm, NaN outside the field of view, (N,).

    Linear for volumes (``order`` 1), nearest for label maps (0).
    """
    at = volume.geometry.voxel(points)
    last = np.asarray(volume.geometry.shape) - 1
    inside = _inside(at, volume.geometry)
    values = np.full(len(at), np.nan, dtype=np.float32)
    values[inside] = ndimage.map_coordinates(
        volume.array, np.clip(at[inside], 0, last).T, order=order, mode="nearest", prefilter=False
    )
    return values


def cut(volume: Volume, plane: Plane, transform: Transform = IDENTITY) -> Array32:
    """Return what a plane shows of a volume, (rows, columns), NaN outside its field of view.

    ``transform`` maps the plane's points to the volume's.
    """
    return sample(volume, transform.map(plane.points())).reshape(plane.shape)


def seen(grid: Geometry, plane: Plane, transform: Transform) -> npt.NDArray[np.bool_]:
    """Tell for each pixel of a plane whether ``grid`` covers it, (rows, columns)."""
    return _inside(grid.voxel(transform.map(plane.points())), grid).reshape(plane.shape)


def _inside(at: Array64, grid: Geometry) -> npt.NDArray[np.bool_]:
    # half a voxel beyond the outer centres still counts, as in ITK
    return np.asarray(((at >= -0.5) & (at <= np.array(grid.shape) - 0.5)).all(axis=1))


def cut_labels(labels: LabelMap, plane: Plane) -> npt.NDArray[np.uint16]:
    """Return the labels in a plane by nearest neighbour, (rows, columns), 0 outside."""
    values = np.nan_to_num(sample(labels, plane.points(), order=0))
    return values.reshape(plane.shape).astype(np.uint16)


def window(volume: Volume) -> tuple[float, float]:
    """Return the display window (low, high) of a volume: its modality's, or by percentiles.

    From the 1st percentile of all values (PET: zero) to the 99.5th of the foreground, so that
    neither dark tissue nor a few bright voxels are lost.
    """
    if volume.modality.window is not None and in_hounsfield(volume):
        return volume.modality.window
    values = _thinned(volume)
    inside = values[values > foreground_level(volume)]
    low = 0.0 if volume.modality.name == "PET" else float(np.percentile(values, 1))
    high = float(np.percentile(inside if inside.size else values, 99.5))
    return (low, high) if high > low else (low, low + 1.0)


def levels(volume: Volume) -> tuple[float, float]:
    """Return the two values whose contours outline a volume: its surface, and an edge inside.

    CT: skin (-300 HU) and bone (350 HU). Others: the foreground's threshold, and Otsu's
    threshold of what lies within (IEEE Trans. SMC 9 (1979) 62).
    """
    if in_hounsfield(volume):
        return _SKIN_HU, 350.0
    outer = foreground_level(volume)
    values = _thinned(volume)
    inside = values[values > outer]
    return outer, _otsu(inside) if inside.size > 16 else outer


def foreground_level(volume: Volume) -> float:
    """Return the value above which a voxel belongs to the body: half-way to Otsu's threshold."""
    if in_hounsfield(volume):
        return _SKIN_HU
    values = _thinned(volume)
    air = float(np.percentile(values, 1))
    return air + (_otsu(values) - air) / 2


def in_hounsfield(volume: Volume) -> bool:
    """Tell whether a CT's values are HU as they should be: then the air around lies near -1000.

    CT with a shifted intercept, or cropped within the body, is shown by percentiles.
    """
    return volume.modality.name == "CT" and bool(np.percentile(_thinned(volume), 2) < -500)


def _thinned(volume: Volume) -> Array32:
    """Every n-th voxel along each axis, about 200,000 at most, (N,)."""
    stride = max(1, round((volume.array.size / 2e5) ** (1 / 3)))
    return volume.array[::stride, ::stride, ::stride].ravel()


def _otsu(values: Array32) -> float:
    low, high = (float(value) for value in np.percentile(values, [0.1, 99.9]))
    if not high > low:
        return low
    counts, edges = np.histogram(values, bins=128, range=(low, high))
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    mass = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    return float(middles[int(np.nanargmax(np.nan_to_num(between[:-1])))])
