"""Which level of fusion is best on one's own data, and whether that can be said at all.

Levels were tried on the same held-out cases, so they are compared case by case. Intervals are
Student's for the mean of the differences, at 95 % for all comparisons of the best level with the
others together (Bonferroni). They know the spread between cases, not that between trainings: each
level was trained once a fold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from medfuse.errors import UsageError

_SURE = 0.95
_LEARNED = 0.2  # mean Dice below which nobody has learned the task: who is best then, is chance
LEAST_CASES = 3


@dataclass(frozen=True)
class Difference:
    """How much higher the best level's Dice is than that of ``other``: mean and its interval."""

    other: str
    mean: float
    interval: tuple[float, float]

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval[0] > 0

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "other": self.other,
            "mean": round(self.mean, 4),
            "interval": [round(end, 4) for end in self.interval],
        }


@dataclass(frozen=True)
class Verdict:
    """The level with the highest mean ``dice``, and its differences to the others, best first."""

    best: str
    dice: float
    differences: tuple[Difference, ...]
    cases: int

    @property
    def learned(self) -> bool:
        """Whether any level has learned the task at all."""
        return self.dice >= _LEARNED

    @property
    def winner(self) -> str | None:
        """The best level where it has learned and is clearly better than each other one."""
        return self.best if self.learned and all(one.clear for one in self.differences) else None

    @property
    def headline(self) -> str:
        """The answer in a word or three."""
        return self.winner or ("No difference shown" if self.learned else "Nothing learned yet")

    @property
    def sentence(self) -> str:
        """What a reader may take home, in one line."""
        if not self.learned:
            return (
                f"no level has learned the task: {self.best} is first with a mean Dice of "
                f"{self.dice:.3f} on {self.cases} cases; give more minutes, or look at the recipe"
            )
        first = self.differences[0]
        low, high = first.interval
        apart = f"{first.mean:+.3f} Dice, 95 % interval {low:+.3f} to {high:+.3f}"
        if self.winner:
            return f"{self.best} is best on these {self.cases} cases: {apart} over {first.other}"
        unclear = [one.other for one in self.differences if not one.clear]
        return (
            f"no difference shown between {self.best} and {' or '.join(unclear)}: "
            f"{self.best} over {first.other} {apart}, {self.cases} cases"
        )

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "winner": self.winner,
            "best": self.best,
            "dice": round(self.dice, 4),
            "sentence": self.sentence,
            "cases": self.cases,
            "differences": [one.document() for one in self.differences],
        }


def check_enough(cases: int) -> None:
    """Raise ``UsageError`` where so few held-out cases could not show a difference."""
    if cases < LEAST_CASES:
        raise UsageError(
            f"{cases} held-out case{'' if cases == 1 else 's'} cannot show a difference",
            hint=f"hold out at least {LEAST_CASES}: more patients, or more folds; where the split "
            "of a manifest says who is held out, folds do nothing: say validate of more patients",
        )


def judge(dice: Mapping[str, Mapping[str, float]]) -> Verdict:
    """Return the verdict on ``dice``: level to case to Dice, all levels with the same cases.

    Raises ``UsageError`` for fewer than two levels or three cases, or cases that differ.
    """
    if len(dice) < 2:
        raise UsageError("a comparison needs at least two levels")
    cases = sorted(next(iter(dice.values())))
    if any(sorted(found) != cases for found in dice.values()):
        raise UsageError("the levels were not tried on the same cases")
    check_enough(len(cases))
    columns = {level: np.array([found[case] for case in cases]) for level, found in dice.items()}
    ranked = sorted(columns, key=lambda level: -float(columns[level].mean()))  # equal: as given
    best, others = ranked[0], ranked[1:]
    sure = 1 - (1 - _SURE) / len(others)
    found = [
        Difference(other, *_interval(columns[best] - columns[other], sure)) for other in others
    ]
    return Verdict(best, float(columns[best].mean()), tuple(found), len(cases))


def _interval(differences: np.ndarray, sure: float) -> tuple[float, tuple[float, float]]:
    """Return the mean and Student's interval; a point where all are equal."""
    mean, count = float(differences.mean()), len(differences)
    error = float(differences.std(ddof=1)) / count**0.5
    reach = float(stats.t.ppf((1 + sure) / 2, count - 1)) * error
    return mean, (mean - reach, mean + reach)
