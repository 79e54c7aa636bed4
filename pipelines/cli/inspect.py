"""``medfuse inspect``: what a file or folder holds, before anything is done with it."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A file, a DICOM folder or a patient's folder")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what a file or folder holds: format, modality, grid, DICOM series, repairs needed.

    Nothing of the patient is printed.

    \b
    Example:
      medfuse inspect dicom/patient
      medfuse inspect T1.nii.gz --json

    \b
    Exit codes: 0 done, 2 wrong usage, 3 it cannot be read.

    Research software, not a medical device.
    """
    import json as json_

    from medfuse.io.inspection import inspect
    from pipelines.cli import terminal

    with terminal.repairs() as warned:
        found = inspect(path)
    terminal.tell(path, warned)
    terminal.say(json_.dumps(found, indent=2))
