"""``medfuse inspect``: what a file or folder holds, before anything is done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from medfuse.errors import escaped

if TYPE_CHECKING:
    from medfuse.io.inspection import Found


def command(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A file, a DICOM folder or a patient's folder")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what a file or folder holds.

    Format, modality, grid, values, DICOM series, and the repairs that reading needs.

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

    found = inspect(path)
    for one in found:
        terminal.tell(_named(one), one.repairs)
        if one.problem is not None:
            terminal.warning(_named(one), one.problem.id or "unreadable", one.problem.what)
    if json:
        terminal.say(json_.dumps({"found": [one.document() for one in found]}, indent=2))
    else:
        for one in found:
            terminal.say("\n".join(_lines(one)))


def _lines(one: Found) -> list[str]:
    """Return what is known of one scan, its name first."""
    count = f"series {_known(one.number)}, {one.count} instances" if one.count else ""
    kind = ", ".join(word for word in (one.format, one.kind, one.modality, count) if word)
    lines = [escaped(_named(one)), f"  {kind}"]
    if one.shape is not None:
        size = " x ".join(str(n) for n in reversed(one.shape))
        lines.append(f"  {size} voxels{_spaced(one.spacing)}{_towards(one.orientation)}")
    if one.values is not None:
        lines.append(f"  values {one.values[0]:g} to {one.values[1]:g} {one.unit}".rstrip())
    names = dict(one.label_names)
    lines += [f"  label {n} {escaped(names.get(n, ''))}".rstrip() for n in one.labels]
    if one.problem is not None:
        lines.append(f"  cannot be read: {escaped(one.problem.what)}")
    return lines


def _named(one: Found) -> str:
    """Return the words that pick this scan."""
    return f"{one.name}:series={one.series}" if one.series else one.name


def _known(number: int | None) -> str:
    return "without number" if number is None else str(number)


def _spaced(spacing: tuple[float, float, float] | None) -> str:
    return "" if spacing is None else f" of {' x '.join(f'{mm:.3g}' for mm in spacing[::-1])} mm"


def _towards(orientation: str) -> str:
    return f", axes {orientation}" if orientation else ""
