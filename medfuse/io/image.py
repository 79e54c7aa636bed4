"""What a file holds, before it is decided whether it is a scan or a label map.

A format module (one line in ``medfuse.io.volumes.FORMATS``) has three functions:

- ``sniff(head: bytes) -> bool``: does a file that begins so (gzip taken off) belong here?
- ``read(path: Path, options: Mapping[str, str]) -> Image``: the numbers after scaling, on the grid;
  repairs are collected in ``Image.repairs`` and warned of by ``medfuse.io.volumes``, once;
- ``write(volume: Volume | LabelMap, path: Path) -> None``: into a new, private, empty file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfuse.errors import GeometryError, Repair
from medfuse.geometry import Geometry
from medfuse.modality import Modality

_SHEAR_DEGREES = 5.0


@dataclass(frozen=True, eq=False)
class Image:
    """The numbers of one file on their grid.

    ``array`` (D, H, W) keeps the type of the file (int16, uint8, float32, int64, ..., native byte
    order) where nothing was to be scaled, else it is float32; it may hold values that are not
    finite. ``repairs`` were made while reading (``volumes`` warns of them). ``sha256`` is that of
    the bytes on disk. ``modality`` and ``unit`` are None where the format does not say; ``names``
    are those of labels, where it does.
    """

    array: npt.NDArray[np.generic]
    geometry: Geometry
    sha256: str
    repairs: tuple[Repair, ...] = ()
    modality: Modality | None = None
    unit: str | None = None
    names: tuple[tuple[int, str], ...] = ()


def check_shear(geometry: Geometry, where: object) -> None:
    """Refuse a grid that is sheared by more than a writer's rounding explains (N10)."""
    if geometry.shear_degrees > _SHEAR_DEGREES:
        raise GeometryError(
            f"the grid is sheared by {geometry.shear_degrees:.1f} degrees, more than "
            f"{_SHEAR_DEGREES:g}",
            where=where,
            hint="resample it to a right-angled grid first",
            id="N10",
        )
