"""How many threads the whole process may use; said once, before numpy is loaded."""

from __future__ import annotations

import os

# How long a thread that is done burns its core before it sleeps. By default that is milliseconds;
# beside other work the burning takes the core from the thread that all are waiting for, and a
# training step takes 25 times as long. With this it takes twice as long, and alone no longer.
_SPINS = "3000"


def hold(threads: int) -> int:
    """Hold the process to ``threads``, never more than there are cores for it; return how many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = min(threads, cores or 1)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)  # libraries read it when they are loaded
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    return threads
