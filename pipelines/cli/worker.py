"""Work in a child process, so that Ctrl-C is answered at once even inside a long C++ filter.

The parent only waits. A signal is passed on; a child that has not ended 0.4 seconds later is
killed, and what it was writing under temporary names is removed. A signal that was ignored when
the command began stays ignored, as ``nohup`` asks. A child that the system kills (no
memory left) or that crashes becomes one line and an exit code, never a silent half result.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

_PATIENCE = 0.4  # seconds between a signal and SIGKILL
_PDEATHSIG = 1  # prctl(2): PR_SET_PDEATHSIG
_SIGNALS: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_news: list[int] = []  # in the child: where to announce folders with temporary files


class _Stop(BaseException):
    """Leave the parent's waiting: ``number`` is the signal that came."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def announce(folder: str | os.PathLike[str], made: bool = False) -> None:
    """Tell the parent that temporary files of this process may lie in ``folder``.

    They are named ``.<pid>-*`` or ``.partial-<pid>-*``, and a lock holds the pid; ``made``
    says that the folder itself is new. Does nothing where there is no parent.
    """
    if _news:
        mark = b"+" if made else b" "
        os.write(_news[0], mark + os.fsencode(os.path.abspath(folder)) + b"\0")  # noqa: PTH100


def supervise(
    work: Callable[[], int],
    report: Callable[[str], None],
    *,
    stopped: str = "what was not finished is removed",
) -> int:
    """Run ``work`` in a child and return its exit code; ``report`` says how it ended otherwise.

    ``stopped`` is what becomes of the results when a signal ends it. For the last act of a
    process: no signal is heard any more when it returns.
    """
    try:
        return _supervised(work, report, stopped)
    finally:  # the interpreter, on its way out, puts the default handlers back
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _supervised(work: Callable[[], int], report: Callable[[str], None], stopped: str) -> int:
    lifeline, alive = os.pipe()  # closes when the parent is gone, whatever ended it
    news, announced = os.pipe()
    heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    # a signal waits until each process has said what to do with it
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    child = os.fork()
    if child == 0:
        os.close(alive)
        os.close(news)
        _news.append(announced)
        _work(work, lifeline, heard)
    os.close(lifeline)
    os.close(announced)
    try:
        for number in heard:
            signal.signal(number, _interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
        _, status = os.waitpid(child, 0)
        _deafen()
    except _Stop as stop:
        _end(child, stop.number)
        _clean(child, news)
        report(f"stopped on request; {stopped}")
        return 128 + stop.number
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    _clean(child, news)
    if -code == signal.SIGKILL:
        report("the system ended the work, most likely for want of memory; close other programs")
        return 6
    report(f"internal: the work ended with signal {-code}; run again with --debug")
    return 1


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    """Handle a signal in the parent: once, so that none comes into the tidying up."""
    _deafen()
    raise _Stop(number)


def _deafen() -> None:
    """Hear no signal any more (SIG_IGN: Python would complain of one that is under way)."""
    for number in _SIGNALS:
        signal.signal(number, _unheard)


def _unheard(number: int, _: FrameType | None) -> None:
    """Do nothing about a signal."""


def stop(number: int, _: FrameType | None) -> NoReturn:
    """Handle a signal in the working process: once, by leaving through every ``finally``."""
    _deafen()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _work(work: Callable[[], int], lifeline: int, heard: list[signal.Signals]) -> NoReturn:
    code = 1
    try:
        for number in heard:
            signal.signal(number, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
        _die_with_parent(lifeline)
        code = work()
    except KeyboardInterrupt:
        code = 130
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)  # nothing is left to tear down; the parent reports


def _die_with_parent(lifeline: int) -> None:
    """End this process when the parent is gone, whatever ended it."""
    import _thread

    _thread.start_new_thread(_follow, (lifeline,))
    if sys.platform == "linux":  # the kernel does it even while the interpreter is locked
        import ctypes

        ctypes.CDLL(None).prctl(_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _follow(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the parent is gone
    os._exit(137)


def _end(child: int, number: int) -> None:
    """Pass the signal on, wait a little, then kill; the child may have ended by itself."""
    with contextlib.suppress(ChildProcessError):  # it was reaped just as the signal came
        _kill(child, number)


def _kill(child: int, number: int) -> None:
    ended, _ = os.waitpid(child, os.WNOHANG)
    if ended:
        return
    os.kill(child, number)  # it is there, or not reaped: the number is nobody else's
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        ended, _ = os.waitpid(child, os.WNOHANG)
        if ended:
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _clean(child: int, news: int) -> None:
    """Remove what the child left under its temporary names in the folders it announced."""
    os.set_blocking(news, False)
    told = b""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(news, 1 << 16):
            told += part
    # the longest first: a folder inside another is removed before it
    for message in sorted({name for name in told.split(b"\0") if name}, key=len, reverse=True):
        folder = os.fsdecode(message[1:])
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                ours = entry.name.startswith((f".{child}-", f".partial-{child}-"))
                if ours or _is_lock(entry, child):
                    _remove(entry)
            if message.startswith(b"+"):
                Path(folder).rmdir()


def _is_lock(entry: os.DirEntry[str], child: int) -> bool:
    if entry.name != ".medfuse.lock":
        return False
    return Path(entry.path).read_text("ascii", "replace").strip() == str(child)


def _remove(entry: os.DirEntry[str]) -> None:
    with contextlib.suppress(OSError):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()
