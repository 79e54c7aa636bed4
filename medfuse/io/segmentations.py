"""Write a segmentation where its reader looks for it: beside the scan, or as DICOM SEG."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from medfuse.errors import GeometryError
from medfuse.io.volumes import DICOM, SUFFIXES, PathLike, suffix, write_labels
from medfuse.volume import LabelMap, Volume


def write_segmentation(
    labels: LabelMap,
    path: PathLike,
    *,
    source: Volume,
    when: datetime | None = None,
    overwrite: bool = True,
) -> Path:
    """Write ``labels`` of the scan ``source``: ``.dcm`` as DICOM SEG, other suffixes as a map.

    ``labels`` lie on the grid of ``source``. A SEG refers to the series that ``source`` was read
    from, whose files must still lie where they did, and carries that series' patient, study and
    frame of reference and nothing else of it; ``when`` is the time that it tells (now). It needs
    the extra ``medfuse[dicom]``. The other formats carry no identity at all. Raises
    ``GeometryError`` for another grid (C8), ``UsageError`` where a SEG is asked for and the
    source is no DICOM series, or the extra is missing, ``OutputError`` as ``write_labels``.

    >>> scan = read_volume("patient/dicom/T1")  # doctest: +SKIP
    >>> write_segmentation(labels, "patient/seg.dcm", source=scan)  # doctest: +SKIP
    """
    if not labels.geometry.same_grid(source.geometry):
        raise GeometryError(
            "the label map lies on another grid than the scan that it belongs to",
            where=path,
            hint="resample it onto that scan first",
            id="C8",
        )
    end = suffix(Path(path))
    if end is None or SUFFIXES[end] != DICOM:
        return write_labels(labels, path, overwrite=overwrite)
    from medfuse.io.dicom_seg_write import write_seg  # highdicom: only where it is asked for

    return write_seg(labels, path, source=source, when=when, overwrite=overwrite)
