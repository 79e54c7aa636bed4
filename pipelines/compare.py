"""Train every level of fusion on the same patients in the same time, and say which is best.

The flow behind ``medfuse compare-fusion``: for each fold and level a training that sees none of
the held-out visits, then their labels with all scans and with one scan missing (each in turn).
A run that was killed goes on where it was. Research software, not a medical device.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfuse.errors import MedfuseError, OutputError, Repair
from medfuse.io.files import write_text
from medfuse.io.tables import write_table
from medfuse.progress import Progress, silent
from medfuse.record import Record
from medfuse.study import Cohort, StudyEntry
from pipelines.cases import Case
from pipelines.comparison import judge
from pipelines.contest import Compared, Contest, dice_of
from pipelines.evaluate import evaluate
from pipelines.evaluation import COLUMNS, EvaluateSettings
from pipelines.output_folder import PAGE, RECORD, OutputFolder
from pipelines.pairing import Paired, Pairs
from pipelines.pins import differences, pins_of
from pipelines.segment import LABELS, Models, SegmentSettings
from pipelines.segment_case import Place, segment_each

if TYPE_CHECKING:
    from medfuse.training.job import Machine
    from medfuse.training.settings import TrainSettings

ALL, MISSING = "all", "one-missing"
TABLE, CONTEST = "compare.csv", "contest.json"
_RUNS = "runs"
_MANY, _STEPS = 100_000, 20  # epochs that no budget reaches, and steps between two looks at it


def outlook(contest: Contest) -> str:
    """Say in one line how much there is to do: the minutes are those of the trainings alone."""
    levels, folds = len(contest.levels), len(contest.splits)
    held = sum(len(split.validate) for split in contest.splits)
    each = contest.minutes
    long = f"{each:.1f} minutes" if each >= 2 else f"{60 * each:.0f} seconds"
    return (
        f"{levels * folds} trainings of {long} each ({levels} levels, {folds} "
        f"fold{'' if folds == 1 else 's'}), reading included; on top come {held * levels * 2} "
        f"segmentations ({held} visits x {levels} levels x 2: all scans, and one missing)"
    )


def compare(
    cohort: Cohort,
    settings: TrainSettings,
    contest: Contest,
    out: Path,
    *,
    machine: Machine,
    progress: Progress = silent,
) -> Compared:
    """Run the contest in ``out``, or go on with it, and return what came of it.

    Raises ``OutputError`` where another contest lies there, or the same of another recipe or other
    data, ``ModelError`` where a visit that is held out lacks a required scan, and what training,
    segmenting and evaluating raise.
    """
    contest.check_scans(cohort, settings)
    _refuse_finished(out)
    with _claimed(pins_of(cohort, settings, contest, progress), out):
        return _compared(cohort, _Asked(contest, settings, machine, out), progress)


def _compared(cohort: Cohort, asked: _Asked, progress: Progress) -> Compared:
    contest = asked.contest
    entries = {entry.id: entry for entry in cohort.studies}
    steps: dict[str, list[int]] = {level: [] for level in contest.levels}
    pairs: dict[str, list[Paired]] = {ALL: [], MISSING: []}
    repairs: list[tuple[str, Repair]] = []
    for fold, split in enumerate(contest.splits):
        for level in contest.levels:
            told = _named(progress, f"{level}, fold {fold + 1} of {len(contest.splits)}")
            learned = [entry for entry in cohort.studies if entry.id in set(split.train)]
            run = _Run(level, fold, tuple(learned), tuple(entries[id] for id in split.validate))
            models, done = _trained(run, asked, told)
            steps[level].append(done)
            for how, paired, found in _answers(run, models, asked, told):
                pairs[how].append(paired)
                repairs += [(f"{level}, {paired.case}", one) for one in found]
    whole, missing = (
        evaluate(Pairs(tuple(pairs[how]), {}), settings=EvaluateSettings(), progress=progress)
        for how in (ALL, MISSING)
    )
    mean = {level: sum(found) / len(found) for level, found in steps.items()}
    verdict = judge(dice_of(whole, contest.levels))
    return Compared(whole, missing, verdict, mean, contest, tuple(repairs))


def write_comparison(found: Compared, settings: TrainSettings, out: OutputFolder) -> None:
    """Write ``compare.csv``, ``page.html`` and ``record.json`` into ``out`` and publish them."""
    from medfuse import settings as settings_
    from pipelines.reporting.compare_page import write_compare_page

    rows = [
        (how, *row)
        for how, evaluation in ((ALL, found.whole), (MISSING, found.missing))
        for one in evaluation.scored
        for row in one.rows()
    ]
    write_table(out.stage / TABLE, ("scans", "level", *COLUMNS[1:]), rows)
    write_compare_page(found, out.stage / PAGE)
    asked = settings_.dump(settings)
    asked.pop("data")
    record = Record("compare-fusion", asked, found.contest.seed)
    for name, repair in (*found.repairs, *found.whole.repairs):
        record.warn(name, repair.id, repair.what)
    record.results = found.document()
    write_text(out.stage / RECORD, record.to_json())
    out.publish()


@dataclass(frozen=True)
class _Asked:
    """What all runs of a contest share."""

    contest: Contest
    settings: TrainSettings
    machine: Machine
    out: Path


@dataclass(frozen=True)
class _Run:
    """One training: a level on one fold, from ``learned`` visits, for ``held`` ones."""

    level: str
    fold: int
    learned: tuple[StudyEntry, ...]
    held: tuple[StudyEntry, ...]


def _refuse_finished(out: Path) -> None:
    if (out / RECORD).exists():
        raise OutputError(
            "holds a comparison already", where=out, hint="name another folder", id="S5"
        )


@contextmanager
def _claimed(pins: dict[str, Any], out: Path) -> Iterator[None]:
    """Write down what is compared in ``out``; refuse where that is another, or nobody knows what.

    What is refused before a training has begun leaves nothing behind.
    """
    path = out / CONTEST
    if path.exists() and (other := differences(path, pins)):
        raise OutputError(
            f"holds another comparison that was not finished: {other}",
            where=out,
            hint="give what it was begun with, or name another folder",
            id="S5",
        )
    if not path.exists() and (out / _RUNS).exists():
        raise OutputError(
            f"holds {_RUNS}, but no {CONTEST} that says of what",
            where=out,
            hint="name another folder",
            id="S5",
        )
    write_text(path, json.dumps(pins, indent=2) + "\n")
    try:
        yield
    except MedfuseError:
        if not any((out / _RUNS).glob("*/checkpoint.ckpt")):
            shutil.rmtree(out / _RUNS, ignore_errors=True)
            path.unlink()
        raise


def _named(progress: Progress, name: str) -> Progress:
    return lambda what, done, total: progress(f"{name}: {what}", done, total)


def _trained(run: _Run, asked: _Asked, progress: Progress) -> tuple[Models, int]:
    """Train one level on one fold, or take what lies there; return the model and its steps.

    Nobody is held out within a training: nothing is chosen by looking at who is asked afterwards.
    """
    from medfuse.training.history import read_steps
    from medfuse.training.keeper import MODEL
    from medfuse.training.loop import train

    folder = asked.out / _RUNS / f"{run.level}-{run.fold}"
    level: Any = run.level  # one of LEVELS
    mine = replace(
        asked.settings,
        fusion=replace(asked.settings.fusion, level=level),
        minutes=asked.contest.minutes,
        epochs=_MANY,
        steps=_STEPS,
        patience=0,
        folds=1,
        fold=0,
    )
    learned = Cohort(tuple(replace(entry, role="") for entry in run.learned))
    if not (folder / MODEL).exists():
        folder.mkdir(parents=True, exist_ok=True)
        train(
            learned,
            mine,
            folder,
            seed=asked.contest.seed,
            resume=True,
            machine=asked.machine,
            progress=progress,
        )
    return Models.load([str(folder / MODEL)]), read_steps(folder)


def _answers(
    run: _Run, models: Models, asked: _Asked, progress: Progress
) -> Iterator[tuple[str, Paired, Sequence[Repair]]]:
    """Segment the held-out visits with all scans, and with one missing, each scan in turn.

    What lies there already is not made again. Both answers come from one reading of a visit.
    """
    device = "cuda" if asked.machine.gpu else "cpu"
    regions = {region.name: region.values for region in models.card.labels}
    homes = {how: asked.out / "segmentations" / how / run.level for how in (ALL, MISSING)}
    for home in homes.values():
        home.mkdir(parents=True, exist_ok=True)
    for number, entry in enumerate(run.held):
        there = [name for name in models.card.modalities if name in entry.volumes]
        shown = {ALL: there, MISSING: one_fewer(there, models.card.required, number)}
        left = [how for how in homes if not (homes[how] / entry.id / RECORD).exists()]
        found: dict[str, Sequence[Repair]] = {}
        if left:
            results = segment_each(
                Case(entry.id, entry.volumes),
                models,
                [(Place(homes[how]), shown[how]) for how in left],
                settings=SegmentSettings(only=tuple(there), device=device),
                progress=progress,
            )
            found = {how: one.repairs for how, one in zip(left, results, strict=True)}
        scans = tuple(Path(path) for path in entry.volumes.values())
        truth = Path(str(entry.labels))
        for how, home in homes.items():
            paired = Paired(run.level, entry.id, home / entry.id / LABELS, truth, scans, regions)
            yield how, paired, found.get(how, ())


def one_fewer(there: Sequence[str], required: Sequence[str], number: int) -> list[str]:
    """Return the scans but for one, which the ``number`` picks in turn from those that may go.

    All of them where none may: the model requires each, or there is but one.
    """
    may = [name for name in there if name not in required]
    if not may or len(there) < 2:
        return list(there)
    gone = may[number % len(may)]
    return [name for name in there if name != gone]
