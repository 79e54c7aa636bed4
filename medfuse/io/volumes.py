"""Read and write scans and label maps: the one door, whatever the format.

A file is recognised by its bytes, never by its name; a file is written in the format of its
suffix. Whatever was repaired on the way is warned of and kept in ``volume.source.repairs``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from medfuse.io.locators import Locator
from medfuse.modality import Modality
from medfuse.volume import LabelMap, Volume

PathLike = str | os.PathLike[str]

# modules with sniff(head), read(path, options) and write(volume, path); asked in this order
FORMATS = {
    "NIfTI": "medfuse.io.nifti",
    "NRRD or MHA": "medfuse.io.itkfiles",
}
SUFFIXES = {
    ".nii.gz": "medfuse.io.nifti",
    ".nii": "medfuse.io.nifti",
    ".nrrd": "medfuse.io.itkfiles",
    ".mha": "medfuse.io.itkfiles",
}


def read_volume(
    path: PathLike | Locator,
    *,
    modality: str | Modality | None = None,
    **options: object,
) -> Volume:
    """Read one scan: ``series volume stack xform gaps centred`` as on the command line."""
    raise NotImplementedError


def read_labels(
    path: PathLike | Locator, *, names: Mapping[int, str] | None = None, **options: object
) -> LabelMap:
    """Read one label map; options as ``read_volume``, and ``segment``."""
    raise NotImplementedError


def write_volume(
    volume: Volume, path: PathLike, *, inputs: Iterable[PathLike] = (), overwrite: bool = True
) -> Path:
    """Write a scan in the format of the suffix."""
    raise NotImplementedError


def write_labels(
    labels: LabelMap, path: PathLike, *, inputs: Iterable[PathLike] = (), overwrite: bool = True
) -> Path:
    """Write a label map in the format of the suffix."""
    raise NotImplementedError
