"""Read and write scans and label maps: the one door, whatever the format.

A file is recognised by its bytes, never by its name; a file is written in the format of its
suffix. Whatever was repaired on the way is warned of, and kept in ``volume.source.repairs``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from medfuse.errors import InputError, MedfuseError, OutputError, Repair, UsageError
from medfuse.io import files
from medfuse.io.contents import as_labels, as_values, unit_of
from medfuse.io.image import Image
from medfuse.io.locators import Locator, locate, option
from medfuse.modality import Modality, modality_from_name
from medfuse.modality import modality as modality_called
from medfuse.volume import LabelMap, Source, Volume

PathLike = str | os.PathLike[str]
Option = str | int | bool | None
V = TypeVar("V", Volume, LabelMap)

# modules with sniff(head), read(path, options) and write(volume, path); asked in this order
FORMATS = {
    "NIfTI": "medfuse.io.nifti",
    "NRRD or MHA": "medfuse.io.itkfiles",
}
DICOM = "DICOM"
# suffix -> format, longest first; a new file is written in the format of its suffix
SUFFIXES = {
    ".nii.gz": "NIfTI",
    ".nii": "NIfTI",
    ".nrrd": "NRRD or MHA",
    ".nhdr": "NRRD or MHA",
    ".mha": "NRRD or MHA",
    ".mhd": "NRRD or MHA",
    ".dcm": DICOM,
}
WRITTEN = (".nii.gz", ".nii", ".nrrd", ".mha")
# which reading options mean something to which format
_OPTIONS = {
    "NIfTI": {"volume", "xform", "centred", "unit"},
    "NRRD or MHA": {"volume", "centred", "unit"},
    DICOM: {"series", "volume", "stack", "segment", "gaps"},
}
# how files begin that are none of ours: what they are, what to do, row
_STRANGERS = (
    (b"version https://git-lfs", "looks like a git-lfs pointer", "run git lfs pull", "N48"),
    (b"/annex/objects/", "looks like a git-annex pointer", "run git annex get", "N48"),
    (b"<!doctype html", "looks like a web page", "download the file itself", "N48"),
    (b"<html", "looks like a web page", "download the file itself", "N48"),
    (b"<?xml", "looks like a web page or other XML", "download the file itself", "N48"),
    (b"pk\x03\x04", "is a zip archive", "unzip it first", "D28"),
)


def read_volume(
    path: PathLike | Locator, *, modality: str | Modality | None = None, **options: Option
) -> Volume:
    """Read one scan: NIfTI, NRRD, MHA/MHD, a DICOM folder or file.

    ``path`` may be text with options on it (``"scan.nii.gz:CT,volume=0"``). The ``options`` are
    those of the command line: ``series`` (UID), ``volume`` (time point, counted from 0),
    ``stack``, ``xform`` (``"sform"``, ``"qform"``), ``unit``, ``gaps`` and ``centred`` (True). The
    modality is the one given, else DICOM's, else that of the file's name (``_T1w``), else OTHER;
    the unit of a PET that does not say it is "unknown".
    Warns of each ``Repair``; raises ``InputError`` for what is damaged, unsuitable or unsafe.

    >>> volume = read_volume("patient/scan_T1w.nii.gz")  # doctest: +SKIP
    >>> volume.array.shape, volume.geometry.spacing  # doctest: +SKIP
    """
    located = _located(path, modality, options)
    kind, file, noted = recognise(located.path)
    check_options(kind, located)
    if kind == DICOM:
        chosen = _dicom_options(located, {"series", "volume", "stack", "gaps"})
        read_series = import_module("medfuse.io.dicom_read").read_series
        series: Volume = read_series(located.path, modality=located.modality, **chosen)
        return series
    with _as_typed(file, located.path):
        image: Image = import_module(FORMATS[kind]).read(file, located.options)
        meant = located.modality or image.modality or modality_from_name(stem(file))
        array, filled = as_values(image, meant, file)
    repairs = (*noted, *image.repairs, *filled)
    for repair in repairs:
        warnings.warn(repair, stacklevel=2)
    source = Source(located.path, image.sha256, repairs=repairs)
    unit = located.options.get("unit") or unit_of(image, meant)
    return Volume(array, image.geometry, meant, unit, source)


def read_labels(
    path: PathLike | Locator, *, names: Mapping[int, str] | None = None, **options: Option
) -> LabelMap:
    """Read one label map: NIfTI, NRRD, MHA or DICOM SEG; whole numbers from 0 to 65535.

    ``options`` as for ``read_volume``, and ``segment`` (of a SEG). ``names`` replace those in the
    file. Raises ``InputError`` where values are not whole numbers after scaling (N16).
    """
    located = _located(path, None, options)
    kind, file, noted = recognise(located.path)
    check_options(kind, located)
    if kind == DICOM:
        chosen = _dicom_options(located, {"segment", "series"})
        labels: LabelMap = import_module("medfuse.io.dicom_seg").read_segmentation(
            located.path, **chosen
        )
        return labels if names is None else replace(labels, names=names)
    with _as_typed(file, located.path):
        image: Image = import_module(FORMATS[kind]).read(file, located.options)
        array = as_labels(image, file)
    for repair in (*noted, *image.repairs):
        warnings.warn(repair, stacklevel=2)
    return LabelMap(array, image.geometry, dict(image.names) if names is None else names)


def write_volume(
    volume: Volume, path: PathLike, *, inputs: Iterable[PathLike] = (), overwrite: bool = True
) -> Path:
    """Write a scan in the format of the suffix (.nii.gz, .nii, .nrrd, .mha), whole or not at all.

    A sheared grid is resampled once to a right-angled one, with a warning. What was written is
    read again and compared before it takes the name. No identity is written. Raises
    ``OutputError`` (see ``files.write_file``); ``inputs`` are paths that may not be overwritten.
    """
    return _written(volume, path, inputs, overwrite)


def write_labels(
    labels: LabelMap, path: PathLike, *, inputs: Iterable[PathLike] = (), overwrite: bool = True
) -> Path:
    """Write a label map in the format of the suffix, whole or not at all; see ``write_volume``."""
    return _written(labels, path, inputs, overwrite)


def recognise(path: PathLike) -> tuple[str, Path, tuple[Repair, ...]]:
    """Tell the format of a file or folder by content: format, absolute path, repairs of its name.

    Raises ``InputError`` for what cannot be opened (N40-N44) or is no known format (N48, D28).
    """
    given = Path(os.path.abspath(path))  # noqa: PTH100 - a leading "~" is a name here (N46)
    if is_dicom_folder(given):
        return DICOM, given, ()
    file = files.readable(path)
    raw = files.head(file)
    head = files.beginning(raw, len(raw))
    kind = next((name for name in FORMATS if import_module(FORMATS[name]).sniff(head)), None)
    if kind is None and head[128:132] == b"DICM":
        kind = DICOM
    if kind == DICOM and raw.startswith(files.GZIP):
        raise InputError(
            "is a compressed DICOM file", where=path, hint="unpack it with gunzip first", id="D44"
        )
    if kind is None:
        raise _stranger(head, path, packed=raw.startswith(files.GZIP))
    return kind, file, _name_repairs(kind, file, raw)


def is_dicom_folder(path: Path) -> bool:
    """Tell whether a path is a folder that may hold DICOM: one called ``x.nii.gz`` is a mistake."""
    return files.is_folder(path) and SUFFIXES.get(suffix(path) or ".dcm") == DICOM


def suffix(path: Path) -> str | None:
    """Return the suffix of a format we know, lower case; None where the name has none of them."""
    name = path.name.lower()
    return next((end for end in SUFFIXES if name.endswith(end)), None)


def stem(path: Path) -> str:
    """Return the name of a file without the suffix of its format."""
    return path.name[: -len(suffix(path) or "")] if suffix(path) else path.name


def _located(
    path: PathLike | Locator, modality: str | Modality | None, options: Mapping[str, Option]
) -> Locator:
    if isinstance(path, Locator):
        located = path
    else:
        located = locate(path) if isinstance(path, str) else Locator(os.fspath(path))
    chosen = {
        key: option(key, value)
        for key, value in options.items()
        if value is not None and value is not False
    }
    meant = modality_called(modality) if isinstance(modality, str) else modality
    return Locator(located.path, meant or located.modality, {**located.options, **chosen})


def check_options(kind: str, located: Locator) -> None:
    """Refuse an option that means nothing for a format (``UsageError``)."""
    for key in located.options:
        if key not in _OPTIONS[kind]:
            raise UsageError(
                f"{key}= means nothing for {kind}", where=located.path, hint="leave it away"
            )


def _dicom_options(located: Locator, known: set[str]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for key, value in located.options.items():
        if key not in known:
            raise UsageError(f"{key}= means nothing here", where=located.path, hint="leave it away")
        chosen[key] = int(value) if key in {"volume", "segment"} else value
    return chosen


@contextmanager
def _as_typed(file: Path, typed: str) -> Iterator[None]:
    """Let errors name the file as the user did."""
    try:
        yield
    except MedfuseError as error:
        if error.where is None or error.where == file:
            error.where = typed
        raise


def _stranger(head: bytes, where: PathLike, *, packed: bool) -> InputError:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, what, hint, row in _STRANGERS:
        if text.startswith(start):
            return InputError(what, where=where, hint=hint, id=row)
    if packed and not head:
        return InputError(
            "the gzip stream is damaged or cut", where=where, hint="copy it again", id="N1"
        )
    return InputError(
        "is none of the formats that can be read",
        where=where,
        hint="give NIfTI, NRRD, MHA or a folder of DICOM files",
        id="N5",
    )


def _name_repairs(kind: str, file: Path, raw: bytes) -> tuple[Repair, ...]:
    end = suffix(file)
    if end is None:
        return ()
    if SUFFIXES[end] != kind:
        what = f"the file is {kind}, not {SUFFIXES[end]} as its name says; read by content"
        return (Repair(what, id="N31"),)
    if end.endswith(".gz") and not raw.startswith(files.GZIP):
        return (Repair("the file is not compressed as its name says; read by content", id="N31"),)
    if not end.endswith(".gz") and raw.startswith(files.GZIP):
        return (
            Repair("the file is compressed, its name does not say so; read by content", id="N32"),
        )
    return ()


def _written(volume: V, path: PathLike, inputs: Iterable[PathLike], overwrite: bool) -> Path:
    target = Path(os.path.abspath(path))  # noqa: PTH100
    end = suffix(target)
    if end not in WRITTEN:
        raise UsageError(
            "the name does not say a format that can be written",
            where=target,
            hint=f"end it in {', '.join(WRITTEN)}",
        )
    straight = volume if volume.geometry.is_orthonormal else _straightened(volume)
    module = import_module(FORMATS[SUFFIXES[end]])
    return files.write_file(
        target,
        partial(module.write, straight),
        check=partial(_check_written, module, straight, target),
        inputs=[Path(given) for given in inputs],
        overwrite=overwrite,
    )


def _straightened(volume: V) -> V:
    from medfuse.resampling import straighten  # rarely needed

    straight = straighten(volume)
    angle = volume.geometry.shear_degrees
    what = f"the grid was sheared by {angle:.2f} degrees; resampled to a right-angled one"
    warnings.warn(Repair(what, id="N10"), stacklevel=4)
    return straight


def _check_written(module: Any, volume: Volume | LabelMap, target: Path, made: Path) -> None:
    # NIfTI keeps places as float32: a grid far from the origin is rounded by more than 0.001 mm
    rounding = 1e-6 * float(np.abs(volume.geometry.corners()).max())
    try:
        again: Image = module.read(made, {})
        same = again.geometry.same_grid(volume.geometry, tolerance=max(1e-3, rounding))
        same = same and np.array_equal(again.array, volume.array)
    except InputError:  # cut by a disk that did not say so
        same = False
    if not same:
        raise OutputError(
            "what was written reads differently",
            where=target,
            hint="check the disk, or write elsewhere",
            id="S1",
        )
