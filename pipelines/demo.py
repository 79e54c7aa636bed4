"""The demonstration: a head made in code, its scans aligned, and the error that is known."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medfuse import seeds
from medfuse import settings as settings_
from medfuse.errors import OutputError, UsageError
from medfuse.io.files import sha256
from medfuse.io.transforms import read_transform
from medfuse.io.volumes import read_labels, read_volume
from medfuse.phantom.cohort import write_phantom
from medfuse.progress import Progress, silent
from medfuse.record import Record
from medfuse.study import Quality, Study
from medfuse.transform import Transform
from medfuse.volume import LabelMap
from pipelines.output_folder import (
    PAGE,
    RECORD,
    Announce,
    output_folder,
    staging,
    unannounced,
)
from pipelines.register_case import Case, run_case
from pipelines.undisturbed import undisturbed

FIXED = "T1"
MOVING = ("T2", "CT", "PET")
SUBJECT = "sub-001"
RESULTS = "aligned"
_MADE = "made"  # where the record lists the files of the head with their checksums
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

    ``announce`` is told of each folder that temporary files may lie in. Raises ``OutputError``
    (S5) where ``out`` holds something and ``overwrite`` is off, and where a head or results there
    are not those that an earlier demonstration made: only these are replaced, at the end.
    """
    if not os.fspath(out):
        raise UsageError("the folder has no name", where="--out", hint="name one")
    home = Path(os.path.abspath(out))  # noqa: PTH100
    with (
        _made(home, announce, overwrite=overwrite),
        output_folder(home / RESULTS, overwrite=overwrite, announce=announce) as folder,
        staging(home) as work,
    ):
        folder.reserve(MOVING)
        progress("making a head", 0, 1)
        write_phantom(work, subjects=1, seed=seed)
        progress("making a head", 1, 1)
        made = work / SUBJECT
        study = Study(
            SUBJECT, {name: read_volume(made / f"{name}.nii.gz") for name in (FIXED, *MOVING)}
        )
        record = Record("demo", seed=seed)
        for name, volume in study.volumes.items():
            record.add_input(name, volume)
        case = Case(study, FIXED, seed=seed)
        record.settings = settings_.dump(case.settings)
        record.results[_MADE] = _checksums(made)
        result = run_case(case, folder, record, progress=progress)
        _put_in_place(made, home / SUBJECT, aside=work / "earlier")
    made = home / SUBJECT
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
    return Demonstration(verdicts, errors, folder.folder / PAGE, result.exit_code)


@contextlib.contextmanager
def _made(home: Path, announce: Announce, *, overwrite: bool) -> Iterator[None]:
    """Make ``home`` where it is missing, and take it away where nothing came into it.

    Raises ``OutputError`` (S5) before anything is made.
    """
    if home.is_dir() and any(home.iterdir()):
        if not overwrite:
            raise OutputError("is not empty", where=home, hint="add --overwrite", id="S5")
        _check_ours(home)
    new = not os.path.lexists(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot be made ({error.strerror})"
        raise OutputError(what, where=home, hint="choose another folder", id="S5") from None
    announce(home, new)
    try:
        yield
    finally:
        if new:
            with contextlib.suppress(OSError):
                home.rmdir()


def _check_ours(home: Path) -> None:
    """Refuse to replace a head or results unless an earlier demonstration made all of them.

    Its record holds the checksum of every file of the head: a patient's folder of the same name,
    or a head that somebody has drawn on, is not ours to remove.
    """
    try:
        record = json.loads((home / RESULTS / RECORD).read_bytes())
        made = dict(record[_MADE]) if record["command"] == "demo" else None
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        made = None
    subject, results = home / SUBJECT, home / RESULTS
    if subject.is_symlink() or (os.path.lexists(subject) and made != _checksums(subject)):
        raise _foreign(subject)
    if results.is_symlink() or (made is None and _holds_something(results)):
        raise _foreign(results)


def _holds_something(results: Path) -> bool:
    """Tell whether there is more than the hidden remains of a run that was killed."""
    if not results.is_dir():
        return os.path.lexists(results)
    return any(not path.name.startswith(".") for path in results.iterdir())


def _foreign(path: Path) -> OutputError:
    return OutputError("holds what no demo made", where=path, hint="choose another folder", id="S5")


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder; anything but a file has none."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        if path.is_file() and not path.is_symlink()
        else ""
        for path in paths
    }


def _put_in_place(made: Path, target: Path, *, aside: Path) -> None:
    """Rename the new head into place; an earlier one goes aside first, to be removed with it."""
    with undisturbed():
        if target.exists():
            target.rename(aside)
        try:
            made.rename(target)
        except OSError:
            if aside.exists():
                aside.rename(target)
            raise


def mean_error(found: Transform, truth: Transform, labels: LabelMap) -> float:
    """Return the mean distance between where both send labelled points, mm.

    Both map fixed to moving points; ``labels`` lie on the fixed grid.
    """
    inside = np.argwhere(labels.array > 0)
    chosen = seeds.rng(0, "demo", "points").choice(len(inside), min(_POINTS, len(inside)), False)
    points = labels.geometry.world(inside[chosen])  # (N, 3) LPS mm
    return float(np.linalg.norm(found.map(points) - truth.map(points), axis=1).mean())
