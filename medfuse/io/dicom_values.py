"""The values of a series: stored numbers rescaled slice by slice in float32, padding made air."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medfuse.errors import DicomError, Repair, ResourceError
from medfuse.geometry import Array64
from medfuse.io.dicom_header import Header, read_pixels
from medfuse.io.dicom_pixels import layout, stored_frame
from medfuse.io.dicom_planes import Plane
from medfuse.io.dicom_stack import Arranged
from medfuse.io.files import MAX_VOXELS
from medfuse.io.suv import uptake
from medfuse.modality import Modality
from medfuse.volume import Array32

_CT_HU = (-2000.0, 20000.0)  # beyond, an inverted CT was meant to be turned
_HOUNSFIELD = {"", "HU", "HU_MOD"}  # a CT that does not name its RescaleType means HU


@dataclass(frozen=True, eq=False)
class Values:
    """The ``array`` (D, H, W) of a series in ``unit``, and the ``sha256`` over its files."""

    array: Array32
    unit: str
    sha256: str
    repairs: tuple[Repair, ...]


def values_of(arranged: Arranged, kind: Modality, *, where: object) -> Values:
    """Return the values of the planes in order, calibrated.

    CT in HU (or in an unknown unit with a D48 repair), PET in SUVbw (or in stored units with a D19
    repair), the rest as rescaled; padding becomes the air of ``kind``. Raises ``DicomError`` for
    CT or PET of which some slices lack their rescale (D48), for pixels that are missing, cut or
    cannot be decoded, and what ``uptake`` raises.
    """
    filled = _Filling(arranged, kind.air, where)
    array, repairs = filled.array, filled.repairs(kind.air)
    word = arranged.planes[0].header.text("Modality").upper()
    unit, said = _unit(word, arranged.planes, where)
    repairs += said
    if unit == "HU" and filled.inverted:
        _check_hu(array, where)
    if word == "PT":
        unit, said = _to_uptake(array, arranged, where)
        repairs += said
    if arranged.at is not None:
        array = _interpolated(array, arranged.at, where)
    return Values(array, unit, filled.digest.hexdigest(), tuple(repairs))


class _Filling:
    """Read file after file into one array, and count what is noticed on the way."""

    def __init__(self, arranged: Arranged, air: float, where: object) -> None:
        planes = arranged.planes
        self.array = _room(len(planes), *planes[0].shape, where)
        self.digest = hashlib.sha256()
        self.padded = {"D29": 0, "D30": 0}
        self.inverted = 0
        self._air = np.float32(air)
        self._seen: dict[Path, Header | None] = {}
        for d, plane in enumerate(planes):
            self._fill(self.array[d], plane, self._load(plane.header.where))

    def _load(self, path: Path) -> Header:
        kept = self._seen.get(path)
        if kept is not None:
            return kept
        header, raw = read_pixels(path)
        self.digest.update(raw)
        # only a multi-frame file is looked at again
        self._seen[path] = header if layout(header).frames > 1 else None
        return header

    def _fill(self, slice_: Array32, plane: Plane, header: Header) -> None:
        stored, padding = stored_frame(header, plane.frame)
        if stored.dtype.itemsize > 2:  # 32-bit integers do not fit float32 before they are scaled
            slice_[:] = stored * plane.slope + plane.intercept
        else:
            slice_[:] = stored
            slice_ *= np.float32(plane.slope)
            slice_ += np.float32(plane.intercept)
        self.inverted += header.text("PhotometricInterpretation") == "MONOCHROME1"
        if padding is not None:
            changed = int(np.count_nonzero(padding & (slice_ != self._air)))
            shape = layout(header)
            self.padded["D30" if shape.padding_signed and not shape.signed else "D29"] += changed
            slice_[padding] = self._air

    def repairs(self, air: float) -> list[Repair]:
        """Say what was noticed."""
        signed, other = (
            f"{count} padding voxels were set to {air:g}, the value of air"
            for count in self.padded.values()
        )
        made = [Repair(signed, id="D29")] if self.padded["D29"] else []
        if self.padded["D30"]:
            made.append(Repair(f"{other} (their sign is not that of the pixels)", id="D30"))
        if self.inverted:
            what = f"{self.inverted} slices are MONOCHROME1: their values are kept, not inverted"
            made.append(Repair(what, id="D21"))
        return made


def _room(depth: int, rows: int, columns: int, where: object) -> Array32:
    what = f"{depth} slices of {rows} x {columns} pixels"
    if depth * rows * columns > MAX_VOXELS:
        raise DicomError(f"declares {what}, more than can be read", where=where, id="D43")
    try:
        return np.empty((depth, rows, columns), dtype=np.float32)
    except MemoryError:
        raise ResourceError(f"{what} do not fit into memory", where=where) from None


def _unit(word: str, planes: Sequence[Plane], where: object) -> tuple[str, list[Repair]]:
    """Return the unit of the rescaled values by DICOM's ``word`` for the modality."""
    lacking = sum(plane.measure is None for plane in planes)
    if word in {"CT", "PT"} and 0 < lacking < len(planes):
        raise DicomError(
            f"{lacking} of {len(planes)} slices lack RescaleSlope or RescaleIntercept",
            where=where,
            hint="export the series again",
            id="D48",
        )
    if word != "CT":
        return "a.u.", []
    if all(plane.measure in _HOUNSFIELD for plane in planes):
        return "HU", []
    why = "RescaleSlope or RescaleIntercept is missing" if lacking else "its RescaleType is not HU"
    return "unknown", [Repair(f"the values of the CT are in an unknown unit: {why}", id="D48")]


def _check_hu(array: Array32, where: object) -> None:
    low, high = float(array.min()), float(array.max())
    if low < _CT_HU[0] or high > _CT_HU[1]:
        raise DicomError(
            f"the CT is MONOCHROME1 and holds {low:g} to {high:g} HU, which no CT does",
            where=where,
            hint="export it again as MONOCHROME2",
            id="D21",
        )


def _to_uptake(array: Array32, arranged: Arranged, where: object) -> tuple[str, list[Repair]]:
    """Scale PET in place; return its unit and what is missing for SUV."""
    headers = list({plane.header.where: plane.header for plane in arranged.planes}.values())
    scale = uptake(headers, where=where)
    if scale.factor != 1.0:
        array *= np.float32(scale.factor)
    if not scale.missing:
        return scale.unit, []
    what = f"the values stay in {scale.unit}: there is no SUV without {', '.join(scale.missing)}"
    return scale.unit, [Repair(what, id="D19")]


def _interpolated(array: Array32, at: Array64, where: object) -> Array32:
    """Return slices at fractional places ``at`` among the slices of ``array``, linearly."""
    made = _room(len(at), array.shape[1], array.shape[2], where)
    for d, place in enumerate(at):
        low = min(int(place), len(array) - 1)
        high = min(low + 1, len(array) - 1)
        part = np.float32(place - low)
        made[d] = array[low] if part == 0 else (1 - part) * array[low] + part * array[high]
    return made
