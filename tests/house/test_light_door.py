"""What loads with the door: nothing that learns, and nothing heavy before it is needed."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

LEARNS = ("torch", "monai", "lightning", "pytorch_lightning")
HEAVY = (*LEARNS, "pandas", "matplotlib")
LEARNED = ("medfuse.fusion", "medfuse.training")  # homes of what needs torch itself
DOOR = "import sys; from pipelines.cli.app import main; sys.exit(main())"


def python(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with ``words`` in ``cwd`` and return what it said."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


def test_the_packages_load_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, medfuse, registration, pipelines.cli.app;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_rest_of_the_face_loads_nothing_that_learns(tmp_path: Path) -> None:
    code = (
        "import sys, medfuse as mf;"
        "homes = {**mf._NOUNS, **mf.VERBS};"
        f"[getattr(mf, n) for n in homes if not homes[n].startswith({LEARNED})];"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_help_opens_fast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python("-c", DOOR, "--help", cwd=tmp_path)  # the first run compiles
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = python("-c", DOOR, "--help", cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.returncode == 0
    assert "register" in done.stdout
    with capsys.disabled():
        sys.stdout.write(f"\nmedfuse --help: {spent:.2f} s of CPU\n")
    loaded = python("-X", "importtime", "-c", DOOR, "--help", cwd=tmp_path).stderr
    for name in (*HEAVY, "SimpleITK", "scipy", "nibabel", "pydicom"):
        assert not re.search(rf"\|\s+{name}$", loaded, re.MULTILINE), name


def test_registering_loads_nothing_that_learns(tmp_path: Path) -> None:
    grid = np.indices((24, 26, 28)).astype(np.float32) - 12
    ball = ((grid**2 * np.array([1, 1.6, 0.7])[:, None, None, None]).sum(axis=0) < 70) * 100
    for name, bend in (("a_T1w", 1.0), ("b_T2w", -0.5)):
        array = (ball * bend + grid[0] * (ball != 0)).astype(np.float32)
        nib.save(nib.Nifti1Image(array, np.diag([4.0, 4, 4, 1])), tmp_path / f"{name}.nii")
    words = (
        "register",
        "a_T1w.nii",
        "b_T2w.nii",
        "--out",
        "out",
        "--transform",
        "rigid",
        "--debug",
    )
    done = python("-X", "importtime", "-c", DOOR, *words, cwd=tmp_path)
    assert done.returncode in (0, 4), done.stderr[-2000:]
    assert (tmp_path / "out" / "page.html").is_file()
    for name in HEAVY:
        assert not re.search(rf"\|\s+{name}$", done.stderr, re.MULTILINE), name
