"""Find the pose of one volume in another from any orientation and offset.

Thousands of poses are scored at once; the best are improved by a pattern search, first at 8 mm,
then at 4 mm, and climbed. What is left are ranked, distinct candidates. Two ways in: the whole
sphere of rotations, and the neighbourhoods of the header's pose and of aligned centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medfuse import seeds
from medfuse.geometry import Array64
from registration.levels import Prepared
from registration.linear import Climbed, climb
from registration.measure import Measure
from registration.pair import Pair
from registration.pose import about, distinct, even_rotations, landmarks, rotations, steps
from registration.scoring import ScoreArray, Scorer

_APART = 12.0  # mm: candidates closer than this are one
_NEAR_DEGREES, _NEAR_MM = 35.0, 45.0  # how far from the header's pose a patient may have moved


@dataclass(frozen=True)
class Effort:
    """How many poses a search looks at, and how many survive each stage."""

    rotations: int
    shifts: tuple[float, ...]  # distances of the crosses of shifts, mm
    kept: int
    refined: int


FIRST = Effort(rotations=2000, shifts=(28.0,), kept=160, refined=16)
SECOND = Effort(rotations=4000, shifts=(20.0, 40.0, 60.0, 85.0, 110.0), kept=800, refined=32)


@dataclass(frozen=True, eq=False)
class Stage:
    """The two scorers of a search, and the points that tell its poses apart."""

    coarse: Scorer
    middle: Scorer
    marks: Array64

    @classmethod
    def of(cls, fixed: Prepared, moving: Prepared, rng: np.random.Generator) -> Stage:
        """Draw the points (500 at 8 mm, 2,000 at 4 mm) and lay out both levels."""
        few, many = fixed.points(500, rng), fixed.points(2000, rng)
        return cls(
            Scorer((fixed, fixed.coarse), (moving, moving.coarse), points=few, bins=12),
            Scorer((fixed, fixed.middle), (moving, moving.middle), points=many, bins=20),
            landmarks(fixed.mass_centre, fixed.radius),
        )


def everywhere(fixed: Prepared, moving: Prepared, effort: Effort) -> Array64:
    """Return starting poses over all orientations and a cross of offsets, (P, 4, 4)."""
    turns = even_rotations(effort.rotations)
    cross = np.vstack([np.zeros((1, 3))] + [_cross(size) for size in effort.shifts])
    pairs = [(fixed.ball_centre, moving.ball_centre + shift) for shift in cross]
    pairs += [(fixed.mass_centre, moving.mass_centre)]
    pairs += [(fixed.ball_centre, moving.mass_centre), (fixed.mass_centre, moving.ball_centre)][
        : 2 if len(effort.shifts) > 1 else 0
    ]
    return np.concatenate([about(source, turns, goal - source) for source, goal in pairs])


def nearby(
    fixed: Prepared, start: Array64, rng: np.random.Generator, *, count: int = 600
) -> Array64:
    """Return poses within about 25 degrees and 35 mm of ``start`` (4, 4), itself first."""
    turn = rng.normal(size=(count, 3)) * np.radians(10.0)
    shift = rng.normal(size=(count, 3)) * 14.0
    turn[0], shift[0] = 0, 0
    centre = fixed.mass_centre @ start[:3, :3].T + start[:3, 3]
    return about(centre, rotations(turn), shift) @ start


def _cross(size: float) -> Array64:
    return size * np.vstack([np.eye(3), -np.eye(3)])


def narrow(stage: Stage, poses: Array64, *, kept: int, refined: int) -> tuple[Array64, ScoreArray]:
    """Return the best distinct poses after a pattern search at 8 mm and at 4 mm, best first."""
    scores, _ = stage.coarse(poses)
    best = np.argsort(-scores, kind="stable")[:kept]
    poses, scores = poses[best], scores[best]
    for degrees, survivors in ((10.0, kept), (6.0, max(48, kept // 4)), (3.0, 3 * refined)):
        poses, scores = _improve(stage.coarse, stage.marks, poses, scores, degrees)
        poses, scores = _thin(stage.marks, poses, scores, survivors, _APART)
    scores, _ = stage.middle(poses)
    for degrees, survivors in ((3.0, refined), (1.5, refined)):
        poses, scores = _improve(stage.middle, stage.marks, poses, scores, degrees)
        poses, scores = _thin(stage.marks, poses, scores, survivors, _APART)
    return poses, scores


def _improve(
    scorer: Scorer, marks: Array64, poses: Array64, scores: ScoreArray, degrees: float
) -> tuple[Array64, ScoreArray]:
    """Take the best of the twelve single steps around each pose while it helps, 4 times at most."""
    turn, shift = steps(degrees, 1.2 * degrees)
    poses, scores = poses.copy(), scores.copy()
    active = np.arange(len(poses))
    for _ in range(4):
        now = poses[active]
        centres = marks[0] @ now[:, :3, :3].transpose(0, 2, 1) + now[:, :3, 3]
        tries = np.stack(
            [
                about(centres, np.repeat(turn[n : n + 1], len(now), 0), shift[n]) @ now
                for n in range(12)
            ],
            axis=1,
        )  # (P, 12, 4, 4)
        found = scorer(tries.reshape(-1, 4, 4))[0].reshape(-1, 12)
        choice = found.argmax(axis=1)
        better = found[np.arange(len(now)), choice] > scores[active]
        active_better = active[better]
        poses[active_better] = tries[better, choice[better]]
        scores[active_better] = found[better, choice[better]]
        active = active_better
        if not len(active):
            break
    return poses, scores


def _thin(
    marks: Array64, poses: Array64, scores: ScoreArray, survivors: int, apart: float
) -> tuple[Array64, ScoreArray]:
    order = np.argsort(-scores, kind="stable")
    poses, scores = poses[order], scores[order]
    kept = distinct(poses, marks, apart)[:survivors]
    return poses[kept], scores[kept]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One pose in which a search ended; ``near_header`` where the headers had it about there."""

    climbed: Climbed
    near_header: bool

    @property
    def weight(self) -> float:
        """Its mutual information, less where little of the fixed foreground is inside."""
        return self.climbed.weight


def search(pair: Pair, way: str, effort: Effort, seed: int) -> list[Candidate]:
    """Return distinct candidates of a pair, best first.

    ``way``: *header* looks near the header's pose and near aligned centres, *search* everywhere,
    *auto* does both.
    """
    fixed, moving = pair.inner, pair.outer
    stage = Stage.of(fixed, moving, seeds.rng(seed, "search"))
    expected = (np.eye(4), _centred(fixed, moving))
    found: list[Array64] = []
    if way != "search":
        rng = seeds.rng(seed, "nearby")
        starts = np.concatenate([nearby(fixed, pose, rng) for pose in expected])
        found += list(narrow(stage, starts, kept=effort.kept // 2, refined=5)[0])
    if way != "header":
        wide, _ = narrow(
            stage, everywhere(fixed, moving, effort), kept=effort.kept, refined=effort.refined
        )
        found += list(wide[:5])
    return _climbed(pair, stage.marks, np.stack(found), expected, seed)


def _centred(fixed: Prepared, moving: Prepared) -> Array64:
    made: Array64 = about(np.zeros(3), np.eye(3)[None], moving.mass_centre - fixed.mass_centre)[0]
    return made


def _is_near(pose: Array64, expected: Array64, centre: Array64) -> bool:
    """Tell whether a pose lies within 35 degrees and 45 mm of the expected one."""
    cosine = (np.trace(pose[:3, :3].T @ expected[:3, :3]) - 1) / 2
    gap = (pose - expected)[:3, :3] @ centre + (pose - expected)[:3, 3]
    return bool(cosine > np.cos(np.radians(_NEAR_DEGREES)) and np.linalg.norm(gap) < _NEAR_MM)


def _climbed(
    pair: Pair, marks: Array64, found: Array64, expected: tuple[Array64, ...], seed: int
) -> list[Candidate]:
    """Climb from each pose; most end on the same few, which alone are climbed to the top."""
    points = pair.inner.points(5000, seeds.rng(seed, "climb"))
    few = _tops(pair, points[:2000], found[distinct(found, marks, _APART)], iterations=8)
    poses = np.stack([end.matrix for end in few])
    tops = _tops(pair, points, poses[distinct(poses, marks, _APART)], iterations=12)
    kept = distinct(np.stack([end.matrix for end in tops]), marks, _APART)
    return [
        Candidate(tops[n], any(_is_near(tops[n].matrix, pose, marks[0]) for pose in expected))
        for n in kept
    ]


def _tops(pair: Pair, points: Array64, poses: Array64, *, iterations: int) -> list[Climbed]:
    """Climb from each of ``poses`` (P, 4, 4) on ``points`` (N, 3) at 4 mm, best first."""
    fixed, moving = pair.inner, pair.outer
    measure = Measure.between((fixed, fixed.middle), (moving, moving.middle), points)
    ended = [climb(measure, pose, iterations=iterations, radius=fixed.radius) for pose in poses]
    return sorted(ended, key=lambda end: -end.weight)
