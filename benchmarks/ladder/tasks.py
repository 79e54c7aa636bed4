"""Made cases of which it is known how well they can be segmented: see ``ceilings``.

A body (a turned ellipsoid) with three organs shows in all modalities, each with its own levels.
Lesions are balls of exactly the same number of voxels. What a lesion is comes from a shuffled
deck, in which each combination lies equally often, so a ceiling holds on the set itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from medfuse import seeds

Array32 = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]
Kind = Literal["code-match", "subset"]
Damage = Literal["foreign", "noise", "shift"]
DAMAGES: tuple[Damage, ...] = ("foreign", "noise", "shift")

BODY = 0.4
_ORGANS = ((0.20, 0.60, 0.30, 0.55), (0.60, 0.25, 0.55, 0.20), (0.30, 0.20, 0.65, 0.60))
_NOISE = 0.05
_LOWEST, _APART = 0.8, 0.3  # grey level of the first code, and between codes
_MARK = 1.0  # grey level of a lesion where it shows


@dataclass(frozen=True)
class Task:
    """What a set of cases is.

    ``code-match``: a lesion has a code in A and one in B of ``count`` codes, and is wanted where
    they are the same; with ``reach`` B (and its codes) lies up to so many voxels away along each
    axis, and what is wanted stays in A's frame: shift-match. ``subset``: a lesion shows in one of
    ``count`` modalities, all are wanted. ``margin``: voxels between any body and the border.
    """

    kind: Kind
    count: int = 4
    side: int = 32
    reach: int = 0
    margin: int = 2
    lesions: int = 24

    @property
    def modalities(self) -> int:
        """How many scans a case has."""
        return 2 if self.kind == "code-match" else self.count

    @property
    def deck(self) -> int:
        """How many different lesions there are."""
        return self.count**2 if self.kind == "code-match" else self.count


@dataclass(frozen=True)
class Cases:
    """``x`` (N, M, D, H, W), ``target`` (N, D, H, W), and what only the truth knows.

    ``shifts`` (N, M, 3): where the content of each scan lies against the first. ``codes`` (N, L,
    2): of each lesion in A and B; for *subset* the modality in which it shows, twice. ``lesions``
    (N, D, H, W): number of each lesion in the first scan's frame, from 1.
    """

    x: Array32
    target: Flags
    shifts: Whole
    codes: Whole
    lesions: npt.NDArray[np.int8]


def generate(task: Task, cases: int, *, seed: int, purpose: str) -> Cases:
    """Return so many cases; the deck is even where it divides their lesions.

    ``purpose`` ("train", "validate", "test") keeps the streams of one seed apart.
    """
    rng = seeds.rng(seed, "ladder", task.kind, task.side, purpose)
    cards = np.arange(cases * task.lesions) % task.deck
    cards = rng.permutation(cards).reshape(cases, task.lesions)
    codes = np.stack([cards // task.count, cards % task.count] if task.kind == "code-match"
                     else [cards, cards], axis=-1)  # fmt: skip
    made = [_case(task, own, rng) for own in codes]
    x, lesions, shifts = (np.stack(parts) for parts in zip(*made, strict=True))
    wanted = codes[..., 0] == codes[..., 1]  # all of them for subset
    table = np.concatenate([np.zeros((cases, 1), dtype=bool), wanted], axis=1)
    target = np.stack([own[number] for own, number in zip(table, lesions, strict=True)])
    return Cases(x, target, shifts, codes, lesions)


def damaged(cases: Cases, damage: Damage, *, seed: int) -> tuple[Cases, Whole]:
    """Return the cases with one scan each spoilt, and which (N,); each scan equally often.

    ``foreign``: the same scan of another case; ``noise``: grey noise as strong as the scan;
    ``shift``: moved by 6/64 to 12/64 of the side in any direction.
    """
    rng = seeds.rng(seed, "ladder", damage)
    count, modalities = cases.x.shape[:2]
    side = cases.x.shape[-1]
    which = rng.permutation(np.arange(count) % modalities)
    x = cases.x.copy()
    for case, scan in enumerate(which):
        if damage == "foreign":
            x[case, scan] = cases.x[(case + 1) % count, scan]
        elif damage == "noise":
            own = cases.x[case, scan]
            x[case, scan] = rng.normal(own.mean(), own.std(), own.shape)
        else:
            way = rng.normal(size=3)
            step = rng.uniform(6, 12) / 64 * side * way / np.linalg.norm(way)
            x[case, scan] = _moved(x[case, scan], np.rint(step).astype(int))
            air = _moved(np.ones((side,) * 3, dtype=np.float32), np.rint(step).astype(int)) == 0
            x[case, scan][air] = rng.normal(0, _NOISE, int(air.sum()))
    return replace(cases, x=x), which


def _case(task: Task, codes: Whole, rng: np.random.Generator) -> tuple[Array32, Whole, Whole]:
    """Return scans (M, D, H, W), numbered lesions (D, H, W), and shifts (M, 3)."""
    side, radius = task.side, task.side / 16
    places = None
    while places is None:
        centre = np.full(3, (side - 1) / 2)
        longest = (side - 1) / 2 - max(task.margin, task.reach)
        axes = longest * rng.uniform(0.8, 1, 3)
        body = _ellipsoid(side, centre, axes, rng)
        places = _scattered(body, radius, (radius + 0.5) / axes.min(), task.lesions, rng)
    organs = [_organ(side, centre, axes, rng) & (body < 1) for _ in _ORGANS]
    lesions = np.zeros((side,) * 3, dtype=np.int8)
    ball = _ball(radius)
    for number, place in enumerate(places, start=1):
        lesions[tuple((ball + place).T)] = number
    scans = np.empty((task.modalities, side, side, side), dtype=np.float32)
    shifts = np.zeros((task.modalities, 3), dtype=np.int64)
    shifts[1:] = rng.integers(-task.reach, task.reach + 1, (task.modalities - 1, 3))
    for scan in range(task.modalities):
        clean = np.where(body < 1, BODY, 0.0).astype(np.float32)
        for levels, organ in zip(_ORGANS, organs, strict=True):
            clean[organ] = levels[scan % len(levels)]
        for number, code in enumerate(codes, start=1):
            level = _level(task, scan, code)
            if level is not None:
                clean[lesions == number] = level
        scans[scan] = _moved(clean, shifts[scan])
    scans += _NOISE * rng.standard_normal(scans.shape, dtype=np.float32)
    return scans, lesions, shifts


def _level(task: Task, scan: int, code: Whole) -> float | None:
    """Return the grey level of a lesion in a scan, None where it does not show."""
    if task.kind == "subset":
        return _MARK if code[0] == scan else None
    if scan == 0:
        return _LOWEST + _APART * int(code[0])
    # B's levels go through a fixed permutation: no difference of grey levels tells a match
    order = seeds.rng(0, "ladder", "levels", task.count).permutation(task.count)
    if task.count == 4:
        order = np.array([2, 0, 3, 1])  # neither rising nor falling
    return _LOWEST + _APART * int(order[int(code[1])])


def _ellipsoid(
    side: int, centre: Array32, axes: Array32, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return at each voxel how far out it lies: below 1 inside."""
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    grid = np.indices((side,) * 3, dtype=np.float32).reshape(3, -1) - centre[:, None]
    return np.linalg.norm((turn / axes[:, None]) @ grid, axis=0).reshape((side,) * 3)


def _organ(side: int, centre: Array32, axes: Array32, rng: np.random.Generator) -> Flags:
    way = rng.normal(size=3)
    place = centre + axes.min() * rng.uniform(0.25, 0.6) * way / np.linalg.norm(way)
    return _ellipsoid(side, place, axes.min() * rng.uniform(0.25, 0.45, 3), rng) < 1


def _scattered(
    body: npt.NDArray[np.float64],
    radius: float,
    rim: float,
    count: int,
    rng: np.random.Generator,
) -> list[Whole] | None:
    """Return places of balls inside the body that do not touch, or None where they do not fit."""
    free = np.argwhere(body < 1 - rim)
    places: list[Whole] = []
    for _ in range(count):
        if not len(free):
            return None
        place = free[rng.integers(len(free))]
        places.append(place)
        free = free[np.square(free - place).sum(axis=1) >= (2 * radius + 1) ** 2]
    return places


def _ball(radius: float) -> Whole:
    """Return the voxels of a ball around the origin, (V, 3)."""
    reach = int(radius)
    steps = np.indices((2 * reach + 1,) * 3).reshape(3, -1).T - reach
    return steps[np.square(steps).sum(axis=1) <= radius**2]


def _moved(array: Array32, shift: Whole) -> Array32:
    """Return the content moved by whole voxels; what comes in from outside is 0."""
    moved = np.zeros_like(array)
    to = tuple(slice(max(0, s), n + min(0, s)) for s, n in zip(shift, array.shape, strict=True))
    of = tuple(slice(max(0, -s), n + min(0, -s)) for s, n in zip(shift, array.shape, strict=True))
    moved[to] = array[of]
    return moved
