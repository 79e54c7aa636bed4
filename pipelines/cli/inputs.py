"""Read what a user named on the command line, saying on stderr what was repaired."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from medfuse.errors import MedfuseError, Repair
from pipelines.cli import terminal

if TYPE_CHECKING:
    from medfuse.study import Study
    from medfuse.transform import Transform
    from medfuse.volume import LabelMap, Volume


Note = Callable[[Repair], None]


def unnoted(repair: Repair) -> None:
    """Note nothing: the default listener."""


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Let an error that names no file name the one that is read."""
    try:
        yield
    except MedfuseError as error:
        if error.where is None:
            error.where = path
        raise


def volume(text: str) -> Volume:
    """Read the scan ``PATH:CT,key=value``."""
    from medfuse.io.locators import locate
    from medfuse.io.volumes import read_volume

    locator = locate(text)
    with _named(locator.path), terminal.repairs() as warned:
        found = read_volume(locator)
    terminal.tell(locator.path, [*_noted(found), *warned])
    return found


def labels(text: str, note: Note = unnoted) -> LabelMap:
    """Read the label map ``PATH:key=value``; ``note`` is told of each repair."""
    from medfuse.io.locators import locate
    from medfuse.io.volumes import read_labels

    locator = locate(text)
    with _named(locator.path), terminal.repairs() as warned:
        found = read_labels(locator)
    terminal.tell(locator.path, warned)
    for repair in warned:
        note(repair)
    return found


def study(text: str, note: Note = unnoted) -> Study:
    """Read a patient's folder; ``note`` is told of each repair that is of no one volume."""
    from medfuse.io.studies import read_study

    with _named(text), terminal.repairs() as warned:
        found = read_study(text)
    noted = [repair for one in found.volumes.values() for repair in _noted(one)]
    for one in found.volumes.values():
        if one.source is not None:
            terminal.tell(one.source.path, one.source.repairs)
    rest = [repair for repair in warned if not terminal.among(repair, noted)]
    terminal.tell(text, rest)
    for repair in rest:
        note(repair)
    return found


def _noted(scan: Volume) -> tuple[Repair, ...]:
    return () if scan.source is None else scan.source.repairs


def transform(text: str, note: Note = unnoted) -> Transform:
    """Read one transform file; ``note`` is told of each repair."""
    from medfuse.io.transforms import read_transform

    with _named(text), terminal.repairs() as warned:
        found = read_transform(text)
    terminal.tell(text, warned)
    for repair in warned:
        note(repair)
    return found


def is_labels(text: str) -> bool:
    """Tell whether a DICOM segmentation is meant, which holds labels and no scan."""
    from medfuse.io.locators import locate
    from medfuse.io.volumes import DICOM, recognise

    locator = locate(text)
    if recognise(locator.path)[0] != DICOM:
        return False
    from medfuse.io.dicom_scan import list_series

    kinds = {series.kind for series in list_series(locator.path)}
    return "segment" in locator.options or ("SEG" in kinds and "image" not in kinds)


def as_labels(scan: Volume, text: str) -> LabelMap | None:
    """Return a scan as the label map that its file's name says it is, None where it is none."""
    import numpy as np

    from medfuse.io.studies import is_label_name
    from medfuse.volume import LabelMap

    array = scan.array
    if not is_label_name(path(text)) or array.min() < 0 or array.max() >= 2**16:
        return None
    whole = np.array_equal(array, np.rint(array))
    return LabelMap(array.astype(np.uint16), scan.geometry) if whole else None


def either(text: str) -> tuple[LabelMap, None] | tuple[None, Volume]:
    """Read a label map (a DICOM segmentation, or a file that is called one), else a scan."""
    if is_labels(text):
        return labels(text), None
    scan = volume(text)
    found = as_labels(scan, text)
    return (None, scan) if found is None else (found, None)


def path(text: str) -> Path:
    """Return the path part of a locator."""
    from medfuse.io.locators import locate

    return Path(locate(text).path)


def checksum(text: str) -> str:
    """Return ``sha256:...`` of a file that was read, for a record; a folder has none."""
    from medfuse.io.files import sha256

    file = path(text)
    return "a folder" if file.is_dir() else f"sha256:{sha256(file)}"
