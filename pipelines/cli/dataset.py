"""``medfuse dataset check``: is a cohort fit to learn from?"""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at a cohort before anything is learned from it.",
)


@app.callback()
def door() -> None:
    """Look at a cohort before anything is learned from it."""


@app.command("check")
def check(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A CSV manifest, BIDS folder, or patients' folder")
    ],
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Let a manifest name files outside its folder.")
    ] = False,
    threads: Annotated[
        int, typer.Option("--threads", metavar="N", min=1, help="Visits that are read at a time.")
    ] = 1,
) -> int:
    """Read every file of a cohort and say what is in it and what is wrong with it.

    DATA is a CSV file with the columns subject, visit, T1, T1CE, T2, FLAIR, PD, CT, PET, label,
    report, split (subject is needed; an empty cell is missing; paths count from the file), a BIDS
    folder, or a folder with one folder a patient. Nothing is written.

    \b
    Example:
      medfuse dataset check cohort

    \b
    Exit codes: 0 fit, 2 wrong usage, 3 at least one visit is not; each is named on stderr.

    Research software, not a medical device.
    """
    from medfuse.io.manifest import read_manifest
    from pipelines.cli import terminal
    from pipelines.cli.threads import hold

    threads = hold(threads)
    from pipelines.dataset import check_cohort, describe, same_labels

    with terminal.repairs() as warned:
        cohort = read_manifest(data, allow_outside=allow_outside)
    terminal.tell(data, warned)
    with terminal.listener() as progress:
        checked = check_cohort(cohort, threads=threads, progress=progress)
    for line in describe(cohort, checked):
        terminal.say(line)
    for one in checked:
        for repair in one.repairs:
            terminal.warning(one.entry.id, repair.id, repair.what)
        if one.problem is not None:
            one.problem.where = one.problem.where or one.entry.id
            terminal.error(one.problem)
    copied = same_labels(checked)
    terminal.tell(data, copied)
    bad = sum(one.problem is not None for one in checked)
    fit = "fit to learn from" + (" (see the warnings)" if warned or copied else "")
    terminal.say(f"{bad} visits are not fit to learn from" if bad else fit)
    return 3 if bad else 0
