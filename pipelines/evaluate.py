"""Score predicted label maps against true ones: a table, a summary, a page with the worst cases.

The flow behind ``medfuse evaluate``. Maps are read one case at a time, each truth once for all
subsets; where no record says what was looked for, once before as well. An empty map is scored by
rule (both empty: Dice 1; one empty: 0), and how often that was so stands beside every mean.
Research software, not a medical device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from medfuse import settings as settings_
from medfuse.errors import InputError, Repair, UsageError
from medfuse.io.files import sha256, write_text
from medfuse.io.tables import write_table
from medfuse.io.volumes import read_labels
from medfuse.metrics.scores import LabelScores, Scores, label_regions, score
from medfuse.progress import Progress, silent
from medfuse.record import Record
from medfuse.volume import LabelMap
from pipelines.comparable import Regions, chosen_regions, onto_truth
from pipelines.evaluation import COLUMNS, TABLE, EvaluateSettings, Evaluation, Scored, counted
from pipelines.hearing import heard
from pipelines.output_folder import PAGE, RECORD, OutputFolder
from pipelines.pairing import Paired, Pairs
from pipelines.reporting.scores_page import write_scores_page
from pipelines.summary import summarise

DEFAULTS = EvaluateSettings()


def evaluate(
    pairs: Pairs,
    *,
    settings: EvaluateSettings = DEFAULTS,
    record: Record | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Score all pairs, each for every label that one of them is about.

    Raises ``GeometryError`` (C8) where a prediction lies on another grid than its truth, unless
    ``settings.resample``; ``InputError`` (C7) for a name that means other values in other cases;
    ``UsageError`` for a label that nothing holds.
    """
    made: list[Scored] = []
    repairs: list[tuple[str, Repair]] = []
    ordered = sorted(pairs.pairs, key=lambda one: (str(one.truth), one.subset))
    repairs += _learned(ordered)
    known = _known(ordered, settings)
    regions = chosen_regions(known, settings.labels)
    if settings.labels:
        _refuse_unheld(ordered, regions, known)
    for _, group in groupby(ordered, key=lambda one: one.truth):
        members = list(group)
        with heard() as of_truth:
            truth = members[0].read_truth()
        repairs += [(members[0].case, repair) for repair in of_truth]
        for one in members:
            progress("scoring", len(made), len(ordered))
            with heard() as of_prediction:
                scores = _score(one, truth, regions, settings)
            made.append(Scored(one, scores))
            repairs += [(one.name, repair) for repair in of_prediction]
    progress("scoring", len(made), len(ordered))
    made.sort(key=lambda one: (pairs.subsets.index(one.paired.subset), one.paired.case))
    if record is not None:
        _note(record, ordered, repairs)
    summary = summarise({subset: _of(made, subset) for subset in pairs.subsets}, seed=settings.seed)
    return Evaluation(tuple(made), summary, pairs.unpredicted, tuple(repairs))


def _of(scored: Sequence[Scored], subset: str) -> dict[str, Mapping[str, LabelScores]]:
    return {one.paired.case: one.scores.labels for one in scored if one.paired.subset == subset}


def _learned(pairs: Sequence[Paired]) -> list[tuple[str, Repair]]:
    """Warn of cases that the model may know by heart, as the manifest says."""
    every = {one.case for one in pairs}
    count = len({one.case for one in pairs if one.learned})
    if not count:
        return []
    were, their = ("was", "its score is") if count == 1 else ("were", "their scores are")
    what = f"{count} of {counted(len(every), 'case')} {were} learned from or chose the weights"
    return [("data", Repair(f"{what}: {their} too good", id="learned"))]


def _note(record: Record, pairs: Sequence[Paired], repairs: Sequence[tuple[str, Repair]]) -> None:
    for one in pairs:
        record.inputs[one.name] = {
            "prediction_sha256": sha256(one.prediction),
            "truth_sha256": sha256(one.truth_file),
        }
    for name, repair in repairs:
        record.warn(name, repair.id, repair.what)


def _score(one: Paired, truth: LabelMap, regions: Regions, settings: EvaluateSettings) -> Scores:
    prediction = onto_truth(
        read_labels(one.prediction), truth, where=one.name, anyway=settings.resample
    )
    return score(
        prediction,
        truth,
        regions=regions,
        tolerance_mm=settings.tolerance_mm,
        overlap=settings.overlap,
        ignore=settings.ignore,
    )


def _known(pairs: Sequence[Paired], settings: EvaluateSettings) -> dict[str, tuple[int, ...]]:
    """Return what every case may be scored for: all that was looked for or is in some case.

    A label that a case's own model does not know counts too: its truth may hold it.
    """
    known: dict[str, tuple[int, ...]] = {}
    unclear: dict[str, str] = {}  # names that change their meaning, and in which case
    for one in pairs:
        for name, values in _named(one, settings).items():
            if known.setdefault(name, values) != values:
                unclear.setdefault(name, one.name)
    for name in settings.labels or known:
        if name in unclear:
            raise InputError(
                f"{name!r} means other label values than in other cases",
                where=unclear[name],
                hint="say which with --label NAME=1,2",
                id="C7",
            )
    said = {values for name, values in known.items() if name != _unnamed(values)}
    ordered = sorted(known.keys() - unclear.keys(), key=lambda name: (known[name], name))
    # a label that only some maps name is one label, and counts once in a mean
    kept = [name for name in ordered if name != _unnamed(known[name]) or known[name] not in said]
    return {name: known[name] for name in kept}


def _unnamed(values: tuple[int, ...]) -> str:
    """Return what ``label_regions`` calls a label without a name; regions of several have one."""
    return f"label {values[0]}" if len(values) == 1 else ""


def _refuse_unheld(pairs: Sequence[Paired], regions: Regions, known: Regions) -> None:
    """Refuse what was asked for by its values, and no map holds and nobody looked for."""
    there = {value for values in known.values() for value in values}
    for name, values in regions.items():
        if there & set(values) or any(_holds(one, values) for one in pairs):
            continue
        of = "" if name == _unnamed(values) else f" ({', '.join(map(str, values))})"
        hint = f"there are {', '.join(known)}" if known else "look at the maps"
        raise UsageError(f"no label map holds {name}{of}", where="--label", hint=hint)


def _holds(one: Paired, values: Sequence[int]) -> bool:
    """Tell whether one of the two maps holds one of the values."""
    with heard():  # what is repaired is said when the maps are scored
        maps = read_labels(one.prediction), one.read_truth()
    return any(bool(np.isin(labels.array, values).any()) for labels in maps)


def _named(one: Paired, settings: EvaluateSettings) -> Regions:
    """Return what the prediction's model looked for, else every label that either map holds."""
    if one.regions:
        return one.regions
    with heard():  # what is repaired is said when the maps are scored
        maps = read_labels(one.prediction), one.read_truth()
    return label_regions(*maps, ignore=settings.ignore)


def write_evaluation(
    found: Evaluation, out: OutputFolder, record: Record, settings: EvaluateSettings
) -> None:
    """Write ``scores.csv``, ``record.json`` and ``page.html`` into ``out`` and publish them."""
    rows = [row for one in found.scored for row in one.rows()]
    write_table(out.stage / TABLE, COLUMNS, rows)
    record.settings = settings_.dump(settings)
    record.results |= {"summary": found.document()}
    write_text(out.stage / RECORD, record.to_json())
    write_scores_page(found, out.stage / PAGE, settings=settings)
    out.publish(earlier=(TABLE,))
