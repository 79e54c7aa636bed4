"""Volumes of values and maps of labels: an array, its grid, and what the numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from medfuse.errors import InputError, Repair
from medfuse.geometry import Geometry
from medfuse.modality import Modality

Array32 = npt.NDArray[np.float32]
ArrayU16 = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Source:
    """Where a volume came from; never written into outputs but as the hash.

    ``path`` as the user gave it, ``sha256`` of the bytes (of all files in reading order for a
    series), the DICOM ``series_uid`` and ``instance_uids`` (in array order) where there are any,
    and the ``repairs`` made while reading.
    """

    path: str
    sha256: str
    series_uid: str | None = None
    instance_uids: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True, eq=False)
class Volume:
    """One scan: ``array`` (D, H, W) float32 in ``unit``, on ``geometry``.

    The array is made contiguous and read-only. Raises ``InputError`` where its shape is not the
    grid's or a value is not finite.
    """

    array: Array32
    geometry: Geometry
    modality: Modality
    unit: str = ""
    source: Source | None = None

    def __post_init__(self) -> None:
        """Check and freeze the array."""
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(self.array, dtype=np.float32)
        _check_shape(array.shape, self.geometry)
        if not np.isfinite(array.min()) or not np.isfinite(array.max()):
            raise InputError("the volume holds values that are not finite", id="N27")
        object.__setattr__(self, "array", _frozen(array, self.array))
        object.__setattr__(self, "unit", self.unit or self.modality.unit)

    def with_array(self, array: npt.ArrayLike, geometry: Geometry | None = None) -> Volume:
        """Return a volume of the same kind with other values (and grid)."""
        return replace(self, array=np.asarray(array), geometry=geometry or self.geometry)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Which structure each voxel belongs to: ``array`` (D, H, W) uint16, 0 is background.

    ``names`` maps the labels that have one to it. Raises ``InputError`` where the shape is not
    the grid's or a value is no whole number from 0 to 65535.
    """

    array: ArrayU16
    geometry: Geometry
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check and freeze the fields."""
        array = np.ascontiguousarray(_whole(self.array))
        _check_shape(array.shape, self.geometry)
        object.__setattr__(self, "array", _frozen(array, self.array))
        names = {int(label): str(name) for label, name in self.names.items()}
        object.__setattr__(self, "names", MappingProxyType(names))

    def with_array(self, array: npt.ArrayLike, geometry: Geometry | None = None) -> LabelMap:
        """Return a map with the same names and other labels (and grid)."""
        return replace(self, array=_whole(array), geometry=geometry or self.geometry)


def _whole(array: npt.ArrayLike) -> ArrayU16:
    given = np.asarray(array)
    with np.errstate(invalid="ignore"):
        labels = given.astype(np.uint16, copy=False)
    if labels is not given and not np.array_equal(labels, given):
        raise InputError("labels are whole numbers from 0 to 65535", id="N16")
    return labels


def _check_shape(shape: tuple[int, ...], geometry: Geometry) -> None:
    if shape != geometry.shape:
        raise InputError(f"the array is {shape} but its grid is {geometry.shape}")


_T = TypeVar("_T", bound=np.generic)


def _frozen(array: npt.NDArray[_T], given: object) -> npt.NDArray[_T]:
    # a caller's own writable array stays the caller's: freeze a view of ours, not of theirs
    if array is given and array.flags.writeable:
        array = array.view()
    array.setflags(write=False)
    return array
