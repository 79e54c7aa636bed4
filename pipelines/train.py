"""A training from a recipe to a model file, with the record of how it was made."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfuse import settings as settings_
from medfuse.errors import InputError, Repair, UsageError
from medfuse.io import files
from medfuse.io.manifest import read_manifest
from medfuse.progress import Progress, silent
from medfuse.record import Record

if TYPE_CHECKING:
    from medfuse.study import Cohort
    from medfuse.training.job import Job, Machine
    from medfuse.training.settings import TrainSettings

RECORD = "record.json"
RECIPES = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Trained:
    """What came of a training: the model's ``path``, epochs done, and Dice of whole visits.

    ``dice`` is that of the model, the mean over held-out visits, by label and together as ``mean``;
    empty where nobody was held out.
    """

    path: Path
    epochs: int
    dice: Mapping[str, float]


def read_recipe(path: str | os.PathLike[str], **changes: Any) -> TrainSettings:
    """Return the settings in a TOML file; ``changes`` that are not None go before them.

    A name that is no file may be that of a recipe which comes with medfuse (``lesion``). A
    relative ``data`` counts from the recipe's folder. Raises ``UsageError`` for what is no recipe,
    ``InputError`` where there is no such file.
    """
    from medfuse.training.settings import TrainSettings

    file = _found(path)
    try:
        values = tomllib.loads(files.stored(file).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"is no TOML ({error})", where=path) from None
    values |= {name: value for name, value in changes.items() if value is not None}
    found = settings_.load(TrainSettings, values, where=file.name)
    if found.data:
        found = replace(found, data=os.path.abspath(file.parent / found.data))  # noqa: PTH100
    return found


def _found(path: str | os.PathLike[str]) -> Path:
    """Return the file of a recipe; where there is none, the error names one that was meant."""
    ours = RECIPES / f"{os.fspath(path)}.toml"
    if "/" not in os.fspath(path) and not Path(path).exists() and ours.is_file():
        return files.readable(ours)
    try:
        return files.readable(path)
    except InputError as error:
        names = [recipe.stem for recipe in RECIPES.glob("*.toml")]
        near = difflib.get_close_matches(Path(path).stem, names, n=1)
        if near and error.id == "N40":  # no such file
            error.hint = f"did you mean the recipe {near[0]}, which comes with medfuse?"
        raise


def cohort_of(settings: TrainSettings, data: str | None, *, allow_outside: bool = False) -> Cohort:
    """Return the cohort that ``data``, else the recipe, names; ``UsageError`` where none does."""
    named = data or settings.data
    if not named:
        raise UsageError("no data are named", hint="add --data MANIFEST, or data to the recipe")
    return read_manifest(named, allow_outside=allow_outside)


def prepare_training(
    cohort: Cohort,
    settings: TrainSettings,
    out: Path,
    *,
    seed: int,
    machine: Machine,
    progress: Progress = silent,
) -> Job:
    """Settle a training and write its plan down, without starting it; see ``job.prepare``."""
    from medfuse.training.job import prepare

    return prepare(cohort, settings, out, seed=seed, machine=machine, progress=progress)


def run_training(
    job: Job, out: Path, *, seed: int, machine: Machine, progress: Progress = silent
) -> Trained:
    """Run a prepared training and return what came of it."""
    from medfuse.training.history import read_history
    from medfuse.training.loop import run

    path = run(job, out, seed=seed, machine=machine, progress=progress)
    epochs, best = read_history(out) if machine.rank == 0 else (0, {})
    return Trained(path, epochs, best)


def write_record(
    job: Job, trained: Trained, out: Path, *, seed: int, repairs: list[Repair]
) -> Path:
    """Write ``record.json``: settings, plan, counts and figures, never a name or a path."""
    settings = settings_.dump(job.settings)
    settings.pop("data")
    record = Record("train", settings, seed)
    for repair in repairs:
        record.warn("data", repair.id, repair.what)
    record.results = {
        "plan": settings_.dump(job.plan),
        "visits": {
            "learned": len(job.learned),
            "held_out": len(job.watched),
            "without_labels": job.unlabelled,
        },
        "epochs": trained.epochs,
        "dice": dict(trained.dice),
        "model": {"sha256": files.sha256(trained.path)},
    }
    return files.write_text(out / RECORD, record.to_json())
