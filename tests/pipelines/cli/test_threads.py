"""How many threads a process may use."""

from __future__ import annotations

import os

import pytest

from pipelines.cli.threads import hold


def test_S18_never_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert hold(10**6) == cores
    assert hold(1) == 1
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1"


def test_an_idle_thread_soon_gives_its_core_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """libgomp burns a core for milliseconds by default; who set it himself keeps what he set."""
    monkeypatch.setattr(os, "environ", {})
    hold(2)
    assert 0 < int(os.environ["GOMP_SPINCOUNT"]) <= 10_000
    os.environ["GOMP_SPINCOUNT"] = "7"
    hold(2)
    assert os.environ["GOMP_SPINCOUNT"] == "7"
