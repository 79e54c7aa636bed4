"""Where the planes of a series lie, and how its stored numbers become values.

A plane is one slice of a classic file or one frame of an enhanced multi-frame file (position,
orientation, spacing and rescale from its own functional group, else the shared one; DICOM PS3.3
C.7.6.16).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medfuse.errors import DicomError
from medfuse.geometry import Array64
from medfuse.io.dicom_header import Header

SPACING_MM = (0.01, 50.0)  # what a distance between voxels can be
_FARTHEST_MM = 1e5
_LARGEST = 1e30  # of a slope or intercept: beyond, values leave float32
_LOOSE, _EXACT = 0.02, 1e-5  # how far cosines may be off, and from where on they are mended

Moment = tuple[float, str, tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice: ``frame`` of the file behind ``header``, placed in LPS mm.

    ``rows`` and ``columns`` are the unit vectors along which the column and the row index grow
    (DICOM's first and second cosine), ``spacing`` the distance between rows and between columns,
    value = slope * stored + intercept; ``measure`` is the RescaleType that they lead to, None where
    slope or intercept is missing. ``stack`` is the StackID, ``moment`` sorts time points.
    """

    header: Header
    frame: int
    shape: tuple[int, int]
    position: Array64
    rows: Array64
    columns: Array64
    spacing: tuple[float, float]
    thickness: float | None
    slope: float
    intercept: float
    measure: str | None
    stack: str
    moment: Moment

    @property
    def normal(self) -> Array64:
        """The unit vector at right angles to the slice; slices are ordered along it."""
        normal: Array64 = np.cross(self.rows, self.columns)
        return normal / np.linalg.norm(normal)


def planes_of(header: Header) -> list[Plane]:
    """Return the planes of one file.

    Raises ``DicomError``: no position or an absurd one (D10, D11), no or absurd spacing (D35-D37),
    orientation that is none (D38), slope zero (D18), a table in place of a rescale (D48), frames
    without a place (D22).
    """
    count = header.integer("NumberOfFrames", 1)
    frames = header.items("PerFrameFunctionalGroupsSequence")
    if frames:
        if len(frames) != max(count, 1):
            raise DicomError(
                f"describes {len(frames)} frames but declares {count}", where=header.where, id="D22"
            )
        shared = header.item("SharedFunctionalGroupsSequence")
        return [_enhanced(header, frame, k, shared) for k, frame in enumerate(frames)]
    if count > 1:
        raise DicomError(
            f"holds {count} frames that do not say where they lie",
            where=header.where,
            hint="only multi-frame files with per-frame positions can be read as a volume",
            id="D22",
        )
    return [_classic(header)]


def _classic(header: Header) -> Plane:
    when = (header.text(f"Acquisition{part}") for part in ("DateTime", "Date", "Time"))
    order = ("TriggerTime", "EchoTime", "InstanceNumber")
    moment = (
        header.number("TemporalPositionIdentifier") or 0.0,
        "|".join(when),
        tuple(header.number(name) or 0.0 for name in order),
    )
    return _plane(header, 0, lambda _: header, "", moment)


def _enhanced(header: Header, frame: Header, index: int, shared: Header | None) -> Plane:
    def group(name: str) -> Header:
        found = frame.item(name) or (shared.item(name) if shared else None)
        return found or header

    content = group("FrameContentSequence")
    numbers = (*content.numbers("DimensionIndexValues"), float(index))
    moment = (content.number("TemporalPositionIndex") or 0.0, "", numbers)
    return _plane(header, index, group, content.text("StackID"), moment)


def _plane(
    header: Header,
    frame: int,
    group: Callable[[str], Header],
    stack: str,
    moment: Moment,
) -> Plane:
    place = group("PlanePositionSequence").numbers("ImagePositionPatient")
    cosines = group("PlaneOrientationSequence").numbers("ImageOrientationPatient")
    if len(place) != 3 or len(cosines) != 6:
        nothing = not place and not cosines and "SliceLocation" not in header
        raise DicomError(
            "ImagePositionPatient or ImageOrientationPatient is missing: nothing says where the "
            "slice lies",
            where=header.where,
            hint="export the series again with its geometry",
            id="D11" if nothing else "D10",
        )
    if max(map(abs, place)) > _FARTHEST_MM:
        raise DicomError(
            f"ImagePositionPatient lies {max(map(abs, place)):.3g} mm away, where no patient is",
            where=header.where,
            hint="export the series again with its geometry",
            id="D10",
        )
    shape = header.integer("Rows"), header.integer("Columns")
    if min(shape) < 1:
        what = f"declares {shape[0]} rows of {shape[1]} pixels"
        raise DicomError(what, where=header.where, id="D43")
    rows, columns = _axes(header, np.array(cosines))
    measures = group("PixelMeasuresSequence")
    slope, intercept, measure = _rescale(header, group("PixelValueTransformationSequence"))
    return Plane(
        header,
        frame,
        shape,
        np.array(place),
        rows,
        columns,
        _spacing(header, measures.numbers("PixelSpacing")),
        measures.number("SpacingBetweenSlices") or measures.number("SliceThickness"),
        slope,
        intercept,
        measure,
        stack,
        moment,
    )


def _axes(header: Header, cosines: Array64) -> tuple[Array64, Array64]:
    rows, columns = cosines[:3], cosines[3:]
    lengths = np.array([np.linalg.norm(rows), np.linalg.norm(columns)])
    if np.abs(lengths - 1).max() > _LOOSE or abs(rows @ columns) > _LOOSE:
        raise DicomError(
            "ImageOrientationPatient does not hold two unit vectors at right angles",
            where=header.where,
            hint="export the series again",
            id="D38",
        )
    if np.abs(lengths - 1).max() < _EXACT and abs(rows @ columns) < _EXACT:
        return rows, columns
    rows = rows / lengths[0]  # cosines written with few digits
    columns = columns - rows * (rows @ columns)
    return rows, columns / np.linalg.norm(columns)


def _spacing(header: Header, found: tuple[float, ...]) -> tuple[float, float]:
    if len(found) == 2 and min(found) < 0:
        raise DicomError("PixelSpacing is negative", where=header.where, id="D35")
    low, high = SPACING_MM
    if len(found) != 2 or not all(low <= step <= high for step in found):
        what = "is missing" if len(found) != 2 else f"is outside {low:g} to {high:g} mm"
        raise DicomError(
            f"PixelSpacing {what}",
            where=header.where,
            hint="export the series again with its geometry",
            id="D36",
        )
    return found[0], found[1]


def _rescale(header: Header, group: Header) -> tuple[float, float, str | None]:
    if "ModalityLUTSequence" in header:
        raise DicomError(
            "a table (ModalityLUTSequence) says what its stored numbers mean, which is not read",
            where=header.where,
            hint="export the series with RescaleSlope and RescaleIntercept",
            id="D48",
        )
    slope, intercept = group.number("RescaleSlope"), group.number("RescaleIntercept")
    if slope == 0 or max(abs(slope or 0), abs(intercept or 0)) > _LARGEST:
        raise DicomError(
            f"RescaleSlope is {slope or 0:.3g}, RescaleIntercept {intercept or 0:.3g}: the values "
            "are lost",
            where=header.where,
            hint="export the series again",
            id="D18",
        )
    said = None if slope is None or intercept is None else group.text("RescaleType").upper()
    return 1.0 if slope is None else slope, intercept or 0.0, said
