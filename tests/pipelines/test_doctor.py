"""The doctor: what it finds on this machine, and what it would find on a sick one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines import doctor


def test_it_names_what_is_here() -> None:
    found = doctor.examine()
    root = Path(__file__).resolve().parents[2]
    assert found.packages == {name: str(root / name) for name in doctor.PACKAGES}
    assert found.needed["numpy"] == np.__version__
    assert found.codecs["RLE"] is True
    assert found.cores >= 1
    assert found.disk_gib > 0
    assert found.memory_gib is None or found.memory_gib > 0
    assert found.problems == ()
    assert set(found.document()) >= {"version", "needed", "problems"}


def test_memory_is_what_the_kernel_can_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "meminfo"
    path.write_text("MemFree: 1024 kB\nMemAvailable: 4194304 kB\n")
    monkeypatch.setattr("medfuse.io.memory._MEMINFO", path)
    assert doctor.examine().memory_gib == 4.0


def test_a_package_of_another_place_hides_ours() -> None:
    homes = {
        "medfuse": "/a/medfuse",
        "registration": "/b/registration",
        "pipelines": "/a/pipelines",
    }
    (said,) = doctor._clashes(homes)
    assert said.startswith("registration is loaded from")


def test_a_foreign_distribution_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"registration": "1.0"}
    monkeypatch.setattr(doctor, "_version", lambda name: found.get(name, "missing"))
    homes = {name: f"/a/{name}" for name in doctor.PACKAGES}
    (said,) = doctor._clashes(homes)
    assert "pip uninstall registration" in said
    assert doctor._missing({"numpy": "missing", "scipy": "1"}) == [
        "numpy is missing: pip install medfuse"
    ]


def test_it_loads_nothing_that_learns() -> None:
    code = (
        "import sys; from pipelines.doctor import examine; examine();"
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
