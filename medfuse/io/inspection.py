"""Tell what is in a file or folder without registering anything: plain data, no identity."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medfuse.errors import InputError, Repair
from medfuse.io.folders import files_below
from medfuse.io.locators import Locator, locate
from medfuse.io.studies import holds_dicom, is_label_name
from medfuse.io.volumes import (
    DICOM,
    SUFFIXES,
    PathLike,
    check_options,
    is_dicom_folder,
    read_labels,
    read_volume,
    recognise,
    suffix,
)
from medfuse.volume import LabelMap, Volume

if TYPE_CHECKING:
    from medfuse.io.dicom_scan import Scan, SeriesInfo


@dataclass(frozen=True)
class Found:
    """One scan, label map or DICOM series.

    ``name`` is the path as typed, or relative to the folder that was looked into; ``kind`` is
    ``"volume"``, ``"labels"`` or the DICOM modality of what is neither (``"RTSTRUCT"``).
    ``shape`` (D, H, W), ``spacing`` (d, h, w) mm, ``orientation`` as ``Geometry.orientation``,
    ``values`` the least and the greatest in ``unit``, ``labels`` those present (of a SEG: its
    segments, ``overlapping`` the pairs of them that share voxels). ``series``, ``number`` and
    ``count`` (of instances) are DICOM's. ``problem`` says why it cannot be read.
    """

    name: str
    format: str
    kind: str = "volume"
    modality: str = ""
    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    orientation: str = ""
    unit: str = ""
    values: tuple[float, float] | None = None
    labels: tuple[int, ...] = ()
    label_names: tuple[tuple[int, str], ...] = ()
    overlapping: tuple[tuple[int, int], ...] = ()
    series: str | None = None
    number: int | None = None
    count: int | None = None
    repairs: tuple[Repair, ...] = ()
    problem: InputError | None = None

    def document(self) -> dict[str, Any]:
        """Return it as plain values, ready for JSON; what is not known is left out."""
        known = {
            entry.name: getattr(self, entry.name)
            for entry in fields(self)
            if getattr(self, entry.name) not in (None, "", ())
        }
        known["repairs"] = [{"id": repair.id, "what": repair.what} for repair in self.repairs]
        if self.label_names:
            known["label_names"] = {str(label): name for label, name in self.label_names}
        if self.problem is not None:
            what, hint = self.problem.what, self.problem.hint
            known["problem"] = {"id": self.problem.id, "what": what, "hint": hint}
        return known


def inspect(path: PathLike | Locator) -> list[Found]:
    """Return what a file, or a folder with all below it, holds.

    A file that cannot be read, or a folder with one thing in it that cannot be read, raises its
    ``InputError``; among several the one with a problem is listed with it, and so is a SEG whose
    segments overlap (D47). Repairs are listed, not warned of.

    >>> for found in inspect("patient_007/"):  # doctest: +SKIP
    ...     print(found.name, found.modality, found.shape, found.spacing)
    """
    located = path if isinstance(path, Locator) else _located(path)
    root = Path(os.path.abspath(located.path))  # noqa: PTH100 - a leading "~" is a name here
    if not is_dicom_folder(root):
        found = [_inspected(located, located.path)]
    else:
        found = [
            _inspected(Locator(str(file)), str(file.relative_to(root)))
            for file in _volume_files(root)
        ]
        if holds_dicom(root):
            found += _inspected_series(located)
    if not found:
        raise InputError(
            "holds nothing that can be read",
            where=located.path,
            hint="give NIfTI, NRRD, MHA or a folder of DICOM files",
            id="D45",
        )
    only = found[0]
    if len(found) == 1 and only.problem is not None and not only.overlapping:
        raise only.problem
    return found


def _located(path: PathLike) -> Locator:
    return locate(path) if isinstance(path, str) else Locator(os.fspath(path))


def _volume_files(root: Path) -> list[Path]:
    shown = [
        path
        for path in files_below(root)[0]
        if not path.name.startswith(".") and suffix(path) is not None
    ]
    return sorted(path for path in shown if SUFFIXES[suffix(path) or ""] != DICOM)


def _inspected(located: Locator, name: str) -> Found:
    try:
        kind, file, _ = recognise(located.path)
    except InputError as error:
        return Found(name, "unknown", problem=error)
    if kind == DICOM:
        return _inspected_series(located)[0]
    found = Found(name, kind)
    if is_label_name(file):
        return _filled(replace(found, kind="labels"), lambda: read_labels(located))
    return _filled(found, lambda: read_volume(located))


def _inspected_series(located: Locator) -> list[Found]:
    from medfuse.io.dicom_read import list_series, scan  # pydicom is slow to load

    check_options(DICOM, located)
    found = scan(located.path)
    chosen = located.options.get("series")
    listed = [
        info for info in list_series(found) if chosen in (None, info.series_uid, str(info.number))
    ]
    if not listed:
        raise InputError(
            f"series={chosen} is not there",
            where=located.path,
            hint="medfuse inspect without series= shows those that are",
            id="D1",
        )
    return [_one_series(info, located, found) for info in listed]


def _one_series(info: SeriesInfo, located: Locator, scanned: Scan) -> Found:
    from medfuse.io.dicom_read import read_series

    found = Found(
        located.path,
        DICOM,
        {"image": "volume", "SEG": "labels"}.get(info.kind, info.kind),
        info.name,
        info.shape,
        series=info.series_uid,
        number=info.number,
        count=info.count,
    )
    if found.kind == "labels":
        return _one_segmentation(found, located, scanned)
    if found.kind != "volume":
        return found
    asked = {key: located.options.get(key) for key in ("volume", "stack", "gaps")}
    return _filled(
        found,
        lambda: read_series(scanned, series=info.series_uid, modality=located.modality, **asked),
    )


def _one_segmentation(found: Found, located: Locator, scanned: Scan) -> Found:
    from medfuse.io.dicom_seg import list_segments, overlapping_segments, read_segmentation

    try:
        names = list_segments(scanned, series=found.series)
        overlapping = overlapping_segments(scanned, series=found.series)
    except InputError as error:
        return replace(found, problem=error)
    segment = located.options.get("segment")
    number = None if segment is None else int(segment)
    found = _filled(found, lambda: read_segmentation(scanned, segment=number, series=found.series))
    return replace(
        found,
        labels=tuple(names),
        label_names=tuple(names.items()),
        overlapping=overlapping,
    )


def _filled(found: Found, read: Callable[[], Volume | LabelMap]) -> Found:
    """Return ``found`` with what reading shows."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            holds = read()
        except InputError as error:
            return replace(found, problem=error)
    told = {str(entry.message): entry.message for entry in caught}
    found = replace(
        found,
        repairs=tuple(message for message in told.values() if isinstance(message, Repair)),
        shape=holds.geometry.shape,
        spacing=holds.geometry.spacing,
        orientation=holds.geometry.orientation,
    )
    if isinstance(holds, LabelMap):
        present = tuple(int(label) for label in np.unique(holds.array) if label != 0)
        return replace(found, labels=present, label_names=tuple(holds.names.items()))
    values = float(holds.array.min()), float(holds.array.max())
    return replace(found, modality=holds.modality.name, unit=holds.unit, values=values)
