"""CPU-seconds of whole processes: ``medfuse register --no-page`` against greedy's two."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

from ledger import Ledger

from linear.tools import Bench, one_thread
from medfuse.io.volumes import write_volume
from medfuse.phantom.anatomy import head
from medfuse.phantom.cohort import pair

_SEEDS = 3
_T1_MM = (1.0, 1.5)
_GREEDY = "import sys; from picsl_greedy import Greedy3D; Greedy3D().execute(sys.argv[1])"
_IMPORT = "from picsl_greedy import Greedy3D"


def run(bench: Bench, ledger: Ledger, tools: list[str]) -> None:
    """Measure both on the same files, any orientation; greedy without its Python's start."""
    folder = bench.scratch
    for seed in range(_SEEDS):
        body = None
        for name, t1_mm in product(("CT", "PET", "T2"), _T1_MM):
            key = {"part": "process", "t1_mm": t1_mm, "modality": name, "seed": seed}
            keys = {tool: {**key, "tool": tool} for tool in ("greedy", "ours") if tool in tools}
            if all(ledger.has(**key) for key in keys.values()):
                continue
            body = body or head(seed)
            fixed, moving, _, _ = pair(seed, name, motion="any", t1_mm=t1_mm, anatomy=body)
            write_volume(fixed, folder / "T1.nii.gz")
            write_volume(moving, folder / f"{name}.nii.gz")
            theirs = None
            if "greedy" in keys and bench.peers:
                theirs = _greedy(bench.peers, folder, name)
                if not ledger.has(**keys["greedy"]):
                    ledger.add(keys["greedy"], cpu=theirs[0], rss=theirs[1])
            if "ours" in keys and not ledger.has(**keys["ours"]):
                cpu, rss, code = _ours(folder, name)
                ratio = cpu / theirs[0] if theirs else None
                ledger.add(keys["ours"], cpu=cpu, rss=rss, exit=code, ratio=ratio)
                print(
                    f"{name} {seed}, T1 {t1_mm} mm: {cpu:.2f} CPU-s, {ratio} of greedy's",
                    flush=True,
                )


def _ours(folder: Path, name: str) -> tuple[float, float, int]:
    fixed, moving = folder / "T1.nii.gz", folder / f"{name}.nii.gz"
    return measured(ours(str(fixed), str(moving), folder / "out", page=False))


def ours(fixed: str, moving: str, out: Path, *, page: bool) -> list[str]:
    """Return the command line of a run of ours into a fresh folder."""
    shutil.rmtree(out, ignore_errors=True)
    medfuse = Path(sys.executable).with_name("medfuse")
    words = [str(medfuse), "register", fixed, moving, "--out", str(out)]
    return words if page else [*words, "--no-page"]


def _greedy(python: str, folder: Path, name: str) -> tuple[float, float]:
    """Return the CPU-seconds of search and resampling, less those of importing, and RSS."""
    fixed, moving = folder / "T1.nii.gz", folder / f"{name}.nii.gz"
    matrix, moved = folder / "greedy.mat", folder / "moved.nii.gz"
    search = (
        f"-d 3 -a -dof 6 -n 100x50x10 -m NMI -threads 1 -ia-image-centers "
        f"-i {fixed} {moving} -o {matrix}"
    )
    write = f"-d 3 -threads 1 -rf {fixed} -rm {moving} {moved} -r {matrix}"
    start = measured([python, "-c", _IMPORT])[0]
    both = [measured([python, "-c", _GREEDY, words]) for words in (search, write)]
    return sum(cpu - start for cpu, _, _ in both), max(rss for _, rss, _ in both)


def measured(words: list[str]) -> tuple[float, float, int]:
    """Run a command: CPU-seconds with its children, peak memory of the largest in MB, exit code."""
    largest = 0.0
    with subprocess.Popen(
        words, env=one_thread(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while True:
            largest = max(largest, *map(_peak_mb, _family(process.pid)))
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, largest, process.returncode


def _family(number: int) -> list[int]:
    """Return a process and its children."""
    try:
        words = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    except OSError:
        words = []
    return [number, *map(int, words)]


def _peak_mb(number: int) -> float:
    try:
        text = Path(f"/proc/{number}/status").read_text()
    except OSError:
        return 0.0
    return int(text.split("VmHWM:")[1].split()[0]) / 1000 if "VmHWM:" in text else 0.0
