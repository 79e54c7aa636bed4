"""How many threads the whole process may use; said once, before numpy is loaded."""

from __future__ import annotations

import os


def hold(threads: int) -> int:
    """Hold the process to ``threads``, never more than there are cores for it; return how many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = min(threads, cores or 1)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)  # libraries read it when they are loaded
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    return threads
