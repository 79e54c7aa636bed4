"""The two volumes of a registration, prepared once and looked at by every stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medfuse.errors import InputError
from medfuse.geometry import Array64
from medfuse.resampling import straighten
from medfuse.transform import Affine
from medfuse.volume import Volume
from registration.levels import Prepared

_FEWEST_VOXELS = 8
_MUCH_LESS = 0.75
_TILT_DEGREES = 30.0
_SHEAR_DEGREES = 5.0


@dataclass(frozen=True, eq=False)
class Pair:
    """A fixed and a moving volume on right-angled grids, with masks where there are any.

    A mask is a volume on any grid; only where it is above zero do samples count.
    """

    fixed: Volume
    moving: Volume
    masks: tuple[Volume | None, Volume | None] = (None, None)
    spacing: float = 1.5

    @classmethod
    def of(
        cls,
        fixed: Volume,
        moving: Volume,
        masks: tuple[Volume | None, Volume | None] = (None, None),
        *,
        spacing: float = 1.5,
    ) -> Pair:
        """Check both volumes and straighten sheared grids.

        Raises ``InputError`` for a volume without contrast (N25), with fewer than eight voxels on
        an axis (N30, D40) or sheared too far (N10), and for an empty mask.
        """
        for mask, name in zip(masks, ("fixed mask", "moving mask"), strict=True):
            if mask is not None and not (mask.array > 0).any():
                raise InputError("the mask is empty", where=name, hint="give one that is not")
        return cls(_usable(fixed, "fixed"), _usable(moving, "moving"), masks, spacing)

    @cached_property
    def swapped(self) -> bool:
        """Whether points are drawn from the moving volume, because it shows much less."""
        return self.prepared_moving.extent_mm3 < _MUCH_LESS * self.prepared_fixed.extent_mm3

    @property
    def inner(self) -> Prepared:
        """The volume that points are drawn from: the fixed one, unless ``swapped``."""
        return self.prepared_moving if self.swapped else self.prepared_fixed

    @property
    def outer(self) -> Prepared:
        """The volume that is looked up at the points: the moving one, unless ``swapped``."""
        return self.prepared_fixed if self.swapped else self.prepared_moving

    def turned(self, matrix: Array64, *, swapped: bool | None = None) -> Array64:
        """Turn ``moving_from_fixed`` into ``outer_from_inner``, or back, (4, 4).

        ``swapped`` says which volume is the inner one where that is not the pair's own choice.
        """
        turn = self.swapped if swapped is None else swapped
        return np.linalg.inv(matrix).astype(np.float64) if turn else matrix

    def overlap(self, linear: Affine) -> float:
        """Return the share of the fixed foreground that lies inside the moving field of view."""
        fixed = self.prepared_fixed
        places = fixed.middle.geometry.world(np.argwhere(fixed.foreground))
        voxels = self.moving.geometry.voxel(linear.map(places))
        last = np.asarray(self.moving.geometry.shape) - 0.5
        return float(((voxels >= -0.5) & (voxels <= last)).all(axis=1).mean())

    @cached_property
    def prepared_fixed(self) -> Prepared:
        """The fixed volume's levels, foreground and points."""
        return Prepared.of(self.fixed, self.masks[0], spacing=self.spacing)

    @cached_property
    def prepared_moving(self) -> Prepared:
        """The moving volume's levels, foreground and points."""
        return Prepared.of(self.moving, self.masks[1], spacing=self.spacing)


def _usable(volume: Volume, role: str) -> Volume:
    where = volume.source.path if volume.source is not None else f"the {role} volume"
    series = volume.source is not None and volume.source.series_uid is not None
    if min(volume.geometry.shape) < _FEWEST_VOXELS:
        size = "x".join(str(n) for n in volume.geometry.shape[::-1])
        raise InputError(
            f"is {size} voxels: registration needs at least {_FEWEST_VOXELS} on each axis",
            where=where,
            id="D40" if series else "N30",
        )
    if np.ptp(volume.array) == 0:
        raise InputError("the image has no contrast: all values are equal", where=where, id="N25")
    return straighten(volume, limit_degrees=_TILT_DEGREES if series else _SHEAR_DEGREES)
