"""Carry a volume or a label map onto another grid, with one interpolation for any chain.

Volumes are interpolated linearly (or by cubic B-splines, or nearest), label maps always by nearest
neighbour; outside the field of view a volume is its modality's air, a label map background.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from medfuse import itk
from medfuse.errors import GeometryError, UsageError
from medfuse.geometry import Array64, Geometry
from medfuse.transform import IDENTITY, Affine, Transform
from medfuse.volume import LabelMap, Volume

Interpolation = Literal["linear", "nearest", "bspline"]
V = TypeVar("V", Volume, LabelMap)

_SHEAR_DEGREES = 5.0  # of an affine in a file
_TILT_DEGREES = 30.0  # of a scanner's gantry
LEAST_OVERLAP = 0.1  # of the smaller field of view: less is another patient's, or a wrong transform
_PER_AXIS = 24  # points that an overlap is counted on, along each axis of the grid
_PER_AXIS_BENT = 96  # the same where a small grid must be met from a large one
_UNIT = Geometry((1, 1, 1), np.eye(4)[:, [2, 1, 0, 3]])  # (x, y, z) is voxel (w, h, d)
_KINDS = {
    "linear": sitk.sitkLinear,
    "nearest": sitk.sitkNearestNeighbor,
    "bspline": sitk.sitkBSpline,
}


def resample(
    volume: V,
    onto: Geometry,
    transform: Transform = IDENTITY,
    *,
    interpolation: Interpolation = "linear",
    threads: int = 1,
) -> V:
    """Return ``volume`` on the grid ``onto``; ``transform`` maps points of ``onto`` to its own.

    ``transform`` maps fixed (``onto``) to moving (``volume``) points, LPS mm. A grid that is the
    volume's own under the identity returns the values untouched. Label maps ignore
    ``interpolation``.
    """
    if transform is IDENTITY and volume.geometry.same_grid(onto, tolerance=1e-6):
        return replace(volume, geometry=onto)
    labels = isinstance(volume, LabelMap)
    air = 0.0 if isinstance(volume, LabelMap) else volume.modality.air
    kind: Interpolation = "nearest" if labels else interpolation
    task = (volume, onto, transform)
    if not (volume.geometry.is_orthonormal and onto.is_orthonormal):
        task = _in_voxels(*task)
    return volume.with_array(_by_itk(*task, kind, air, threads), onto)


def apply(
    transform: Transform,
    what: V | npt.ArrayLike,
    *,
    onto: Geometry | None = None,
    interpolation: Interpolation = "linear",
) -> V | Array64:
    """Apply a transform to a volume, a label map or points, each in the direction it means.

    A volume or label map is carried from moving onto the fixed grid ``onto`` (required); points
    (N, 3) in LPS mm are mapped from fixed to moving, as the transform is defined. Raises
    ``UsageError`` where ``onto`` is missing.
    """
    if isinstance(what, (Volume, LabelMap)):
        if onto is None:
            raise UsageError("a volume needs the grid to carry it onto", hint="give onto=")
        return resample(what, onto, transform, interpolation=interpolation)
    return transform.map(what)


def overlap(onto: Geometry, moving: Geometry, transform: Transform = IDENTITY) -> float:
    """Return the part of the smaller field of view that both share under ``transform``, 0 to 1.

    Counted on points of the smaller one, which few points of a large grid may hit; where only the
    way from ``onto`` is known (a deformable transform), on many points of ``onto``.
    """
    here, there = (float(np.prod(g.shape)) * g.voxel_volume for g in (onto, moving))
    if there >= here:
        return _inside(onto, moving, transform, _PER_AXIS)
    if isinstance(transform, Affine):
        return _inside(moving, onto, transform.inverse(), _PER_AXIS)
    return min(1.0, _inside(onto, moving, transform, _PER_AXIS_BENT) * here / there)


def _inside(here: Geometry, there: Geometry, there_from_here: Transform, per_axis: int) -> float:
    """Return the share of points on a grid that lie inside another, 0 to 1."""
    axes = [np.linspace(0, n - 1, min(n, per_axis)) for n in here.shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)  # (N, 3)
    voxels = there.voxel(there_from_here.map(here.world(grid)))
    last = np.asarray(there.shape) - 1
    return float(((voxels >= -0.5) & (voxels <= last + 0.5)).all(axis=1).mean())


def straighten(volume: V, *, limit_degrees: float | None = None) -> V:
    """Return ``volume`` on the right-angled grid that covers its sheared one, resampled once.

    A grid that is right-angled already is returned as it is. The new grid keeps the direction of
    rows and columns (array axes w and h) and steps along their normal. Raises ``GeometryError``
    for more than ``limit_degrees`` of shear: by default 30 for a DICOM series, whose gantry may
    have been tilted, and 5 for other files.
    """
    given = volume.geometry
    if given.is_orthonormal:
        return volume
    limit = _limit_of(volume) if limit_degrees is None else limit_degrees
    if given.shear_degrees > limit:
        raise GeometryError(
            f"the grid is sheared by {given.shear_degrees:.1f} degrees, more than {limit:g}",
            hint="resample it to a right-angled grid first",
            id="N10",
        )
    return resample(volume, right_angled(given))


def _limit_of(volume: Volume | LabelMap) -> float:
    source = volume.source if isinstance(volume, Volume) else None
    return _SHEAR_DEGREES if source is None or source.series_uid is None else _TILT_DEGREES


def right_angled(given: Geometry) -> Geometry:
    """Return the smallest right-angled grid around a sheared one, rows kept, same in-plane step."""
    w = given.direction[:, 2]
    h = given.direction[:, 1] - w * (given.direction[:, 1] @ w)
    h /= np.linalg.norm(h)
    d = np.cross(w, h) if np.linalg.det(given.direction) > 0 else np.cross(h, w)
    d *= np.sign(d @ given.direction[:, 0])
    axes = np.column_stack([d, h, w])
    step = np.array([abs(d @ given.world_from_voxel[:3, 0]), *given.spacing[1:]])
    inside = (given.corners() @ axes) / step  # corners in steps along the new axes, (8, 3)
    low = inside.min(axis=0)
    size = np.ceil(inside.max(axis=0) - low - 1e-6).astype(int) + 1
    matrix = np.eye(4)
    matrix[:3, :3] = axes * step
    matrix[:3, 3] = axes @ (low * step)
    return Geometry((int(size[0]), int(size[1]), int(size[2])), matrix, given.frame)


def _by_itk(
    volume: Volume | LabelMap,
    onto: Geometry,
    transform: Transform,
    kind: Interpolation,
    air: float,
    threads: int,
) -> np.ndarray:
    filter_ = sitk.ResampleImageFilter()
    filter_.SetNumberOfThreads(threads)
    filter_.SetSize([int(n) for n in onto.shape[::-1]])
    filter_.SetOutputOrigin(onto.origin.tolist())
    filter_.SetOutputSpacing(onto.spacing[::-1])
    filter_.SetOutputDirection(onto.direction[:, ::-1].ravel().tolist())
    filter_.SetTransform(itk.transform(transform))
    filter_.SetInterpolator(_KINDS[kind])
    filter_.SetDefaultPixelValue(air)
    made: np.ndarray = sitk.GetArrayFromImage(filter_.Execute(itk.image(volume)))
    return made


def _in_voxels(volume: V, onto: Geometry, transform: Transform) -> tuple[V, Geometry, Transform]:
    """Return the same task on grids of unit steps, the real grids moved into the transform.

    So ITK carries a sheared grid too, which its images cannot hold.
    """
    to_world = Affine(onto.world_from_voxel @ _UNIT.voxel_from_world)
    to_voxel = Affine(_UNIT.world_from_voxel @ volume.geometry.voxel_from_world)
    plain = volume.with_array(volume.array, replace(_UNIT, shape=volume.geometry.shape))
    return plain, replace(_UNIT, shape=onto.shape), to_world.then(transform).then(to_voxel)
