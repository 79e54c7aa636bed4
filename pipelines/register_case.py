"""One patient's case: every moving volume brought onto the fixed one, results in one folder.

The flow behind ``medfuse register``: it takes nouns, not paths, so that everything was read and
found good before the first second of work.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medfuse import settings as settings_
from medfuse.errors import Repair
from medfuse.geometry import Geometry
from medfuse.io.files import write_text
from medfuse.io.transforms import write_transform
from medfuse.io.volumes import write_volume
from medfuse.progress import Progress, silent
from medfuse.record import Record
from medfuse.resampling import Interpolation, resample
from medfuse.study import AlignedStudy, Quality, Study
from medfuse.transform import IDENTITY, Affine, Transform
from medfuse.volume import LabelMap, Volume
from pipelines.output_folder import PAGE, RECORD, OutputFolder
from registration.groupwise import drawn_on
from registration.pair import Pair
from registration.pairwise import register
from registration.settings import RegisterSettings


@dataclass(frozen=True)
class Case:
    """What is to be done: the ``study``, the name of its ``fixed`` volume, and how.

    ``masks`` (fixed, moving) and ``start`` (fixed to moving points) hold for every pair.
    """

    study: Study
    fixed: str
    settings: RegisterSettings = field(default_factory=RegisterSettings)
    seed: int = 0
    start: Transform | None = None
    masks: tuple[Volume | None, Volume | None] = (None, None)
    interpolation: Interpolation = "linear"
    page: bool = True
    allow_fail: bool = False

    @property
    def moving(self) -> tuple[str, ...]:
        """The names of the moving volumes."""
        return tuple(name for name in self.study.volumes if name != self.fixed)


@dataclass(frozen=True)
class Moved:
    """The answer for one moving volume; paths relative to the output folder."""

    name: str
    quality: Quality
    transform: str
    moved: str

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` and the record say of it."""
        return {
            "name": self.name,
            "verdict": self.quality.verdict,
            "reasons": list(self.quality.reasons),
            "transform": self.transform,
            "moved": self.moved,
        }


@dataclass(frozen=True)
class CaseResult:
    """All answers of a case, and the exit code that they mean."""

    moving: tuple[Moved, ...]
    exit_code: int

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {"moving": [one.document() for one in self.moving], "exit": self.exit_code}


def usable(case: Case) -> tuple[Case, dict[str, Repair]]:
    """Return the case ready for work, and what had to be repaired, by name.

    A sheared grid is resampled once to right angles (N10). Raises ``InputError`` for a volume
    that cannot be registered (N25, N30, D40), so that none is begun before all are good.
    """
    volumes = dict(case.study.volumes)
    repairs: dict[str, Repair] = {}
    for name in case.moving:
        pair = Pair.of(volumes[case.fixed], volumes[name], case.masks)
        for one, straight in ((case.fixed, pair.fixed), (name, pair.moving)):
            if straight is not volumes[one]:
                angle = volumes[one].geometry.shear_degrees
                what = f"the grid is sheared by {angle:.2f} degrees: resampled to right angles"
                repairs[one] = Repair(what, id="N10")
                volumes[one] = straight
    return replace(case, study=replace(case.study, volumes=volumes)), repairs


def run_case(
    case: Case, out: OutputFolder, record: Record, *, progress: Progress = silent
) -> CaseResult:
    """Register every moving volume, write all results into ``out`` and publish them."""
    fixed = case.study.volumes[case.fixed]
    moved: list[Moved] = []
    volumes = {case.fixed: fixed}  # on the fixed grid; kept for the page alone
    transforms: dict[str, Transform] = {}
    quality: dict[str, Quality] = {}
    for name in case.moving:
        started = time.monotonic()
        transforms[name], quality[name] = _registered(case, name, progress)
        record.lap(f"{name}: register", time.monotonic() - started)
        carried = resample(
            case.study.volumes[name],
            fixed.geometry,
            transforms[name],
            interpolation=case.interpolation,
            threads=case.settings.threads,
        )
        moved.append(_write(name, transforms[name], carried, quality[name], out.stage))
        if case.page:
            volumes[name] = carried
        record.lap(f"{name}: all", time.monotonic() - started)
    failed = any(one.verdict == "fail" for one in quality.values())
    result = CaseResult(tuple(moved), 4 if failed and not case.allow_fail else 0)
    _note(record, case, result)
    if case.page:
        shown = AlignedStudy(
            case.study,
            case.fixed,
            fixed.geometry,
            volumes,
            transforms,
            quality,
            labels=_labels(case, transforms, record),
        )
        _page(shown, out.stage / PAGE, record, progress)
    write_text(out.stage / RECORD, record.to_json())
    out.publish()
    return result


def _registered(case: Case, name: str, progress: Progress) -> tuple[Transform, Quality]:
    def told(what: str, done: int, total: int) -> None:
        progress(f"{name}: {what}", done, total)

    answer = register(
        case.study.volumes[case.fixed],
        case.study.volumes[name],
        masks=case.masks,
        start=case.start,
        settings=case.settings,
        seed=case.seed,
        progress=told,
    )
    return answer.transform, answer.quality


def _write(name: str, transform: Transform, moved: Volume, quality: Quality, stage: Path) -> Moved:
    (stage / name).mkdir()
    file = f"{name}/transform.{'tfm' if isinstance(transform, Affine) else 'h5'}"
    write_transform(transform, stage / file)
    write_volume(moved, stage / name / "moved.nii.gz")
    return Moved(name, quality, file, f"{name}/moved.nii.gz")


def _note(record: Record, case: Case, result: CaseResult) -> None:
    document = result.document()
    record.results |= {
        "fixed": case.fixed,
        "grid": _grid(case.study.volumes[case.fixed].geometry),
        "moving": document["moving"],
        "figures": {one.name: _figures(one.quality) for one in result.moving},
        "exit": document["exit"],
    }


def _grid(geometry: Geometry) -> dict[str, Any]:
    return {
        "shape": list(geometry.shape),
        "spacing_mm": [round(step, 6) for step in geometry.spacing],
        "orientation": geometry.orientation,
    }


def _figures(quality: Quality) -> dict[str, float | None]:
    """Return the figures with those that JSON does not know (infinite, not a number) as null."""
    return {
        name: float(value) if math.isfinite(value) else None
        for name, value in quality.figures.items()
    }


def settings_document(case: Case, *, start: str, masks: Mapping[str, str]) -> dict[str, Any]:
    """Return the complete settings of a case for its record; files only as their checksums."""
    return {
        **settings_.dump(case.settings),
        "start": start,
        "interpolation": case.interpolation,
        "masks": dict(masks),
    }


def _labels(case: Case, transforms: Mapping[str, Transform], record: Record) -> LabelMap | None:
    """Return the study's labels on the fixed grid, moved with the volume they were drawn on."""
    labels = case.study.labels
    if labels is None:
        return None
    name = drawn_on(case.study, case.fixed)
    if name is None:
        record.warn("labels", "C8", "lie on the grid of none of the volumes: not shown")
        return None
    onto = case.study.volumes[case.fixed].geometry
    return resample(labels, onto, transforms.get(name, IDENTITY))


def _page(aligned: AlignedStudy, path: Path, record: Record, progress: Progress) -> None:
    from pipelines.reporting.page import write_page

    progress("page", 0, 1)
    document = {key: value for key, value in record.document().items() if key != "run"}
    write_page(aligned, path, labels=aligned.labels, record=document)
    progress("page", 1, 1)
