"""``medfuse train``: from a recipe and a cohort to a model file, resumable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medfuse.errors import MedfuseError

if TYPE_CHECKING:
    from medfuse.errors import Repair
    from medfuse.study import Cohort
    from medfuse.training.job import Job, Machine
    from medfuse.training.settings import TrainSettings
    from pipelines.train import Trained

Recipe = Annotated[
    str, typer.Argument(metavar="RECIPE", help="What to learn: a TOML file, or lesion")
]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="The folder for the results.")]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="MANIFEST", help="CSV, BIDS folder, or folder of patients."),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", metavar="N", min=1, help="At most so many.")
]
Minutes = Annotated[
    float | None, typer.Option("--minutes", metavar="M", help="As many of them as fit into M.")
]
Fold = Annotated[
    int | None, typer.Option("--fold", metavar="K", min=0, help="Which part is held out, from 0.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the training in DIR.")]
PlanOnly = Annotated[
    bool, typer.Option("--plan-only", help="Write DIR/plan.toml and stop: change it, run again.")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="auto: CUDA where there is one.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same, the same model.")]
Threads = Annotated[
    int,
    typer.Option("--threads", metavar="N", min=0, help="0: all cores. The same, the same bytes."),
]
ResampleLabels = Annotated[
    bool, typer.Option("--resample-labels", help="Carry labels onto the grid of the scans.")
]
AllowOutside = Annotated[
    bool, typer.Option("--allow-outside", help="Let a manifest name files outside its folder.")
]


def command(  # noqa: PLR0913 - the options of the command
    recipe: Recipe,
    out: Out,
    data: Data = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    fold: Fold = None,
    resume: Resume = False,
    plan_only: PlanOnly = False,
    device: Device = "auto",
    seed: Seed = 0,
    threads: Threads = 0,
    resample_labels: ResampleLabels = False,
    allow_outside: AllowOutside = False,
) -> None:
    """Train a segmenter that works with any subset of its modalities.

    The scans of a visit must lie on one grid (medfuse register does that). Writes DIR/model.mfm;
    DIR/plan.toml and DIR/splits.json, which are taken as they are on the next run; history.csv,
    curves.png and TensorBoard's events; a checkpoint after each epoch, for --resume.

    \b
    Example:
      medfuse train lesion --data cohort --out run --minutes 5

    \b
    Exit codes: 0 done, 2 wrong usage, 3 bad input, 5 DIR cannot be written, 6 out of memory.

    Research software, not a medical device.
    """
    import os

    from pipelines.cli.threads import hold

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = hold(threads or cores or 1)
    from pipelines.train import read_recipe

    settings = read_recipe(recipe, epochs=epochs, minutes=minutes, fold=fold)
    from medfuse.training.job import Machine

    machine = Machine(
        device=device,
        threads=threads,
        processes=int(os.environ.get("WORLD_SIZE", "1")),
        rank=int(os.environ.get("RANK", "0")),
        resample_labels=resample_labels,
    )
    request = _Request(settings, data, Path(out).absolute(), seed, machine, allow_outside)
    _work(request, resume=resume, plan_only=plan_only)


@dataclass(frozen=True)
class _Request:
    """What was typed, ready to be worked on."""

    settings: TrainSettings
    data: str | None
    out: Path
    seed: int
    machine: Machine
    allow_outside: bool


def _work(request: _Request, *, resume: bool, plan_only: bool) -> None:
    from pipelines.cli import terminal
    from pipelines.train import write_record

    first = request.machine.rank == 0
    cohort, found = _found(request)
    with _folder(request.out, first=first):
        with terminal.repairs() as met:
            job, trained = _train(cohort, request, resume=resume, plan_only=plan_only)
        if not first:
            return
        warned = [*found, *met]
        terminal.tell("data", warned)
        if trained is None:
            terminal.say(f"plan: {request.out / 'plan.toml'}")
            return
        write_record(job, trained, request.out, seed=request.seed, repairs=warned)
        _say(trained)


def _found(request: _Request) -> tuple[Cohort, list[Repair]]:
    """Return the cohort and what was mended in it; refuse to train into where its scans lie."""
    from medfuse.training.history import TABLE
    from pipelines.apart import check_training
    from pipelines.cli import terminal
    from pipelines.train import cohort_of

    named = request.data or request.settings.data
    with terminal.repairs() as found:
        cohort = cohort_of(request.settings, named, allow_outside=request.allow_outside)
    check_training(request.out, named, cohort, table=TABLE)
    return cohort, found


@contextlib.contextmanager
def _folder(out: Path, *, first: bool) -> Iterator[None]:
    """Make and lock the folder of the results; the first of several processes does it for all."""
    from medfuse.io.files import folder_lock
    from pipelines.cli import worker
    from pipelines.output_folder import make_folder

    if not first:
        yield
        return
    new = make_folder(out)
    worker.announce(out, new)
    before = set(out.iterdir())
    try:
        with folder_lock(out):
            yield
    except MedfuseError:
        _take_back(out, before)
        raise
    finally:
        if new:
            with contextlib.suppress(OSError):  # nothing came of it
                out.rmdir()


def _take_back(out: Path, before: set[Path]) -> None:
    """Remove the plan of a training that was refused before it had learned anything."""
    from medfuse.training.job import PLAN, SETTINGS
    from medfuse.training.keeper import CHECKPOINT
    from medfuse.training.visits import SPLITS

    if not (out / CHECKPOINT).exists():
        for name in (PLAN, SPLITS, SETTINGS):
            if out / name not in before:
                (out / name).unlink(missing_ok=True)


def _train(
    cohort: Cohort, request: _Request, *, resume: bool, plan_only: bool
) -> tuple[Job, Trained | None]:
    import torch

    from medfuse.training.loop import check_folder
    from pipelines.cli import terminal
    from pipelines.train import prepare_training, run_training

    torch.set_num_threads(request.machine.threads)
    first = request.machine.rank == 0
    if first:
        check_folder(request.out, resume=resume)
    common: dict[str, Any] = {"seed": request.seed, "machine": request.machine}
    with terminal.listener(quiet=not first) as progress:
        job = prepare_training(cohort, request.settings, request.out, progress=progress, **common)
    if first:
        terminal.say(job.summary())
    if plan_only:
        return job, None
    with terminal.listener(quiet=not first) as progress:
        return job, run_training(job, request.out, progress=progress, **common)


def _say(trained: Trained) -> None:
    from pipelines.cli import terminal

    figures = ", ".join(f"{name} {value:.3f}" for name, value in trained.dice.items())
    held = f"; Dice of held-out visits: {figures}" if figures else ""
    terminal.say(f"{trained.epochs} epochs{held}")
    terminal.say(f"model: {trained.path}")
