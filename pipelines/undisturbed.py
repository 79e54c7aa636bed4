"""A few steps that are taken all together: a signal that comes between them waits for the last."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold signals back inside, and let the first that came act on leaving.

    For renames that belong together, never for work: nobody waits for the end of it. A mask would
    not do, because the kernel hands a signal to any thread that does not block it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread alone
        return
    came: list[int] = []

    def hold(number: int, _: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    held = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    try:
        for number in held:
            signal.signal(number, hold)
        yield
    finally:
        for number in held:
            signal.signal(number, before[number])
        if came:
            signal.raise_signal(came[0])
