"""``medfuse doctor``: what is installed, what is missing, what is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.doctor import Examination


def command(
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> int:
    """Look at this installation.

    Versions, DICOM codecs, memory, and packages that are in the way.

    \b
    Example:
      medfuse doctor

    \b
    Exit codes: 0 medfuse can work, 3 something that it needs is missing or hidden.

    Research software, not a medical device.
    """
    import json as json_

    from pipelines.cli import terminal
    from pipelines.doctor import examine

    found = examine()
    if json:
        terminal.say(json_.dumps(found.document(), indent=2))
    else:
        for line in _lines(found):
            terminal.say(line)
    for problem in found.problems:
        terminal.complain(f"warning[doctor]: {problem}")
    return 3 if found.problems else 0


def _lines(found: Examination) -> list[str]:
    from pipelines.doctor import OPTIONAL

    memory = "unknown" if found.memory_gib is None else f"{found.memory_gib} GiB"
    lines = [
        f"medfuse {found.version} on Python {found.python}, {found.system}",
        f"cores {found.cores}, free memory {memory}, free disk here {found.disk_gib} GiB",
        "",
        "our packages",
        *(f"  {name:<20} {where}" for name, where in found.packages.items()),
        "needed",
        *(f"  {name:<20} {version}" for name, version in found.needed.items()),
        "optional",
    ]
    for name, version in found.optional.items():
        use, extra = OPTIONAL[name]
        how = f"  (pip install 'medfuse[{extra}]')" if version == "missing" and extra else ""
        lines.append(f"  {name:<20} {version}: {use}{how}")
    lines.append("compressed DICOM")
    lines += [f"  {name:<20} {'yes' if yes else 'no'}" for name, yes in found.codecs.items()]
    return [*lines, "", "ready" if not found.problems else "not ready"]
