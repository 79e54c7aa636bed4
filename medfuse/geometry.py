"""Where a grid of voxels lies in the world.

One convention inside the house: the world is **LPS millimetres** (x to the patient's left, y to
posterior, z to superior, as in DICOM and ITK), arrays are indexed ``(d, h, w)``: slice, row,
column, the memory order of SimpleITK, DICOM and torch. nibabel's RAS+ ``(i, j, k)`` affines enter
and leave through ``from_ras`` and ``to_ras`` alone: no other line of the house flips a sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from medfuse.errors import GeometryError

Array64 = npt.NDArray[np.float64]

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME_GRID_MM = 1e-3
_ORTHONORMAL = 1e-4


@dataclass(frozen=True, eq=False)
class Geometry:
    """A grid of ``shape`` (D, H, W) voxels and the affine that places it.

    ``world_from_voxel`` (4, 4) maps ``(d, h, w, 1)`` to ``(x, y, z, 1)`` in LPS mm at voxel
    centres; ``frame`` is a DICOM frame of reference UID, if one is known. A sheared affine is
    legal (``is_orthonormal`` is then False). Raises ``GeometryError`` where the affine is not
    finite or singular, or the shape is not three positive numbers.
    """

    shape: tuple[int, int, int]
    world_from_voxel: Array64
    frame: str | None = None

    def __post_init__(self) -> None:
        """Check and freeze the fields."""
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"a grid needs three positive sizes, got {shape}")
        matrix = np.array(self.world_from_voxel, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise GeometryError("the affine of the grid is not a finite 4x4 matrix", id="N7")
        columns = np.linalg.norm(matrix[:3, :3], axis=0)
        volume = abs(np.linalg.det(matrix[:3, :3]))
        if not np.allclose(matrix[3], [0, 0, 0, 1]) or volume <= 1e-6 * max(
            float(np.prod(columns)), 1e-30
        ):
            raise GeometryError("the affine of the grid is singular", id="N8")
        matrix.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "world_from_voxel", matrix)

    @classmethod
    def from_ras(
        cls, shape: tuple[int, int, int], affine: Array64, frame: str | None = None
    ) -> Geometry:
        """Return the grid of a nibabel image: ``shape`` (I, J, K) and its RAS+ ``affine``."""
        matrix = _RAS_FROM_LPS @ np.asarray(affine, dtype=np.float64)
        return cls(shape[::-1], matrix[:, [2, 1, 0, 3]], frame)

    def to_ras(self) -> Array64:
        """Return nibabel's affine: ``(i, j, k)`` of ``array.T`` to RAS mm, (4, 4)."""
        affine: Array64 = (_RAS_FROM_LPS @ self.world_from_voxel)[:, [2, 1, 0, 3]]
        return affine

    @cached_property
    def voxel_from_world(self) -> Array64:
        """The inverse affine, (4, 4)."""
        inverse: Array64 = np.linalg.inv(self.world_from_voxel).astype(np.float64)
        return inverse

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size along the array axes (d, h, w), mm."""
        d, h, w = np.linalg.norm(self.world_from_voxel[:3, :3], axis=0)
        return float(d), float(h), float(w)

    @property
    def origin(self) -> Array64:
        """World position of the centre of voxel (0, 0, 0), LPS mm, (3,)."""
        position: Array64 = self.world_from_voxel[:3, 3]
        return position

    @property
    def direction(self) -> Array64:
        """Unit vectors of the array axes d, h, w as columns, LPS, (3, 3)."""
        axes: Array64 = self.world_from_voxel[:3, :3] / np.asarray(self.spacing)
        return axes

    @property
    def centre(self) -> Array64:
        """World position of the middle of the grid, LPS mm, (3,)."""
        return self.world((np.asarray(self.shape, dtype=np.float64) - 1) / 2)

    @property
    def orientation(self) -> str:
        """Axis code in file order (columns, rows, slices), such as ``"LPS"``.

        Each letter says towards which side the index of that axis grows.
        """
        sides = ("RL", "AP", "IS")
        code = {}
        taken: set[int] = set()
        # the axis that follows a side most closely is named first, as nibabel does
        for axis in sorted((2, 1, 0), key=lambda n: -float(np.abs(self.direction[:, n]).max())):
            column = self.direction[:, axis]
            side = next(int(i) for i in np.argsort(-np.abs(column)) if int(i) not in taken)
            taken.add(side)
            code[axis] = sides[side][int(column[side] > 0)]
        return code[2] + code[1] + code[0]

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel, mm3."""
        return float(abs(np.linalg.det(self.world_from_voxel[:3, :3])))

    @property
    def shear_degrees(self) -> float:
        """The largest deviation from a right angle between two axes, degrees."""
        cosines = (self.direction.T @ self.direction)[[0, 0, 1], [1, 2, 2]]
        return float(np.degrees(np.arcsin(np.clip(np.abs(cosines), 0, 1))).max())

    @property
    def is_orthonormal(self) -> bool:
        """Whether the axes stand at right angles (to 1e-4), as SimpleITK demands."""
        return bool(np.abs(self.direction.T @ self.direction - np.eye(3)).max() < _ORTHONORMAL)

    def world(self, voxels: npt.ArrayLike) -> Array64:
        """Map voxel indices (d, h, w), (..., 3), to LPS mm, (..., 3)."""
        matrix = self.world_from_voxel
        points: Array64 = np.asarray(voxels, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        return points

    def voxel(self, points: npt.ArrayLike) -> Array64:
        """Map LPS mm, (..., 3), to continuous voxel indices (d, h, w), (..., 3)."""
        matrix = self.voxel_from_world
        voxels: Array64 = np.asarray(points, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        return voxels

    def corners(self) -> Array64:
        """World positions of the eight corner voxel centres, LPS mm, (8, 3)."""
        last = np.asarray(self.shape) - 1
        return self.world(np.indices((2, 2, 2)).reshape(3, -1).T * last)

    def same_grid(self, other: Geometry, *, tolerance: float = _SAME_GRID_MM) -> bool:
        """Tell whether both grids hold the same voxels at the same places, to ``tolerance`` mm."""
        return self.shape == other.shape and bool(
            np.abs(self.corners() - other.corners()).max() <= tolerance
        )

    def crop(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Geometry:
        """Return the part of the grid from voxel ``start`` to before ``stop`` (may lie outside)."""
        matrix = self.world_from_voxel.copy()
        matrix[:3, 3] = self.world(start)
        d, h, w = (b - a for a, b in zip(start, stop, strict=True))
        return replace(self, shape=(d, h, w), world_from_voxel=matrix)

    def pad(self, before: tuple[int, int, int], after: tuple[int, int, int]) -> Geometry:
        """Return the grid with so many voxels more on each side."""
        d, h, w = (-n for n in before)
        D, H, W = (n + m for n, m in zip(self.shape, after, strict=True))
        return self.crop((d, h, w), (D, H, W))

    def respace(self, spacing: tuple[float, float, float]) -> Geometry:
        """Return a grid of other ``spacing`` (d, h, w) mm over the same field of view.

        The outer faces coincide (not the outer voxel centres); sizes are rounded, so the field
        of view may change by less than one new voxel, evenly on both sides.
        """
        old, new = np.asarray(self.spacing), np.asarray(spacing, dtype=np.float64)
        if new.shape != (3,) or not (np.isfinite(new).all() and (new > 0).all()):
            raise GeometryError(f"spacing must be three positive numbers in mm, got {spacing}")
        d, h, w = (int(n) for n in np.maximum(1, np.round(self.shape * old / new)))
        matrix = self.world_from_voxel.copy()
        matrix[:3, :3] = self.direction * new
        middle = matrix[:3, :3] @ ((np.array([d, h, w]) - 1) / 2)
        matrix[:3, 3] = self.centre - middle
        return replace(self, shape=(d, h, w), world_from_voxel=matrix)

    def upright(self) -> Geometry:
        """Return the same voxels with axes that run to superior, posterior and left (d, h, w).

        Each as closely as the grid allows: axes are swapped and turned round, nothing is
        interpolated. So one array axis means one side of every patient.
        """
        turned = self.orientation[::-1]  # of d, h, w
        pairs = ("IS", "AP", "RL")
        order = [next(n for n, code in enumerate(turned) if code in pair) for pair in pairs]
        matrix = self.world_from_voxel.copy()
        matrix[:, :3] = self.world_from_voxel[:, order]
        shape = [self.shape[n] for n in order]
        for axis, towards in enumerate("SPL"):
            if turned[order[axis]] != towards:
                matrix[:3, 3] += matrix[:3, axis] * (shape[axis] - 1)
                matrix[:3, axis] *= -1
        d, h, w = shape
        return replace(self, shape=(d, h, w), world_from_voxel=matrix)

    def moved(self, world_from_world: npt.ArrayLike) -> Geometry:
        """Return the same grid carried to another place by a (4, 4) matrix in LPS mm."""
        return replace(
            self, world_from_voxel=np.asarray(world_from_world) @ self.world_from_voxel, frame=None
        )
