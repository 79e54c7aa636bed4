"""Nouns made of nouns: a visit as it came, the same on one grid with verdicts, and many visits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from medfuse import seeds
from medfuse.errors import GeometryError, InputError, UsageError
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.transform import Transform
from medfuse.volume import Array32, LabelMap, Volume

Verdict = Literal["pass", "review", "fail"]


@dataclass(frozen=True)
class Quality:
    """What is known about one alignment.

    ``figures`` are what was measured (names with units, such as ``overlap`` or ``margin``),
    ``reasons`` the sentences behind a verdict that is not *pass*; ``error_mm`` and
    ``interval_mm`` an estimate of the error, where one could be made.
    """

    verdict: Verdict
    figures: Mapping[str, float]
    reasons: tuple[str, ...] = ()
    error_mm: float | None = None
    interval_mm: tuple[float, float] | None = None


@dataclass(frozen=True)
class Study:
    """One patient, one visit: ``volumes`` by name, each on its own grid, as they came.

    Names are the modality's (``T1``, ``CT``), numbered from the second of one modality on
    (``T1-2``). ``id`` is the user's word for the case, never a DICOM patient id; ``report`` is
    the written report's text, if there is one.
    """

    id: str
    volumes: Mapping[str, Volume]
    report: str | None = field(default=None, repr=False)
    labels: LabelMap | None = None

    def __post_init__(self) -> None:
        """Freeze the mapping."""
        object.__setattr__(self, "volumes", MappingProxyType(dict(self.volumes)))


@dataclass(frozen=True)
class AlignedStudy:
    """A study on one grid: ``volumes`` resampled onto ``geometry``, the originals in ``study``.

    ``fixed`` names the volume whose grid it is. ``transforms`` and ``quality`` hold, for each
    moving volume, the map from fixed to moving points and the verdict on it; ``dropped`` what the
    gate refused and why; ``imputed`` what medfuse made. Only ``align`` and ``read_aligned`` make
    one. Raises ``GeometryError`` where a volume lies on another grid.
    """

    study: Study
    fixed: str
    geometry: Geometry
    volumes: Mapping[str, Volume]
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    quality: Mapping[str, Quality] = field(default_factory=dict)
    imputed: frozenset[str] = frozenset()
    dropped: Mapping[str, str] = field(default_factory=dict)
    labels: LabelMap | None = None

    def __post_init__(self) -> None:
        """Check that there is one grid and freeze the mappings."""
        for name, volume in self.volumes.items():
            if not volume.geometry.same_grid(self.geometry):
                raise GeometryError("lies on another grid than the study", where=name)
        if self.labels is not None and not self.labels.geometry.same_grid(self.geometry):
            raise GeometryError("the label map lies on another grid than the study")
        for name in ("volumes", "transforms", "quality", "dropped"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def stack(self, names: Iterable[str]) -> tuple[Array32, npt.NDArray[np.bool_]]:
        """Return the volumes as (M, D, H, W) in the order of ``names``, and which are present.

        An absent volume is zero and its ``present`` (M,) is False. Raises ``UsageError`` for an
        empty list of names.
        """
        wanted = list(names)
        if not wanted:
            raise UsageError("no modality was named to stack")
        array = np.zeros((len(wanted), *self.geometry.shape), dtype=np.float32)
        present = np.zeros(len(wanted), dtype=bool)
        for row, name in enumerate(wanted):
            if name in self.volumes:
                array[row], present[row] = self.volumes[name].array, True
        return array, present


Role = Literal["", "train", "validate", "test"]
_ORDER = tuple(MODALITIES)


@dataclass(frozen=True)
class StudyEntry:
    """One visit of one patient as paths: what a row of a manifest says, nothing opened.

    ``volumes`` maps modality names to absolute paths (options may ride on them, ``PATH:volume=0``);
    a modality that was not scanned is not in it. ``labels`` and ``report`` are paths or None,
    ``role`` is what the manifest wants the visit used for (empty: whatever a split draws).
    """

    subject: str
    visit: str = ""
    volumes: Mapping[str, str] = field(default_factory=dict)
    labels: str | None = None
    report: str | None = None
    role: Role = ""

    def __post_init__(self) -> None:
        """Put the modalities in their one order and freeze the mapping."""
        known = [name for name in _ORDER if name in self.volumes]
        names = known + sorted(set(self.volumes) - set(known))
        ordered = {name: self.volumes[name] for name in names}
        object.__setattr__(self, "volumes", MappingProxyType(ordered))

    @property
    def id(self) -> str:
        """The visit's name in results: the subject's, with the visit's behind it if it has one."""
        return f"{self.subject}_{self.visit}" if self.visit else self.subject


@dataclass(frozen=True)
class Split:
    """Which visits (their ids) a network learns from, and on which it is watched."""

    train: tuple[str, ...]
    validate: tuple[str, ...]


@dataclass(frozen=True)
class Cohort:
    """Many visits as paths and ids, not pixels, in the order of their manifest.

    Raises ``InputError`` where a visit is listed twice or two have one id (C5), or one patient's
    visits have different roles (C6).
    """

    studies: tuple[StudyEntry, ...]

    def __post_init__(self) -> None:
        """Refuse visits that cannot be told apart, and patients on both sides of a split."""
        seen: dict[str, StudyEntry] = {}
        roles: dict[str, Role] = {}
        for entry in self.studies:
            if entry.id in seen:
                raise _one_name(seen[entry.id], entry)
            seen[entry.id] = entry
            if roles.setdefault(entry.subject, entry.role) != entry.role:
                raise InputError(
                    f"subject {entry.subject!r} is in more than one part of the split",
                    hint="give all visits of a patient the same split",
                    id="C6",
                )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Every modality that some visit has, in the one order."""
        found = {name for entry in self.studies for name in entry.volumes}
        known = [name for name in _ORDER if name in found]
        return (*known, *sorted(found - set(known)))

    @property
    def test(self) -> tuple[StudyEntry, ...]:
        """The visits that no training may see."""
        return tuple(entry for entry in self.studies if entry.role == "test")

    def split(self, seed: int, folds: int) -> tuple[Split, ...]:
        """Return one ``Split`` a fold: patients, never visits, are drawn; test visits are in none.

        With a ``validate`` role in the manifest there is one split, the manifest's. ``folds`` of 1
        holds nobody out. Every patient is validated in exactly one fold; the draw depends on the
        seed and the set of subjects, not on their order. Raises ``UsageError`` where there are
        fewer patients than folds.
        """
        usable = [entry for entry in self.studies if entry.role != "test"]
        held = [entry.id for entry in usable if entry.role == "validate"]
        if held or folds == 1:
            kept = tuple(entry.id for entry in usable if entry.id not in set(held))
            return (Split(kept, tuple(held)),)
        drawn = [entry for entry in usable if entry.role != "train"]
        subjects = sorted({entry.subject for entry in drawn})
        if folds < 1 or len(subjects) < folds:
            raise UsageError(
                f"{len(subjects)} patients cannot be split into {folds} folds",
                hint="use fewer folds (1: hold nobody out)",
            )
        order = seeds.rng(seed, "folds").permutation(len(subjects))
        fold_of = {subjects[place]: rank % folds for rank, place in enumerate(order)}
        splits = []
        for fold in range(folds):
            out = {entry.id for entry in drawn if fold_of[entry.subject] == fold}
            kept = tuple(entry.id for entry in usable if entry.id not in out)
            splits.append(Split(kept, tuple(e.id for e in drawn if e.id in out)))
        return tuple(splits)


def _one_name(first: StudyEntry, second: StudyEntry) -> InputError:
    """Return the error of two visits with one id: results of one would stand under the other."""
    visit = f", visit {second.visit!r}" if second.visit else ""
    if first.subject == second.subject:
        return InputError(
            f"subject {second.subject!r}{visit} is listed twice",
            hint="list each visit once; tell several visits apart in the column visit",
            id="C5",
        )
    return InputError(
        f"subject {second.subject!r}{visit} would be called {second.id!r}, as one visit of "
        f"{first.subject!r} is",
        hint="name one of them otherwise; a visit is called SUBJECT_VISIT",
        id="C5",
    )
