"""What the page shows of each moving volume: the same planes in several ways of looking.

A view is a row of pictures (three axial, one coronal, one sagittal) drawn in one way: contours,
the volumes alone, a checkerboard; after the alignment, and before it, as the headers had it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medfuse.study import AlignedStudy
from medfuse.transform import IDENTITY, Affine
from medfuse.volume import Array32, LabelMap, Volume
from pipelines.reporting import figures, wording
from pipelines.reporting.planes import (
    Content,
    Plane,
    cut,
    cut_labels,
    in_hounsfield,
    levels,
    planes_through,
    seen,
    shared_content,
    window,
)

Mask = npt.NDArray[np.bool_]

AXIALS = (-0.2, 0.0, 0.2)  # where the axial planes lie, as parts of the content's height
_SEEN = 0.1  # part of the planes that a scan must cover to be shown where its header has it


@dataclass(frozen=True)
class Picture:
    """One finished picture: its bytes as a ``uri``, its text for who cannot see it, its size."""

    uri: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class View:
    """One way of looking: a ``row`` of pictures, what its ``button`` and its ``label`` say, and
    what ``good`` looks like.
    """

    key: str
    button: str
    label: str
    good: str
    row: tuple[Picture, ...]


@dataclass(frozen=True)
class Views:
    """All ways of looking at one moving volume, and why some are missing."""

    rows: tuple[View, ...]
    missing: tuple[str, ...]
    content: Content
    outlines: tuple[str, str]
    windows: tuple[str, str]


@dataclass(frozen=True, eq=False)
class _Cuts:
    """What the planes show: values of the fixed, aligned and original volume, or None."""

    planes: list[Plane]
    fixed: list[Array32]
    aligned: list[Array32] | None
    original: list[Array32] | None


def views(aligned: AlignedStudy, name: str, whole: Content) -> Views:
    """Draw every view of the volume ``name``; ``whole`` is the content of the fixed volume."""
    fixed = aligned.volumes[aligned.fixed]
    moving = aligned.volumes.get(name) or aligned.study.volumes.get(name)
    transform = aligned.transforms.get(name, IDENTITY)
    if moving is None:
        return Views((), ("There is no volume of that name to show.",), whole, ("", ""), ("", ""))
    origin = aligned.study.volumes.get(name)
    shown = whole if origin is None else shared_content(whole, origin.geometry, transform)
    cuts, missing = _cuts(aligned, name, shown)
    # window and outlines come from the scan as it came, so that before and after look alike
    scan = origin or moving
    looks = (window(fixed), window(scan))
    rows = _rows(cuts, (aligned.fixed, name), looks, scan)
    return Views(
        tuple(rows),
        tuple(missing),
        shown,
        _outline_names(scan),
        (wording.window_text(fixed, looks[0]), wording.window_text(scan, looks[1])),
    )


def plain(volume: Volume, whole: Content, labels: LabelMap | None) -> list[Picture]:
    """Draw one volume alone, with the labels over it where there are any."""
    pictures = []
    for plane in planes_through(whole, finest=min(volume.geometry.spacing), axials=AXIALS):
        drawn = figures.grey(cut(volume, plane), window(volume), plane)
        if labels is not None:
            drawn = figures.labelled(drawn, cut_labels(labels, plane), plane)
        pictures.append(finished(drawn, plane, volume.modality.name))
    return pictures


def _cuts(aligned: AlignedStudy, name: str, shown: Content) -> tuple[_Cuts, list[str]]:
    fixed = aligned.volumes[aligned.fixed]
    laid = planes_through(shown, finest=min(fixed.geometry.spacing), axials=AXIALS)
    after, origin = aligned.volumes.get(name), aligned.study.volumes.get(name)
    transform = aligned.transforms.get(name)
    missing = []
    moved: list[Array32] | None = None
    if after is not None:
        moved = [cut(after, plane) for plane in laid]
        if origin is not None and transform is not None:
            reach = max(fixed.geometry.spacing)
            for values, plane in zip(moved, laid, strict=True):
                values[_unseen(seen(origin.geometry, plane, transform), reach, plane)] = np.nan
    elif origin is not None and transform is not None:
        moved = [cut(origin, plane, transform) for plane in laid]
    else:
        missing.append(f"The {name} was not aligned, so there are no pictures of it aligned.")
    before, said = _before(aligned, name, shown, laid)
    missing += said
    if moved is not None and not any(np.isfinite(values).any() for values in moved):
        missing.append(f"The {name} covers none of these planes: the two scans do not overlap.")
    return _Cuts(laid, [cut(fixed, plane) for plane in laid], moved, before), missing


def _unseen(covered: Mask, reach: float, plane: Plane) -> Mask:
    """Widen what was not seen by ``reach`` mm: resampling mixed the air outside into it."""
    steps = int(np.ceil(reach / plane.step))
    return np.asarray(ndimage.binary_dilation(~covered, iterations=steps))


def _before(
    aligned: AlignedStudy, name: str, shown: Content, laid: list[Plane]
) -> tuple[list[Array32] | None, list[str]]:
    """Cut the volume where its header has it; one that lay elsewhere is brought to the centre."""
    origin, transform = aligned.study.volumes.get(name), aligned.transforms.get(name)
    if origin is None:
        return None, [f"No scanner saw the {name}, so there are no pictures from before."]
    if transform is None:
        return None, [f"No transform was applied to the {name}: before and after are the same."]
    came = [cut(origin, plane) for plane in laid]
    if np.mean([np.isfinite(values).mean() for values in came]) > _SEEN:
        return came, []
    shift = np.eye(4)
    shift[:3, 3] = transform.map(shown.centre[None])[0] - shown.centre
    away = float(np.linalg.norm(shift[:3, 3]))
    said = (
        f"As it came, the {name} lay {away:.0f} mm away, outside of these planes. The pictures "
        "from before show it brought to the same centre, but not turned."
    )
    return [cut(origin, plane, Affine(shift)) for plane in laid], [said]


def _rows(
    cuts: _Cuts,
    names: tuple[str, str],
    looks: tuple[tuple[float, float], tuple[float, float]],
    scan: Volume,
) -> list[View]:
    """Draw the rows in the order in which one looks at them."""
    fixed, name = names
    outer, inner = _outline_names(scan)
    at = levels(scan)
    under = _each(cuts, lambda k: figures.grey(cuts.fixed[k], looks[0], cuts.planes[k]))
    rows: list[View] = []

    def add(key: str, words: str, good: str, drawn: list[figures.Pixels]) -> None:
        button, _, label = words.partition("|")
        label = label or button
        row = [finished(d, p, label) for d, p in zip(drawn, cuts.planes, strict=True)]
        rows.append(View(key, button, label, good, tuple(row)))

    def lines(values: list[Array32]) -> list[figures.Pixels]:
        return _each(cuts, lambda k: figures.outlined(under[k], values[k], at, cuts.planes[k]))

    if cuts.aligned is not None:
        moved, alone = cuts.aligned, f"{name} aligned"
        over = _each(cuts, lambda k: figures.grey(moved[k], looks[1], cuts.planes[k]))
        words = f"Contours|Contours of {alone} on {fixed}"
        add("contours", words, _good(outer, inner, fixed), lines(moved))
        add("aligned", alone, f"the same anatomy at the same place as in the {fixed}", over)
        add("fixed", fixed, "the volume that all others are moved onto", under)
        add(
            "checker",
            f"Checkerboard|Checkerboard {fixed} / {name}",
            _CHECKER,
            _checkered(cuts, under, over),
        )
        if scan.modality.name == "PET":
            heat = _each(
                cuts, lambda k: figures.fused(under[k], moved[k], looks[1], cuts.planes[k])
            )
            add("fused", f"Fused|{name} in colour on {fixed}", "uptake follows the anatomy", heat)
    else:
        add("fixed", fixed, "the volume that all others are moved onto", under)
    if cuts.original is not None:
        came, label = cuts.original, f"{name} as it came"
        over = _each(cuts, lambda k: figures.grey(came[k], looks[1], cuts.planes[k]))
        add("came", label, "how the headers place the scan, before anything was done", over)
        add(
            "came-contours", f"Contours before|Contours of {label} on {fixed}", _BEFORE, lines(came)
        )
    return rows


_CHECKER = "lines of anatomy run on across the borders of the squares, without steps"
_BEFORE = "how far off the headers were; the aligned contours should fit better"


def _each(cuts: _Cuts, draw: Callable[[int], figures.Pixels]) -> list[figures.Pixels]:
    return [draw(k) for k in range(len(cuts.planes))]


def _checkered(
    cuts: _Cuts, first: list[figures.Pixels], second: list[figures.Pixels]
) -> list[figures.Pixels]:
    return [
        figures.checkerboard(one, other, plane)
        for one, other, plane in zip(first, second, cuts.planes, strict=True)
    ]


def _outline_names(scan: Volume) -> tuple[str, str]:
    """What the outer (blue) and the inner (orange) contour follow."""
    if in_hounsfield(scan):
        return "skin (−300 HU)", "bone (350 HU)"
    if scan.modality.name == "PET":
        return "outer border of the uptake", "border of the higher uptake"
    return "outer border of the body", "strongest step of grey within"


def _good(outer: str, inner: str, fixed: str) -> str:
    return (
        f"blue ({outer}) and orange ({inner}) follow borders that the {fixed} shows too, all "
        "around and in all planes"
    )


def finished(drawn: figures.Pixels, plane: Plane, label: str) -> Picture:
    """Return a drawn plane with its marks, as bytes that a page carries."""
    picture = figures.marked(drawn, plane, title=plane.place)
    side = "front on the left" if plane.name == "sagittal" else "patient's right on the left"
    return Picture(
        figures.data_uri(picture), f"{label}, {plane.place}, {side}", picture.width, picture.height
    )
