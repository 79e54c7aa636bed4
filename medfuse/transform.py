"""Transforms of space: they map points of the fixed volume to points of the moving one.

That is ITK's resampling direction, in LPS mm. Matrices are named by what they map, right to
left, so that composition cancels: ``c_from_b @ b_from_a`` is ``c_from_a``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from medfuse.errors import GeometryError
from medfuse.geometry import Array64, Geometry


@runtime_checkable
class Transform(Protocol):
    """Map fixed points to moving points, both (N, 3) in LPS mm."""

    def map(self, points: npt.ArrayLike) -> Array64:
        """Return the moving points of the fixed ``points``, (N, 3) LPS mm."""

    def inverse(self) -> Transform:
        """Return the transform from moving to fixed; ``GeometryError`` where there is none."""

    def then(self, other: Transform) -> Transform:
        """Return the transform that does this one first and ``other`` on its result."""


@dataclass(frozen=True, eq=False)
class Affine:
    """A linear transform: ``moving_from_fixed`` (4, 4) in LPS mm.

    Raises ``GeometryError`` where the matrix is not finite or is singular.
    """

    moving_from_fixed: Array64

    def __post_init__(self) -> None:
        """Check and freeze the matrix."""
        matrix = np.array(self.moving_from_fixed, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise GeometryError("the matrix of the transform is not a finite 4x4 matrix", id="X3")
        if not np.allclose(matrix[3], [0, 0, 0, 1]) or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
            raise GeometryError("the matrix of the transform is singular", id="X2")
        matrix.setflags(write=False)
        object.__setattr__(self, "moving_from_fixed", matrix)

    @property
    def is_rigid(self) -> bool:
        """Whether distances stay as they are (to 1e-6) and nothing is mirrored."""
        linear = self.moving_from_fixed[:3, :3]
        return bool(
            np.abs(linear.T @ linear - np.eye(3)).max() < 1e-6 and np.linalg.det(linear) > 0
        )

    def map(self, points: npt.ArrayLike) -> Array64:
        """Return the moving points of the fixed ``points``, (N, 3) LPS mm."""
        matrix = self.moving_from_fixed
        mapped: Array64 = np.asarray(points, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        return mapped

    def inverse(self) -> Affine:
        """Return the inverse matrix as a transform."""
        return Affine(np.linalg.inv(self.moving_from_fixed).astype(np.float64))

    def then(self, other: Transform) -> Transform:
        """Return this transform followed by ``other``; two matrices become one."""
        if isinstance(other, Affine):
            return Affine(other.moving_from_fixed @ self.moving_from_fixed)
        return Chain((self,)).then(other)


IDENTITY = Affine(np.eye(4))


@dataclass(frozen=True, eq=False)
class Displacement:
    """A field of shifts: ``field`` (3, D, H, W) float32, dx, dy, dz in LPS mm, on ``geometry``.

    Points up to half a voxel outside the grid take the nearest shift, points further out do not
    move (ITK's rule). Raises ``GeometryError`` where the field is not finite or has another shape.
    """

    field: npt.NDArray[np.float32]
    geometry: Geometry

    def __post_init__(self) -> None:
        """Check and freeze the field."""
        field = np.array(self.field, dtype=np.float32, order="C")
        if field.shape != (3, *self.geometry.shape):
            raise GeometryError(f"the field is {field.shape}, its grid is {self.geometry.shape}")
        if not np.isfinite(field).all():
            raise GeometryError("the displacement field holds values that are not finite", id="X14")
        field.setflags(write=False)
        object.__setattr__(self, "field", field)

    def map(self, points: npt.ArrayLike) -> Array64:
        """Return the moving points of the fixed ``points``, (N, 3) LPS mm."""
        places = np.asarray(points, dtype=np.float64)
        row = places.reshape(-1, 3)
        moved: Array64 = (row + self._shift(row)).reshape(places.shape)
        return moved

    def _shift(self, places: Array64, *, beyond: bool = False) -> Array64:
        """Return the shifts at ``places``, (N, 3) mm; ``beyond`` the grid the nearest ones."""
        from scipy.ndimage import map_coordinates  # not for every user of a matrix

        voxels = self.geometry.voxel(places)
        last = np.asarray(self.geometry.shape) - 1
        inside = np.asarray(beyond | ((voxels >= -0.5) & (voxels < last + 0.5)).all(axis=1))
        at = np.clip(voxels[inside], 0, last).T
        shift = np.zeros_like(places)
        for axis in range(3):
            shift[inside, axis] = map_coordinates(self.field[axis], at, order=1, mode="nearest")
        return shift

    def inverse(self, *, iterations: int = 200, tolerance: float = 0.002) -> Displacement:
        """Return the inverse field on the same grid, by fixed-point iteration.

        At each voxel the way there and back ends within ``tolerance`` mm. Points beyond the grid
        are taken to move as its border does: else nothing near the border would have an inverse.
        Chen et al., Med. Phys. 35 (2008) 81, with smaller steps where a step made it worse.
        Raises ``GeometryError`` where the field folds or the iteration does not settle.
        """
        if (self.determinant() <= 0).any():
            raise GeometryError("the displacement field has no inverse: it folds", id="X14")
        places = self.geometry.world(np.indices(self.geometry.shape).reshape(3, -1).T)  # (N, 3)
        back = -self._shift(places)
        left, step, before = np.arange(len(places)), np.ones(len(places)), np.full(len(places), 1e9)
        for _ in range(iterations):
            gap = back[left] + self._shift(places[left] + back[left], beyond=True)
            size = np.linalg.norm(gap, axis=1)
            still = size >= tolerance
            if not still.any():
                field = back.T.reshape(3, *self.geometry.shape)
                return Displacement(field.astype(np.float32), self.geometry)
            left, gap, size = left[still], gap[still], size[still]
            step = np.where(size >= before[still], 0.5, 1.0) * step[still]
            back[left] -= step[:, None] * gap
            before = size
        raise GeometryError("no inverse of the displacement field was found", id="X14")

    def determinant(self) -> Array64:
        """Return the local change of volume at the field's own voxels, (D, H, W).

        1 is none; 0 or less is a fold: space is turned inside out. By central differences; an axis
        of one voxel bends nothing.
        """
        turned = np.zeros((*self.geometry.shape, 3, 3)) + np.eye(3)
        shift = np.einsum("ij,jdhw->dhwi", self.geometry.voxel_from_world[:3, :3], self.field)
        for axis in (n for n in range(3) if self.geometry.shape[n] > 1):
            turned[..., axis] += np.gradient(shift, axis=axis)  # (D, H, W, 3)
        return np.asarray(np.linalg.det(turned), dtype=np.float64)

    def then(self, other: Transform) -> Transform:
        """Return this transform followed by ``other``."""
        return Chain((self,)).then(other)


@dataclass(frozen=True, eq=False)
class Chain:
    """Transforms one after the other: ``parts[0]`` acts first."""

    parts: tuple[Transform, ...]

    def map(self, points: npt.ArrayLike) -> Array64:
        """Return the moving points of the fixed ``points``, (N, 3) LPS mm."""
        mapped = np.asarray(points, dtype=np.float64)
        for part in self.parts:
            mapped = part.map(mapped)
        return mapped

    def inverse(self) -> Transform:
        """Return the inverses of the parts, last first."""
        return Chain(tuple(part.inverse() for part in reversed(self.parts)))

    def then(self, other: Transform) -> Transform:
        """Return this chain followed by ``other``; neighbouring matrices become one."""
        parts = list(self.parts)
        for part in other.parts if isinstance(other, Chain) else (other,):
            if parts and isinstance(parts[-1], Affine) and isinstance(part, Affine):
                parts[-1] = parts[-1].then(part)
            else:
                parts.append(part)
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))
