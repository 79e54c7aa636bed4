"""Read what belongs to one visit of one patient: a folder, or a list of scans.

In a folder every volume file is a scan, and its name says of which modality (``T1.nii.gz``,
``sub-1_ce-gad_T1w.nii.gz``); every DICOM series is one; a name with the word *mask*, *seg* or
*label* in it is a label map; ``report.txt`` is the written report. BIDS' folders are looked into.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medfuse.errors import GeometryError, InputError, Repair, UsageError
from medfuse.io import files
from medfuse.io.folders import entries, files_below
from medfuse.io.locators import Locator
from medfuse.io.reports import read_text
from medfuse.io.volumes import DICOM, SUFFIXES, PathLike, read_labels, read_volume, stem, suffix
from medfuse.modality import modality_from_name
from medfuse.study import AlignedStudy, Study
from medfuse.volume import LabelMap, Volume

if TYPE_CHECKING:
    from medfuse.io.dicom_scan import SeriesInfo

Scans = Mapping[str, PathLike | Locator] | Iterable[PathLike | Locator]

ROOMS = {"anat", "ct", "pet", "mr", "mri"}  # folders of BIDS that hold scans we know
_LABELS = {"mask", "masks", "brainmask", "seg", "dseg", "aseg", "segmentation", "roi", "gt"} | {
    "label",
    "labels",
    "labelmap",
}
_NAME = re.compile(r"\w[\w.+-]*")
_FEWEST = 8  # slices of a series among several
_FIRST = "T1"  # whose grid an aligned study is on, if it is there


def read_study(source: PathLike | Scans, *, report: PathLike | None = None) -> Study:
    """Read one patient's visit: each scan as it came, on its own grid.

    ``source`` is a folder, a list of scans (``["t1.nii.gz", "ct/:CT"]``), or a mapping from names
    to scans. Scans are named by modality, from the second of one modality on with a number
    (``T1``, ``T1-2``). ``report`` is the path of the written report (in a folder: ``report.txt``).
    Raises ``InputError`` where a file cannot be read, nothing is there to read, or there are
    several patients or visits.

    >>> study = read_study("patient_007/")  # doctest: +SKIP
    >>> list(study.volumes)  # doctest: +SKIP
    ['T1', 'CT', 'PET']
    """
    if isinstance(source, Mapping):
        for name in source:
            if not _NAME.fullmatch(name):
                raise UsageError(f"{name!r} cannot name a scan", hint="use letters and digits")
        volumes = {name: read_volume(given) for name, given in source.items()}
        return Study("case", volumes, _report(report))
    if not isinstance(source, (str, os.PathLike)):
        return Study("case", name_volumes(map(read_volume, source)), _report(report))
    folder = visit_folder(source)
    scans, maps, report_file = sorted_files(folder)
    found = [read_volume(path) for path in scans]
    listed, segmentations = series_in(folder)
    series = [volume for _, volume in listed]
    labels = _labels(maps, segmentations)
    if not found and not series:
        raise InputError(
            "there is no scan in this folder",
            where=source,
            hint="give NIfTI, NRRD or MHA files, or DICOM series",
            id="N41",
        )
    return Study(
        folder.name, name_volumes([*found, *series]), _report(report or report_file), labels
    )


def read_aligned(source: PathLike | Scans, *, report: PathLike | None = None) -> AlignedStudy:
    """Read a study whose scans lie on one grid already; ``source`` as for ``read_study``.

    Raises ``GeometryError`` where a grid differs by more than 0.001 mm from that of the T1 (of the
    first scan, if there is none).
    """
    study = read_study(source, report=report)
    fixed = _FIRST if _FIRST in study.volumes else next(iter(study.volumes))
    grid = study.volumes[fixed].geometry
    placed = {name: volume.geometry for name, volume in study.volumes.items()}
    if study.labels is not None:
        placed["labels"] = study.labels.geometry
    for name, geometry in placed.items():
        if not geometry.same_grid(grid):
            raise GeometryError(
                f"lies on another grid than {fixed}",
                where=name,
                hint="align the study first (medfuse register)",
                id="C8" if name == "labels" else "C9",
            )
    return AlignedStudy(study, fixed, grid, study.volumes, labels=study.labels)


def name_volumes(volumes: Iterable[Volume]) -> dict[str, Volume]:
    """Name volumes by modality, in their order; the second of one modality is ``T1-2``."""
    seen: Counter[str] = Counter()
    named = {}
    for volume in volumes:
        name = volume.modality.name
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name}-{seen[name]}"] = volume
    return named


def visit_folder(source: PathLike) -> Path:
    """Return the folder of one visit, the only ``sub-`` and ``ses-`` folder entered."""
    folder = Path(os.path.abspath(source))  # noqa: PTH100 - a leading "~" is a name here
    if not files.is_folder(folder):
        files.readable(source)
        raise InputError(
            "is a file, a study is a folder", where=source, hint="name its folder", id="N41"
        )
    for prefix, what in (("sub-", "patients"), ("ses-", "visits")):
        inner = [path for path in entries(folder) if path.name.startswith(prefix) and path.is_dir()]
        if len(inner) > 1:
            raise InputError(
                f"holds {len(inner)} {what}", where=source, hint="name the folder of one", id="C5"
            )
        folder = inner[0] if inner else folder
    return folder


def sorted_files(folder: Path) -> tuple[list[Path], list[Path], Path | None]:
    """Return the volume files, the label maps and the report of a folder, in order of names."""
    scans: list[Path] = []
    maps: list[Path] = []
    report = None
    for path in _below(folder):
        end = suffix(path)
        if path.name.lower() == "report.txt":
            report = path
        elif end is None or SUFFIXES[end] == DICOM or path.name.startswith("."):
            continue
        elif is_label_name(path):
            maps.append(path)
        else:
            scans.append(path)
    return scans, maps, report


def is_label_name(path: Path) -> bool:
    """Tell whether a file is called a label map: a part of its name is mask, seg, label or so.

    Where the last part names a modality it is a scan (``T1_mask`` is labels, ``mask_T1`` is not).
    """
    parts = re.split(r"[^a-z0-9]+", stem(path).lower())
    return bool(_LABELS & set(parts)) and modality_from_name(parts[-1]).name == "OTHER"


def _below(folder: Path) -> list[Path]:
    inner = entries(folder)
    found = [path for path in inner if not path.is_dir()]
    for path in inner:
        if path.is_dir() and path.name.lower() in ROOMS:
            found += [entry for entry in entries(path) if not entry.is_dir()]
    return found


def series_in(
    folder: Path, *, wanted: Collection[str] | None = None, given: Collection[str] = ()
) -> tuple[list[tuple[SeriesInfo, Volume]], list[str]]:
    """Return the DICOM series in or below a folder with their volumes, and the UIDs of its SEGs.

    ``wanted`` names the modalities to read (None: all), ``given`` those of which there is a scan
    already: their series are passed over, with a ``Repair`` (C13).
    """
    if not holds_dicom(folder):
        return [], []
    # pydicom is slow to load
    from medfuse.io.dicom_read import left_out, list_series, read_series, scan

    found = scan(folder)
    listed = list_series(found)
    images = [info for info in listed if info.kind == "image"]
    if len({info.patient for info in images}) > 1:
        raise InputError(
            "holds series of several patients", where=folder, hint="one folder a patient", id="D2"
        )
    read = []
    for info in images:
        problem, said = _problem(info, images), f"series {info.number} ({info.modality}) was"
        if wanted is not None and info.name not in wanted:
            if info.name in given and not problem:
                what = f"{said} passed over: a file is named {info.name}"
                warnings.warn(Repair(what, id="C13"), stacklevel=3)
        elif problem:
            warnings.warn(Repair(f"{said} left out: {problem}", id="D1"), stacklevel=3)
        else:
            read.append((info, read_series(found, series=info.series_uid)))
    others = found.others()
    segmentations = [info.series_uid for info in listed if info.kind == "SEG"]
    others.pop("SEG", None)  # the label maps are counted apart
    for repair in left_out(others):
        warnings.warn(repair, stacklevel=3)
    return read, segmentations


def _problem(info: SeriesInfo, among: Iterable[SeriesInfo]) -> str | None:
    """Return why a series is no scan among these: unreadable, or short (a localizer, perhaps)."""
    if info.shape is None or min(info.shape) >= _FEWEST:
        return info.problem
    longer = any(other.shape and min(other.shape) >= _FEWEST for other in among)
    return info.problem or ("it has too few slices to be aligned" if longer else None)


def holds_dicom(folder: Path) -> bool:
    """Tell whether a DICOM file lies in a folder or below it; other files are not opened."""
    return any(is_dicom(path) for path in files_below(folder)[0])


def is_dicom(path: Path) -> bool:
    """Tell whether a file begins as DICOM does; one whose name says another format stays shut."""
    named = suffix(path)
    if named is not None and SUFFIXES[named] != DICOM:
        return False
    return path.is_file() and files.head(path, 132)[128:] == b"DICM"


def _labels(maps: list[Path], segmentations: list[str]) -> LabelMap | None:
    """Read the label map of a study: the file called labels, else the only one there is."""
    exact = [path for path in maps if stem(path).lower() == "labels"]
    chosen = exact if len(exact) == 1 else maps
    if len(chosen) == 1:
        return read_labels(chosen[0])
    if len(chosen) + len(segmentations) > 0:
        what = f"{len(chosen) + len(segmentations)} label maps were left out"
        warnings.warn(Repair(f"{what}; read the one that counts by name", id="C8"), stacklevel=3)
    return None


def _report(path: PathLike | None) -> str | None:
    return None if path is None else read_text(path)
