"""A DICOM series, classic or multi-frame, as one volume.

Headers first: which series, which planes, in which order, on which grid; only then pixels, one
file at a time into one float32 array. CT is in HU, PET in SUVbw where its tags allow, the rest as
rescaled. Whatever is repaired on the way is a warning and stands in ``volume.source.repairs``.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter

from medfuse.errors import DicomError, Repair, UsageError
from medfuse.io.dicom_header import Header
from medfuse.io.dicom_scan import Scan, SeriesInfo, list_series, scan, series_number
from medfuse.io.dicom_series import kind_of, lay_out, modality_of, word_of
from medfuse.io.dicom_stack import volume_index
from medfuse.io.dicom_values import values_of
from medfuse.modality import Modality
from medfuse.modality import modality as named
from medfuse.volume import Source, Volume

__all__ = ["SeriesInfo", "left_out", "list_series", "read_series", "scan"]


def read_series(
    path: str | os.PathLike[str] | Scan,
    *,
    series: str | None = None,
    volume: int | str | None = None,
    stack: str | None = None,
    gaps: str | None = None,
    modality: Modality | str | None = None,
) -> Volume:
    """Return one series of a folder (and its sub-folders), or one file, as a volume.

    A folder may be given as its ``scan``, when several series of it are read. ``series`` picks one
    of several by its SeriesInstanceUID (or SeriesNumber), ``volume`` a time point from 0 on,
    ``stack`` the StackID of a multi-frame file, ``gaps="ok"`` interpolates over uneven distances,
    ``modality`` overrides what the header says. The array is (slice, row, column), slices sorted by
    position along their normal. Raises ``DicomError``, or ``InputError`` where there is nothing to
    read; the ids are explained in ``docs/errors.md``.
    """
    if gaps not in (None, "ok"):
        raise UsageError(f"gaps={gaps} is not understood", hint="write gaps=ok")
    point = volume_index(volume)
    found = scan(path)
    where = found.root if isinstance(path, Scan) else path
    headers, repairs = _chosen(found, series)
    notes = _notes(found) if series is None else []  # of a study they may be scans themselves
    arranged = lay_out(headers, where=where, volume=point, stack=stack, gaps=gaps == "ok")
    kind = named(modality) if isinstance(modality, str) else modality or modality_of(headers[0])
    values = values_of(arranged, kind, where=where)
    repairs += [*arranged.repairs, *values.repairs]
    source = Source(
        str(where),
        values.sha256,
        headers[0].text("SeriesInstanceUID") or None,
        tuple(plane.header.text("SOPInstanceUID") for plane in arranged.planes),
        (*notes, *repairs),
    )
    for repair in repairs:
        warnings.warn(repair, stacklevel=2)
    return Volume(values.array, arranged.geometry, kind, values.unit, source)


def _notes(found: Scan) -> list[Repair]:
    """Return what the record should tell though nobody needs to be warned of it."""
    if not found.foreign:
        return []
    return [Repair(f"{found.foreign} files that are no DICOM were left out", id="D26")]


def _chosen(found: Scan, series: str | None) -> tuple[list[Header], list[Repair]]:
    """Return the files of the one image series that is meant, and what was left out."""
    repairs = []
    if found.irregular:
        what = f"{found.irregular} pipes, devices or links to nothing were left out"
        repairs.append(Repair(what, id="D41"))
    if found.links:
        repairs.append(Repair(f"{found.links} links to folders were not followed", id="D41"))
    images = found.of_kind("image")
    others = found.others()
    if not images:
        raise _no_image(found, others)
    if series is not None:
        return _by_name(found, images, series), repairs
    if len(images) > 1:
        raise DicomError(
            f"holds {len(images)} series: {_listed(images)}",
            where=found.root,
            hint="choose one with :series=UID (medfuse inspect shows them)",
            id="D1",
        )
    repairs += left_out(others)
    return next(iter(images.values())), repairs


def left_out(others: Counter[str]) -> list[Repair]:
    """Say which objects beside the images of a folder were left out, by their kinds (D45)."""
    if not others:
        return []
    return [Repair(f"objects that are no image were left out: {_kinds(others)}", id="D45")]


def _no_image(found: Scan, others: Counter[str]) -> DicomError:
    hint = "name the folder of the images"
    if set(others) == {"SEG"}:
        hint = "it is read as a label map, not as a scan"
    return DicomError(
        f"holds no image, but {_kinds(others)}", where=found.root, hint=hint, id="D45"
    )


def _kinds(others: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))


def _listed(images: dict[str, list[Header]]) -> str:
    """Name series by what cannot be identity: number, modality, count."""
    entries = []
    for headers in images.values():
        number = series_number(headers[0])
        said = "without number" if number is None else f"number {number}"
        kind = word_of(headers[0])
        entries.append((number or 0, f"{said} ({kind}, {len(headers)} files)"))
    return ", ".join(text for _, text in sorted(entries))


def _by_name(found: Scan, images: dict[str, list[Header]], series: str) -> list[Header]:
    if series in images:
        return images[series]
    numbered = [h for h in images.values() if str(series_number(h[0])) == series]
    if len(numbered) == 1:
        return numbered[0]
    if series in found.series:
        kind = kind_of(found.series[series][0])
        raise DicomError(f"the series holds no image, but {kind}", where=found.root, id="D45")
    what = "fits several series" if numbered else "is not there"
    raise DicomError(
        f"series={series} {what}; there are: {_listed(images)}",
        where=found.root,
        hint="medfuse inspect shows their UIDs",
        id="D1",
    )
