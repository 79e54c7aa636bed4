"""What many scores come to: per subset of modalities and label, with intervals and empty maps.

Means are over cases (macro); the pooled Dice adds up voxels first (micro), which large lesions
dominate. Intervals are percentile bootstraps over cases: what another draw of as many cases might
have given. With few cases they are wide, and that is what they say; with one or two there is next
to nothing to draw from, and no interval.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medfuse import seeds
from medfuse.metrics.overlap import dice
from medfuse.metrics.scores import LabelScores

Table = Mapping[str, Mapping[str, LabelScores]]  # case -> label -> scores
_DRAWS = 2000
_WORSE = 0.01  # a Dice that falls by more with one modality more is counter-intuitive
_FEWEST = 3  # cases that an interval needs
_NO_INTERVAL = (math.nan, math.nan)
ALL = "all labels"


@dataclass(frozen=True)
class LabelSummary:
    """The scores of one label in ``cases`` cases of one subset.

    ``dice`` is the mean with its ``interval`` (95 %; NaN: too few cases), ``pooled_dice`` that of
    all voxels together, ``dice_present`` the mean where the truth holds the label (NaN: nowhere).
    ``hd95_mm`` is the median, infinite ones counted in and told in ``hd95_infinite``. ``empty``
    counts the maps that were scored by rule; lesions are added over all cases.
    """

    cases: int
    dice: float
    interval: tuple[float, float]
    median_dice: float
    worst_dice: float
    pooled_dice: float
    dice_present: float
    surface_dice: float
    hd95_mm: float
    hd95_infinite: int
    lesions: tuple[int, int, int]  # found, true, predicted
    empty: Mapping[str, int]
    volume_error_ml: float  # mean of |prediction - truth|

    @property
    def sensitivity(self) -> float:
        """Part of all lesions that was found."""
        found, true, _ = self.lesions
        return found / true if true else 1.0

    @property
    def precision(self) -> float:
        """Part of all predicted lesions that is one."""
        found, _, predicted = self.lesions
        return found / predicted if predicted else 1.0

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON, with what is infinite or not known as null."""
        found, true, predicted = self.lesions
        return {
            "cases": self.cases,
            "dice": _plain(self.dice),
            "dice_95": _plain_ends(self.interval),
            "dice_median": _plain(self.median_dice),
            "dice_worst": _plain(self.worst_dice),
            "dice_pooled": _plain(self.pooled_dice),
            "dice_present": _plain(self.dice_present),
            "surface_dice": _plain(self.surface_dice),
            "hd95_mm_median": _plain(self.hd95_mm),
            "hd95_infinite": self.hd95_infinite,
            "lesions": {"true": true, "predicted": predicted, "found": found},
            "lesion_sensitivity": _plain(self.sensitivity),
            "lesion_precision": _plain(self.precision),
            "volume_error_ml": _plain(self.volume_error_ml),
            "empty": {name: self.empty.get(name, 0) for name in ("both", "truth", "prediction")},
        }


@dataclass(frozen=True)
class Summary:
    """All subsets: label summaries, the mean over labels, and what more modalities changed.

    ``counter`` is (comparisons where one modality more lowered a Dice by more than 0.01, all
    comparisons); (0, 0) without subsets.
    """

    subsets: Mapping[str, Mapping[str, LabelSummary]]
    overall: Mapping[str, tuple[float, tuple[float, float]]]
    counter: tuple[int, int]

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "subsets": {
                subset: {name: one.document() for name, one in labels.items()}
                | {ALL: {"dice": _plain(self.overall[subset][0]),
                         "dice_95": _plain_ends(self.overall[subset][1])}}
                for subset, labels in self.subsets.items()
            },
            "more_modalities_lower_dice": {"count": self.counter[0], "of": self.counter[1]},
        }  # fmt: skip


def summarise(tables: Mapping[str, Table], *, seed: int = 0) -> Summary:
    """Summarise the scores of each subset; a subset's name lists its modalities, ``T1+CT``."""
    subsets = {}
    overall = {}
    for subset, table in tables.items():
        names = list(next(iter(table.values()))) if table else []
        columns = {name: [labels[name] for labels in table.values()] for name in names}
        subsets[subset] = {
            name: _label(column, seed, subset, name) for name, column in columns.items()
        }
        means = [float(np.mean([one.dice for one in case.values()])) for case in table.values()]
        overall[subset] = (float(np.mean(means)), interval(means, seed, subset, ALL))
    return Summary(subsets, overall, _counter(tables))


def interval(values: Sequence[float], seed: int, *names: str) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a mean over cases; of fewer than 3, NaN.

    Draws from one case are all alike, and an interval without width would pass for certainty.
    """
    if len(values) < _FEWEST:
        return _NO_INTERVAL
    given = np.asarray(values)
    rng = seeds.rng(seed, "interval", *names)
    drawn = given[rng.integers(0, len(given), (_DRAWS, len(given)))].mean(axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


def _label(scores: Sequence[LabelScores], seed: int, *names: str) -> LabelSummary:
    dices = [one.dice for one in scores]
    hd95 = np.array([one.hd95_mm for one in scores])
    present = [one.dice for one in scores if one.voxels[2]]
    lesions = [(one.lesions.found, one.lesions.truth, one.lesions.prediction) for one in scores]
    found, true, predicted = (sum(column) for column in zip(*lesions, strict=True))
    shared, made, there = (sum(one.voxels[k] * one.voxel_ml for one in scores) for k in range(3))
    return LabelSummary(
        cases=len(scores),
        dice=float(np.mean(dices)),
        interval=interval(dices, seed, *names),
        median_dice=float(np.median(dices)),
        worst_dice=min(dices),
        pooled_dice=dice(shared, made, there),
        dice_present=float(np.mean(present)) if present else math.nan,
        surface_dice=float(np.mean([one.surface_dice for one in scores])),
        hd95_mm=_median(hd95),
        hd95_infinite=int(np.isinf(hd95).sum()),
        lesions=(found, true, predicted),
        empty=Counter(one.empty for one in scores),
        volume_error_ml=float(np.mean([abs(s.prediction_ml - s.truth_ml) for s in scores])),
    )


def _median(values: np.ndarray) -> float:
    """Return the median; infinite where the middle is (numpy's would be NaN between two)."""
    ordered = np.sort(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(low) if low == high else float(low + high) / 2


def _counter(tables: Mapping[str, Table]) -> tuple[int, int]:
    """Count where one modality more made a label of a case worse."""
    worse = total = 0
    sets = {subset: frozenset(subset.split("+")) for subset in tables}
    for less, fewer in sets.items():
        for more, larger in sets.items():
            if not (fewer < larger and len(larger) == len(fewer) + 1):
                continue
            for case in tables[less].keys() & tables[more].keys():
                for name, one in tables[less][case].items():
                    total += 1
                    worse += tables[more][case][name].dice < one.dice - _WORSE
    return worse, total


def interval_text(ends: tuple[float, float], form: str) -> str | None:
    """Return an interval in words, ``"{:.3f} to {:.3f}"`` say; None where there is none."""
    return None if math.isnan(ends[0]) else form.format(*ends)


def _plain_ends(ends: tuple[float, float]) -> list[float | None] | None:
    return None if math.isnan(ends[0]) else [_plain(end) for end in ends]


def _plain(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
