"""Tests that need no truth: turn the moving header by a known motion, and the answer must follow.

With A the answer before and B the one after the turn T, B should be T after A: the differential
error is the mean of |B(x) - T(A(x))| over points of the fixed body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ledger import Ledger, Row

from linear.tools import Bench, error_mm, turned
from medfuse import seeds
from medfuse.geometry import Array64
from medfuse.phantom.scanners import about, rotation
from medfuse.transform import Affine
from medfuse.volume import Volume

_POINTS = 2000


@dataclass(frozen=True)
class Case:
    """A pair with a name, the group it is counted in, and how far its header is turned."""

    part: str
    group: str
    name: str
    fixed: Volume
    moving: Volume
    degrees: float
    shift_mm: float
    turns: int


def body_points(volume: Volume, count: int = _POINTS) -> Array64:
    """Return random points of what is not air, (N, 3) LPS mm: the same for the same volume."""
    low, high = np.percentile(volume.array, (2, 98))
    inside = np.argwhere(volume.array > low + 0.3 * (high - low))
    chosen = seeds.rng(0, "points").choice(len(inside), min(count, len(inside)), replace=False)
    return volume.geometry.world(inside[chosen])


def turn_of(case: Case, number: int) -> Array64:
    """Return the motion (4, 4) of a turn about the centre of the moving volume."""
    rng = seeds.rng(number, "turn", case.name)
    shift = rng.uniform(-case.shift_mm, case.shift_mm, 3)
    return about(case.moving.geometry.centre, rotation(rng, case.degrees), shift)


def run(bench: Bench, ledger: Ledger, cases: list[Case], tools: list[str]) -> None:
    """Measure the differential error of every case and tool."""
    for case in cases:
        points = body_points(case.fixed)
        for tool in tools:
            for number in range(case.turns):
                key = _key(case, tool, number)
                if ledger.has(**key):
                    continue
                before = _answer(bench, ledger, case, tool)
                after = _run(bench, case, tool, turn_of(case, number))
                ledger.add(key, **_judged(before, after, turn_of(case, number), points))
                row = ledger.rows[-1]
                print(f"{row['key']}: {row.get('failed') or row['error']}", flush=True)


def _key(case: Case, tool: str, number: int) -> dict[str, Any]:
    return {
        "part": case.part,
        "group": case.group,
        "case": case.name,
        "tool": tool,
        "seed": number,
    }


def _answer(bench: Bench, ledger: Ledger, case: Case, tool: str) -> Row:
    """Return the answer for the header as it is, measured once."""
    key = {"part": "as-it-is", "case": case.name, "tool": tool}
    if not ledger.has(**key):
        ledger.add(key, **_run(bench, case, tool, np.eye(4)))
    return next(ledger.select(**key))


def _run(bench: Bench, case: Case, tool: str, turn: Array64) -> Row:
    fixed = bench.put("fixed", case.fixed)
    return bench.run(tool, fixed, bench.put("moving", turned(case.moving, turn)))


def _judged(before: Row, after: Row, turn: Array64, points: Array64) -> Row:
    if "failed" in before or "failed" in after:
        return {"failed": after.get("failed") or before["failed"], "error": None}
    expected = Affine(turn @ np.asarray(before["matrix"]))
    judged = {
        "error": error_mm(after["matrix"], expected, points),
        "cpu": after["cpu"],
        "rss": after["rss"],
        "matrix": after["matrix"],
    }
    if "verdict" in after:  # counts as pass only where both runs do
        order = ("pass", "review", "fail")
        judged["verdict"] = max(before["verdict"], after["verdict"], key=order.index)
        judged["figures"] = after["figures"]
    return judged
