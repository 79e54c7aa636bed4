"""Free memory is what the kernel says it can give, not what nobody has touched yet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from medfuse.io import memory

MEMINFO = """\
MemTotal:       24117248 kB
MemFree:          204800 kB
MemAvailable:   21504000 kB
Buffers:           10240 kB
Cached:         20971520 kB
"""  # a machine that has read 20 GB of scans: next to nothing is untouched, nearly all can be had


def write(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(text)
    monkeypatch.setattr(memory, "_MEMINFO", path)


def test_what_files_were_read_into_counts_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "meminfo", MEMINFO, monkeypatch)
    monkeypatch.setattr(os, "sysconf", lambda _: 1)
    assert memory.free_memory() == 21_504_000 * 1024


def test_other_systems_are_asked_for_their_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {"SC_AVPHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert memory.free_memory() == 4_096_000
    write(tmp_path / "meminfo", "MemTotal: 1 kB\n", monkeypatch)  # kernels before 3.14
    assert memory.free_memory() == 4_096_000


def test_where_nobody_says_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", refuse)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert memory.free_memory() is None


def test_this_machine_has_some() -> None:
    free = memory.free_memory()
    assert free is None or free > 10_000_000
