"""One HTML file to look at after an evaluation: the figure that counts, tables, the worst cases.

It carries everything it shows, loads nothing, and holds no identity but the names of the cases.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from medfuse.io.files import write_text
from medfuse.io.volumes import read_labels
from medfuse.metrics.scores import LabelScores
from medfuse.record import versions
from pipelines.comparable import onto_truth
from pipelines.evaluation import EvaluateSettings, Evaluation, Scored, counted
from pipelines.hearing import heard
from pipelines.reporting import figures, wording
from pipelines.reporting.rendering import rendered
from pipelines.reporting.scores_views import MEANINGS, ground_of, pictures
from pipelines.summary import LabelSummary, interval_text

_HIGH, _WIDE = 26, 640  # pixels of one line of dots
_FEW = 10  # cases below which no mean should be trusted
_TO = "{:.3f} to {:.3f}"


def write_scores_page(found: Evaluation, path: str | Path, *, settings: EvaluateSettings) -> Path:
    """Write the page about an evaluation and return its path; label maps are read again."""
    subset = _shown(found)
    worst = _worst(found, subset, settings.worst)
    context = {
        "notice": wording.NOTICE,
        "subset": subset,
        "headline": _headline(found, subset),
        "cautions": _cautions(found, subset),
        "labels": _label_rows(found, subset),
        "dots": [
            {"name": name, **_dots([s.scores.labels[name].dice for s in _of(found, subset)])}
            for name in found.summary.subsets[subset]
        ],
        "subsets": _subset_rows(found),
        "names": list(found.summary.subsets[subset]),
        "counter": found.summary.counter,
        "worst": [_case(one, settings) for one in worst],
        "meanings": [
            {"colour": "#{:02x}{:02x}{:02x}".format(*figures.label_colour(label)), "text": text}
            for label, text in MEANINGS
        ],
        "tolerance": f"{settings.tolerance_mm:g}",
        "overlap": f"{settings.overlap:g}",
        "warnings": [
            {"case": case, "id": repair.id, "what": repair.what} for case, repair in found.repairs
        ],
        "versions": versions(),
    }
    return write_text(path, rendered("scores.html", context, styles=("page.css", "scores.css")))


def _shown(found: Evaluation) -> str:
    """Return the subset that the page is about: that with the most modalities."""
    return list(found.summary.subsets)[-1]


def _of(found: Evaluation, subset: str) -> list[Scored]:
    return [one for one in found.scored if one.paired.subset == subset]


def _headline(found: Evaluation, subset: str) -> dict[str, str | None]:
    mean, ends = found.summary.overall[subset]
    cases = len(_of(found, subset))
    labels = len(found.summary.subsets[subset])
    return {
        "dice": f"{mean:.3f}",
        "interval": interval_text(ends, _TO),
        "cases": counted(cases, "case"),
        "labels": counted(labels, "label"),
    }


def _cautions(found: Evaluation, subset: str) -> list[str]:
    """Return what a reader must know before believing a mean."""
    said = []
    cases = len(_of(found, subset))
    if cases < _FEW:
        known = interval_text(found.summary.overall[subset][1], _TO)
        less = "The interval shows how little is known" if known else "No interval can be given"
        said.append(f"{counted(cases, 'case')}: too few to claim a Dice. {less}.")
    said += [f"{repair.what}." for _, repair in found.repairs if repair.id == "learned"]
    said += [f"{text[0].upper()}{text[1:]}." for text in found.unscored()]
    for name, one in found.summary.subsets[subset].items():
        counts = [one.empty.get(kind, 0) for kind in ("both", "truth", "prediction")]
        if any(counts):
            said.append(
                f"{name}: both maps empty in {counts[0]} (Dice 1 by rule), only the truth empty "
                f"in {counts[1]} and only the prediction empty in {counts[2]} (Dice 0 by rule), "
                f"of {one.cases}."
            )
    return said


def _label_rows(found: Evaluation, subset: str) -> list[dict[str, str]]:
    return [_label_row(name, one) for name, one in found.summary.subsets[subset].items()]


def _label_row(name: str, one: LabelSummary) -> dict[str, str]:
    count, true, predicted = one.lesions
    infinite = f" ({one.hd95_infinite} infinite)" if one.hd95_infinite else ""
    return {
        "name": name,
        "dice": f"{one.dice:.3f}",
        "interval": interval_text(one.interval, _TO) or "too few cases",
        "median": f"{one.median_dice:.3f}",
        "worst": f"{one.worst_dice:.3f}",
        "pooled": f"{one.pooled_dice:.3f}",
        "surface": f"{one.surface_dice:.3f}",
        "hd95": f"{_mm(one.hd95_mm)}{infinite}",
        "found": f"{count} of {true}",
        "alarms": f"{predicted - count} of {predicted}",
        "volume": f"{one.volume_error_ml:.2f}",
    }


def _mm(value: float) -> str:
    return "infinite" if math.isinf(value) else f"{value:.1f}"


def _subset_rows(found: Evaluation) -> list[dict[str, Any]]:
    """Return one row a subset: which modalities it has, its means, a bar for the mean of all."""
    every = list(dict.fromkeys(part for name in found.summary.subsets for part in name.split("+")))
    rows = []
    for subset, labels in found.summary.subsets.items():
        mean, ends = found.summary.overall[subset]
        held = subset.split("+")
        rows.append(
            {
                "name": subset or "all",
                "marks": [{"name": part, "there": part in held} for part in every],
                "cases": len(_of(found, subset)),
                "dice": [f"{one.dice:.3f}" for one in labels.values()],
                "all": f"{mean:.3f}",
                "mean": 100 * mean,
                "range": None
                if math.isnan(ends[0])
                else {"low": 100 * ends[0], "wide": 100 * (ends[1] - ends[0])},
            }
        )
    return rows


def _dots(values: list[float]) -> dict[str, Any]:
    """Return where the dots of one label's cases lie on a line from 0 to 1."""
    places: dict[int, int] = {}
    dots = []
    for value in sorted(values):
        x = round(6 + value * (_WIDE - 12))
        row = places.get(x // 7, 0)
        places[x // 7] = row + 1
        dots.append({"x": x, "y": _HIGH - 6 - 4 * (row % 5)})
    return {
        "dots": dots,
        "wide": _WIDE,
        "high": _HIGH,
        "mean": 6 + sum(values) / len(values) * (_WIDE - 12),
    }


def _worst(found: Evaluation, subset: str, count: int) -> list[Scored]:
    """Return the cases with the lowest mean Dice, worst first; equal ones by name."""
    here = _of(found, subset)
    return sorted(here, key=lambda one: (one.scores.mean_dice, one.paired.case))[:count]


def _case(one: Scored, settings: EvaluateSettings) -> dict[str, Any]:
    with heard():  # said when it was scored
        truth = one.paired.read_truth()
        prediction = onto_truth(
            read_labels(one.paired.prediction),
            truth,
            where=one.paired.name,
            anyway=settings.resample,
        )
    ground, name = ground_of(truth, one.paired.scans)
    label, scores = min(one.scores.labels.items(), key=lambda item: item[1].dice)
    drawn, bare = pictures(prediction, truth, scores.values, ground)
    return {
        "name": one.paired.case,
        "mean": f"{one.scores.mean_dice:.3f}",
        "label": label,
        "ground": name,
        "drawn": drawn,
        "bare": bare,
        "rows": [_case_row(known, found) for known, found in one.scores.labels.items()],
    }


def _case_row(name: str, one: LabelScores) -> dict[str, str]:
    empty = {"no": "", "both": "both maps are empty", "truth": "the truth is empty"}
    return {
        "name": name,
        "dice": f"{one.dice:.3f}",
        "surface": f"{one.surface_dice:.3f}",
        "hd95": _mm(one.hd95_mm),
        "truth": f"{one.truth_ml:.2f}",
        "prediction": f"{one.prediction_ml:.2f}",
        "found": f"{one.lesions.found} of {one.lesions.truth}",
        "alarms": str(one.lesions.false_alarms),
        "empty": empty.get(one.empty, "nothing was predicted"),
    }
