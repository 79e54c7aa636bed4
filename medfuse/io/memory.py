"""How much memory the system can still give, as it says so itself."""

from __future__ import annotations

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")


def free_memory() -> int | None:
    """Return the bytes of memory that a process may still take, None where nobody says.

    On Linux the kernel's own estimate, which counts what it would give back: files that were read
    stay in memory until somebody needs the room. Pages that hold nothing at all, which other
    systems count, are few on a machine that has been busy.
    """
    try:
        lines = _MEMINFO.read_text("ascii").splitlines()
    except OSError:
        return _unused_pages()
    found = [line.split() for line in lines if line.startswith("MemAvailable:")]
    return int(found[0][1]) * 1024 if found else _unused_pages()  # "MemAvailable:  123456 kB"


def _unused_pages() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
