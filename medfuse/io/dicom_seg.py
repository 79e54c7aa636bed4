"""DICOM Segmentation objects as label maps.

Each frame is one segment on one plane; frames are put where their own positions say, whatever
their order, and planes without a frame are background (DICOM PS3.3 C.8.20). Binary, fractional
(taken from one half on) and label map segmentations are read.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfuse.errors import DicomError, Repair, ResourceError
from medfuse.geometry import Geometry
from medfuse.io.dicom_header import Header, read_pixels
from medfuse.io.dicom_pixels import stored_frame
from medfuse.io.dicom_planes import Plane, planes_of
from medfuse.io.dicom_scan import Scan, scan, series_number
from medfuse.io.dicom_series import kind_of
from medfuse.io.dicom_stack import grid_of
from medfuse.volume import ArrayU16, LabelMap

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Frames:
    """The frames of one SEG: ``planes``, the slice ``depths`` of each, and its segment."""

    header: Header
    kind: str
    names: dict[int, str]
    planes: list[Plane]
    segments: list[int]  # 0: the frame is a label map of all
    geometry: Geometry
    depths: list[int]
    repairs: tuple[Repair, ...]

    def masks(self) -> Iterator[tuple[int, int, Mask]]:
        """Yield segment number, slice and mask (H, W) of what each frame holds."""
        pixels, _ = read_pixels(self.header.where)
        half = (self.header.number("MaximumFractionalValue") or 255.0) / 2
        for plane, depth, segment in zip(self.planes, self.depths, self.segments, strict=True):
            if not segment:
                stored, _ = stored_frame(pixels, plane.frame)
                yield from ((int(n), depth, stored == n) for n in np.unique(stored) if n)
            elif self.kind == "FRACTIONAL":
                yield segment, depth, stored_frame(pixels, plane.frame)[0] >= half
            else:
                yield segment, depth, stored_frame(pixels, plane.frame)[0] > 0


def list_segments(
    path: str | os.PathLike[str] | Scan, *, series: str | None = None
) -> Mapping[int, str]:
    """Return the number and label of each segment of a SEG file (or the folder that holds one).

    ``series`` picks one of several in a folder by its SeriesInstanceUID or SeriesNumber.
    """
    return _names(_only(scan(path), series))


def overlapping_segments(
    path: str | os.PathLike[str] | Scan, *, series: str | None = None
) -> tuple[tuple[int, int], ...]:
    """Return the pairs of segments of a SEG that share voxels, smaller number first."""
    frames = _frames(_only(scan(path), series))
    pairs: set[tuple[int, int]] = set()
    seen: dict[int, list[tuple[int, Mask]]] = {}
    for segment, depth, mask in frames.masks():
        for other, taken in seen.setdefault(depth, []):
            if other != segment and bool((mask & taken).any()):
                pairs.add((min(segment, other), max(segment, other)))
        seen[depth].append((segment, mask))
    return tuple(sorted(pairs))


def read_segmentation(
    path: str | os.PathLike[str] | Scan,
    *,
    segment: int | None = None,
    series: str | None = None,
) -> LabelMap:
    """Return the segments of a SEG file (or the folder that holds one) as a label map.

    A label is its segment's number; ``segment`` reads that one alone, ``series`` picks one SEG of
    several in a folder. The grid covers the planes that have frames. Raises ``DicomError``: no SEG
    there (D45), several (D1), planes on no common grid (D6, D7, D23), segments that overlap while
    none is chosen (D47).
    """
    found = scan(path)
    path = found.root if isinstance(path, Scan) else path
    frames = _frames(_only(found, series))
    if segment is not None and segment not in frames.names:
        listed = ", ".join(map(str, frames.names))
        raise DicomError(f"has no segment {segment}; there are: {listed}", where=path, id="D47")
    array = _room(frames.geometry.shape, path)
    for number, depth, mask in frames.masks():
        if segment is None:
            taken = array[depth][mask]
            others = taken[(taken != 0) & (taken != number)]
            if others.size:
                raise _overlap(int(others[0]), number, frames.names, path)
        if segment in (None, number):
            array[depth][mask] = number
    for repair in frames.repairs:
        warnings.warn(repair, stacklevel=2)
    names = {n: label for n, label in frames.names.items() if segment in (None, n)}
    return LabelMap(array, frames.geometry, names)


def _room(shape: tuple[int, int, int], where: object) -> ArrayU16:
    try:
        return np.zeros(shape, dtype=np.uint16)
    except MemoryError:
        what = f"{shape[0]} slices of {shape[1]} x {shape[2]} pixels do not fit into memory"
        raise ResourceError(what, where=where) from None


def _overlap(one: int, other: int, names: Mapping[int, str], where: object) -> DicomError:
    pair = " and ".join(f"{n} ({names.get(n, '')})" for n in sorted((one, other)))
    return DicomError(
        f"segments {pair} overlap, a label map holds one at a voxel",
        where=where,
        hint="read them one by one with :segment=N",
        id="D47",
    )


def _only(found: Scan, series: str | None) -> Header:
    """Return the header of the one SEG object that is meant."""
    path, segs = found.root, found.of_kind("SEG")
    chosen = [segs[series]] if series in segs else _numbered(segs, series)
    objects = [header for headers in chosen for header in headers]
    if len(objects) == 1:
        return objects[0]
    if objects:
        raise DicomError(
            f"holds {len(objects)} segmentations",
            where=path,
            hint="name the file of one, or choose by :series=UID (medfuse inspect shows them)",
            id="D1",
        )
    kinds = Counter(kind_of(header) for headers in found.series.values() for header in headers)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    raise DicomError(
        f"holds no segmentation, but {listed}",
        where=path,
        hint="labels are read from DICOM SEG, NIfTI, NRRD or MHA",
        id="D45",
    )


def _numbered(segs: Mapping[str, list[Header]], series: str | None) -> list[list[Header]]:
    return [seg for seg in segs.values() if series in (None, str(series_number(seg[0])))]


def _names(header: Header) -> dict[int, str]:
    found = {
        item.integer("SegmentNumber"): item.words("SegmentLabel")
        for item in header.items("SegmentSequence")
    }
    return {number: found[number] for number in sorted(found) if number}


def _frames(header: Header) -> _Frames:
    planes = planes_of(header)
    kind = header.text("SegmentationType").upper()
    geometry, depths, repairs = grid_of(planes, where=header.where)
    if kind == "FRACTIONAL":
        what = "the segmentation is fractional: voxels from one half on were taken"
        repairs = (*repairs, Repair(what, id="D45"))
    segments = [0] * len(planes) if kind == "LABELMAP" else _segments(header)
    return _Frames(header, kind, _names(header), planes, segments, geometry, depths, repairs)


def _segments(header: Header) -> list[int]:
    shared = header.item("SharedFunctionalGroupsSequence")
    numbers = []
    for frame in header.items("PerFrameFunctionalGroupsSequence"):
        group = frame.item("SegmentIdentificationSequence") or (
            shared.item("SegmentIdentificationSequence") if shared else None
        )
        number = group.integer("ReferencedSegmentNumber") if group else 0
        if not number:
            raise DicomError("a frame names no segment", where=header.where, id="D46")
        numbers.append(number)
    return numbers
