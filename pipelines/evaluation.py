"""The nouns of an evaluation: how label maps are scored, one case scored, and all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medfuse.errors import Repair, UsageError
from medfuse.metrics.lesions import LEAST_OVERLAP
from medfuse.metrics.scores import TOLERANCE_MM, Scores
from pipelines.pairing import Paired
from pipelines.summary import Summary

TABLE = "scores.csv"
_NAMED = 8  # cases or subsets that a sentence names


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

    @property
    def learned(self) -> tuple[str, ...]:
        """The scored cases that were learned from, or chose the weights."""
        return tuple(sorted({one.paired.case for one in self.scored if one.paired.learned}))

    def unscored(self) -> list[str]:
        """Say which cases have a truth and no prediction, once for subsets that lack the same."""
        scored = Counter(one.paired.subset for one in self.scored)
        alike: dict[tuple[tuple[str, ...], int], list[str]] = {}
        for subset, missing in self.unpredicted.items():
            if missing:
                whole = len(missing) + scored[subset]
                alike.setdefault((tuple(missing), whole), []).append(subset)
        said = []
        for (missing, whole), subsets in alike.items():
            lack = "has no prediction and is" if len(missing) == 1 else "have no prediction and are"
            said.append(
                f"{self._with(subsets)}{len(missing)} of {counted(whole, 'case')} with a truth "
                f"{lack} not scored: {listed(missing)}"
            )
        return said

    def _with(self, subsets: Sequence[str]) -> str:
        """Name subsets at the beginning of a sentence, where there are several."""
        if len(self.unpredicted) == 1 and not subsets[0]:
            return ""
        if 1 < len(subsets) == len(self.unpredicted):
            return f"with each of the {len(subsets)} subsets, "
        return f"with {listed(subsets)}: "

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            **self.summary.document(),
            "unpredicted": {name: list(cases) for name, cases in self.unpredicted.items()},
            "learned": list(self.learned),
        }


def counted(count: int, word: str) -> str:
    """Return ``1 case`` or ``2 cases``."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def listed(names: Sequence[str]) -> str:
    """Name the first of them, and say how many more there are."""
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
