"""The demonstration: a head made in code, its scans aligned, and the error that is known."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medfuse import seeds
from medfuse import settings as settings_
from medfuse.errors import OutputError
from medfuse.io.transforms import read_transform
from medfuse.io.volumes import read_labels, read_volume
from medfuse.phantom.cohort import write_phantom
from medfuse.progress import Progress, silent
from medfuse.record import Record
from medfuse.study import Quality, Study
from medfuse.transform import Transform
from medfuse.volume import LabelMap
from pipelines.output_folder import PAGE, Announce, output_folder, unannounced
from pipelines.register_case import Case, run_case

FIXED = "T1"
MOVING = ("T2", "CT", "PET")
SUBJECT = "sub-001"
RESULTS = "aligned"
_POINTS = 4000


@dataclass(frozen=True)
class Demonstration:
    """What came of it: verdicts, mean errors over the head (mm), and where the page lies."""

    quality: Mapping[str, Quality]
    error_mm: Mapping[str, float]
    page: Path
    exit_code: int


def run_demo(
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    seed: int = 0,
    progress: Progress = silent,
    announce: Announce = unannounced,
) -> Demonstration:
    """Make a head in ``out``, align its T2, CT and PET with its T1, and measure the error.

    ``announce`` is told of each folder that temporary files may lie in.
    Raises ``OutputError`` where ``out`` holds something and ``overwrite`` is off; only what an
    earlier demonstration made is replaced.
    """
    home = Path(os.path.abspath(out))  # noqa: PTH100
    if home.is_dir() and any(home.iterdir()):
        if not overwrite:
            raise OutputError("is not empty", where=home, hint="add --overwrite", id="S5")
        shutil.rmtree(home / SUBJECT, ignore_errors=True)
    progress("making a head", 0, 1)
    write_phantom(home, subjects=1, seed=seed)
    progress("making a head", 1, 1)
    made = home / SUBJECT
    study = Study(
        SUBJECT, {name: read_volume(made / f"{name}.nii.gz") for name in (FIXED, *MOVING)}
    )
    record = Record("demo", seed=seed)
    for name, volume in study.volumes.items():
        record.add_input(name, volume)
    with output_folder(home / RESULTS, overwrite=overwrite, announce=announce) as folder:
        case = Case(study, FIXED, seed=seed, allow_fail=True)
        record.settings = settings_.dump(case.settings)
        folder.reserve(case.moving)
        result = run_case(case, folder, record, progress=progress)
    labels = read_labels(made / "labels.nii.gz")
    errors = {
        one.name: mean_error(
            read_transform(folder.folder / one.transform),
            read_transform(made / "truth" / f"{one.name}.tfm"),
            labels,
        )
        for one in result.moving
    }
    verdicts = {one.name: one.quality for one in result.moving}
    failed = any(quality.verdict == "fail" for quality in verdicts.values())
    return Demonstration(verdicts, errors, folder.folder / PAGE, 4 if failed else 0)


def mean_error(found: Transform, truth: Transform, labels: LabelMap) -> float:
    """Return the mean distance between where both send labelled points, mm.

    Both map fixed to moving points; ``labels`` lie on the fixed grid.
    """
    inside = np.argwhere(labels.array > 0)
    chosen = seeds.rng(0, "demo", "points").choice(len(inside), min(_POINTS, len(inside)), False)
    points = labels.geometry.world(inside[chosen])  # (N, 3) LPS mm
    return float(np.linalg.norm(found.map(points) - truth.map(points), axis=1).mean())
