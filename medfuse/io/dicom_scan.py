"""What is in a folder of DICOM files: which series, of what kind; no pixels are read.

Files are found by their bytes in the folder and all below it. What is no DICOM is counted, a
DICOMDIR is ignored, pipes and devices are never opened.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medfuse.errors import DicomError, InputError
from medfuse.io import files
from medfuse.io.dicom_header import Header, is_dicom_head, no_pixels, read_header
from medfuse.io.dicom_series import (
    kind_of,
    lay_out,
    modality_of,
    patient_key,
    same_patient,
    word_of,
)
from medfuse.io.folders import files_below

_SUFFIXES = {".dcm", ".ima", ".dicom"}


@dataclass(frozen=True)
class SeriesInfo:
    """One series as ``medfuse inspect`` lists it: nothing in it tells who the patient is.

    ``number`` is the SeriesNumber, ``modality`` DICOM's word (``PT``), ``name`` that of the
    medfuse modality (``PET``), ``count`` the instances, ``kind`` is ``"image"`` or what else it is
    (``"SEG"``, ``"RTSTRUCT"``), ``shape`` (D, H, W) as far as the headers tell, ``patient`` counts
    the patients of the folder from 1, ``problem`` says why it cannot be read as a volume.
    """

    series_uid: str
    number: int | None
    modality: str
    name: str
    count: int
    kind: str
    shape: tuple[int, int, int] | None = None
    patient: int = 1
    problem: str | None = None


@dataclass(frozen=True, eq=False)
class Scan:
    """The DICOM files under ``root``, by SeriesInstanceUID, in the order of their names.

    ``foreign`` counts files that are no DICOM, ``irregular`` what is no regular file, ``links``
    the links to folders, which are not entered.
    """

    root: Path
    series: dict[str, list[Header]]
    foreign: int = 0
    irregular: int = 0
    links: int = 0

    def of_kind(self, kind: str) -> dict[str, list[Header]]:
        """Return the series that hold objects of one kind, and these objects."""
        return {uid: headers for (uid, found), headers in self.parts().items() if found == kind}

    def others(self) -> Counter[str]:
        """Count the objects that are no image by their kind."""
        kinds = Counter(kind_of(header) for found in self.series.values() for header in found)
        kinds.pop("image", None)
        return kinds

    def parts(self) -> dict[tuple[str, str], list[Header]]:
        """Return the files by SeriesInstanceUID and kind: a series should be of one, but is not."""
        parts: dict[tuple[str, str], list[Header]] = {}
        for uid, headers in self.series.items():
            for header in headers:
                parts.setdefault((uid, kind_of(header)), []).append(header)
        return parts


def list_series(path: str | os.PathLike[str] | Scan) -> tuple[SeriesInfo, ...]:
    """Return the series of a folder (and its sub-folders) or of one file, by series number.

    Raises ``InputError`` where nothing there is DICOM or a file is damaged.
    """
    found = scan(path)
    patients: list[tuple[str, str]] = []
    listed = []
    for (uid, kind), headers in found.parts().items():
        key = patient_key(headers[0])
        known = (n for n, patient in enumerate(patients) if same_patient(key, patient))
        place = next(known, len(patients))
        if place == len(patients):
            patients.append(key)
        listed.append(_info(uid, kind, headers, place + 1, found.root))
    return tuple(sorted(listed, key=lambda info: (info.number is None, info.number or 0)))


def _info(uid: str, kind: str, headers: Sequence[Header], patient: int, root: Path) -> SeriesInfo:
    first = headers[0]
    shape, problem = None, None
    if kind == "image":
        try:
            shape = lay_out(headers, where=root).geometry.shape
        except InputError as error:
            problem = f"{error.what} ({error.id})" if error.id else error.what
    return SeriesInfo(
        uid,
        series_number(first),
        word_of(first),
        modality_of(first).name if kind == "image" else "",
        len(headers),
        kind,
        shape,
        patient,
        problem,
    )


def series_number(header: Header) -> int | None:
    """Return the SeriesNumber, None where there is none or it is no number."""
    text = header.text("SeriesNumber")
    return int(text) if text.lstrip("+-").isdigit() else None


def scan(path: str | os.PathLike[str] | Scan) -> Scan:
    """Return the headers of all DICOM files at ``path``, a folder or one file.

    A folder that was scanned already is not scanned again.

    Raises ``InputError``: there is nothing (N40), no DICOM (D44), a file or folder that may not be
    read (N44), a file that is empty (N43) or is named as DICOM but is none (D44); ``DicomError``
    for one that is damaged (D46), cut (D13) or without its pixels (D12).
    """
    if isinstance(path, Scan):
        return path
    root = Path(path)
    if not files.is_folder(root):
        return _scan_file(root)
    series: dict[str, list[Header]] = {}
    foreign = irregular = 0
    entries, links = files_below(root)
    for entry in entries:
        if not entry.is_file():  # a pipe would hang whoever opens it
            irregular += 1
        elif entry.name.upper() == "DICOMDIR":
            continue
        elif _is_ours(entry):
            header = _header(entry)
            if not header.is_directory:
                series.setdefault(header.text("SeriesInstanceUID"), []).append(header)
        else:
            foreign += 1
    if not series:
        raise InputError(
            "there is no DICOM file in this folder",
            where=path,
            hint="name the folder that holds the series",
            id="D44",
        )
    return Scan(root, series, foreign, irregular, links)


def _scan_file(path: Path) -> Scan:
    files.readable(path)
    if not is_dicom_head(files.head(path, 132)):
        raise _not_dicom(path)
    header = _header(path)
    if header.is_directory:
        raise DicomError("is a DICOMDIR", where=path, hint="name the folder instead", id="D27")
    return Scan(path, {header.text("SeriesInstanceUID"): [header]})


def _header(path: Path) -> Header:
    """Return the header of a file, unless it should hold a slice but ends before its pixels.

    What is left of the tags of a cut file might make it a stranger to its own series.
    """
    header = read_header(path)
    if not header.pixels_follow and kind_of(header) == "image":
        raise no_pixels(path)
    return header


def _is_ours(path: Path) -> bool:
    """Tell whether a file is DICOM; a slice that cannot be one may not just vanish."""
    named = path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    if path.stat().st_size < 132 and not named:
        return False
    files.readable(path)
    if is_dicom_head(files.head(path, 132)):
        return True
    if named:
        raise _not_dicom(path)
    return False


def _not_dicom(path: Path) -> InputError:
    return InputError(
        "is not DICOM: the mark DICM is missing behind the first 128 bytes",
        where=path,
        hint="export it again as a DICOM file (Part 10)",
        id="D44",
    )
