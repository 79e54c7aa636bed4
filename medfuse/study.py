"""Nouns made of nouns: one patient's visit as it came, and the same on one grid with verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from medfuse.errors import GeometryError, UsageError
from medfuse.geometry import Geometry
from medfuse.transform import Transform
from medfuse.volume import Array32, LabelMap, Volume

Verdict = Literal["pass", "review", "fail"]


@dataclass(frozen=True)
class Quality:
    """What is known about one alignment.

    ``figures`` are what was measured (names with units, such as ``overlap`` or ``margin``),
    ``reasons`` the sentences behind a verdict that is not *pass*; ``error_mm`` and
    ``interval_mm`` an estimate of the error, where one could be made.
    """

    verdict: Verdict
    figures: Mapping[str, float]
    reasons: tuple[str, ...] = ()
    error_mm: float | None = None
    interval_mm: tuple[float, float] | None = None


@dataclass(frozen=True)
class Study:
    """One patient, one visit: ``volumes`` by name, each on its own grid, as they came.

    Names are the modality's (``T1``, ``CT``), numbered from the second of one modality on
    (``T1-2``). ``id`` is the user's word for the case, never a DICOM patient id; ``report`` is
    the written report's text, if there is one.
    """

    id: str
    volumes: Mapping[str, Volume]
    report: str | None = field(default=None, repr=False)
    labels: LabelMap | None = None

    def __post_init__(self) -> None:
        """Freeze the mapping."""
        object.__setattr__(self, "volumes", MappingProxyType(dict(self.volumes)))


@dataclass(frozen=True)
class AlignedStudy:
    """A study on one grid: ``volumes`` resampled onto ``geometry``, the originals in ``study``.

    ``fixed`` names the volume whose grid it is. ``transforms`` and ``quality`` hold, for each
    moving volume, the map from fixed to moving points and the verdict on it; ``dropped`` what the
    gate refused and why; ``imputed`` what medfuse made. Only ``align`` and ``read_aligned`` make
    one. Raises ``GeometryError`` where a volume lies on another grid.
    """

    study: Study
    fixed: str
    geometry: Geometry
    volumes: Mapping[str, Volume]
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    quality: Mapping[str, Quality] = field(default_factory=dict)
    imputed: frozenset[str] = frozenset()
    dropped: Mapping[str, str] = field(default_factory=dict)
    labels: LabelMap | None = None

    def __post_init__(self) -> None:
        """Check that there is one grid and freeze the mappings."""
        for name, volume in self.volumes.items():
            if not volume.geometry.same_grid(self.geometry):
                raise GeometryError("lies on another grid than the study", where=name)
        if self.labels is not None and not self.labels.geometry.same_grid(self.geometry):
            raise GeometryError("the label map lies on another grid than the study")
        for name in ("volumes", "transforms", "quality", "dropped"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def stack(self, names: Iterable[str]) -> tuple[Array32, npt.NDArray[np.bool_]]:
        """Return the volumes as (M, D, H, W) in the order of ``names``, and which are present.

        An absent volume is zero and its ``present`` (M,) is False. Raises ``UsageError`` for an
        empty list of names.
        """
        wanted = list(names)
        if not wanted:
            raise UsageError("no modality was named to stack")
        array = np.zeros((len(wanted), *self.geometry.shape), dtype=np.float32)
        present = np.zeros(len(wanted), dtype=bool)
        for row, name in enumerate(wanted):
            if name in self.volumes:
                array[row], present[row] = self.volumes[name].array, True
        return array, present
