"""Segment one case: read, place on one grid, answer, carry back, write, whole or not at all.

A case's results appear in a folder of its own, so that of many cases those that are done stay
when one fails. Research software, not a medical device.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medfuse import settings as settings_
from medfuse.errors import ModelError, Repair, ResourceError, UsageError
from medfuse.fusion.needs import memory_needed
from medfuse.fusion.segmenter import Sweep, agreeing, probabilities, segment
from medfuse.geometry import Geometry
from medfuse.io.files import check_target, write_text
from medfuse.io.memory import free_memory
from medfuse.io.segmentations import write_segmentation
from medfuse.io.volumes import write_volume
from medfuse.progress import Progress, silent
from medfuse.record import Record
from medfuse.resampling import resample
from medfuse.study import AlignedStudy
from medfuse.transform import IDENTITY, Transform
from medfuse.volume import LabelMap, Volume
from pipelines.cases import Case, on_one_grid, read_case
from pipelines.hearing import heard
from pipelines.output_folder import RECORD, Announce, OutputFolder, output_folder, unannounced
from pipelines.segment import (
    LABELS,
    SEG,
    Models,
    Segmented,
    SegmentSettings,
    choices,
    file_names,
    volumes_ml,
)

_PROBABILITIES = "probabilities"
_EARLIER = (LABELS, SEG, f"{_PROBABILITIES}/*.nii.gz")
_GIB = 2**30


@dataclass(frozen=True)
class Place:
    """Where results go: below ``folder``, which exists; may they replace earlier ones?"""

    folder: Path
    overwrite: bool = False
    announce: Announce = unannounced


def unsaid(sentence: str) -> None:
    """Say nothing: the default listener."""


def segment_case(
    case: Case,
    models: Models,
    place: Place,
    *,
    settings: SegmentSettings,
    say: Callable[[str], None] = unsaid,
    progress: Progress = silent,
) -> Iterator[Segmented]:
    """Segment one case into ``OUT/CASE`` (``OUT/SUBSET/CASE`` for subsets), yielding each result.

    Writes ``labels.nii.gz`` on the grid of the fixed scan (or ``onto``), ``record.json`` and what
    the settings ask for. Raises ``InputError`` where scans cannot be read, lie apart (C9) or are
    not those that the model needs (M11), ``OutputError`` where results are there already,
    ``ResourceError`` where memory would not do; ``say`` is told how much it takes.
    """
    chosen = choices(models.card, settings)
    ready = _ready(case, models, settings, say)
    for some in chosen:
        if settings.subsets and not set(some) <= set(ready.aligned.volumes):
            continue  # the smaller subset has it already
        home = place.folder / "+".join(some) if settings.subsets else place.folder
        yield _answer(ready, some, replace(place, folder=home), place.folder, progress)


def segment_each(
    case: Case,
    models: Models,
    wanted: Sequence[tuple[Place, Sequence[str]]],
    *,
    settings: SegmentSettings,
    progress: Progress = silent,
) -> Iterator[Segmented]:
    """Segment one case several times, into ``PLACE/CASE`` with the scans named beside each place.

    The scans that ``settings`` tell are read and compared once for all of them; those that are
    wanted are some of these. Raises as ``segment_case``.
    """
    ready = _ready(case, models, settings, unsaid)
    for place, names in wanted:
        mine = replace(ready, settings=replace(settings, only=tuple(names)))
        yield _answer(mine, names, place, place.folder, progress)


@dataclass(frozen=True, eq=False)
class _Task:
    """A study read and compared, with what is used of it, and whose grid the labels go onto."""

    aligned: AlignedStudy
    target: str
    models: Models
    settings: SegmentSettings
    heard: tuple[Repair, ...]
    inputs: tuple[Path, ...]  # none of which may be written over


def _ready(
    case: Case, models: Models, settings: SegmentSettings, say: Callable[[str], None]
) -> _Task:
    """Read a case and compare its scans, once for all answers, while most are there to compare."""
    with heard() as repaired:
        onto = (settings.onto,) if settings.onto else ()
        chosen = choices(models.card, settings)
        names = [name for name in models.card.modalities if any(name in some for some in chosen)]
        aligned = on_one_grid(read_case(case, (*names, *onto)), settings.transforms)
        # labels may go onto a scan that disagrees: its place is known, its anatomy does not matter
        target = _target(aligned, settings)
        _check_needed(aligned, models)
        _check_memory(aligned, models, _written(aligned, target, settings), say)
        aligned = agreeing(_keeping(aligned, names))
        _check_needed(aligned, models)
    given = [*case.scans(), *([Path(case.labels)] if case.labels else [])]
    return _Task(aligned, target, models, settings, tuple(repaired), tuple(given))


def _answer(
    ready: _Task, names: Sequence[str], place: Place, root: Path, progress: Progress
) -> Segmented:
    """Answer with these scans alone, those of them that are there; named by its path in root."""
    there = [name for name in names if name in ready.aligned.volumes]
    place.folder.mkdir(exist_ok=True)
    with output_folder(
        place.folder / ready.aligned.study.id, overwrite=place.overwrite, announce=place.announce
    ) as folder:
        _reserve(folder, ready.settings, ready.inputs)
        task = replace(ready, aligned=_keeping(ready.aligned, there))
        return _run(task, folder, folder.folder.relative_to(root).as_posix(), progress)


def _run(task: _Task, folder: OutputFolder, name: str, progress: Progress) -> Segmented:
    started = time.monotonic()
    aligned, settings = task.aligned, task.settings
    record = Record("segment", settings=_recorded(settings))
    for scan, volume in aligned.study.volumes.items():
        record.add_input(scan, volume)
    how = Sweep(mirror=settings.tta, device=settings.device, check=False)  # it was, in _ready

    def told(what: str, done: int, total: int) -> None:
        progress(f"{name}: {what}", done, total)

    with heard() as repaired:
        labels = segment(aligned, task.models.segmenters, how=how, progress=told)
        record.lap("segment", time.monotonic() - started)
        labels = _native(labels, aligned, task.target)
        source = aligned.study.volumes[task.target]
        write_segmentation(labels, folder.stage / LABELS, source=source)
        if settings.dicom:
            write_segmentation(labels, folder.stage / SEG, source=source)
        if settings.probabilities:
            made = probabilities(aligned, task.models.segmenters, how=how, progress=told)
            _write_probabilities(made, aligned, task.target, folder.stage)
    known = task.models.card.modalities
    asked = settings.only or settings.subsets
    repairs = [r for r in repaired if not (asked and r.id == "M11")]  # left out as it was asked for
    result = Segmented(
        aligned.study.id,
        name,
        volumes_ml(labels, task.models.card),
        tuple(one for one in known if one in aligned.volumes),
        tuple(one for one in known if one not in aligned.volumes),
        time.monotonic() - started,
        (*task.heard, *repairs),
    )
    doubts = [repair for repair in task.heard if repair.id == "agreement"]
    for repair in (*doubts, *repairs):  # those of reading stand with the inputs
        record.warn("labels", repair.id, repair.what)
    record.results |= _results(task, labels, result)
    write_text(folder.stage / RECORD, record.to_json())
    folder.publish(earlier=_EARLIER)
    return result


def _results(task: _Task, labels: LabelMap, result: Segmented) -> dict[str, Any]:
    return {
        "model": task.models.document(),
        "fixed": task.aligned.fixed,
        "grid_of": task.target,
        "used": list(result.used),
        "missing": list(result.missing),
        "dropped": dict(task.aligned.dropped),
        "labels": {str(value): name for value, name in labels.names.items()},
        "volumes_ml": result.document()["volumes_ml"],
    }


def _recorded(settings: SegmentSettings) -> dict[str, Any]:
    """Return the settings without the path in them."""
    known = settings.transforms in (None, "header")
    return settings_.dump(settings) | ({} if known else {"transforms": "those of medfuse register"})


def _target(aligned: AlignedStudy, settings: SegmentSettings) -> str:
    """Return the name of the scan whose grid the labels go onto, checked before any work."""
    target = settings.onto or aligned.fixed
    if target not in aligned.study.volumes:
        there = ", ".join(aligned.study.volumes)
        raise UsageError(f"there is no {target} to put labels onto", hint=f"there is {there}")
    if target in aligned.dropped:
        raise UsageError(f"{target} was dropped: {aligned.dropped[target]}", where="--onto")
    source = aligned.study.volumes[target].source
    if settings.dicom and (source is None or source.series_uid is None):
        raise UsageError(
            f"--dicom needs a DICOM series, and the {target} is none",
            where=aligned.study.id,
            hint="choose one with --onto, or leave --dicom away",
        )
    return target


def _reserve(folder: OutputFolder, settings: SegmentSettings, inputs: Sequence[Path]) -> None:
    folder.reserve((), inputs=inputs)
    for name in (LABELS, *((SEG,) if settings.dicom else ())):
        check_target(folder.folder / name, inputs=inputs, overwrite=folder.overwrite)


def _keeping(aligned: AlignedStudy, names: Sequence[str]) -> AlignedStudy:
    """Return the study with these volumes alone for the model; the originals stay."""
    volumes = {name: aligned.volumes[name] for name in names if name in aligned.volumes}
    return replace(aligned, volumes=volumes)


def _native(labels: LabelMap, aligned: AlignedStudy, target: str) -> LabelMap:
    """Carry labels from the fixed grid onto the scan's own."""
    return resample(labels, aligned.study.volumes[target].geometry, _back(aligned, target))


def _back(aligned: AlignedStudy, target: str) -> Transform:
    """Return the map from points of a scan as it came to points of the fixed one."""
    transform = aligned.transforms.get(target, IDENTITY)
    return transform if transform is IDENTITY else transform.inverse()


def _write_probabilities(
    made: Mapping[str, Volume], aligned: AlignedStudy, target: str, stage: Path
) -> None:
    (stage / _PROBABILITIES).mkdir()
    onto, back = aligned.study.volumes[target].geometry, _back(aligned, target)
    for name, file in file_names(made).items():
        write_volume(resample(made[name], onto, back), stage / _PROBABILITIES / f"{file}.nii.gz")


def _check_needed(aligned: AlignedStudy, models: Models) -> None:
    """Refuse a study without a scan that the model cannot do without, before any work (M11)."""
    card = models.card
    needed = [name for name in card.required if name not in aligned.volumes]
    if needed or not set(card.modalities) & set(aligned.volumes):
        what = f"the model needs {', '.join(needed or card.modalities)}, which is missing"
        raise ModelError(what, hint="give that scan", id="M11")


def _written(aligned: AlignedStudy, target: str, settings: SegmentSettings) -> Geometry | None:
    """Return the grid that probabilities are written on; None where none are asked for."""
    return aligned.study.volumes[target].geometry if settings.probabilities else None


def _check_memory(
    aligned: AlignedStudy, models: Models, written: Geometry | None, say: Callable[[str], None]
) -> None:
    """Say how much memory the answer takes, and refuse to begin where it is not there."""
    needs = memory_needed(aligned.geometry, models.card, written=written)
    has = free_memory()
    say(f"needs about {needs / _GIB:.1f} GB of memory")
    if has is not None and needs > has:
        raise ResourceError(
            f"needs about {needs / _GIB:.1f} GB of memory, {has / _GIB:.1f} GB are free",
            where=aligned.study.id,
            hint="close other programs, or crop the scans",
        )
