"""What lies in a folder and below it: nothing is passed over because it may not be looked at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from medfuse.errors import InputError


def files_below(root: Path) -> tuple[list[Path], int]:
    """Return all that is no folder in ``root`` and below, in the order of names.

    With it comes the number of links to folders: they are not entered, as they may lead anywhere,
    also back. Raises ``InputError`` (N44) for a folder that may not be looked into: what lies there
    could be a part of what is read.
    """
    found: list[Path] = []
    links = 0
    for inside, folders, names in os.walk(root, onerror=_refuse):
        if not os.access(inside, os.X_OK):
            raise _denied(inside)
        folders.sort()
        links += sum(Path(inside, name).is_symlink() for name in folders)
        found += [Path(inside, name) for name in sorted(names)]
    return found, links


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, in the order of names; ``InputError`` (N44) as above."""
    try:
        with os.scandir(folder) as listed:
            found = sorted(Path(entry.path) for entry in listed)
    except OSError as error:
        _refuse(error)
    if not os.access(folder, os.X_OK):
        raise _denied(folder)
    return found


def _refuse(error: OSError) -> NoReturn:
    if isinstance(error, PermissionError):
        raise _denied(error.filename) from None
    what = f"the folder cannot be read ({error.strerror or error})"
    raise InputError(what, where=error.filename, id="N44") from None


def _denied(folder: object) -> InputError:
    return InputError(
        "permission denied: nobody knows what this folder holds",
        where=folder,
        hint="ask its owner for the right to read it, or take it away",
        id="N44",
    )
