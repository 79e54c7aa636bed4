"""What the label maps of a cohort hold, seen before any scan is read: grids, values, sizes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medfuse.errors import InputError, Repair
from medfuse.geometry import Geometry
from medfuse.io.volumes import read_labels
from medfuse.progress import Progress, silent
from medfuse.study import StudyEntry
from medfuse.training.settings import Target, TrainSettings
from medfuse.volume import LabelMap

BACKGROUND, IGNORED = 0, 255  # codes; labels' values are numbered from 1 between them
MOST_VALUES = 254


@dataclass(frozen=True)
class Seen:
    """One visit's label map: its ``grid``, and how many voxels each value above 0 has."""

    id: str
    grid: Geometry
    counts: Mapping[int, int]
    names: Mapping[int, str]


@dataclass(frozen=True)
class Coding:
    """Which code each value of a label map gets, and which targets each code belongs to.

    ``values[c - 1]`` is the value behind code ``c``; 0 is background, 255 is not looked at.
    """

    targets: tuple[Target, ...]
    values: tuple[int, ...]
    ignored: tuple[int, ...]
    others: str

    @property
    def overlapping(self) -> bool:
        """Whether some value belongs to two targets: then each is judged by itself (sigmoid)."""
        named = [value for target in self.targets for value in target.values]
        return len(set(named)) < len(named)

    @property
    def classes(self) -> int:
        """Channels of the network: targets, and and background where they exclude each other."""
        return len(self.targets) + (not self.overlapping)

    def membership(self) -> np.ndarray:
        """Return which channels (V + 1, K) each code belongs to, bool; code 0 is the first row."""
        table = np.zeros((len(self.values) + 1, self.classes), dtype=bool)
        first = 0 if self.overlapping else 1
        for channel, target in enumerate(self.targets, start=first):
            for value in target.values:
                table[self.values.index(value) + 1, channel] = True
        if not self.overlapping:
            table[:, 0] = ~table[:, 1:].any(axis=1)
        return table

    def encode(self, labels: LabelMap, where: object) -> np.ndarray:
        """Return the codes (D, H, W) uint8 of a label map.

        Raises ``InputError`` (C7) for a value that the coding does not know.
        """
        table = np.full(65536, IGNORED if self.others == "ignore" else BACKGROUND, np.uint8)
        self.check(np.unique(labels.array).tolist(), where)
        table[list(self.values)] = np.arange(1, len(self.values) + 1)
        table[0] = BACKGROUND
        table[list(self.ignored)] = IGNORED
        codes: np.ndarray = table[labels.array]
        return codes

    def check(self, values: Iterable[int], where: object) -> None:
        """Refuse ``values`` of a label map that nobody named (C7), unless others may be there."""
        known = {0, *self.values, *self.ignored}
        unknown = [value for value in values if value not in known]
        if unknown and self.others == "refuse":
            raise InputError(
                f"holds the label {unknown[0]}, which the recipe does not name",
                where=where,
                hint="name it in labels, or set others to background or ignore",
                id="C7",
            )


def survey(entries: Iterable[StudyEntry], *, progress: Progress = silent) -> list[Seen]:
    """Read the label map of each visit; raises ``InputError`` naming the file."""
    wanted = list(entries)
    found = []
    for done, entry in enumerate(wanted):
        progress("looking at labels", done, len(wanted))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", Repair)
            labels = read_visit_labels(entry)
        _retell(entry, caught)
        values, counts = np.unique(labels.array, return_counts=True)
        sizes = {int(v): int(n) for v, n in zip(values, counts, strict=True) if v}
        found.append(Seen(entry.id, labels.geometry, sizes, labels.names))
    progress("looking at labels", len(wanted), len(wanted))
    return found


def _retell(entry: StudyEntry, caught: Iterable[warnings.WarningMessage]) -> None:
    """Warn of the repairs of a visit's label map again, with the visit's name."""
    for warned in caught:
        if isinstance(warned.message, Repair):
            what = f"{entry.id}: labels: {warned.message.what}"
            warnings.warn(Repair(what, id=warned.message.id), stacklevel=3)


def read_visit_labels(entry: StudyEntry) -> LabelMap:
    """Read the label map of a visit; what is no label is said under C7, with its file."""
    assert entry.labels is not None
    try:
        return read_labels(entry.labels)
    except InputError as error:
        if error.id == "N16":
            error.id = "C7"
        if error.where is None:
            error.where = entry.labels
        raise


def coding_for(seen: Sequence[Seen], settings: TrainSettings) -> Coding:
    """Return which values are learned as what.

    Without ``labels`` in the recipe each value that occurs is a target, named as the files say or
    ``label 7``. Raises ``InputError`` (C7) where nothing is left to learn, or there are too many.
    """
    present = sorted({value for one in seen for value in one.counts} - set(settings.ignore))
    targets = settings.labels
    if not targets:
        names = {value: name for one in seen for value, name in one.names.items()}
        targets = tuple(Target(names.get(v, f"label {v}"), (v,)) for v in present)
    values = tuple(sorted({value for target in targets for value in target.values}))
    if not set(values) & set(present):
        raise InputError(
            "no label map holds any of the labels to learn",
            hint=f"they hold {listed(present) or 'only background'}; check labels in the recipe",
            id="C7",
        )
    if len(values) > MOST_VALUES:
        raise InputError(f"{len(values)} label values are too many", hint="name some", id="C7")
    return Coding(targets, values, settings.ignore, settings.others)


def unheld(targets: Iterable[Target], seen: Iterable[Seen]) -> list[Target]:
    """Return the targets of which no label map holds a value."""
    there = {value for one in seen for value in one.counts}
    return [target for target in targets if not there & set(target.values)]


def listed(values: Sequence[object]) -> str:
    """Return values on one line, the first twelve where there are more."""
    shown = ", ".join(map(str, values[:12]))
    return (shown + ", ...") if len(values) > 12 else shown
