"""The nouns of an evaluation: how label maps are scored, one case scored, and all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from medfuse.errors import Repair, UsageError
from medfuse.metrics.lesions import LEAST_OVERLAP
from medfuse.metrics.scores import TOLERANCE_MM, Scores
from pipelines.pairing import Paired
from pipelines.summary import Summary

TABLE = "scores.csv"


@dataclass(frozen=True)
class EvaluateSettings:
    """How label maps are scored.

    Raises ``UsageError`` for figures out of range.
    """

    labels: tuple[str, ...] = ()  # "3", "lesion", "tumour=1,2,4"; empty: what was looked for
    tolerance_mm: float = TOLERANCE_MM  # of the surface Dice
    overlap: float = LEAST_OVERLAP  # least intersection over union of a lesion found
    ignore: int | None = None  # label of the truth that counts in neither map
    resample: bool = False  # carry a prediction on another grid onto that of its truth
    worst: int = 6  # cases that the page shows
    seed: int = 0  # of the intervals

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if not self.tolerance_mm >= 0 or not 0 <= self.overlap <= 1 or self.worst < 0:
            raise UsageError("the tolerance is at least 0 mm, the overlap from 0 to 1")


@dataclass(frozen=True)
class Scored:
    """One case of one subset with its scores."""

    paired: Paired
    scores: Scores

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Yield one row of the table a label; see ``COLUMNS``."""
        for name, one in self.scores.labels.items():
            lesions = one.lesions
            yield (
                self.paired.subset,
                self.paired.case,
                name,
                " ".join(map(str, one.values)),
                round(one.dice, 6),
                round(one.surface_dice, 6),
                round(one.hd95_mm, 4),
                round(one.truth_ml, 6),
                round(one.prediction_ml, 6),
                lesions.truth,
                lesions.prediction,
                lesions.found,
                round(lesions.f1, 6),
                round(lesions.lesion_dice, 6),
                one.empty,
            )


COLUMNS = (
    *("subset", "case", "label", "values", "dice", "surface_dice", "hd95_mm", "truth_ml"),
    *("prediction_ml", "lesions_truth", "lesions_prediction", "lesions_found", "lesion_f1"),
    *("lesion_dice", "empty"),
)


@dataclass(frozen=True)
class Evaluation:
    """Every score, what they come to, and what was wanting."""

    scored: tuple[Scored, ...]
    summary: Summary
    unpredicted: Mapping[str, tuple[str, ...]]
    repairs: tuple[tuple[str, Repair], ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            **self.summary.document(),
            "unpredicted": {name: list(cases) for name, cases in self.unpredicted.items()},
        }
