"""From the numbers of a file to what they mean: measured values, or labels.

Values that are not finite are filled where a rule says with what (N26, N27), and refused where
none does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from medfuse.errors import InputError, Repair
from medfuse.io.image import Image
from medfuse.modality import Modality
from medfuse.volume import Array32, ArrayU16

_FILLABLE = 0.01  # of all voxels
_EXACT = 2**24  # float32 holds every whole number up to here
_MOST = 2**16 - 1
_UNITS = {"CT": ("HU",), "PET": ("SUVbw", "Bq/ml")}  # what a file may say


def as_values(image: Image, modality: Modality, path: Path) -> tuple[Array32, list[Repair]]:
    """Return the numbers as float32, all of them finite, and the repairs this took.

    Raises ``InputError``: all are NaN (N26), too many are not finite (N27), they exceed float32
    (N21).
    """
    array = image.array
    if array.dtype.kind in "iub":
        return array.astype(np.float32), _rounded(array)
    low, high = array.min(), array.max()  # NaN if any is
    if not (np.isfinite(low) and np.isfinite(high)):
        return _filled(array, modality, path)
    _check_range(float(low), float(high), path)
    return array.astype(np.float32, copy=False), []


def unit_of(image: Image, modality: Modality) -> str:
    """Return the unit of a file's values: a PET that does not say it is in an unknown one.

    A CT that does not say it is in HU, as CT files are; a word that cannot be is unknown.
    """
    legal = _UNITS.get(modality.name)
    if legal is None or (image.unit is None and modality.name == "CT"):
        return modality.unit
    return image.unit if image.unit in legal else "unknown"


def as_labels(image: Image, path: Path) -> ArrayU16:
    """Return the numbers as labels; ``InputError`` (N16) where they are not whole, 0 to 65535."""
    array = image.array
    if array.dtype.kind == "f":
        for plane in array:
            odd = plane[~(np.isfinite(plane) & (plane == np.rint(plane)))]
            if odd.size:
                raise InputError(
                    f"holds {float(odd[0]):g}, which is no label: labels are whole numbers",
                    where=path,
                    hint="give the label map itself, not an interpolated or scaled one",
                    id="N16",
                )
    low, high = array.min(), array.max()
    if low < 0 or high > _MOST:
        raise InputError(
            f"holds labels from {int(low)} to {int(high)}; 0 to {_MOST} can be read",
            where=path,
            hint="number them anew",
            id="N16",
        )
    return array.astype(np.uint16)


def _rounded(array: npt.NDArray[np.generic]) -> list[Repair]:
    if array.dtype.itemsize < 4 or (array.min() >= -_EXACT and array.max() <= _EXACT):
        return []
    return [Repair("whole numbers above 2^24 were rounded to float32", id="N17")]


def _check_range(low: float, high: float, path: Path) -> None:
    if max(-low, high) > float(np.finfo(np.float32).max):
        raise InputError(
            f"its values exceed float32 ({low:g} to {high:g})",
            where=path,
            hint="scale them down",
            id="N21",
        )


def _filled(
    array: npt.NDArray[np.generic], modality: Modality, path: Path
) -> tuple[Array32, list[Repair]]:
    good = np.isfinite(array)
    if not good.any():
        raise InputError("holds no finite value", where=path, id="N26")
    _check_range(float(array[good].min()), float(array[good].max()), path)
    outside = _touching_border(np.isnan(array))
    odd = ~good & ~outside
    count, edge = int(odd.sum()), int(outside.sum())
    if count > _FILLABLE * array.size:
        raise InputError(
            f"{count} of {array.size} values are not finite",
            where=path,
            hint="mend the file, or mask them by its modality's air",
            id="N27",
        )
    made = array.astype(np.float32)
    made[outside] = modality.air
    repairs = []
    if edge:
        what = f"{edge} NaN voxels at the border are outside the field of view; set to air"
        repairs.append(Repair(f"{what} ({modality.air:g})", id="N27"))
    if count:
        least = array[good].min()
        made[odd] = least
        what = f"{count} voxels that are not finite were set to the minimum ({float(least):g})"
        repairs.append(Repair(what, id="N27"))
    return made, repairs


def _touching_border(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    from scipy import ndimage  # rarely needed

    regions, count = ndimage.label(mask)
    faces = [np.take(regions, side, axis=axis) for axis in range(3) for side in (0, -1)]
    touching = np.zeros(count + 1, dtype=bool)
    for face in faces:
        touching[np.unique(face)] = True
    touching[0] = False
    found: npt.NDArray[np.bool_] = touching[regions]
    return found
