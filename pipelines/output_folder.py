"""A folder of results that is filled whole or not at all.

Everything is made in a hidden folder inside it and moved into place at the end, so a refusal on
the way leaves nothing; a lock keeps a second run out. An earlier result is set aside first and
comes back where the new one cannot be put into its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from medfuse.errors import OutputError, UsageError
from medfuse.io.files import check_target, folder_lock
from pipelines.undisturbed import undisturbed

RECORD, PAGE = "record.json", "page.html"
OURS = ("transform.tfm", "transform.h5", "moved.nii.gz")  # what may lie in the folder of a name
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_STAGE = re.compile(r"\.partial-\d+(-\w+)?")
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
        wanted = set(names)
        for name in sorted(wanted):
            results = self.folder / name
            if results.is_symlink():
                raise OutputError("is a link", where=results, hint="remove it", id="N40")
            if results.exists() and not self.overwrite:
                raise OutputError("exists already", where=results, hint="add --overwrite", id="S5")
            if results.exists() and not results.is_dir():
                raise OutputError("is not a folder", where=results, hint="remove it", id="S5")
        for name in sorted(wanted | self._outdated()):
            _check_files(self.folder / name)
            for path in given:
                _keep_apart(self.folder / name, path)
        for file in (RECORD, PAGE):
            check_target(self.folder / file, inputs=given, overwrite=self.overwrite)

    def publish(self, *, earlier: Iterable[str] = ()) -> None:
        """Move what was made into place, ``record.json`` last; an earlier result goes first.

        ``earlier`` are patterns of files that an earlier run may have left and this one may not
        have made again, such as ``"probabilities/*.nii.gz"``. No signal comes between, and where
        a step fails the earlier result comes back (``OutputError``, S5).
        """
        made = sorted(path.relative_to(self.stage) for path in self.stage.rglob("*"))
        files = [path for path in made if (self.stage / path).is_file()]
        files.sort(key=lambda path: path == Path(RECORD))
        names = {path.parts[0] for path in files} | self._outdated()
        aside = self.stage / ".earlier"
        moves = [(self.folder / path, aside / path) for path in self._earlier(names, earlier)]
        moves += [(self.stage / path, self.folder / path) for path in files]
        with undisturbed():
            _move_all(moves, self.folder)
            for name in names - {RECORD, PAGE}:  # of a scan that takes no part any more
                with contextlib.suppress(OSError):
                    (self.folder / name).rmdir()

    def _earlier(self, names: set[str], patterns: Iterable[str]) -> list[Path]:
        """Return what an earlier run left that the new result replaces, relative paths."""
        if not self.overwrite:
            return []
        # the record first: without it nothing passes for a whole result
        files = [Path(RECORD), Path(PAGE)]
        files += [Path(name, file) for name in sorted(names - {RECORD, PAGE}) for file in OURS]
        files += [
            found.relative_to(self.folder)
            for pattern in patterns
            for found in sorted(self.folder.glob(pattern))
        ]
        return [path for path in dict.fromkeys(files) if (self.folder / path).is_file()]

    def _outdated(self) -> set[str]:
        """Return the names whose results an earlier run's record lists, where they are replaced."""
        record = self.folder / RECORD
        if not self.overwrite or record.is_symlink() or not record.is_file():
            return set()
        try:
            listed = [entry["name"] for entry in json.loads(record.read_bytes())["moving"]]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return set()  # not ours
        safe = {name for name in listed if isinstance(name, str) and _SAFE.fullmatch(name)}
        return {name for name in safe if not (self.folder / name).is_symlink()}


def _move_all(moves: list[tuple[Path, Path]], home: Path) -> None:
    """Rename files one after the other, or take every step back; folders are made as needed."""
    done: list[tuple[Path, Path]] = []
    folders: list[Path] = []
    try:
        for source, target in moves:
            if not target.parent.is_dir():
                target.parent.mkdir(parents=True)
                folders.append(target.parent)
            source.replace(target)
            done.append((source, target))
    except OSError as error:
        for source, target in reversed(done):
            with contextlib.suppress(OSError):
                target.replace(source)
        for folder in folders:
            with contextlib.suppress(OSError):
                folder.rmdir()
        what = f"the result cannot be put into place ({error.strerror})"
        raise OutputError(what, where=home, hint="write elsewhere", id="S5") from None


def _check_files(results: Path) -> None:
    """Refuse a link or folder where a file of ours would go."""
    for file in (results / name for name in OURS):
        if file.is_symlink():
            raise OutputError("is a link", where=file, hint="remove it", id="N40")
        if file.exists() and not file.is_file():
            raise OutputError("is not a file", where=file, hint="remove it", id="S5")


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
    if not os.fspath(path):
        raise UsageError("the folder has no name", where="--out", hint="name one")
    folder = Path(os.path.abspath(path))  # noqa: PTH100 - a leading "~" is a name here
    new = make_folder(folder)
    announce(folder, new)
    try:
        with folder_lock(folder), staging(folder) as stage:
            yield OutputFolder(folder, stage, overwrite)
    finally:
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Yield a new hidden folder in ``folder``, removed on leaving.

    Only for who holds the lock: what killed runs left under such names is removed first.
    """
    for path in folder.iterdir():
        if _STAGE.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
    stage = Path(tempfile.mkdtemp(prefix=f".partial-{os.getpid()}-", dir=folder))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


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
