"""Disks that are full, runs that are killed, interrupted or doubled: old or new, never half."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end import heads

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")

COMMAND = (sys.executable, "-m", "pipelines.cli.app")
# the same command with a registration that never ends, in compiled code that no signal reaches
STUCK = """
import itertools, signal, sys
from pathlib import Path

signal.signal(signal.SIGINT, signal.default_int_handler)  # heard, however the tests were started
from pipelines import register_case
from pipelines.cli import app

def register(*_, **__):
    Path("begun").touch()
    sum(itertools.repeat(1, 10**13))

register_case.register = register
sys.exit(app.main())
"""
REGISTER = ("register", "T1.nii.gz", "CT.nii.gz", "--out", "out")


def run(*words: str, limit: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``medfuse`` in a shell, after the shell command ``limit``."""
    shell = f'{limit} exec "$0" "$@"'
    return subprocess.run(
        ["sh", "-c", shell, *COMMAND, *words], capture_output=True, text=True, timeout=120
    )


def begun(*words: str) -> subprocess.Popen[str]:
    """Start a run that is stuck in registration."""
    running = subprocess.Popen(
        [sys.executable, "-c", STUCK, *words], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not Path("begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return running


def crowding() -> float:
    """Return by how much other work slows this machine down, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def names(folder: str) -> list[str]:
    """Return what lies in a folder, hidden files too."""
    return sorted(path.name for path in Path(folder).iterdir())


def test_S3_a_limit_on_the_size_of_files_is_an_error(scans: Path) -> None:
    Path("old.nii").write_bytes(b"old")
    Path("out").mkdir()
    before = names(".")
    for words in (
        ("convert", "CT.nii.gz", "old.nii", "--overwrite"),
        (*REGISTER, "--start", "header", "--no-page"),
    ):
        said = run(*words, limit="ulimit -f 20;")
        assert said.returncode == 5, said.stderr
        assert len(said.stderr.splitlines()) == 1
        assert "error[S1]" in said.stderr
    assert names(".") == before
    assert names("out") == []
    assert Path("old.nii").read_bytes() == b"old"


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare to mount a small disk")
def test_S1_a_full_disk_is_an_error(scans: Path) -> None:
    Path("small").mkdir()
    script = (
        "mount -t tmpfs -o size=64k tmpfs small || exit 77;"
        ' "$0" "$@"; code=$?; ls -A small; exit $code'
    )
    said = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, *COMMAND, "convert", "CT.nii.gz", "small/a.nii"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if said.returncode in (1, 77):
        pytest.skip("a small disk cannot be mounted here")
    assert said.returncode == 5
    assert said.stdout == ""
    assert len(said.stderr.splitlines()) == 1
    assert "the disk is full" in said.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_S8_a_registration_is_left_within_two_seconds(
    scans: Path, number: signal.Signals, code: int
) -> None:
    running = begun(*REGISTER)
    sent = time.monotonic()
    running.send_signal(number)
    _, said = running.communicate(timeout=30)
    assert running.returncode == code
    assert time.monotonic() - sent < 2 * crowding()
    assert len(said.splitlines()) == 1
    assert not Path("out").exists()


def test_S7_a_second_run_into_the_same_folder_is_refused(scans: Path) -> None:
    running = begun(*REGISTER)
    said = run(*REGISTER, "--overwrite")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert said.returncode == 5
    assert said.stderr.startswith("medfuse: error[S7]: ")
    assert len(said.stderr.splitlines()) == 1


def test_S6_a_killed_run_leaves_the_old_result_and_does_not_block_the_next(scans: Path) -> None:
    Path("out/CT").mkdir(parents=True)
    Path("out/CT/moved.nii.gz").write_bytes(b"old")
    running = begun(*REGISTER, "--overwrite")
    running.kill()
    running.communicate(timeout=30)
    assert Path("out/CT/moved.nii.gz").read_bytes() == b"old"
    assert not Path("out/record.json").exists()
    said = run("register", "T1.nii.gz", "gone.nii.gz", "--out", "out", "--overwrite")
    assert said.returncode == 3  # not 5: the lock of the dead run does not count


def test_S17_a_whole_run_repeats_byte_for_byte(scans: Path) -> None:
    made = []
    options = ("--allow-fail", "--json", "--no-page", "--start", "header")
    for name in ("a", "b"):
        said = run("register", "T1.nii.gz", "CT.nii.gz", "--out", name, *options)
        assert said.returncode == 0
        assert all(line.startswith("medfuse: warning[") for line in said.stderr.splitlines())
        paths = sorted(p for p in Path(name).rglob("*") if p.is_file() and p.name != "record.json")
        made.append([(p.relative_to(name), p.read_bytes()) for p in paths])
    assert made[0] == made[1]
    assert [str(path) for path, _ in made[0]] == ["CT/moved.nii.gz", "CT/transform.tfm"]


def test_the_known_shift_is_found(scans: Path) -> None:
    import SimpleITK as sitk

    said = run(*REGISTER, "--no-page", "--allow-fail", "--start", "header")
    assert said.returncode == 0
    transform = sitk.ReadTransform("out/CT/transform.tfm")
    x, y, z = heads.SHIFT
    for point in [(0, 0, 0), (40, 0, 0), (0, 50, 0), (0, 0, 50)]:
        expected = (point[0] - x, point[1] - y, point[2] + z)
        assert transform.TransformPoint(point) == pytest.approx(expected, abs=1.0)
