"""Files that stand for two things in a cohort: slips that no training would notice."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medfuse.errors import InputError, Repair
from medfuse.io import files
from medfuse.io.locators import Locator, locate
from medfuse.io.volumes import read_labels
from medfuse.study import Cohort, StudyEntry

_LABELS = "label map"


@dataclass(frozen=True)
class _Named:
    """What one visit calls ``name`` (``T1``, or label map), and where it lies."""

    entry: StudyEntry
    name: str
    given: Locator

    @property
    def place(self) -> object:
        """Where it lies and how it is to be read, by whatever name."""
        return Path(self.given.path).resolve(), self.options

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """How it is to be read: two parts of one file are two scans."""
        return tuple(sorted(self.given.options.items()))


def refuse_shared(cohort: Cohort, where: object) -> None:
    """Raise ``InputError`` (C6) where one thing stands for two.

    The same bytes as scans of two patients: one of them would be learned and tested on. The same
    bytes as two scans of a visit (of two visits of a patient: a ``Repair``). One file as the
    labels of two patients, unless it is empty; two files may say the same, as of a structure that
    fills a template.
    """
    scans = [
        _Named(entry, name, locate(text))
        for entry in cohort.studies
        for name, text in entry.volumes.items()
    ]
    for group in _alike(scans):
        _refuse_scans(group, where)
    maps: dict[object, list[_Named]] = defaultdict(list)
    for entry in cohort.studies:
        if entry.labels:
            named = _Named(entry, _LABELS, locate(entry.labels))
            maps[named.place].append(named)
    for group in maps.values():
        if len({one.entry.subject for one in group}) > 1 and _holds_labels(group[0]):
            _refuse_patients(group, where)


def _alike(named: Iterable[_Named]) -> Iterator[list[_Named]]:
    """Yield groups of the same bytes; of folders (DICOM), of the same place and reading.

    Only files of one size can be the same, so few are read.
    """
    sized: dict[object, list[_Named]] = defaultdict(list)
    for one in named:
        path = Path(one.given.path)
        sized[path.stat().st_size if path.is_file() else one.place].append(one)
    for size, group in sized.items():
        same: dict[object, list[_Named]] = defaultdict(list)
        for one in group if len(group) > 1 else ():
            content = files.sha256(Path(one.given.path)) if isinstance(size, int) else size
            same[content].append(one)
        yield from (found for found in same.values() if len(found) > 1)


def _refuse_scans(group: list[_Named], where: object) -> None:
    _refuse_patients(group, where)
    for options in sorted({one.options for one in group}):
        alike = [one for one in group if one.options == options]
        visits = sorted({one.entry.id for one in alike})
        if len(visits) > 1:  # no leak, as a patient is on one side alone, but hardly meant
            what = f"{alike[0].name} is one scan, byte for byte, in the visits {', '.join(visits)}"
            warnings.warn(Repair(what, id="C6"), stacklevel=4)
    seen: dict[object, str] = {}
    for one in group:
        first = seen.setdefault((one.entry.id, one.options), one.name)
        if first != one.name:
            raise InputError(
                f"{first} and {one.name} of {one.entry.id!r} are one scan, byte for byte",
                where=where,
                hint="list each scan under its own modality alone",
                id="C6",
            )


def _refuse_patients(group: list[_Named], where: object) -> None:
    first = group[0].entry.subject
    for one in group:
        if one.entry.subject != first:
            what = one.name if one.name == _LABELS else f"{one.name} scan, byte for byte"
            raise InputError(
                f"subjects {first!r} and {one.entry.subject!r} share one {what}",
                where=where,
                hint="list what belongs to a patient under that patient alone",
                id="C6",
            )


def _holds_labels(named: _Named) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Repair)
            return bool(read_labels(named.given).array.any())
    except InputError:  # whoever reads it for its voxels says what is wrong
        return False
