"""DICOM Segmentation objects as label maps."""

from __future__ import annotations

import os
from collections.abc import Mapping

from medfuse.volume import LabelMap


def list_segments(path: str | os.PathLike[str]) -> Mapping[int, str]:
    """Return the number and name of each segment of a SEG file."""
    raise NotImplementedError


def read_segmentation(path: str | os.PathLike[str], *, segment: int | None = None) -> LabelMap:
    """Return the segments of a SEG file (or the folder that holds one) as a label map."""
    raise NotImplementedError
