"""Align a whole study to one fixed volume."""

from __future__ import annotations

from collections.abc import Mapping

from medfuse.errors import GeometryError, UsageError
from medfuse.geometry import Geometry
from medfuse.progress import Progress, silent
from medfuse.resampling import resample
from medfuse.study import AlignedStudy, Study
from medfuse.transform import IDENTITY, Transform
from medfuse.volume import LabelMap
from registration.pair import Pair
from registration.pairwise import register
from registration.settings import RegisterSettings

_DEFAULTS = RegisterSettings()
_PREFERRED = {
    "T1": 0,
    "T1CE": 1,
    "FLAIR": 1,
    "T2": 1,
    "PD": 1,
    "MR": 1,
    "CT": 2,
    "PET": 3,
    "OTHER": 4,
}


def choose_fixed(study: Study) -> str:
    """Return the name of the volume to move others onto: T1, else the finest MR, else CT, PET.

    Among several of a kind the finest voxels win. Raises ``UsageError`` for an empty study.
    """
    if not study.volumes:
        raise UsageError("there is no volume to align", where=study.id)
    return min(
        study.volumes,
        key=lambda name: (
            _PREFERRED[study.volumes[name].modality.name],
            study.volumes[name].geometry.voxel_volume,
            list(_PREFERRED).index(study.volumes[name].modality.name),
            name,
        ),
    )


def align(
    study: Study,
    *,
    fixed: str | None = None,
    settings: RegisterSettings = _DEFAULTS,
    seed: int = 0,
    progress: Progress = silent,
) -> AlignedStudy:
    """Bring every volume of ``study`` onto the grid of one, with a verdict on each.

    ``fixed`` names that volume (``choose_fixed`` decides without it). A sheared fixed grid is
    straightened first. Failed alignments are kept with their verdict: ``gate`` drops them. Raises
    ``UsageError`` where ``fixed`` is not in the study.
    """
    name = choose_fixed(study) if fixed is None else fixed
    if name not in study.volumes:
        known = ", ".join(study.volumes)
        raise UsageError(f"there is no volume {name!r}", hint=f"the study has {known}")
    others = [other for other in study.volumes if other != name]
    if not others:
        return AlignedStudy(
            study,
            name,
            study.volumes[name].geometry,
            {name: study.volumes[name]},
            labels=study.labels,
        )
    base = Pair.of(study.volumes[name], study.volumes[others[0]]).fixed
    volumes, transforms, quality = {name: base}, {}, {}
    for done, other in enumerate(others):
        progress(other, done, len(others))
        moving = study.volumes[other]
        found = register(base, moving, settings=settings, seed=seed)
        transforms[other], quality[other] = found.transform, found.quality
        volumes[other] = resample(moving, base.geometry, found.transform, threads=settings.threads)
    progress("aligned", len(others), len(others))
    labels = _labels(study, name, base.geometry, transforms)
    return AlignedStudy(study, name, base.geometry, volumes, transforms, quality, labels=labels)


def drawn_on(study: Study, fixed: str) -> str | None:
    """Return the volume whose grid the study's labels lie on, the fixed one first, or None."""
    labels = study.labels
    for name in (fixed, *study.volumes):
        if labels is not None and study.volumes[name].geometry.same_grid(labels.geometry):
            return name
    return None


def _labels(
    study: Study, fixed: str, onto: Geometry, transforms: Mapping[str, Transform]
) -> LabelMap | None:
    """Carry the study's labels onto the fixed grid with the volume that they were drawn on."""
    if study.labels is None:
        return None
    name = drawn_on(study, fixed)
    if name is not None:
        return resample(study.labels, onto, transforms.get(name, IDENTITY))
    raise GeometryError(
        "the label map lies on the grid of none of the volumes",
        where=study.id,
        hint="resample it onto the volume that it was drawn on",
    )
