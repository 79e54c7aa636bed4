"""The nouns of a comparison of levels: what is compared on whom, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from medfuse.errors import ModelError, Repair, UsageError
from medfuse.study import Cohort, Split
from pipelines.cases import check_names
from pipelines.comparison import Verdict, check_enough
from pipelines.evaluation import Evaluation

if TYPE_CHECKING:
    from medfuse.training.settings import TrainSettings

LEVELS = ("data", "feature", "model", "hybrid")


@dataclass(frozen=True)
class Contest:
    """What is compared: ``levels``, on ``splits`` of the patients, ``minutes`` a training."""

    levels: tuple[str, ...]
    splits: tuple[Split, ...]
    minutes: float
    seed: int

    @classmethod
    def of(
        cls, cohort: Cohort, *, levels: Sequence[str], folds: int, minutes: float, seed: int
    ) -> Contest:
        """Share ``minutes`` evenly among all trainings.

        Raises ``UsageError`` for what is none, for too few who are held out, and for one whose name
        cannot be that of a folder: that is known before a minute is spent.
        """
        for level in levels:
            if level not in LEVELS:
                raise UsageError(
                    f"{level!r} is no level of fusion", hint=f"there are {', '.join(LEVELS)}"
                )
        if len(set(levels)) < max(2, len(levels)):
            raise UsageError("name at least two levels, each once", where="--levels")
        labelled = tuple(entry for entry in cohort.studies if entry.labels)
        splits = Cohort(labelled).split(seed, folds)
        if not all(split.validate for split in splits):
            raise UsageError("nobody is held out", hint="use at least 2 folds")
        held = [name for split in splits for name in split.validate]
        check_names(held)
        check_enough(len(held))
        return cls(tuple(levels), splits, minutes / (len(levels) * len(splits)), seed)

    def check_scans(self, cohort: Cohort, settings: TrainSettings) -> None:
        """Raise ``ModelError`` where a visit that is held out lacks what every model needs.

        A training does without; what it makes refuses the visit, after the minutes are spent.
        """
        held = {name for split in self.splits for name in split.validate}
        for entry in cohort.studies:
            lacking = [name for name in settings.required if name not in entry.volumes]
            known = set(entry.volumes) & set(settings.modalities or entry.volumes)
            if entry.id in held and (lacking or not known):
                raise ModelError(
                    f"lacks {', '.join(lacking or settings.modalities)}, "
                    "which the recipe needs of all who are held out",
                    where=entry.id,
                    hint="leave the visit out of the table, or name fewer scans as required",
                    id="M11",
                )

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON: no case is named but in the contest's own file."""
        splits = [{"train": list(one.train), "validate": list(one.validate)} for one in self.splits]
        return {"levels": list(self.levels), "minutes_each": self.minutes, "seed": self.seed,
                "splits": splits}  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """All scores with all scans (``whole``) and with one missing, the verdict, and the steps.

    ``steps`` counts what each level could do in its time, mean over folds; ``repairs`` what was
    mended or left out while held-out visits were segmented, with the level and the visit, or of the
    data.
    """

    whole: Evaluation
    missing: Evaluation
    verdict: Verdict
    steps: Mapping[str, float]
    contest: Contest
    repairs: tuple[tuple[str, Repair], ...] = ()

    def with_data(self, repairs: Iterable[Repair]) -> Compared:
        """Return the same with what was mended or left out of the data before anything else."""
        return replace(self, repairs=(*(("data", one) for one in repairs), *self.repairs))

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "verdict": self.verdict.document(),
            "minutes_each": round(self.contest.minutes, 3),
            "folds": len(self.contest.splits),
            "steps": dict(self.steps),
            "all_scans": self.whole.summary.document()["subsets"],
            "one_scan_missing": self.missing.summary.document()["subsets"],
        }


def dice_of(found: Evaluation, levels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the mean Dice over labels of each case, by level."""
    return {
        level: {
            one.paired.case: one.scores.mean_dice
            for one in found.scored
            if one.paired.subset == level
        }
        for level in levels
    }
