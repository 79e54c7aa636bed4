"""Visits in memory, as a network sees them: one upright grid, one spacing, one range of values."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medfuse.errors import GeometryError, InputError, Repair
from medfuse.geometry import Geometry
from medfuse.intensity import normalise
from medfuse.io.volumes import read_volume
from medfuse.progress import Progress, silent
from medfuse.resampling import LEAST_OVERLAP, overlap, resample
from medfuse.study import StudyEntry
from medfuse.training.plan import Plan
from medfuse.training.settings import Triple
from medfuse.training.survey import read_visit_labels
from medfuse.volume import LabelMap, Volume

_PLACES = 4000  # voxels of each label that a patch may be drawn around


@dataclass(frozen=True, eq=False)
class Case:
    """One visit: ``images`` (M, D, H, W) float16 (absent rows zero), ``present`` (M,), ``codes``.

    ``codes`` uint8 are those of ``survey.Coding``, on a grid that is ``finer`` by whole numbers
    along each axis: (D * f, H * g, W * h). ``places`` are voxels (N, 3) of each target that
    occurs, for drawing patches; ``repairs`` what was repaired in the scans; ``vanished`` the
    targets (their places in the plan) of which the label map holds something, the codes nothing.
    """

    id: str
    images: Tensor
    present: Tensor
    codes: Tensor
    places: tuple[np.ndarray, ...]
    finer: Triple = (1, 1, 1)
    repairs: tuple[Repair, ...] = ()
    vanished: tuple[int, ...] = ()

    @property
    def shape(self) -> Triple:
        """The voxels (D, H, W) of one image."""
        d, h, w = self.images.shape[1:]
        return d, h, w

    @property
    def bytes(self) -> int:
        """The memory that the case takes."""
        return self.images.numel() * 2 + self.codes.numel()


def load_cases(
    entries: Sequence[StudyEntry],
    plan: Plan,
    *,
    resample_labels: bool = False,
    threads: int = 1,
    progress: Progress = silent,
) -> list[Case]:
    """Read and prepare visits, in their order; ``threads`` of them are read at a time.

    Raises ``InputError`` naming the visit: scans of one visit on different grids (C9), labels on
    another grid unless ``resample_labels``, and then where nothing that is labelled reaches the
    scans, or some lies outside and less than a tenth of the smaller field of view is shared (C8), a
    label value that nobody named (C7), none of the plan's modalities.
    """
    cases = []
    with ThreadPoolExecutor(max_workers=threads) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", Repair)  # told below, with the name of the visit
        made = pool.map(lambda e: load_case(e, plan, resample_labels=resample_labels), entries)
        for done, case in enumerate(made):
            progress("preparing visits", done, len(entries))
            cases.append(case)
    progress("preparing visits", len(entries), len(entries))
    for case in cases:
        for repair in case.repairs:
            warnings.warn(Repair(f"{case.id}: {repair.what}", id=repair.id), stacklevel=2)
    return cases


def load_case(entry: StudyEntry, plan: Plan, *, resample_labels: bool = False) -> Case:
    """Read one visit and carry it onto the plan's spacing; see ``load_cases`` for the errors."""
    volumes = read_scans(entry, plan.names)
    grid = one_grid(entry, volumes)
    labels, carried = _placed(entry, read_visit_labels(entry), grid, resample_labels)
    onto = grid.upright().respace(plan.spacing)
    drawn = plan.coding.encode(labels, entry.labels)
    fine = onto.respace(_divided(plan.spacing, plan.finer))
    codes = resample(LabelMap(drawn.astype(np.uint16), grid), fine).array.astype(np.uint8)
    vanished = _vanished(drawn, codes, plan)
    images = torch.zeros((len(plan.names), *onto.shape), dtype=torch.float16)
    present = torch.zeros(len(plan.names), dtype=torch.bool)
    for row, modality in enumerate(plan.modalities):
        if modality.name in volumes:
            ready = normalise(resample(volumes[modality.name], onto), modality.scheme)
            images[row] = torch.from_numpy(ready.array.copy())  # half precision: values below 10
            present[row] = True
    return Case(
        entry.id,
        images,
        present,
        torch.from_numpy(codes),
        _places(codes, plan),
        plan.finer,
        (*_repairs(volumes), *carried, *_told_of(vanished, plan)),
        vanished,
    )


def _repairs(volumes: dict[str, Volume]) -> list[Repair]:
    """Return what was repaired in the scans of a visit, each with the scan's name."""
    found: list[Repair] = []
    for name, volume in volumes.items():
        noted = () if volume.source is None else volume.source.repairs
        found += [Repair(f"{name}: {repair.what}", id=repair.id) for repair in noted]
    return found


def _vanished(before: np.ndarray, after: np.ndarray, plan: Plan) -> tuple[int, ...]:
    """Return which targets of a visit are in the codes ``before``, but not in those ``after``."""
    membership = plan.coding.membership()[:, -len(plan.labels) :]
    known = len(membership)
    there, left = (
        membership[np.bincount(codes.ravel(), minlength=known)[:known] > 0].any(axis=0)
        for codes in (before, after)
    )
    return tuple(np.flatnonzero(there & ~left).tolist())


def _told_of(vanished: Sequence[int], plan: Plan) -> list[Repair]:
    names = [plan.labels[number].name for number in vanished]
    what = "is too small for the plan's spacing: nothing of it can be learned here"
    return [Repair(f"label {name!r} {what}", id="C12") for name in names]


def read_scans(entry: StudyEntry, names: Sequence[str]) -> dict[str, Volume]:
    """Return the scans of a visit that are among ``names``; raises ``InputError`` for none."""
    wanted = [name for name in names if name in entry.volumes]
    if not wanted:
        raise InputError(
            f"has none of {', '.join(names)}",
            where=entry.id,
            hint="leave the visit out, or name another modality",
            id="C4",
        )
    return {name: read_volume(entry.volumes[name], modality=name) for name in wanted}


def one_grid(entry: StudyEntry, volumes: dict[str, Volume]) -> Geometry:
    """Return the one grid of a visit's scans; ``GeometryError`` (C9) where there are several."""
    first, *rest = volumes
    grid = volumes[first].geometry
    for name in rest:
        if not volumes[name].geometry.same_grid(grid):
            raise GeometryError(
                f"{name} lies on another grid than {first}",
                where=entry.id,
                hint="bring the scans of this visit onto one grid with medfuse register",
                id="C9",
            )
    return grid


def _placed(
    entry: StudyEntry, labels: LabelMap, grid: Geometry, allowed: bool
) -> tuple[LabelMap, list[Repair]]:
    """Return the label map on the grid of the scans, and that it was carried there."""
    if labels.geometry.same_grid(grid):
        return labels, []
    if not allowed:
        raise GeometryError(
            "the label map lies on another grid than the scans",
            where=entry.id,
            hint="draw it on one of them, or add --resample-labels",
            id="C8",
        )
    moved, inside = resample(labels, grid), _inside(labels, grid)
    arrived = bool(moved.array.any())
    _refuse_elsewhere(entry, inside, arrived, overlap(grid, labels.geometry))
    what = "the label map was carried onto the scans' grid (nearest neighbour)"
    if inside < 1:
        what += f"; {1 - inside:.0%} of what is labelled lies outside"
    if not arrived and labels.array.any():
        what += "; what is labelled is too small for that grid: nothing of it is left"
    return moved, [Repair(what, id="C8")]


def _refuse_elsewhere(entry: StudyEntry, inside: float, arrived: bool, shared: float) -> None:
    """Raise ``GeometryError`` (C8) for a label map that can not be that of the scans.

    A map may be much larger than the scans: most of what is labelled then lies outside.
    """
    if inside == 0 and not arrived:
        what = "nothing of what is labelled lies inside the scans"
    elif inside < 1 and shared < LEAST_OVERLAP:
        what = f"the label map shares only {shared:.0%} of the smaller field of view with the scans"
    else:
        return
    hint = "check that the label map is that of this visit"
    raise GeometryError(what, where=entry.id, hint=hint, id="C8")


def _inside(labels: LabelMap, grid: Geometry) -> float:
    """Return the share of the labelled voxels, 0 to 1, whose centres lie inside ``grid``."""
    last = np.asarray(grid.shape) - 1
    count = inside = 0
    for d, plane in enumerate(labels.array):  # places of a whole body at once would fill memory
        voxels = np.insert(np.argwhere(plane), 0, d, axis=1)
        there = grid.voxel(labels.geometry.world(voxels))
        count += len(voxels)
        inside += int(((there >= -0.5) & (there <= last + 0.5)).all(axis=1).sum())
    return inside / count if count else 1.0


def _places(codes: np.ndarray, plan: Plan) -> tuple[np.ndarray, ...]:
    """Return voxels (N, 3) of each target that occurs; evenly thinned where there are many."""
    found = []
    values = plan.coding.values
    for target in plan.labels:
        mine = [values.index(value) + 1 for value in target.values]
        voxels = np.argwhere(np.isin(codes, mine))
        if len(voxels):
            found.append(voxels[:: -(-len(voxels) // _PLACES)] // plan.finer)
    return tuple(found)


def _divided(spacing: tuple[float, float, float], parts: Triple) -> tuple[float, float, float]:
    d, h, w = (step / part for step, part in zip(spacing, parts, strict=True))
    return d, h, w
