"""Look at a cohort before anything is learned from it: every file, every grid, every label."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medfuse.errors import InputError, MedfuseError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.intensity import check_unit, scheme_for
from medfuse.io import files
from medfuse.io.locators import locate
from medfuse.io.volumes import read_labels, read_volume
from medfuse.progress import Progress, silent
from medfuse.study import Cohort, StudyEntry


@dataclass(frozen=True)
class Checked:
    """One visit: its ``grid``, its labels with their sizes in ml, and what is wrong with it."""

    entry: StudyEntry
    grid: Geometry | None = None
    labels: Mapping[int, float] | None = None
    repairs: tuple[Repair, ...] = ()
    problem: MedfuseError | None = None


def check_cohort(cohort: Cohort, *, threads: int = 1, progress: Progress = silent) -> list[Checked]:
    """Read every file of a cohort and return what was found, a visit at a time, in order.

    A visit's problem is the first one met: a file that cannot be read, a CT or PET in a unit that
    nothing can be learned from, scans on several grids (C9), labels on another grid (C8), values
    that are no labels (C7).
    """
    found = []
    with ThreadPoolExecutor(max_workers=threads) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", Repair)
        for done, one in enumerate(pool.map(check_visit, cohort.studies)):
            progress("reading visits", done, len(cohort.studies))
            found.append(one)
    progress("reading visits", len(found), len(found))
    return found


def check_visit(entry: StudyEntry) -> Checked:
    """Read one visit; what is wrong is returned, not raised."""
    grid, first = None, ""
    repairs: list[Repair] = []
    try:
        for name, path in entry.volumes.items():
            volume = read_volume(path, modality=name)
            noted = () if volume.source is None else volume.source.repairs
            repairs += [Repair(f"{name}: {one.what}", id=one.id) for one in noted]
            check_unit(volume, scheme_for(name))
            if grid is None:
                grid, first = volume.geometry, name
            elif not volume.geometry.same_grid(grid):
                what = f"{name} lies on another grid than {first}"
                hint = "bring them onto one grid with medfuse register"
                return Checked(entry, grid, problem=InputError(what, hint=hint, id="C9"))
        labels = None if entry.labels is None else _labels(entry.labels, grid)
    except (InputError, UsageError) as error:
        return Checked(entry, grid, repairs=tuple(repairs), problem=error)
    return Checked(entry, grid, labels, tuple(repairs))


def _labels(path: str, grid: Geometry | None) -> dict[int, float]:
    try:
        labels = read_labels(path)
    except InputError as error:
        if error.id == "N16":
            error.id = "C7"
        raise
    if grid is not None and not labels.geometry.same_grid(grid):
        raise InputError(
            "the label map lies on another grid than the scans",
            where=path,
            hint="draw it on one of them, or train with --resample-labels",
            id="C8",
        )
    values, counts = np.unique(labels.array, return_counts=True)
    volume = labels.geometry.voxel_volume / 1000
    return {int(v): float(n * volume) for v, n in zip(values, counts, strict=True) if v}


def same_labels(checked: Sequence[Checked]) -> list[Repair]:
    """Return a warning (C6) for each patient whose drawn labels are another's, byte for byte.

    That may be right, as of a structure that fills a template; more often a file was copied.
    """
    seen: dict[str, str] = {}
    found = []
    for one in checked:
        file = Path(locate(one.entry.labels or "").path)
        if one.labels and file.is_file():
            first = seen.setdefault(files.sha256(file), one.entry.subject)
            if first != one.entry.subject:
                what = f"the label map is that of {first!r}, byte for byte"
                found.append(Repair(f"{one.entry.id}: {what}", id="C6"))
    return found


def describe(cohort: Cohort, checked: Sequence[Checked]) -> list[str]:
    """Return what a cohort is, in lines for a person."""
    subjects = {entry.subject for entry in cohort.studies}
    lines = [f"{len(cohort.studies)} visits of {len(subjects)} patients"]
    have = Counter(name for entry in cohort.studies for name in entry.volumes)
    lines.append("scans: " + ", ".join(f"{name} {have[name]}" for name in cohort.modalities))
    roles = Counter(entry.role for entry in cohort.studies if entry.role)
    if roles:
        lines.append("split: " + ", ".join(f"{role} {n}" for role, n in sorted(roles.items())))
    grids = [one.grid for one in checked if one.grid is not None]
    if grids:
        steps = np.median([grid.upright().spacing for grid in grids], axis=0)
        sizes = np.median([grid.upright().shape for grid in grids], axis=0)
        lines.append(
            f"median grid: {' x '.join(f'{n:.0f}' for n in sizes)} voxels of "
            f"{' x '.join(f'{step:.2f}' for step in steps)} mm (d, h, w)"
        )
    return lines + _label_lines(checked)


def _label_lines(checked: Sequence[Checked]) -> list[str]:
    drawn = [one.labels for one in checked if one.labels is not None]
    lines = [f"label maps: {len(drawn)}, {sum(not one for one in drawn)} of them empty"]
    for value in sorted({value for one in drawn for value in one}):
        sizes = [one[value] for one in drawn if value in one]
        lines.append(
            f"  label {value}: in {len(sizes)} visits, median {float(np.median(sizes)):.2f} ml"
        )
    return lines
