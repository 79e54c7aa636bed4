"""Work in a child process, so that Ctrl-C is answered at once even inside a long C++ filter.

The parent only waits. A signal is passed on; a child that has not ended a second later is killed,
and what it was writing under temporary names is removed. A child that the system kills (no
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
_SIGNALS = tuple(
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


def supervise(work: Callable[[], int], report: Callable[[str], None]) -> int:
    """Run ``work`` in a child and return its exit code; ``report`` says how it ended otherwise."""
    lifeline, alive = os.pipe()  # closes when the parent is gone, whatever ended it
    news, announced = os.pipe()
    # a signal waits until each process has said what to do with it
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    child = os.fork()
    if child == 0:
        os.close(alive)
        os.close(news)
        _news.append(announced)
        _work(work, lifeline)
    os.close(lifeline)
    os.close(announced)
    try:
        for number in _SIGNALS:
            signal.signal(number, _interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        _, status = os.waitpid(child, 0)
    except _Stop as stop:
        _end(child, stop.number)
        _clean(child, news)
        report("stopped on request; what was not finished is removed")
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


def _interrupt(number: int, _: FrameType | None) -> None:
    raise _Stop(number)


def stop(number: int, _: FrameType | None) -> NoReturn:
    """Handle a signal in the working process: once, by leaving through every ``finally``."""
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _work(work: Callable[[], int], lifeline: int) -> NoReturn:
    code = 1
    try:
        for number in _SIGNALS:
            signal.signal(number, stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
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
    """Pass the signal on, wait a little, then kill."""
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        ended, _ = os.waitpid(child, os.WNOHANG)
        if ended:
            return
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _clean(child: int, news: int) -> None:
    """Remove what the child left under its temporary names in the folders it announced."""
    os.set_blocking(news, False)
    told = b""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(news, 1 << 16):
            told += part
    for message in {name for name in told.split(b"\0") if name}:
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
