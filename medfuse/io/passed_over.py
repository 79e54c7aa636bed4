"""What a cohort's folder holds beside the visits that were found in it: nobody goes unmentioned."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from medfuse.errors import InputError
from medfuse.io.folders import entries
from medfuse.io.studies import ROOMS, is_dicom, is_label_name, sorted_files
from medfuse.io.volumes import DICOM, SUFFIXES, suffix

# folders of BIDS that hold no patients, and those of a visit that hold no scan we know
_BESIDE = {"derivatives", "sourcedata", "code", "stimuli", "phenotype"}
_OTHER = {"func", "dwi", "fmap", "perf", "meg", "eeg", "ieeg", "beh", "micr", "motion", "nirs"}


def passed_over(root: Path, visits: Sequence[Path], *, marked: bool) -> list[str]:
    """Name what in and below ``root`` looks like a patient's but belongs to none of ``visits``.

    ``visits`` are the folders that scans were read from. Each name has its reason behind it.
    Where patients are ``marked``, they are called ``sub-``; other folders count if they hold scans.
    """
    found: list[tuple[Path, str]] = []
    for patient in _folders(root, _BESIDE):
        mine = [visit for visit in visits if visit == patient or visit.parent == patient]
        strange = marked and not patient.name.startswith("sub-")
        if mine:
            found += _beside(patient, mine)
        elif not strange:
            found.append((patient, _what(patient) or "no scan in it"))
        elif _what(patient):
            found.append((patient, "not called sub-"))
    return _grouped([(path.relative_to(root), why) for path, why in found])


def _grouped(found: Iterable[tuple[Path, str]]) -> list[str]:
    """Name each patient who is missing, and once what lies in the same place of many."""
    groups: dict[tuple[str, ...], list[Path]] = {}
    for path, why in found:
        inner = path.parts[1:]
        groups.setdefault((why, *(inner or path.parts)), []).append(path)
    named = []
    for (why, *_), paths in groups.items():
        more = f" and {len(paths) - 1} more such" if len(paths) > 1 else ""
        named.append(f"{paths[0]}{more} ({why})")
    return named


def _folders(folder: Path, known: Iterable[str]) -> list[Path]:
    inner = (path for path in entries(folder) if path.name[0] != "." and path.is_dir())
    return [path for path in inner if path.name.lower() not in known]


def _beside(patient: Path, visits: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield what a patient's folder holds that is in none of its visits, and why it was not."""
    if patient not in visits and sorted_files(patient)[0]:
        yield patient, "scans beside the folders of visits"
    for place in dict.fromkeys((patient, *visits)):
        for room in (place, *(path for path in _folders(place, ()) if path.name.lower() in ROOMS)):
            if any(_is_dicom(path) for path in entries(room)):
                yield room, "DICOM"
        for inner in _folders(place, ROOMS | _OTHER):
            why = "" if inner in visits else _what(inner)
            if why or (inner not in visits and inner.name.startswith("ses-")):
                yield inner, why or "no scan in it"


def _what(folder: Path) -> str:
    """Say what kind of scan lies in or below a folder; empty where there is none."""
    for inside, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for path in (Path(inside, name) for name in sorted(names) if name[0] != "."):
            end = suffix(path)
            if end is not None and SUFFIXES[end] != DICOM and not is_label_name(path):
                return "scans in folders that are not looked into"
            if _is_dicom(path):
                return "DICOM"
    return ""


def _is_dicom(path: Path) -> bool:
    try:
        return path.name[0] != "." and is_dicom(path)
    except InputError:  # nobody may read it
        return False
