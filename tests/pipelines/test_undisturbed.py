"""Steps that belong together are all taken before a signal acts."""

from __future__ import annotations

import signal
import threading

import pytest

from pipelines.undisturbed import undisturbed


@pytest.fixture(autouse=True)
def _interruptible() -> object:
    """Let Ctrl-C be heard, also where the tests were started without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_waits_for_the_last_step() -> None:
    steps = []

    def work() -> None:
        with undisturbed():
            steps.append("first")
            signal.raise_signal(signal.SIGINT)
            steps.append("last")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == ["first", "last"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with undisturbed():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_may_use_it_too() -> None:
    done = []

    def work() -> None:
        with undisturbed():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
