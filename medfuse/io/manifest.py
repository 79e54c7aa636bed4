"""Which visits a cohort holds: a CSV manifest, a BIDS folder, or a folder of patients' folders.

A manifest has the columns ``subject, visit, T1, T1CE, T2, FLAIR, PD, CT, PET, label, report,
split``, in any order, ``subject`` alone being needed; an empty cell is a scan that was not made,
and paths count from the manifest's own folder. Only names are looked at here; the scans stay shut.
"""

from __future__ import annotations

import difflib
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from medfuse.errors import InputError, Repair
from medfuse.io import files
from medfuse.io.locators import locate
from medfuse.io.own_results import is_segmented
from medfuse.io.passed_over import passed_over
from medfuse.io.shared import refuse_shared
from medfuse.io.studies import is_label_name, sorted_files
from medfuse.io.tables import Row, read_table
from medfuse.io.volumes import stem
from medfuse.modality import MODALITIES, modality_from_name
from medfuse.study import Cohort, Role, StudyEntry

SCANS = tuple(name for name in MODALITIES if name not in {"MR", "OTHER"})
COLUMNS = ("subject", "visit", *SCANS, "label", "report", "split")
_ROLES: dict[str, Role] = {
    "": "",
    "train": "train",
    "training": "train",
    "val": "validate",
    "valid": "validate",
    "validate": "validate",
    "validation": "validate",
    "test": "test",
}
_ENTITIES = frozenset(
    re.findall(
        r"\w+",
        "sub ses sample task tracksys acq nuc voi ce trc stain rec dir run mod echo flip inv mt "
        "part proc hemi space split recording chunk seg res den label desc atlas",
    )
)


def read_manifest(
    path: str | os.PathLike[str], *, allow_outside: bool = False, learned: bool = True
) -> Cohort:
    """Read which visits there are: a CSV file, a BIDS folder, or a folder of patients' folders.

    Every path of the result is absolute. Raises ``InputError``: a column that is none (C3), a
    listed file that is missing (C4: all of them at once), a visit listed twice (C5), one patient
    on both sides of a split, one scan as two or one file as the labels of two patients (C6), a
    path outside the manifest's folder unless ``allow_outside`` (C10), no visit at all. Warns where
    a folder is no proper BIDS, and names what was passed over in it (C13). What is not to be
    ``learned`` from may share bytes.

    >>> cohort = read_manifest("heads/")  # doctest: +SKIP
    >>> len(cohort.studies), cohort.modalities  # doctest: +SKIP
    """
    given = Path(os.path.abspath(path))  # noqa: PTH100 - a leading "~" is a name here
    entries = _of_folder(given) if files.is_folder(given) else _of_table(given, allow_outside)
    if not entries:
        raise InputError("lists no visit", where=path, hint="list at least one subject", id="C4")
    try:
        cohort = Cohort(tuple(entries))
    except InputError as error:
        error.where = path
        raise
    if learned:
        refuse_shared(cohort, path)
    return cohort


def _of_table(given: Path, allow_outside: bool) -> list[StudyEntry]:
    columns, rows = read_table(given, key="subject")
    for name in columns:
        if name not in COLUMNS:
            near = _meant(name, columns)
            hint = f"did you mean {near!r}?" if near else f"known are {', '.join(COLUMNS)}"
            raise InputError(f"unknown column {name!r}", where=given, hint=hint, id="C3")
    _refuse_outside(given, rows, allow_outside)
    _refuse_missing(given, rows)
    return [_of_row(given, row) for row in rows]


def _meant(name: str, columns: Iterable[str]) -> str:
    """Return the column that a name stands for, by its words or its letters; empty: none.

    One that is there already was not meant: a ``T1c`` beside a ``T1`` is no ``T1``.
    """
    told = "label" if is_label_name(Path(name)) else modality_from_name(name).name
    free = [column for column in COLUMNS if column not in set(columns)]
    if told in COLUMNS:
        return told if told in free else ""
    return next(iter(difflib.get_close_matches(name, free, n=1)), "")


def _listed(row: Row) -> Iterator[tuple[str, str]]:
    """Yield the columns of a row that hold a path, with it."""
    for name in (*SCANS, "label", "report"):
        if row.cells.get(name):
            yield name, row.cells[name]


def _refuse_outside(given: Path, rows: Iterable[Row], allow_outside: bool) -> None:
    for row in rows:
        for name, text in _listed(row):
            place = Path(_absolute(given, text, options=False))
            if not allow_outside and not place.is_relative_to(given.parent):
                raise InputError(
                    f"line {row.line}: the path of {name} leads out of the manifest's folder",
                    where=given,
                    hint="move the manifest above its files, or add --allow-outside",
                    id="C10",
                )


def _refuse_missing(given: Path, rows: Iterable[Row]) -> None:
    missing = []
    for row in rows:
        absent = [
            name
            for name, text in _listed(row)
            if not Path(_absolute(given, text, options=False)).exists()
        ]
        if absent:
            missing.append(f"line {row.line} ({', '.join(absent)})")
    if missing:
        raise InputError(
            f"lists files that are not there: {', '.join(missing)}",
            where=given,
            hint="check their names; paths count from the manifest's folder",
            id="C4",
        )


def _absolute(given: Path, text: str, *, options: bool = True) -> str:
    """Return a cell's path from the manifest's folder, with or without the options on it."""
    whole = os.path.abspath(given.parent / text)  # noqa: PTH100 - Path keeps ".."
    return whole if options else locate(whole).path


def _of_row(given: Path, row: Row) -> StudyEntry:
    cells = row.cells
    if not cells["subject"]:
        raise InputError(f"line {row.line} names no subject", where=given, id="C3")
    role = _ROLES.get(cells.get("split", "").lower())
    if role is None:
        what = f"line {row.line}: the split is {cells['split']!r}"
        raise InputError(what, where=given, hint="use train, validate, test or nothing", id="C3")
    volumes = {name: _absolute(given, cells[name]) for name in SCANS if cells.get(name)}
    if not volumes:
        raise InputError(f"line {row.line} lists no scan", where=given, id="C4")
    label, report = (
        _absolute(given, cells[name]) if cells.get(name) else None for name in ("label", "report")
    )
    return StudyEntry(cells["subject"], cells.get("visit", ""), volumes, label, report, role)


def _of_folder(root: Path) -> list[StudyEntry]:
    """Return a visit for each folder of scans: ``sub-*`` where there are any, else all folders."""
    inner = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    subjects = [path for path in inner if path.name.startswith("sub-")]
    proper = bool(subjects)
    entries, bids, read = [], False, []
    predicted: list[Path] = []
    for subject in subjects or inner:
        sessions = sorted(path for path in subject.glob("ses-*") if path.is_dir())
        for visit in sessions or [subject]:
            scans, maps, report = sorted_files(visit)
            bids |= proper and any(path.parent != visit for path in scans)
            if scans:
                read.append(visit)
                name = visit.name if sessions else ""
                maps = _true(maps, predicted) or _derived(root, subject.name, name, predicted)
                entries.append(_of_visit(subject.name, name, scans, maps, report))
    if bids:
        _warn_of_bids(root, entries)
    _tell_of_predicted(root, predicted)
    _tell_of_rest(root, passed_over(root, read, marked=proper), alone=not entries)
    return entries


def _tell_of_rest(root: Path, rest: list[str], *, alone: bool) -> None:
    """Name the folders that were passed over; where there is nothing else, that is an error."""
    what = f"passed over {', '.join(rest)}"
    hint = "list in a CSV manifest what counts"
    if rest and alone:
        raise InputError(f"holds no visit: {what}", where=root, hint=hint, id="C4")
    if rest:
        warnings.warn(Repair(f"{what}; {hint}", id="C13"), stacklevel=4)


def _true(maps: list[Path], predicted: list[Path]) -> list[Path]:
    """Return the maps that ``medfuse segment`` did not make; the others go to ``predicted``."""
    made = [path for path in maps if is_segmented(path.parent)]
    predicted += made
    return [path for path in maps if path not in made]


def _tell_of_predicted(root: Path, predicted: list[Path]) -> None:
    if predicted:
        names = ", ".join(str(path.relative_to(root)) for path in predicted)
        what = f"left out what medfuse segment found, which is no true label: {names}"
        hint = "list in a CSV manifest what counts"
        warnings.warn(Repair(f"{what}; {hint}", id="C13"), stacklevel=4)


def _derived(root: Path, subject: str, visit: str, predicted: list[Path]) -> list[Path]:
    """Return the true label maps of a visit in BIDS' ``derivatives``."""
    found = []
    for pipeline in sorted((root / "derivatives").glob("*")):
        folder = pipeline / subject / visit if visit else pipeline / subject
        if folder.is_dir():
            scans, maps, _ = sorted_files(folder)
            # BIDS calls a discrete segmentation so, which is no word for a scan
            found += maps + [path for path in scans if stem(path).endswith("dseg")]
    return _true(found, predicted)


def _of_visit(
    subject: str, visit: str, scans: list[Path], maps: list[Path], report: Path | None
) -> StudyEntry:
    volumes: dict[str, str] = {}
    for path in scans:
        name = modality_from_name(stem(path)).name
        if name not in SCANS:
            what = f"{subject}: left out {path.name}, whose name tells no modality"
            warnings.warn(Repair(what, id="C13"), stacklevel=5)
        elif name in volumes:
            raise InputError(
                f"holds two scans of {name}",
                where=path.parent,
                hint="list the one that counts in a CSV manifest",
                id="C5",
            )
        else:
            volumes[name] = str(path)
    exact = [path for path in maps if stem(path).lower() == "labels"]
    chosen = exact if len(exact) == 1 else maps
    if len(chosen) > 1:
        raise InputError(
            f"{subject} has {len(chosen)} label maps",
            where=chosen[0].parent,
            hint="call the one that counts labels.nii.gz, or list it in a CSV manifest",
            id="C8",
        )
    label = str(chosen[0]) if chosen else None
    return StudyEntry(subject, visit, volumes, label, str(report) if report else None)


def _warn_of_bids(root: Path, entries: Iterable[StudyEntry]) -> None:
    if not (root / "dataset_description.json").is_file():
        what = "dataset_description.json is absent: no proper BIDS dataset, read by its folders"
        warnings.warn(Repair(what, id="C13"), stacklevel=4)
    strange = set()
    for entry in entries:
        for path in entry.volumes.values():
            parts = stem(Path(path)).split("_")[:-1]
            strange |= {part for part in parts if not _is_entity(part)}
    if strange:
        what = f"names hold parts that BIDS does not know: {', '.join(sorted(strange))}"
        warnings.warn(Repair(what, id="C13"), stacklevel=4)


def _is_entity(part: str) -> bool:
    key, mark, value = part.partition("-")
    return bool(mark) and key in _ENTITIES and re.fullmatch(r"[A-Za-z0-9+]+", value) is not None
