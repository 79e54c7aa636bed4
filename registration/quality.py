"""How far to trust an alignment: figures that cost little, and a verdict with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from medfuse import seeds
from medfuse.errors import QualityRefused, UsageError
from medfuse.geometry import Array64
from medfuse.metrics import folding
from medfuse.study import AlignedStudy, Quality, Verdict
from medfuse.transform import Affine, Chain, Displacement, Transform
from medfuse.volume import Volume
from registration.initialize import FIRST, search
from registration.linear import climb, refine
from registration.measure import Measure
from registration.pair import Pair
from registration.pose import about, distinct, landmarks, moved, steps
from registration.scoring import FULL_OVERLAP
from registration.settings import RegisterSettings

_APART = 12.0


def assess(
    fixed: Volume,
    moving: Volume,
    transform: Transform,
    *,
    rivals: Sequence[Transform] = (),
    masks: tuple[Volume | None, Volume | None] = (None, None),
    both_ways: bool = False,
    seed: int = 0,
) -> Quality:
    """Judge a linear ``transform`` (fixed to moving points, LPS mm), whoever made it.

    ``rivals`` are other poses to compare it with; without any, they are searched for.
    ``both_ways`` also refines the way back, from moving to fixed, and adds how far a point comes
    back from where it began (``inverse_consistency_mm``, about a second). Raises ``UsageError``
    for a transform that is not linear.
    """
    if not isinstance(transform, Affine):
        raise UsageError("only a linear transform can be assessed on its own")
    pair = Pair.of(fixed, moving, masks)
    poses = [pair.turned(r.moving_from_fixed) for r in rivals if isinstance(r, Affine)]
    if not poses:
        poses = [found.climbed.matrix for found in search(pair, "auto", FIRST, seed)]
    found = judge(pair, transform, transform, poses, seed)
    if not both_ways:
        return found
    away = round(_inverse_consistency(pair, transform, seed), 4)
    return replace(found, figures={**found.figures, "inverse_consistency_mm": away})


def judge(
    pair: Pair, transform: Transform, linear: Affine, rivals: Sequence[Array64], seed: int
) -> Quality:
    """Return figures and verdict of a prepared pair; see ``assess``."""
    fixed, moving = pair.inner, pair.outer
    points = fixed.points(6000, seeds.rng(seed, "assess"))
    measure = Measure.between((fixed, fixed.middle), (moving, moving.middle), points)
    marks = landmarks(fixed.mass_centre, fixed.radius)
    matrix = pair.turned(linear.moving_from_fixed)
    information, _, _, compared = measure.at(matrix)
    figures = {
        "overlap": pair.overlap(linear),
        "margin": _margin(measure, matrix, rivals, marks),
        "sharpness": _sharpness(measure, matrix, marks),
        "stability_mm": _stability(pair, points, matrix, marks),
        "information_nats": information,
        "compared": compared,
        "compared_cm3": compared * fixed.extent_mm3 / 1000,
    }
    if isinstance(transform, Chain):
        bent = [part for part in transform.parts if isinstance(part, Displacement)]
        figures["folding_percent"] = 100 * max((folding(part) for part in bent), default=0.0)
    verdict, reasons = _verdict(figures)
    return Quality(verdict, {k: round(float(v), 4) for k, v in figures.items()}, reasons)


def _weight(measure: Measure, matrix: Array64) -> float:
    information, _, _, overlap = measure.at(matrix)
    return information * min(1.0, overlap / FULL_OVERLAP)


def _margin(measure: Measure, matrix: Array64, rivals: Sequence[Array64], marks: Array64) -> float:
    """Information of the pose over that of the best other pose (10 where there is none)."""
    others = [
        _weight(measure, rival)
        for rival in rivals
        if len(distinct(np.stack([matrix, rival]), marks, _APART)) == 2
    ]
    return min(10.0, _weight(measure, matrix) / max(max(others, default=0.0), 1e-9))


def _sharpness(measure: Measure, matrix: Array64, marks: Array64) -> float:
    """Information of the pose over that after the most harmless of twelve steps of 8 mm or deg."""
    turn, shift = steps(8.0, 8.0)
    centre = moved(matrix[None], marks)[0, 0]
    around = about(centre, turn, shift) @ matrix
    return min(10.0, _weight(measure, matrix) / max(max(_weight(measure, m) for m in around), 1e-9))


def _stability(pair: Pair, points: Array64, matrix: Array64, marks: Array64) -> float:
    """Distance between the poses that two disjoint halves of the points climb to, mm."""
    fixed, moving = pair.inner, pair.outer
    ends = []
    for half in (points[::2], points[1::2]):
        measure = Measure.between((fixed, fixed.middle), (moving, moving.middle), half)
        ends.append(climb(measure, matrix, iterations=8, radius=fixed.radius).matrix)
    first, second = moved(np.stack(ends), marks)
    return float(np.sqrt(((first - second) ** 2).sum(-1).mean()))


def _inverse_consistency(pair: Pair, transform: Affine, seed: int) -> float:
    """Mean distance of a point from itself after ``transform`` and a refined way back, mm."""
    back = Pair.of(pair.moving, pair.fixed, pair.masks[::-1], spacing=pair.spacing)
    kind: Literal["rigid", "affine"] = "rigid" if transform.is_rigid else "affine"
    asked = RegisterSettings(transform=kind)
    way = refine(back, transform.inverse(), asked, seeds.rng(seed, "back")).transform
    points = pair.prepared_fixed.points(2000, seeds.rng(seed, "consistency"))
    return float(np.linalg.norm(way.map(transform.map(points)) - points, axis=1).mean())


def _verdict(figures: dict[str, float]) -> tuple[Verdict, tuple[str, ...]]:
    folds = figures.get("folding_percent", 0.0)
    doubts = {
        f"only {figures['overlap']:.0%} of the fixed foreground is inside the moving volume": (
            figures["overlap"] < 0.35
        ),
        f"only {figures['compared_cm3']:.0f} cm3 of tissue could be compared": (
            figures["compared_cm3"] < 300
        ),
        f"the volumes tell little of each other ({figures['information_nats']:.2f} nats)": (
            figures["information_nats"] < 0.25
        ),
        f"another pose fits almost as well (margin {figures['margin']:.2f})": (
            figures["margin"] < 1.2
        ),
        f"a step of 8 mm or degrees from this pose fits nearly as well "
        f"(sharpness {figures['sharpness']:.2f})": figures["sharpness"] < 1.08,
        f"half of the points give a pose {figures['stability_mm']:.1f} mm away": (
            figures["stability_mm"] > 3.0
        ),
        f"the deformation folds {folds:.2g} % of space": folds > 0,
    }
    reasons = tuple(reason for reason, holds in doubts.items() if holds)
    if figures["compared"] < 0.1:
        return "fail", (*reasons, "the two volumes show next to nothing in common")
    return ("review", reasons) if reasons else ("pass", ())


def gate(aligned: AlignedStudy, *, keep: Literal["pass", "review"] = "review") -> AlignedStudy:
    """Drop the volumes whose alignment is not good enough, with the reason kept.

    ``keep="review"`` keeps *pass* and *review*, ``"pass"`` only *pass*. Raises ``QualityRefused``
    where there were moving volumes and none is left.
    """
    allowed = {"pass"} if keep == "pass" else {"pass", "review"}
    refused = {
        name: "; ".join(quality.reasons) or quality.verdict
        for name, quality in aligned.quality.items()
        if quality.verdict not in allowed and name in aligned.volumes
    }
    volumes = {name: vol for name, vol in aligned.volumes.items() if name not in refused}
    if refused and not any(name in volumes for name in aligned.quality):
        raise QualityRefused(
            "no moving volume is aligned well enough",
            hint="look at the page; other starts or masks may help",
            verdicts={name: aligned.quality[name].reasons for name in refused},
        )
    return replace(aligned, volumes=volumes, dropped={**aligned.dropped, **refused})
