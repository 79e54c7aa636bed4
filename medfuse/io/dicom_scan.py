"""What is in a folder of DICOM files: which series, of what kind; no pixels are read."""

from __future__ import annotations

import os
from dataclasses import dataclass


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


def list_series(path: str | os.PathLike[str]) -> tuple[SeriesInfo, ...]:
    """Return the series of a folder (and its sub-folders) or of one file, by series number."""
    raise NotImplementedError
