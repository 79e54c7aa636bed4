"""What a user sees: results on stdout, warnings and errors on stderr, one line each.

Nothing here breaks on a terminal that knows no Unicode, has no colour, or is no terminal at all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from medfuse.errors import MedfuseError, Repair, escaped
from medfuse.progress import Progress, silent

_SILENCE = 30  # seconds after which a plain line says how far a long work is


def prepare() -> None:
    """Make both streams safe for any text, and keep Python's own display of warnings away.

    A library's warning may quote a DICOM header, which is the patient's: none of them is shown.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # started without it (``>&-``)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.simplefilter("ignore")


def quiet_libraries() -> None:
    """Keep libraries off stderr: what matters of it is raised as an error too.

    C and C++ code writes to the descriptor itself, so that is what is turned away; ours stays.
    """
    if "importtime" in sys._xoptions or "PYTHONPROFILEIMPORTTIME" in os.environ:
        return
    import logging

    logging.disable(logging.CRITICAL)
    with contextlib.suppress(OSError, ValueError):
        ours = os.dup(sys.stderr.fileno())
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        sys.stderr = os.fdopen(
            ours, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
        )


def say(text: str = "") -> None:
    """Write one line of a result to stdout."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """Write one line to stderr, in the name of the command."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"medfuse: {text}\n")
        sys.stderr.flush()


def show_cursor() -> None:
    """Bring back the cursor that a progress bar hid, where its process could not."""
    with contextlib.suppress(OSError, ValueError):
        if _is_terminal():
            sys.stderr.write("\x1b[?25h\n")


def error(problem: MedfuseError) -> None:
    """Write an error as ``medfuse: error[N1]: where: what; hint``."""
    mark = f"[{problem.id}]" if problem.id else ""
    complain(f"error{mark}: {problem}")


def warning(where: object, id: str, what: str) -> None:
    """Write a warning as ``medfuse: warning[N13]: where: what``."""
    complain(f"warning[{id}]: {escaped(where)}: {escaped(what)}")


@contextlib.contextmanager
def repairs() -> Iterator[list[Repair]]:
    """Collect the repairs that are warned of inside, each once; they are there on leaving."""
    found: list[Repair] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Repair)
        yield found
    for entry in caught:
        repair = entry.message
        if isinstance(repair, Repair) and not among(repair, found):
            found.append(repair)


def tell(where: object, found: Iterable[Repair]) -> None:
    """Say what was repaired in ``where`` (the path as typed), each once."""
    said: list[Repair] = []
    for repair in found:
        if not among(repair, said):
            said.append(repair)
            warning(where, repair.id, repair.what)


def among(repair: Repair, others: Iterable[Repair]) -> bool:
    """Tell whether the same repair is among others."""
    return any((repair.id, repair.what) == (other.id, other.what) for other in others)


@contextlib.contextmanager
def listener(
    *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """Show progress: a bar on a terminal, plain lines on stdout elsewhere, nothing if ``quiet``.

    ``clock`` tells the seconds that pass between lines.
    """
    if _is_terminal():
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            yield _Bar(bars)
    else:
        yield silent if quiet else _Lines(clock)


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}


class _Lines:
    """One plain line for each case or epoch when it begins; how far it is after a long silence.

    A reader that went away must not cost the result: that is met again when the work is done.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.said: set[str] = set()
        self.last = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        part = _part(what)
        if part not in self.said:
            self._say(what)
        elif done < total and self.clock() - self.last >= _SILENCE:
            self._say(f"{what} ({done} of {total})")
        self.said.add(part)

    def _say(self, text: str) -> None:
        self.last = self.clock()
        with contextlib.suppress(OSError):
            say(escaped(text))
            sys.stdout.flush()


class _Bar:
    """One rich bar for each thing that is worked on; its text says at what stage it is."""

    def __init__(self, bars: Any) -> None:
        self.bars = bars
        self.tasks: dict[str, Any] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        thing = _thing(what)
        if thing not in self.tasks:
            self.tasks[thing] = self.bars.add_task(escaped(what), total=total)
        text = escaped(what)
        self.bars.update(self.tasks[thing], description=text, completed=done, total=total)


def _thing(what: str) -> str:
    """Return ``CT`` for ``CT: refine``."""
    return what.split(": ")[0]


def _part(what: str) -> str:
    """Return what is worth a plain line of its own: a case, ``CT``, or an epoch of a training.

    Not each epoch of a comparison: these are short and many.
    """
    if what.startswith("training: "):
        return what.split(", ")[0]  # without the loss
    return what.rsplit(": ", 1)[0]
