"""The only bridge between our nouns and SimpleITK's images and transforms.

Both sides speak LPS mm; SimpleITK lists axes as (x, y, z) = our (w, h, d).
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from medfuse.errors import GeometryError
from medfuse.geometry import Array64, Geometry
from medfuse.transform import Affine, Chain, Displacement, Transform
from medfuse.volume import LabelMap, Volume


def image(volume: Volume | LabelMap) -> sitk.Image:
    """Return a SimpleITK image (a copy) with the values and grid of ``volume``.

    Raises ``GeometryError`` for a sheared grid, which SimpleITK cannot hold.
    """
    made = sitk.GetImageFromArray(volume.array)
    place(made, volume.geometry)
    return made


def place(made: sitk.Image, geometry: Geometry) -> None:
    """Give the image the origin, spacing and direction of ``geometry``."""
    if not geometry.is_orthonormal:
        raise GeometryError(
            f"the grid is sheared by {geometry.shear_degrees:.2f} degrees",
            hint="resample it to a right-angled grid first",
            id="N10",
        )
    made.SetOrigin(geometry.origin.tolist())
    made.SetSpacing(geometry.spacing[::-1])
    made.SetDirection(geometry.direction[:, ::-1].ravel().tolist())


def geometry(made: sitk.Image) -> Geometry:
    """Return the grid of a three-dimensional SimpleITK image."""
    direction = np.asarray(made.GetDirection()).reshape(3, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = (direction * np.asarray(made.GetSpacing()))[:, ::-1]
    matrix[:3, 3] = made.GetOrigin()
    width, height, depth = made.GetSize()
    return Geometry((depth, height, width), matrix)


def transform(ours: Transform) -> sitk.Transform:
    """Return the SimpleITK transform that maps the same fixed points to the same moving ones."""
    if isinstance(ours, Affine):
        made = sitk.AffineTransform(3)
        made.SetMatrix(ours.moving_from_fixed[:3, :3].ravel().tolist())
        made.SetTranslation(ours.moving_from_fixed[:3, 3].tolist())
        return made
    if isinstance(ours, Displacement):
        return _field(ours)
    if isinstance(ours, Chain):
        # the transform added last acts first
        return sitk.CompositeTransform([transform(part) for part in reversed(ours.parts)])
    raise TypeError(f"no SimpleITK counterpart for {type(ours).__name__}")


def _field(ours: Displacement) -> sitk.Transform:
    if not ours.geometry.is_orthonormal:
        # a field that ITK can hold, between the way to its voxels and the way back
        unit = Geometry(ours.geometry.shape, np.eye(4)[:, [2, 1, 0, 3]])
        to_voxel = unit.world_from_voxel @ ours.geometry.voxel_from_world
        steps = np.einsum("ij,jdhw->idhw", to_voxel[:3, :3], ours.field)
        plain = Displacement(steps.astype(np.float32), unit)
        there = Affine(to_voxel)
        return transform(Chain((there, plain, there.inverse())))
    vectors = np.moveaxis(ours.field, 0, -1).astype(np.float64)  # (D, H, W, 3)
    field = sitk.GetImageFromArray(vectors, isVector=True)
    place(field, ours.geometry)
    return sitk.DisplacementFieldTransform(field)


def from_transform(made: sitk.Transform) -> Transform:
    """Return our transform for a SimpleITK one: linear, displacement field, or a chain of them.

    Raises ``GeometryError`` for other kinds and for transforms that are not three-dimensional.
    """
    if made.GetDimension() != 3:
        raise GeometryError(f"the transform has {made.GetDimension()} dimensions, not 3", id="X1")
    made = made.Downcast()
    if isinstance(made, sitk.CompositeTransform):
        parts = [
            from_transform(made.GetNthTransform(n)) for n in range(made.GetNumberOfTransforms())
        ]
        return Chain(tuple(reversed(parts)))
    if isinstance(made, sitk.DisplacementFieldTransform):
        field = made.GetDisplacementField()
        vectors = np.moveaxis(sitk.GetArrayFromImage(field), -1, 0)  # (3, D, H, W)
        return Displacement(vectors.astype(np.float32), geometry(field))
    if made.IsLinear():
        return Affine(_matrix(made))
    raise GeometryError(f"transforms of kind {made.GetName()} are not supported", id="X4")


def _matrix(made: sitk.Transform) -> Array64:
    matrix = np.eye(4)
    matrix[:3, 3] = made.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        unit = np.eye(3)[axis].tolist()
        matrix[:3, axis] = np.asarray(made.TransformPoint(unit)) - matrix[:3, 3]
    return matrix
