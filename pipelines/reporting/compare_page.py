"""One HTML file about a comparison of levels of fusion: the sentence, two plots, the table.

It carries everything it shows, loads nothing, and holds no identity but the names of the cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medfuse.io.files import write_text
from medfuse.record import versions
from pipelines.comparison import Difference, Verdict
from pipelines.contest import Compared
from pipelines.evaluation import Evaluation
from pipelines.reporting import wording
from pipelines.reporting.rendering import rendered

_LEFT, _RIGHT, _ROW, _TOP = 92, 700, 46, 12  # pixels of the plots
_FEW = 10  # cases below which no mean should be trusted


def write_compare_page(found: Compared, path: str | Path) -> Path:
    """Write the page about a comparison and return its path."""
    levels = found.contest.levels
    context = {
        "notice": wording.NOTICE,
        "verdict": found.verdict,
        "sentence": found.verdict.sentence[:1].upper() + found.verdict.sentence[1:],
        "cautions": _cautions(found),
        "plot": _strips(found),
        "apart": _apart(found.verdict),
        "rows": [_row(found, level) for level in levels],
        "labels": _labels(found),
        "names": list(next(iter(found.whole.summary.subsets.values()))),
        "minutes": f"{found.contest.minutes:.3g}",
        "folds": len(found.contest.splits),
        "seed": found.contest.seed,
        "warnings": [
            {"case": case, "id": repair.id, "what": repair.what}
            for case, repair in (*found.repairs, *found.whole.repairs)
        ],
        "versions": versions(),
    }
    return write_text(
        path, rendered("compare.html", context, styles=("page.css", "scores.css", "compare.css"))
    )


def _cautions(found: Compared) -> list[str]:
    said = []
    if found.verdict.cases < _FEW:
        said.append(
            f"{found.verdict.cases} held-out cases: too few to claim a Dice. The intervals show "
            "how little is known."
        )
    said.append(
        "Each level was trained once a fold. The intervals know the spread between cases, not "
        "that between trainings: run it again with another seed before you rely on a small "
        "difference."
    )
    return said


def _strips(found: Compared) -> dict[str, Any]:
    """Return one line a level: a dot a case, all scans above and one missing below, and means."""
    rows = []
    for number, level in enumerate(found.contest.levels):
        middle = _TOP + number * _ROW + _ROW // 2
        mean = _mean(found.whole, level)
        rows.append(
            {
                "name": level,
                "y": middle,
                "best": level == found.verdict.best,
                "whole": _dots(_cases(found.whole, level), middle - 9),
                "missing": _dots(_cases(found.missing, level), middle + 9),
                "mean": _x(mean),
                "label": f"{mean:.3f}",
            }
        )
    high = _TOP + len(rows) * _ROW
    ticks = [{"x": _x(value), "text": f"{value:g}"} for value in (0, 0.2, 0.4, 0.6, 0.8, 1)]
    return {"rows": rows, "high": high, "wide": _RIGHT + 64, "ticks": ticks, "left": _LEFT,
            "right": _RIGHT}  # fmt: skip


def _x(dice: float) -> float:
    return round(_LEFT + dice * (_RIGHT - _LEFT), 1)


def _dots(values: Sequence[float], y: int) -> list[dict[str, float]]:
    """Return places of dots, those that would hide each other a little apart."""
    taken: dict[int, int] = {}
    dots = []
    for value in sorted(values):
        x = _x(value)
        row = taken.get(int(x) // 8, 0)
        taken[int(x) // 8] = row + 1
        dots.append({"x": x, "y": y + (-1) ** row * 3 * ((row + 1) // 2 % 3)})
    return dots


def _apart(verdict: Verdict) -> dict[str, Any]:
    """Return where the differences of the best level to the others lie, on a scale around 0."""
    ends = [abs(end) for one in verdict.differences for end in (*one.interval, one.mean)]
    reach = _rounded_up(max([end for end in ends if math.isfinite(end)], default=0.1))
    middle = (_LEFT + _RIGHT) / 2

    def place(value: float) -> float:
        return round(middle + max(-1.0, min(1.0, value / reach)) * (_RIGHT - _LEFT) / 2, 1)

    rows = [
        {
            "name": one.other,
            "y": _TOP + number * 30 + 15,
            "low": place(one.interval[0]),
            "high": place(one.interval[1]),
            "mean": place(one.mean),
            "sure": one.clear,
            "text": _difference(one),
        }
        for number, one in enumerate(verdict.differences)
    ]
    ticks = [
        {"x": place(share * reach), "text": f"{share * reach:+.2g}" if share else "0"}
        for share in (-1, -0.5, 0, 0.5, 1)
    ]
    return {"rows": rows, "ticks": ticks, "zero": place(0.0), "high": _TOP + 30 * len(rows),
            "wide": _RIGHT + 64, "left": _LEFT, "right": _RIGHT}  # fmt: skip


def _rounded_up(value: float) -> float:
    """Return the next of 1, 2, 5 times a power of ten: the end of a scale."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-3)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * 0.999)


def _difference(one: Difference) -> str:
    return f"{one.mean:+.3f} ({one.interval[0]:+.3f} to {one.interval[1]:+.3f})"


def _row(found: Compared, level: str) -> dict[str, Any]:
    mean, ends = found.whole.summary.overall[level]
    fewer, fewer_ends = found.missing.summary.overall[level]
    apart = {one.other: _difference(one) for one in found.verdict.differences}
    return {
        "name": level,
        "best": level == found.verdict.best,
        "dice": f"{mean:.3f}",
        "interval": f"{ends[0]:.3f} to {ends[1]:.3f}",
        "missing": f"{fewer:.3f}",
        "missing_interval": f"{fewer_ends[0]:.3f} to {fewer_ends[1]:.3f}",
        "apart": apart.get(level, ""),
        "steps": f"{found.steps[level]:.0f}",
    }


def _labels(found: Compared) -> list[dict[str, Any]]:
    """Return, for each label, the Dice of each level: all scans, and one missing."""

    def values(subsets: Mapping[str, Mapping[str, Any]], name: str) -> list[str]:
        return [f"{subsets[level][name].dice:.3f}" for level in found.contest.levels]

    whole, missing = found.whole.summary.subsets, found.missing.summary.subsets
    names = list(next(iter(whole.values())))
    return [
        {"name": name, "whole": values(whole, name), "missing": values(missing, name)}
        for name in names
    ]


def _mean(found: Evaluation, level: str) -> float:
    return found.summary.overall[level][0]


def _cases(found: Evaluation, level: str) -> list[float]:
    return [one.scores.mean_dice for one in found.scored if one.paired.subset == level]
