"""Score predicted label maps against true ones: a table, a summary, a page with the worst cases.

The flow behind ``medfuse evaluate``. Maps are read one case at a time, each truth once for all
subsets. An empty map is scored by rule (both empty: Dice 1; one empty: 0), and how often that was
so stands beside every mean. Research software, not a medical device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from medfuse import settings as settings_
from medfuse.errors import InputError, Repair
from medfuse.io.files import sha256, write_text
from medfuse.io.tables import write_table
from medfuse.io.volumes import read_labels
from medfuse.metrics.lesions import LesionScores
from medfuse.metrics.scores import LabelScores, Scores, label_regions, score
from medfuse.progress import Progress, silent
from medfuse.record import Record
from medfuse.volume import LabelMap
from pipelines.comparable import chosen_regions, onto_truth
from pipelines.evaluation import COLUMNS, TABLE, EvaluateSettings, Evaluation, Scored
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
    """Score all pairs.

    Raises ``GeometryError`` (C8) where a prediction lies on another grid than its truth, unless
    ``settings.resample``; ``UsageError`` for a label that nothing holds.
    """
    made: list[Scored] = []
    repairs: list[tuple[str, Repair]] = []
    ordered = sorted(pairs.pairs, key=lambda one: (str(one.truth), one.subset))
    for truth_path, group in groupby(ordered, key=lambda one: one.truth):
        members = list(group)
        with heard() as of_truth:
            truth = read_labels(truth_path)
        repairs += [(members[0].case, repair) for repair in of_truth]
        for one in members:
            progress("scoring", len(made), len(ordered))
            with heard() as of_prediction:
                scores = _score(one, truth, settings)
            made.append(Scored(one, scores))
            repairs += [(one.name, repair) for repair in of_prediction]
    progress("scoring", len(made), len(ordered))
    scored = _every_label(made, settings)
    scored.sort(key=lambda one: (pairs.subsets.index(one.paired.subset), one.paired.case))
    if record is not None:
        _note(record, ordered, repairs)
    summary = summarise(
        {subset: _of(scored, subset) for subset in pairs.subsets}, seed=settings.seed
    )
    return Evaluation(tuple(scored), summary, pairs.unpredicted, tuple(repairs))


def _of(scored: Sequence[Scored], subset: str) -> dict[str, Mapping[str, LabelScores]]:
    return {one.paired.case: one.scores.labels for one in scored if one.paired.subset == subset}


def _note(record: Record, pairs: Sequence[Paired], repairs: Sequence[tuple[str, Repair]]) -> None:
    for one in pairs:
        record.inputs[one.name] = {
            "prediction_sha256": sha256(one.prediction),
            "truth_sha256": sha256(one.truth),
        }
    for name, repair in repairs:
        record.warn(name, repair.id, repair.what)


def _score(one: Paired, truth: LabelMap, settings: EvaluateSettings) -> Scores:
    prediction = onto_truth(
        read_labels(one.prediction), truth, where=one.name, anyway=settings.resample
    )
    named = one.regions or label_regions(prediction, truth, ignore=settings.ignore)
    return score(
        prediction,
        truth,
        regions=chosen_regions(named, settings.labels),
        tolerance_mm=settings.tolerance_mm,
        overlap=settings.overlap,
        ignore=settings.ignore,
    )


def _every_label(made: Sequence[Scored], settings: EvaluateSettings) -> list[Scored]:
    """Give each case every label that some case has: empty in both maps where it has not."""
    known: dict[str, tuple[int, ...]] = {}
    for one in made:
        for name, found in one.scores.labels.items():
            if known.setdefault(name, found.values) != found.values:
                raise InputError(
                    f"{name!r} means other label values than in other cases",
                    where=one.paired.name,
                    hint="say which with --label NAME=1,2",
                    id="C7",
                )
    ordered = sorted(known, key=lambda name: known[name])
    names = list(known) if settings.labels else ordered
    filled = []
    for one in made:
        there = one.scores.labels
        labels = {name: there.get(name) or _nothing(known[name], there) for name in names}
        scores = Scores(labels, settings.tolerance_mm, settings.overlap, ignored=one.scores.ignored)
        filled.append(Scored(one.paired, scores))
    return filled


def _nothing(values: tuple[int, ...], others: Mapping[str, LabelScores]) -> LabelScores:
    voxel = next((one.voxel_ml for one in others.values()), 0.0)
    return LabelScores(values, "both", (0, 0, 0), voxel, 1.0, 0.0, 1.0, LesionScores(0, 0, ()))


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
