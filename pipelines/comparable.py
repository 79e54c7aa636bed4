"""Make a prediction and its truth comparable: one grid, and the same names for the same labels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from medfuse.errors import GeometryError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.resampling import LEAST_OVERLAP, overlap, resample
from medfuse.volume import LabelMap

Regions = Mapping[str, tuple[int, ...]]


def onto_truth(
    prediction: LabelMap, truth: LabelMap, *, where: str, anyway: bool = False
) -> LabelMap:
    """Return the prediction on the grid of its truth.

    A part of that very grid (a DICOM SEG without its empty slices) is put into place. Another grid
    is refused with ``GeometryError`` (C8), naming ``where``, unless it is to be carried over
    ``anyway`` (nearest neighbour, with a ``Repair``); one that lies elsewhere in space is refused
    all the same: nothing of it would arrive.
    """
    given, wanted = prediction.geometry, truth.geometry
    if given.same_grid(wanted):
        return prediction
    part = _place_in(given, wanted)
    if part is not None:
        whole = np.zeros(wanted.shape, np.uint16)
        whole[part] = prediction.array
        return LabelMap(whole, wanted, prediction.names)
    if not anyway:
        raise GeometryError(
            f"lies on another grid than its truth: {_difference(given, wanted)}",
            where=where,
            hint="is it the same patient? --resample carries it onto that grid",
            id="C8",
        )
    shared = overlap(wanted, given)
    if shared < LEAST_OVERLAP:
        raise GeometryError(
            f"only {shared:.0%} of the smaller of it and its truth lies inside the other",
            where=where,
            hint="is it the same patient? bring it there with medfuse apply --label",
            id="C8",
        )
    carried = resample(prediction, wanted)
    lost = prediction.array.any() and not carried.array.any()
    what = "carried onto the grid of its truth (nearest)" + ("; no label arrived" if lost else "")
    warnings.warn(Repair(what, id="C8"), stacklevel=2)
    return carried


def _place_in(given: Geometry, wanted: Geometry) -> tuple[slice, ...] | None:
    start = np.rint(wanted.voxel(given.origin)).astype(int)
    stop = start + given.shape
    if (start < 0).any() or (stop > wanted.shape).any():
        return None
    crop = wanted.crop((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    if not crop.same_grid(given):
        return None
    return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))


def _difference(given: Geometry, wanted: Geometry) -> str:
    """Say in words how two grids differ."""
    sizes = [" x ".join(map(str, grid.shape)) for grid in (given, wanted)]
    if given.shape != wanted.shape:
        return f"{sizes[0]} voxels against {sizes[1]}"
    steps = [" x ".join(f"{step:.3g}" for step in grid.spacing) for grid in (given, wanted)]
    if not np.allclose(given.spacing, wanted.spacing, rtol=1e-3):
        return f"voxels of {steps[0]} mm against {steps[1]} mm"
    apart = float(np.linalg.norm(given.corners() - wanted.corners(), axis=1).max())
    return f"corners up to {apart:.3g} mm apart"


def chosen_regions(named: Regions, texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the regions that ``texts`` ask for: ``"3"``, a name, or ``"tumour=1,2,4"``.

    All that have a name, where nothing is asked for. Raises ``UsageError`` for an unknown name,
    what is no label, or a name that is to mean two things.
    """
    if not texts:
        return dict(named)
    chosen: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, mark, values = text.partition("=")
        if mark or name.isdigit():
            called = name if mark else _called(named, int(name))
            meant = _values(values or name, text)
        elif name in named:
            called, meant = name, named[name]
        else:
            raise UsageError(
                f"there is no label {name!r}",
                where="--label",
                hint=f"there are {', '.join(named)}; or give values: {name}=1,2",
            )
        if chosen.setdefault(called, meant) != meant:
            what = f"{called!r} is to mean two things"
            raise UsageError(what, where="--label", hint="give each label a name of its own")
    return chosen


def _called(named: Regions, value: int) -> str:
    return next((name for name, values in named.items() if values == (value,)), f"label {value}")


def _values(text: str, given: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and 0 < int(part) < 2**16 for part in parts):
        raise UsageError(
            f"{given!r} names no labels", where="--label", hint="write 3, or tumour=1,2,4"
        )
    return tuple(int(part) for part in parts)
