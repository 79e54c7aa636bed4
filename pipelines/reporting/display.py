"""Pictures for notebooks: ``show`` what there is, ``compare`` two volumes in one space.

Both return a matplotlib figure that a notebook draws by itself; matplotlib is loaded on first use
and pyplot never is, so nothing global changes. Planes, windows, sides and scale bars are the
page's own.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medfuse.errors import UsageError
from medfuse.geometry import Array64
from medfuse.study import AlignedStudy, Study
from medfuse.volume import LabelMap, Volume
from pipelines.reporting import figures
from pipelines.reporting.planes import (
    Content,
    Plane,
    content,
    cut,
    cut_labels,
    levels,
    planes_through,
    window,
)
from pipelines.reporting.wording import window_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INCHES = 3.3  # width of one picture

Row = tuple[str, list[tuple[figures.Pixels, Plane]]]


def show(
    what: Study | AlignedStudy | Volume,
    *,
    labels: LabelMap | None = None,
    names: Sequence[str] = (),
) -> Figure:
    """Draw each volume in an axial, a coronal and a sagittal plane, and return the figure.

    The volumes of a ``Study`` are shown where they lie, each through its own centre; those of an
    ``AlignedStudy`` on the same planes, so that a column shows one place. ``labels`` are tinted
    over them where they lie in the world, and the planes pass through their middle, if it lies in
    the volume; ``names`` chooses volumes. The patient's right is on
    the left. Raises ``UsageError`` for an unknown name or an empty study.

    >>> import medfuse as mf
    >>> figure = mf.show(mf.read_study("patient/"))  # doctest: +SKIP
    """
    volumes = {what.modality.name: what} if isinstance(what, Volume) else dict(what.volumes)
    unknown = [name for name in names if name not in volumes]
    if unknown or not volumes:
        raise UsageError(f"there is no volume {', '.join(unknown)}".strip(), hint=_known(volumes))
    chosen = {name: volumes[name] for name in names} if names else volumes
    common = content(what.volumes[what.fixed]) if isinstance(what, AlignedStudy) else None
    middle = _middle(labels) if labels is not None and labels.array.any() else None
    rows = [_shown(name, volume, common, labels, middle) for name, volume in chosen.items()]
    return _figure(rows)


def compare(fixed: Volume, moved: Volume) -> Figure:
    """Draw two volumes of one space side by side, in a checkerboard and as contours.

    ``moved`` may lie on any grid: it is drawn where its header places it, so a volume that was not
    aligned yet shows how far off it is. Contours are those of ``moved`` (blue: its outer border,
    orange: a border within; bone on CT) on ``fixed``. Returns a figure.

    >>> import medfuse as mf
    >>> figure = mf.compare(aligned.volumes["T1"], aligned.volumes["CT"])  # doctest: +SKIP
    """
    laid = planes_through(content(fixed), finest=min(fixed.geometry.spacing))
    looks = window(fixed), window(moved)
    at = levels(moved)
    rows: list[Row] = [
        (_caption(fixed.modality.name, fixed), []),
        (_caption(moved.modality.name, moved), []),
        ("checkerboard", []),
        (f"contours of {moved.modality.name}\non {fixed.modality.name}", []),
    ]
    for plane in laid:
        values = cut(moved, plane)
        under = figures.grey(cut(fixed, plane), looks[0], plane)
        over = figures.grey(values, looks[1], plane)
        mixed = figures.checkerboard(under, over, plane)
        lines = figures.outlined(under, values, at, plane)
        for (_, row), drawn in zip(rows, (under, over, mixed, lines), strict=True):
            row.append((drawn, plane))
    return _figure(rows)


def _known(volumes: dict[str, Volume]) -> str:
    return f"there are {', '.join(volumes)}" if volumes else "the study has no volume"


def _shown(
    name: str,
    volume: Volume,
    common: Content | None,
    labels: LabelMap | None,
    middle: Array64 | None,
) -> Row:
    around = common or content(volume)
    if middle is not None and _inside(middle, volume):
        around = replace(around, centre=middle)
    row = []
    for plane in planes_through(around, finest=min(volume.geometry.spacing)):
        drawn = figures.grey(cut(volume, plane), window(volume), plane)
        if labels is not None:
            drawn = figures.labelled(drawn, cut_labels(labels, plane), plane)
        row.append((drawn, plane))
    return _caption(name, volume), row


def _inside(place: Array64, volume: Volume) -> bool:
    voxel = volume.geometry.voxel(place[None])[0]
    return bool(((voxel >= 0) & (voxel <= np.asarray(volume.geometry.shape) - 1)).all())


def _middle(labels: LabelMap) -> Array64:
    """Return the labelled place that is nearest to the middle of all, (3,) LPS mm."""
    places = labels.geometry.world(np.argwhere(labels.array))
    apart = ((places - places.mean(axis=0)) ** 2).sum(axis=1)
    middle: Array64 = places[apart.argmin()]
    return middle


def _caption(name: str, volume: Volume) -> str:
    said = window_text(volume, window(volume)).replace(" (by percentiles)", "")
    return f"{name}\n{said}"


def _figure(rows: list[Row]) -> Figure:
    tallest = [max(drawn.shape[0] / drawn.shape[1] for drawn, _ in row) for _, row in rows]
    columns = max(len(row) for _, row in rows)
    size = (_INCHES * columns, _INCHES * sum(tallest))
    made: Figure = _picture_class()(figsize=size, dpi=100, layout="constrained")
    places = made.subplots(len(rows), columns, squeeze=False, height_ratios=tallest)
    for (caption, row), axes in zip(rows, places, strict=True):
        for place in axes:
            place.set_axis_off()
        for (drawn, plane), place in zip(row, axes, strict=False):
            place.imshow(
                figures.marked(drawn, plane, title=plane.place), interpolation="antialiased"
            )
        axes[0].text(
            -0.04, 0.5, caption, rotation=90, ha="right", va="center", transform=axes[0].transAxes
        )
    return made


def _picture_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise UsageError(
            "pictures in notebooks need matplotlib", hint="pip install 'medfuse[notebook]'"
        ) from None

    class Picture(Figure):
        """A figure that a notebook shows without pyplot."""

        def _repr_png_(self) -> bytes:
            stream = io.BytesIO()
            self.savefig(stream, format="png", bbox_inches="tight")
            return stream.getvalue()

    return Picture
