"""A predicted label map against the true one: every figure of every label at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from medfuse.errors import GeometryError, UsageError
from medfuse.geometry import Geometry
from medfuse.metrics.lesions import LEAST_OVERLAP, LesionScores, match_lesions
from medfuse.metrics.overlap import Empty, Mask, dice, emptiness
from medfuse.metrics.surfaces import hausdorff95, surface_dice, surface_distances
from medfuse.volume import LabelMap

Regions = Mapping[str, tuple[int, ...]]
TOLERANCE_MM = 1.0


@dataclass(frozen=True)
class LabelScores:
    """What was measured of one label, or of a region of several ``values``.

    ``voxels`` counts those in both maps, in the prediction and in the truth. ``empty`` names the
    map that holds none: then ``dice`` and ``surface_dice`` are 1 (both empty) or 0 (one), and
    ``hd95_mm`` is 0 or infinite, by rule.
    """

    values: tuple[int, ...]
    empty: Empty
    voxels: tuple[int, int, int]
    voxel_ml: float
    dice: float
    hd95_mm: float
    surface_dice: float
    lesions: LesionScores

    @property
    def prediction_ml(self) -> float:
        """Volume of the prediction, ml."""
        return self.voxels[1] * self.voxel_ml

    @property
    def truth_ml(self) -> float:
        """Volume of the truth, ml."""
        return self.voxels[2] * self.voxel_ml


@dataclass(frozen=True)
class Scores:
    """The scores of one case, by the name of the label or region; how they were asked for."""

    labels: Mapping[str, LabelScores]
    tolerance_mm: float = TOLERANCE_MM
    overlap: float = LEAST_OVERLAP
    ignored: int = field(default=0)  # voxels that count in neither map

    def __post_init__(self) -> None:
        """Freeze the mapping."""
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the labels, empty ones by the rule; NaN where there is no label."""
        found = [one.dice for one in self.labels.values()]
        return sum(found) / len(found) if found else math.nan


def score(
    prediction: LabelMap,
    truth: LabelMap,
    *,
    regions: Regions | None = None,
    tolerance_mm: float = TOLERANCE_MM,
    overlap: float = LEAST_OVERLAP,
    ignore: int | None = None,
) -> Scores:
    """Score a predicted label map against the true one on the same grid.

    ``regions`` maps names to the label values that make them; by default each label that either
    map holds or names is one. ``tolerance_mm`` is that of the surface Dice, ``overlap`` the least
    intersection over union of a lesion found, ``ignore`` a label of the truth whose voxels count
    in neither map. Raises ``GeometryError`` where the grids differ (C8), ``UsageError`` for
    figures out of range.

    >>> import numpy as np
    >>> from medfuse.geometry import Geometry
    >>> grid = Geometry((4, 4, 4), np.eye(4))
    >>> truth, found = np.zeros((2, 4, 4, 4), np.uint16)
    >>> truth[1:3, 1:3, 1:3] = found[1:3, 1:3, 1] = 7
    >>> scores = score(LabelMap(found, grid), LabelMap(truth, grid, {7: "lesion"}))
    >>> round(scores.labels["lesion"].dice, 3), scores.labels["lesion"].lesions.found
    (0.667, 1)
    """
    if not tolerance_mm >= 0 or not 0 <= overlap <= 1:
        raise UsageError("the tolerance is at least 0 mm, the overlap from 0 to 1")
    if not prediction.geometry.same_grid(truth.geometry):
        raise GeometryError(
            "the prediction lies on another grid than the truth",
            hint="bring it onto that grid first (medfuse apply --label)",
            id="C8",
        )
    wanted = label_regions(prediction, truth, ignore=ignore) if regions is None else regions
    counted = truth.array != ignore if ignore is not None else None
    found = {}
    for name, values in wanted.items():
        masks = [_mask(one, values, counted) for one in (prediction, truth)]
        found[name] = _scored(masks[0], masks[1], truth, values, (tolerance_mm, overlap))
    ignored = 0 if counted is None else int(counted.size - counted.sum())
    return Scores(found, tolerance_mm, overlap, ignored)


def label_regions(*maps: LabelMap, ignore: int | None = None) -> dict[str, tuple[int, ...]]:
    """Return one region for each label that a map holds or names, by value; background is none.

    The last map's names win (the truth's); a label without a name is ``label 7``.
    """
    names: dict[int, str] = {}
    held: set[int] = set()
    for one in maps:
        names |= one.names
        held |= {int(label) for label in np.flatnonzero(np.bincount(one.array.ravel()))}
    values = sorted((held | set(names)) - {0, ignore})
    said = {value: names.get(value, f"label {value}") for value in values}
    twice = [name for name in said.values() if list(said.values()).count(name) > 1]
    return {
        f"{name} ({value})" if name in twice else name: (value,) for value, name in said.items()
    }


def _mask(labels: LabelMap, values: tuple[int, ...], counted: Mask | None) -> Mask:
    table = np.zeros(2**16, dtype=bool)
    table[list(values)] = True
    inside: Mask = table[labels.array]
    return inside if counted is None else inside & counted


def _scored(
    prediction: Mask,
    truth: Mask,
    grid: LabelMap,
    values: tuple[int, ...],
    how: tuple[float, float],
) -> LabelScores:
    tolerance_mm, overlap = how
    voxel_ml = grid.geometry.voxel_volume / 1000
    prediction, truth, geometry = _cropped(prediction, truth, grid.geometry)
    counts = int((prediction & truth).sum()), int(prediction.sum()), int(truth.sum())
    distances = surface_distances(prediction, truth, geometry)
    return LabelScores(
        values=values,
        empty=emptiness(prediction, truth),
        voxels=counts,
        voxel_ml=voxel_ml,
        dice=dice(*counts),
        hd95_mm=hausdorff95(distances),
        surface_dice=surface_dice(distances, tolerance_mm),
        lesions=match_lesions(prediction, truth, overlap=overlap),
    )


def _cropped(prediction: Mask, truth: Mask, geometry: Geometry) -> tuple[Mask, Mask, Geometry]:
    """Cut away what is empty in both: a lesion is a small part of a head."""
    either = prediction | truth
    start, stop = [], []
    for axis in range(3):
        held = np.flatnonzero(either.any(axis=tuple({0, 1, 2} - {axis})))
        start.append(int(held[0]) if held.size else 0)
        stop.append(int(held[-1]) + 1 if held.size else 1)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    grid = geometry.crop((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    return prediction[box], truth[box], grid
