"""The slices of a series in order, and the grid they make.

Planes are ordered by position along the slice normal and by nothing else. A stack that is not
evenly spaced is refused (or, if asked, interpolated by real positions); one that is tilted is
described exactly as it lies, by a sheared grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medfuse.errors import DicomError, Repair, UsageError
from medfuse.geometry import Array64, Geometry
from medfuse.io.dicom_header import Header
from medfuse.io.dicom_planes import SPACING_MM, Plane
from medfuse.io.files import MAX_VOXELS

_SAME_PLACE_MM = 0.01
_SIDEWAYS_MM = 0.1  # a slice may lie so far off the line through all
_ROUNDING_MM = 0.02  # gaps of positions written with two decimals differ by so much
_STRAIGHT_MM, _STRAIGHT_DEGREES = 0.01, 0.5  # what leaves its normal by less is taken as straight
_SAME_COSINE = 1e-3
_DOMINANT = 0.75  # so many of the slices must agree before the rest counts as strays
_TILT_DEGREES = 30.0
_MOST_SLICES = 65535


@dataclass(frozen=True, eq=False)
class Arranged:
    """Planes in array order on ``geometry``.

    ``at`` is None, or (where gaps were allowed) the place of each slice of the grid among the
    planes, in fractions of planes: the values are interpolated there.
    """

    planes: tuple[Plane, ...]
    geometry: Geometry
    repairs: tuple[Repair, ...]
    at: Array64 | None = None


def arrange(
    planes: Sequence[Plane],
    *,
    where: object,
    volume: int | None = None,
    stack: str | None = None,
    gaps: bool = False,
) -> Arranged:
    """Return the planes of one series in order, and the grid they lie on.

    ``volume`` picks a time point (from 0), ``stack`` one StackID, ``gaps`` allows slices at uneven
    distances. Raises ``DicomError``: several stacks (D22), no common orientation (D23) or size
    (D24), positions taken twice (D4) or by several time points (D39), gaps (D3, D6), tilt over 30
    degrees (D7), distances that cannot be (D36), more voxels than fit (D43).
    """
    repairs: list[Repair] = []
    kept = _one_stack(planes, stack, where)
    kept = _one_orientation(kept, where, repairs)
    _one_size(kept, where)
    kept = _one_moment(kept, volume, where)
    if len(kept) == 1:
        return _single(kept[0], repairs)
    along = np.array([plane.position @ kept[0].normal for plane in kept])
    at = _steps(along, kept[0].shape, gaps, where, repairs)
    way, origin = _line(kept, along, where, repairs)
    count = len(kept) if at is None else len(at)
    geometry = _grid(kept[0], count, way / (count - 1), origin, where)
    return Arranged(tuple(kept), geometry, tuple(repairs), at)


def _one_stack(planes: Sequence[Plane], stack: str | None, where: object) -> list[Plane]:
    names = sorted({plane.stack for plane in planes})
    if stack is None:
        if len(names) > 1:
            raise DicomError(
                f"holds {len(names)} stacks: StackID {', '.join(names)}",
                where=where,
                hint="choose one with :stack=ID",
                id="D22",
            )
        return list(planes)
    if stack not in names:
        raise DicomError(
            f"has no stack {stack!r}; there are: {', '.join(filter(None, names)) or 'none'}",
            where=where,
            id="D22",
        )
    return [plane for plane in planes if plane.stack == stack]


def _one_orientation(planes: list[Plane], where: object, repairs: list[Repair]) -> list[Plane]:
    groups: list[list[Plane]] = []
    for plane in planes:
        for group in groups:
            if _parallel(group[0], plane):
                group.append(plane)
                break
        else:
            groups.append([plane])
    groups.sort(key=len, reverse=True)
    most = groups[0]
    if len(groups) > 1:
        if len(most) < _DOMINANT * len(planes):
            sizes = " and ".join(str(len(group)) for group in groups[:4])
            raise DicomError(
                f"slices of {len(groups)} orientations are mixed ({sizes} slices)",
                where=where,
                hint="put each orientation into a folder of its own",
                id="D23",
            )
        repairs.append(_strays(len(planes) - len(most), "lie in another orientation"))
    return most


def _strays(count: int, why: str) -> Repair:
    return Repair(f"{count} slices that {why} were left out", id="D23")


def without_localizers(headers: Sequence[Header]) -> tuple[list[Header], list[Repair]]:
    """Return the files that are no localizer, where there are others (D23)."""
    kept = [header for header in headers if "LOCALIZER" not in header.text("ImageType").split("\\")]
    if not kept or len(kept) == len(headers):
        return list(headers), []
    return kept, [_strays(len(headers) - len(kept), "are localizers")]


def _parallel(one: Plane, other: Plane) -> bool:
    return bool(
        np.abs(one.rows - other.rows).max() < _SAME_COSINE
        and np.abs(one.columns - other.columns).max() < _SAME_COSINE
    )


def _one_size(planes: list[Plane], where: object) -> None:
    shapes = sorted({plane.shape for plane in planes})
    if len(shapes) > 1:
        listed = ", ".join(f"{rows} x {columns}" for rows, columns in shapes)
        raise DicomError(
            f"slices of different sizes are mixed: {listed} pixels",
            where=where,
            hint="put the slices of each size into a folder of its own",
            id="D24",
        )
    steps = np.array([plane.spacing for plane in planes])
    if np.ptp(steps, axis=0).max() > 1e-3 * steps.min():
        raise DicomError("slices of different PixelSpacing are mixed", where=where, id="D24")


def _one_moment(planes: list[Plane], volume: int | None, where: object) -> list[Plane]:
    """Return one plane for each position, in order along the normal."""
    normal = planes[0].normal
    ordered = sorted(planes, key=lambda plane: float(plane.position @ normal))
    places: list[list[Plane]] = []
    for plane in ordered:
        if places and abs((plane.position - places[-1][0].position) @ normal) < _SAME_PLACE_MM:
            places[-1].append(plane)
        else:
            places.append([plane])
    counts = {len(place) for place in places}
    if counts == {1} and volume in (None, 0):
        return ordered
    full = [len(place) for place in places].count(max(counts))
    if len(counts) > 1 and len(places) > 2 and full > len(places) / 2:
        raise DicomError(
            f"{len(places) - full} of {len(places)} positions lack slices of the {max(counts)} "
            "volumes (time points or echoes) that the others have",
            where=where,
            hint="find the missing files",
            id="D39",
        )
    if len(counts) > 1 or (len(places) == 1 and volume is None):
        busy = next(k for k, place in enumerate(places) if len(place) > 1)
        raise DicomError(
            f"{len(places[busy])} slices lie at one position (slice {busy + 1} of {len(places)})",
            where=where,
            hint="keep one of them",
            id="D4",
        )
    count = counts.pop()
    if volume is None or not 0 <= volume < count:
        raise DicomError(
            f"holds {count} volumes (time points or echoes) at the same positions"
            if count > 1
            else "holds one volume",
            where=where,
            hint=f"choose one with :volume=0 to :volume={count - 1}",
            id="D39",
        )
    return [sorted(place, key=lambda plane: plane.moment)[volume] for place in places]


def _steps(
    along: Array64, shape: tuple[int, int], gaps: bool, where: object, repairs: list[Repair]
) -> Array64 | None:
    """Check that the slices are evenly spaced; return where to interpolate if they need not be."""
    steps = np.diff(along)
    usual = float(np.median(steps))
    uneven = np.abs(steps - usual) > min(_SIDEWAYS_MM, max(0.01 * usual, _ROUNDING_MM))
    if not uneven.any():
        return None
    usual = float(steps[~uneven].mean() if (~uneven).any() else steps.min())
    smallest = float(steps.min())
    worst = int(np.argmax(steps))
    whole = np.round(steps / smallest)
    missing = bool(np.abs(steps - whole * smallest).max() < 0.05 * smallest and whole.max() > 1)
    if not gaps:
        raise DicomError(
            f"gap of {steps[worst]:.4g} mm between slice {worst + 1} and {worst + 2} (at "
            f"{along[worst]:.2f} and {along[worst + 1]:.2f} mm along the normal), elsewhere "
            f"{smallest:.4g} mm",
            where=where,
            hint="find the missing slices, or add :gaps=ok to interpolate over them",
            id="D3" if missing else "D6",
        )
    count = int(whole.sum() if missing else np.round((along[-1] - along[0]) / usual)) + 1
    _check_count(shape, count, where)
    repairs.append(
        Repair(
            f"{len(along)} slices at uneven distances ({steps.min():.4g} to {steps.max():.4g} mm) "
            f"were interpolated to {count} slices at even ones",
            id="D3" if missing else "D6",
        )
    )
    return np.interp(np.linspace(along[0], along[-1], count), along, np.arange(len(along)))


def _line(
    planes: list[Plane], along: Array64, where: object, repairs: list[Repair]
) -> tuple[Array64, Array64]:
    """Return the way from the first slice to the last and the place of the first, LPS mm."""
    places = np.array([plane.position for plane in planes])
    normal = planes[0].normal
    part = (along - along[0]) / (along[-1] - along[0])
    way = places[-1] - places[0]
    off = np.linalg.norm(places - places[0] - part[:, None] * way, axis=1)
    if off.max() > _SIDEWAYS_MM:
        raise DicomError(
            f"slice {int(off.argmax()) + 1} lies {off.max():.2f} mm beside the line through the "
            "others",
            where=where,
            hint="such a stack cannot be placed on one grid",
            id="D6",
        )
    straight = normal * (way @ normal)
    drift = way - straight
    tilt = float(np.degrees(np.arctan2(np.linalg.norm(drift), abs(way @ normal))))
    if np.linalg.norm(drift) < 2 * _STRAIGHT_MM and tilt < _STRAIGHT_DEGREES:
        return straight, places[0] + drift / 2  # rounding, shared by both ends
    if tilt > _TILT_DEGREES:
        raise DicomError(
            f"the slices are tilted by {tilt:.1f} degrees against their stack, more than "
            f"{_TILT_DEGREES:g}",
            where=where,
            hint="reconstruct the series without tilt",
            id="D7",
        )
    apart = abs(way @ normal) / (len(planes) - 1)
    repairs.append(
        Repair(
            f"the slices are tilted by {tilt:.{1 if tilt > 0.1 else 3}f} degrees against their "
            f"stack, {apart:.4f} mm apart along their normal: read as they lie, resampled once "
            "where a right-angled grid is needed",
            id="D7",
        )
    )
    return way, places[0]


def grid_of(
    planes: Sequence[Plane], *, where: object
) -> tuple[Geometry, list[int], tuple[Repair, ...]]:
    """Return one grid through planes that may repeat or leave slices out, and the slice of each.

    For segmentations, whose empty planes are not stored: distances are whole multiples of the
    smallest. Raises ``DicomError`` where they are not (D6), or orientations or sizes differ.
    """
    repairs: list[Repair] = []
    if not all(_parallel(planes[0], plane) for plane in planes):
        raise DicomError("frames of several orientations are mixed", where=where, id="D23")
    _one_size(list(planes), where)
    normal = planes[0].normal
    along = np.array([plane.position @ normal for plane in planes])
    order = np.argsort(along, kind="stable")
    new = np.diff(along[order], prepend=-np.inf) >= _SAME_PLACE_MM
    ends = [planes[k] for k in order[new]]
    if len(ends) == 1:
        alone = _single(ends[0], ())
        return alone.geometry, [0] * len(planes), ()
    places = along[order[new]]
    step = float(np.diff(places).min())
    declared = ends[0].thickness
    if declared and _whole(places, declared):
        step = declared
    if not _whole(places, step):
        raise DicomError("the frames lie at uneven distances", where=where, id="D6")
    count = int(np.round((places[-1] - places[0]) / step))
    _check_count(ends[0].shape, count + 1, where)
    way, origin = _line(ends, places, where, repairs)
    geometry = _grid(ends[0], count + 1, way / count, origin, where)
    part = (along - places[0]) / (places[-1] - places[0])
    depths = [int(depth) for depth in np.round(part * count)]
    return geometry, depths, tuple(repairs)


def _whole(places: Array64, step: float) -> bool:
    """Tell whether all places are whole steps apart, as exactly as slices must be."""
    steps = np.round((places - places[0]) / step)
    if steps[-1] < 1 or np.diff(steps).min() < 1:
        return False
    real = (places[-1] - places[0]) / steps[-1]
    off = np.abs(places - places[0] - steps * real).max()
    return bool(abs(real - step) <= 0.02 * step and off <= min(_SIDEWAYS_MM, 0.05 * step))


def _single(plane: Plane, repairs: Iterable[Repair]) -> Arranged:
    thickness = plane.thickness
    known = thickness is not None and SPACING_MM[0] <= thickness <= SPACING_MM[1]
    depth = thickness if known and thickness is not None else 1.0
    said = f"{depth:g} mm, as its header says" if known else "1 mm, as its header does not say"
    repair = Repair(f"there is one slice only; its thickness is taken as {said}", id="D40")
    geometry = _grid(plane, 1, plane.normal * depth, plane.position, None)
    return Arranged((plane,), geometry, (*repairs, repair))


def _check_count(shape: tuple[int, int], count: int, where: object) -> None:
    """Refuse a grid that a few slices, far apart, would blow up (D43)."""
    rows, columns = shape
    if count > _MOST_SLICES or count * rows * columns > MAX_VOXELS:
        raise DicomError(
            f"its slices lie so that a grid through them has {count} of {rows} x {columns} pixels",
            where=where,
            hint="export the series again with its geometry",
            id="D43",
        )


def _grid(plane: Plane, count: int, step: Array64, origin: Array64, where: object) -> Geometry:
    apart = float(np.linalg.norm(step))
    if not SPACING_MM[0] <= apart <= SPACING_MM[1]:
        raise DicomError(
            f"its slices lie {apart:.4g} mm apart, which is outside {SPACING_MM[0]:g} to "
            f"{SPACING_MM[1]:g} mm",
            where=where,
            hint="export the series again with its geometry",
            id="D36",
        )
    matrix = np.eye(4)
    matrix[:3, 0] = step
    matrix[:3, 1] = plane.columns * plane.spacing[0]
    matrix[:3, 2] = plane.rows * plane.spacing[1]
    matrix[:3, 3] = origin
    frame = plane.header.text("FrameOfReferenceUID") or None
    return Geometry((count, *plane.shape), matrix, frame)


def volume_index(volume: int | str | None) -> int | None:
    """Return the time point that was asked for as a number (``UsageError`` where it is none)."""
    if volume is None or isinstance(volume, int):
        return volume
    if not volume.isdigit():
        raise UsageError(f"volume={volume} is not a number", hint="time points count from 0")
    return int(volume)
