"""``medfuse phantom``: believable heads in code, with the truth beside them."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    out: Annotated[str, typer.Argument(metavar="OUT", help="The folder to make them in")],
    subjects: Annotated[
        int, typer.Option("--subjects", metavar="N", min=1, max=999, help="How many heads.")
    ] = 1,
    seed: Annotated[
        int, typer.Option("--seed", metavar="S", min=0, help="Other seeds are other heads.")
    ] = 0,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Put all scans on the T1 grid, for training.")
    ] = False,
    dicom: Annotated[bool, typer.Option("--dicom", help="Write DICOM series as well.")] = False,
) -> None:
    """Make believable heads in code, with the truth.

    Writes OUT/sub-001/{T1,T1CE,T2,FLAIR,CT,PET}.nii.gz, labels.nii.gz, report.txt and
    truth/NAME.tfm. No person was scanned.

    \b
    Example:
      medfuse phantom heads --subjects 2 --seed 7

    \b
    Exit codes: 0 done, 2 wrong usage, 5 OUT cannot be written, 6 out of memory or disk.

    Research software, not a medical device.
    """
    from medfuse.errors import UsageError
    from medfuse.phantom.cohort import write_phantom
    from pipelines.cli import terminal, worker

    if not out:
        raise UsageError("OUT has no name", hint="name a folder")
    worker.announce(out)
    with terminal.listener() as progress:
        write_phantom(
            out, subjects=subjects, seed=seed, aligned=aligned, dicom=dicom, progress=progress
        )
    terminal.say(f"wrote {subjects} {'head' if subjects == 1 else 'heads'} into {out}")
