"""Bring the numbers of each modality to a range that networks learn from, and back again.

CT and PET have units that mean the same everywhere, so their map is fixed: centred, and bent by
an inverse hyperbolic sine, which is a straight line near the centre (brain at 40 HU) and a
logarithm far from it, so that air and bone keep their places and nothing is cut off. MR has none:
the median of the patient's own foreground becomes 0 and its interquartile range sets the scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from medfuse import settings
from medfuse.errors import UsageError
from medfuse.modality import Modality, modality
from medfuse.volume import Array32, Volume

_FARTHEST = 10.0  # spreads: a spark in MR must not swamp a network
_NORMAL = 1.349  # interquartile range of a normal distribution of spread 1
_SAMPLES = 1_000_000  # voxels that quantiles are taken from


@dataclass(frozen=True)
class Scheme:
    """How the values of one modality become a network's input: ``bend((v - centre) / scale)``.

    With ``centre`` and ``scale`` of None both are measured on each volume, see ``fitted``. Raises
    ``UsageError`` for a scale or clip that is none.
    """

    centre: float | None = None  # the value, in the modality's unit, that becomes 0
    scale: float | None = None  # so many units become 1 (near the centre, where bent)
    clip: tuple[float, float] | None = None  # values beyond are set to these first, in the unit
    bend: Literal["none", "asinh"] = "none"  # asinh: linear near the centre, logarithmic far away

    def __post_init__(self) -> None:
        """Refuse what is no map."""
        if (self.centre is None) != (self.scale is None):
            raise UsageError("centre and scale of an intensity scheme come together or not at all")
        if self.scale is not None and not self.scale > 0:
            raise UsageError("the scale of an intensity scheme must be above 0")
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise UsageError("the clip of an intensity scheme needs its lower value first")

    @property
    def is_fitted(self) -> bool:
        """Whether the scheme says its numbers itself, and measures none on the volume."""
        return self.centre is not None


_SCHEMES = {
    "CT": Scheme(40.0, 40.0, (-1024.0, 3071.0), "asinh"),  # HU: grey and white differ by 8
    "PET": Scheme(0.0, 2.0, (0.0, 50.0), "asinh"),  # SUV
}


def scheme_for(kind: str | Modality) -> Scheme:
    """Return the scheme of a modality: fixed for CT (HU) and PET (SUV), measured for the rest."""
    name = modality(kind).name if isinstance(kind, str) else kind.name
    return _SCHEMES.get(name, Scheme())


def fitted(volume: Volume, scheme: Scheme | Mapping[str, Any]) -> Scheme:
    """Return the scheme with the numbers that it takes for ``volume``.

    The foreground is what lies above the mean (of the values but the outermost 0.5 % at both
    ends), as air does not; its median and interquartile range are robust against a lesion, a
    vessel or a spark. A volume without any contrast gets a scale of 1.
    """
    chosen = _scheme(scheme)
    if chosen.is_fitted:
        return chosen
    step = max(1, volume.array.size // _SAMPLES)
    values = volume.array.reshape(-1)[::step]
    ends = np.quantile(values, (0.005, 0.995))  # a spark must not move the mean
    foreground = values[values > np.clip(values, *ends).mean(dtype=np.float64)]
    if foreground.size == 0:
        return replace(chosen, centre=float(values[0]), scale=1.0)
    low, middle, high = np.quantile(foreground.astype(np.float64), (0.25, 0.5, 0.75))
    spread = (high - low) / _NORMAL
    if not spread > 0:
        spread = float(foreground.std(dtype=np.float64)) or 1.0
    return replace(chosen, centre=float(middle), scale=float(spread))


def normalise(volume: Volume, scheme: Scheme | Mapping[str, Any]) -> Volume:
    """Return the volume with values that a network takes: unit ``"1"``, float32, same grid.

    ``scheme`` may be the plain values of a model card. What the scheme leaves open is measured on
    this volume; measured maps end at 10 spreads. Raises ``UsageError`` for plain values that are
    no scheme, and for a CT or PET that is not in the unit its scheme is written for.
    """
    chosen = _scheme(scheme)
    check_unit(volume, chosen)
    fit = fitted(volume, chosen)
    assert fit.centre is not None
    assert fit.scale is not None
    values = volume.array if fit.clip is None else np.clip(volume.array, *fit.clip)
    made: Array32 = (values - np.float32(fit.centre)) / np.float32(fit.scale)
    if fit.bend == "asinh":
        made = np.arcsinh(made)
    if not chosen.is_fitted:
        made = np.clip(made, -_FARTHEST, _FARTHEST)
    return replace(volume, array=made.astype(np.float32, copy=False), unit="1")


def denormalise(volume: Volume, scheme: Scheme | Mapping[str, Any]) -> Volume:
    """Undo ``normalise``: values in the modality's own unit, within the scheme's clip.

    Raises ``UsageError`` where the scheme is not ``fitted``: the numbers are the original's.
    """
    fit = _scheme(scheme)
    if fit.centre is None or fit.scale is None:
        raise UsageError(
            "this intensity scheme has no numbers to go back with",
            hint="take that of fitted(original, scheme)",
        )
    made = np.sinh(volume.array) if fit.bend == "asinh" else volume.array
    made = made * np.float32(fit.scale) + np.float32(fit.centre)
    if fit.clip is not None:
        made = np.clip(made, *fit.clip)
    return replace(volume, array=made.astype(np.float32, copy=False), unit=volume.modality.unit)


def _scheme(given: Scheme | Mapping[str, Any]) -> Scheme:
    if isinstance(given, Scheme):
        return given
    return settings.load(Scheme, given, where="intensity")


def check_unit(volume: Volume, scheme: Scheme) -> None:
    """Raise ``UsageError`` for a PET in counts, say, where the map is written for SUV."""
    wanted = volume.modality.unit
    if scheme.is_fitted and volume.modality.name in _SCHEMES and volume.unit != wanted:
        raise UsageError(
            f"the {volume.modality.name} is in {volume.unit}, its network wants {wanted}",
            hint="give the DICOM series; or, if you know what a file holds, write it down once: "
            f"medfuse convert FILE:{volume.modality.name},unit={wanted} OUT.nii.gz",
        )
