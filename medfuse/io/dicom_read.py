"""A DICOM series, classic or multi-frame, as one volume."""

from __future__ import annotations

import os

from medfuse.io.dicom_scan import SeriesInfo, list_series
from medfuse.modality import Modality
from medfuse.volume import Volume

__all__ = ["SeriesInfo", "is_dicom", "list_series", "read_series"]


def is_dicom(what: str | os.PathLike[str] | bytes) -> bool:
    """Tell whether a file, or its first bytes (132 at least), or any file in a folder is DICOM."""
    raise NotImplementedError


def read_series(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    volume: int | None = None,
    stack: str | None = None,
    gaps: str | None = None,
    modality: Modality | str | None = None,
) -> Volume:
    """Return one series of a folder, or one file, as a volume."""
    raise NotImplementedError
