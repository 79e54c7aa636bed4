"""``medfuse convert``: one scan or label map into another format."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A file or DICOM folder: PATH[:CT,key=value]")
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="OUT.nii.gz, .nii, .nrrd or .mha")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT where it exists.")
    ] = False,
) -> None:
    """Convert a scan or label map into one file.

    From a DICOM series or any file that medfuse reads. A name that ends in .nii.gz is written as
    NIfTI, and so on.

    Nothing but the values and the grid is written: no name, date or other header of the patient.

    \b
    Example:
      medfuse convert dicom/head CT.nii.gz
      medfuse convert dicom/patient:series=1.2.840.113619.2.5 PET.nii.gz

    \b
    Exit codes: 0 done, 2 wrong usage, 3 bad input, 5 OUT cannot be written, 6 out of memory.

    Research software, not a medical device.
    """
    from medfuse.io.volumes import write_labels, write_volume
    from pipelines.cli import inputs, outputs, terminal

    target = outputs.target(out, given=[source], overwrite=overwrite)
    with terminal.repairs() as warned:
        labels, scan = inputs.either(source)
        if scan is not None:
            write_volume(scan, target)
        elif labels is not None:
            write_labels(labels, target)
    terminal.tell(inputs.path(source), warned)
    terminal.say(f"wrote {out}")
