"""``medfuse compare-fusion``: which level of fusion is best on one's own data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from medfuse.errors import Repair
    from medfuse.study import Cohort
    from medfuse.training.settings import TrainSettings
    from pipelines.contest import Compared

Dataset = Annotated[
    str, typer.Argument(metavar="DATASET", help="CSV, BIDS folder, or folder of patients")
]
Minutes = Annotated[
    float, typer.Option("--minutes", metavar="M", min=0.01, help="For all trainings together.")
]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="The folder for the results.")]
Recipe = Annotated[
    str | None,
    typer.Option("--recipe", metavar="RECIPE", help="What to learn, as for train."),
]
Levels = Annotated[
    str, typer.Option("--levels", metavar="A,B", help="Of data, feature, model and hybrid.")
]
Folds = Annotated[
    int, typer.Option("--folds", metavar="K", min=1, help="Parts of the patients, each held out.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of splits and trainings.")]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="auto: CUDA where there is one.")
]
Threads = Annotated[int, typer.Option("--threads", metavar="N", min=0, help="0: all cores.")]
AllowOutside = Annotated[
    bool, typer.Option("--allow-outside", help="Let a manifest name files outside its folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")]


def command(  # noqa: PLR0913 - the options of the command
    dataset: Dataset,
    minutes: Minutes,
    out: Out,
    recipe: Recipe = None,
    levels: Levels = "data,feature,model",
    folds: Folds = 3,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = 0,
    allow_outside: AllowOutside = False,
    json: Json = False,
) -> None:
    """Train every level of fusion in the same time and say which one is best, if any.

    The patients are split as for train (a column split goes before --folds), each level is
    trained on the same ones for its share of the minutes, and those held out are segmented with
    all their scans and with one missing, which comes on top: the start says how much. Writes
    DIR/page.html, DIR/compare.csv (one row a level, case and label), DIR/record.json, and the
    models in DIR/runs. A run that was killed goes on when the command is given again.

    \b
    Example:
      medfuse compare-fusion heads --minutes 30 --recipe lesion --out contest

    \b
    Exit codes: 0 done, 2 wrong usage, 3 bad input, 5 DIR cannot be written, 6 out of memory.

    Research software, not a medical device.
    """
    import os

    from pipelines.cli.threads import hold

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = hold(threads or cores or 1)
    from medfuse.training.job import Machine
    from medfuse.training.settings import TrainSettings
    from pipelines.cli import terminal, worker
    from pipelines.compare import compare, outlook, write_comparison
    from pipelines.contest import Contest
    from pipelines.output_folder import output_folder
    from pipelines.train import read_recipe

    settings = read_recipe(recipe) if recipe else TrainSettings()
    chosen = tuple(name.strip() for name in levels.split(",") if name.strip())
    machine = Machine(device, threads)
    cohort, warned = _found(settings, dataset, Path(out), allow_outside=allow_outside)
    with output_folder(out, announce=worker.announce) as folder:
        terminal.tell("data", warned)  # now, not after the minutes
        contest = Contest.of(cohort, levels=chosen, folds=folds, minutes=minutes, seed=seed)
        if not json:
            terminal.say(outlook(contest))
        with terminal.repairs() as met, terminal.listener(quiet=json) as progress:
            found = compare(
                cohort, settings, contest, folder.folder, machine=machine, progress=progress
            )
        terminal.tell("data", met)
        write_comparison(found.with_data([*warned, *met]), settings, folder)
    _say(found, out, json=json)


def _found(
    settings: TrainSettings, dataset: str, out: Path, *, allow_outside: bool
) -> tuple[Cohort, list[Repair]]:
    """Return the cohort and what was mended in it; refuse to write into where its scans lie."""
    from pipelines.apart import check_training
    from pipelines.cli import terminal
    from pipelines.compare import TABLE
    from pipelines.train import cohort_of

    with terminal.repairs() as found:
        cohort = cohort_of(settings, dataset, allow_outside=allow_outside)
    check_training(out, dataset, cohort, table=TABLE)
    return cohort, found


def _say(found: Compared, out: str, *, json: bool) -> None:
    from pipelines.cli import terminal

    if json:
        import json as json_

        terminal.say(json_.dumps(found.document()))
        return
    for level in found.contest.levels:
        whole, missing = (one.summary.overall[level][0] for one in (found.whole, found.missing))
        steps = f"{found.steps[level]:.0f} steps"
        terminal.say(f"{level}: Dice {whole:.3f}, {missing:.3f} with one scan missing ({steps})")
    terminal.say(found.verdict.sentence)
    terminal.say(f"page: {out}/page.html")
    terminal.say("Research software, not a medical device.")
