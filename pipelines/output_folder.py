"""A folder of results that is filled whole or not at all.

Everything is made in a hidden folder inside it and moved into place at the end, so a refusal on
the way leaves nothing; a lock keeps a second run out.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medfuse.errors import OutputError, UsageError
from medfuse.io.files import check_target, folder_lock

RECORD, PAGE = "record.json", "page.html"
OURS = ("transform.tfm", "transform.h5", "moved.nii.gz")  # what may lie in the folder of a name
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|COM\d|LPT\d)(\..*)?", re.IGNORECASE)  # Windows' devices


def check_name(name: str) -> str:
    """Return ``name`` if it is safe as the name of a folder everywhere, else ``UsageError``."""
    ends_well = not name.endswith(".")
    if not _SAFE.fullmatch(name) or not ends_well or _RESERVED.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a name",
            where="--name",
            hint="begin with a letter or digit; letters, digits, '.', '_' and '-'; at most 64",
        )
    if name.lower() in (RECORD, PAGE):
        raise UsageError(f"{name!r} is the name of a result", where="--name", hint="use another")
    return name


Announce = Callable[[Path, bool], None]  # of a folder, and whether it is new


def unannounced(folder: Path, new: bool) -> None:
    """Tell nobody: the default."""


@dataclass(frozen=True)
class OutputFolder:
    """A locked ``folder`` and the hidden ``stage`` inside it, where results are made."""

    folder: Path
    stage: Path
    overwrite: bool

    def reserve(self, names: Iterable[str], *, inputs: Iterable[Path] = ()) -> None:
        """Refuse, before any work, names whose results cannot be put into place.

        Raises ``OutputError``: a result is there and ``overwrite`` is off (S5), a result would
        replace an input (S4), or a link leads out of the folder (N40).
        """
        given = [path for path in inputs if path.exists()]
        for name in names:
            results = self.folder / name
            if results.is_symlink():
                raise OutputError("is a link", where=results, hint="remove it", id="N40")
            if results.exists() and not self.overwrite:
                raise OutputError("exists already", where=results, hint="add --overwrite", id="S5")
            if results.exists() and not results.is_dir():
                raise OutputError("is not a folder", where=results, hint="remove it", id="S5")
            for path in given:
                _keep_apart(results, path)
        for file in (RECORD, PAGE):
            check_target(self.folder / file, inputs=given, overwrite=self.overwrite)

    def publish(self, *, earlier: Iterable[str] = ()) -> None:
        """Move what was made into place, ``record.json`` last; an earlier result goes first.

        ``earlier`` are patterns of files that an earlier run may have left and this one may not
        have made again, such as ``"probabilities/*.nii.gz"``.
        """
        made = sorted(path.relative_to(self.stage) for path in self.stage.rglob("*"))
        files = [path for path in made if (self.stage / path).is_file()]
        files.sort(key=lambda path: path == Path(RECORD))
        if self.overwrite:
            self._remove_earlier({path.parts[0] for path in files if len(path.parts) > 1})
            for path in [path for pattern in earlier for path in self.folder.glob(pattern)]:
                path.unlink()
        for path in files:
            (self.folder / path.parent).mkdir(exist_ok=True)
            (self.stage / path).replace(self.folder / path)

    def _remove_earlier(self, names: set[str]) -> None:
        """Remove results of these names, and a page without its record: they would mislead."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / RECORD).unlink()
        with contextlib.suppress(FileNotFoundError):
            (self.folder / PAGE).unlink()
        for name in names - {RECORD, PAGE}:
            for file in OURS:
                with contextlib.suppress(FileNotFoundError):
                    (self.folder / name / file).unlink()


def _keep_apart(results: Path, given: Path) -> None:
    """Refuse results in the folder of a series, or over a file, that is read."""
    home, source = results.resolve(), given.resolve()
    among = source.is_relative_to(home) or (home.is_relative_to(source) and _has_others(results))
    replaced = [results / file for file in OURS if (results / file).exists()]
    if among or any(file.samefile(given) for file in replaced):
        raise OutputError(
            "holds one of the inputs", where=results, hint="choose another folder", id="S4"
        )


def _has_others(results: Path) -> bool:
    """Tell whether a folder holds what no earlier run made: slices of a series, perhaps."""
    return results.is_dir() and any(path.name not in OURS for path in results.iterdir())


@contextlib.contextmanager
def output_folder(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    announce: Announce = unannounced,
) -> Iterator[OutputFolder]:
    """Make (where it is missing), check and lock a folder of results; yield it with its stage.

    ``announce`` is told of the folder, and whether it is new, before anything is made in it. On
    leaving, the stage is removed, and the folder too where it was made here and is empty. Raises
    ``OutputError``: not a folder, its parent is missing or cannot be written (S5), locked by
    another run (S7).
    """
    folder = Path(os.path.abspath(path))  # noqa: PTH100 - a leading "~" is a name here
    new = make_folder(folder)
    announce(folder, new)
    try:
        with folder_lock(folder):
            stage = folder / f".partial-{os.getpid()}"
            stage.mkdir()
            try:
                yield OutputFolder(folder, stage, overwrite)
            finally:
                shutil.rmtree(stage, ignore_errors=True)
    finally:
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()


def make_folder(folder: Path) -> bool:
    """Return whether the folder had to be made; ``OutputError`` where it cannot be, or written."""
    if folder.is_dir():
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError("cannot write into this folder", where=folder, id="S5")
        return False
    if os.path.lexists(folder):
        raise OutputError("is not a folder", where=folder, hint="choose another name", id="S5")
    check_target(folder)
    try:
        folder.mkdir()
    except OSError as error:
        raise OutputError(
            error.strerror or "cannot be made", where=folder, hint="choose another name", id="S5"
        ) from None
    return True
