"""Which visits a training takes: those that have what it needs, and who of them is held out."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

from medfuse.errors import InputError, Repair, UsageError
from medfuse.io import files
from medfuse.study import Cohort, Split, StudyEntry
from medfuse.training.settings import TrainSettings
from medfuse.training.survey import listed

SPLITS = "splits.json"
_FOLDS = 5


def usable_visits(cohort: Cohort, required: Sequence[str]) -> tuple[tuple[StudyEntry, ...], int]:
    """Return the visits with a label map and all ``required`` scans, and how many have no map.

    Warns (``Repair``) of visits without a label map (C4) and without a required scan (M11); raises
    ``InputError`` where none is left.
    """
    open_ = [entry for entry in cohort.studies if entry.role != "test"]
    labelled = [entry for entry in open_ if entry.labels]
    unlabelled = len(open_) - len(labelled)
    if not labelled:
        raise InputError("no visit has a label map", hint="list them in the column label", id="C4")
    if unlabelled:
        what = f"{unlabelled} visits without a label map were left out"
        warnings.warn(Repair(what, id="C4"), stacklevel=3)
    return _complete(labelled, required), unlabelled


def _complete(entries: Sequence[StudyEntry], required: Sequence[str]) -> tuple[StudyEntry, ...]:
    kept = tuple(entry for entry in entries if set(required) <= set(entry.volumes))
    lacking = [entry.id for entry in entries if entry not in kept]
    if not kept:
        raise InputError(
            f"no visit with a label map has {' and '.join(required)}",
            hint="name fewer scans as required",
            id="M11",
        )
    if lacking:
        what = f"{listed(lacking)}: left out without {' or '.join(required)}, which is required"
        warnings.warn(Repair(what, id="M11"), stacklevel=4)
    return kept


def settled_split(cohort: Cohort, settings: TrainSettings, out: Path, seed: int) -> Split:
    """Return the split that lies in the folder, else the one drawn from the usable ``cohort``.

    Warns (``Repair``) where the one in the folder contradicts the manifest. Raises ``UsageError``
    for a fold that is none, a file that is no split, or one of other visits; ``InputError`` (C6)
    where it has a patient on both sides.
    """
    path = out / SPLITS
    if not path.is_file():
        return _drawn(cohort, settings, seed)
    try:
        kept = json.loads(files.stored(path).decode("utf-8"))
        split = Split(tuple(kept["train"]), tuple(kept["validate"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"is no split ({type(error).__name__})", where=path) from None
    _check_known(split, cohort)
    _tell_of_contradictions(split, cohort)
    return split


def _drawn(cohort: Cohort, settings: TrainSettings, seed: int) -> Split:
    patients = {entry.subject for entry in cohort.studies if entry.role == ""}
    drawn = cohort.split(seed, settings.folds or max(1, min(_FOLDS, len(patients))))
    if settings.fold < len(drawn):
        return drawn[settings.fold]
    if any(entry.role == "validate" for entry in cohort.studies):
        raise UsageError(
            f"fold {settings.fold} is none: the manifest says who is held out",
            hint="leave fold out, or empty the manifest's column split",
        )
    raise UsageError(f"fold {settings.fold} is none of {len(drawn)}: count from 0")


def _check_known(split: Split, cohort: Cohort) -> None:
    known = {entry.id: entry.subject for entry in cohort.studies}
    for id in (*split.train, *split.validate):
        if id not in known:
            raise UsageError(
                f"names {id!r}, which the data do not have, or not with all that is needed",
                where=SPLITS,
                hint="give the same data, or another folder",
            )
    both = {known[id] for id in split.train} & {known[id] for id in split.validate}
    if both:
        raise InputError(
            f"subject {min(both)!r} is learned from and held out", where=SPLITS, id="C6"
        )


def _tell_of_contradictions(split: Split, cohort: Cohort) -> None:
    """Warn of visits that the manifest uses for something else: it may have changed since."""
    roles = {entry.id: entry.role for entry in cohort.studies}
    turned = [id for id in split.train if roles[id] == "validate"]
    turned += [id for id in split.validate if roles[id] == "train"]
    if turned:
        what = (
            f"{listed(turned)}: the manifest puts them on the other side of the split; "
            f"{SPLITS} in the folder counts"
        )
        warnings.warn(Repair(what, id="split"), stacklevel=4)
    unused = sorted(set(roles) - {*split.train, *split.validate})
    if unused:
        what = f"{listed(unused)}: not in {SPLITS}, so neither learned from nor held out"
        warnings.warn(Repair(what, id="split"), stacklevel=4)


def write_split(split: Split, out: Path) -> None:
    """Write ``splits.json`` into the folder of a training."""
    document = {"train": list(split.train), "validate": list(split.validate)}
    files.write_text(out / SPLITS, json.dumps(document, indent=2) + "\n")
