"""``medfuse demo``: from nothing to an aligned head and a page, to see that all of it works."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="The folder to work in.")
    ] = "medfuse-demo",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what an earlier demo made in DIR, nothing else."),
    ] = False,
) -> int:
    """Make a head, align it, measure the true error.

    Its T2, CT and PET are aligned with its T1.

    The head is DIR/sub-001; the results, with page.html, are in DIR/aligned.

    \b
    Example:
      medfuse demo --out medfuse-demo

    \b
    Exit codes: 0 done, 4 a verdict is fail, 5 DIR cannot be written or is not empty, 6 out of
    memory or disk.

    Research software, not a medical device.
    """
    from pipelines.cli import terminal, worker
    from pipelines.cli.threads import hold

    hold(1)
    from pipelines.demo import run_demo

    with terminal.listener() as progress:
        made = run_demo(out, overwrite=overwrite, progress=progress, announce=worker.announce)
    for name, quality in made.quality.items():
        reasons = f" ({'; '.join(quality.reasons)})" if quality.reasons else ""
        terminal.say(f"{name}: {quality.verdict}, true error {made.error_mm[name]:.2f} mm{reasons}")
    terminal.say(f"page: {made.page}")
    return made.exit_code
