"""What a run of the command costs beyond the call: the page, and memory for a large CT."""

from __future__ import annotations

from pathlib import Path

from ledger import Ledger

from linear.process import measured, ours
from linear.tools import Bench
from medfuse.geometry import Geometry
from medfuse.io.volumes import write_volume
from medfuse.phantom.anatomy import head
from medfuse.phantom.cohort import pair
from medfuse.resampling import resample
from medfuse.volume import Volume

_LARGE = (400, 512, 512)


def run(bench: Bench, ledger: Ledger, tools: list[str]) -> None:
    """Measure ours: with and without the page at 1.5 mm, and a CT of 512 x 512 x 400 on 1 mm."""
    del tools  # peers draw no page
    body = head(0)
    for name in ("CT", "PET", "T2"):
        fixed, moving, _, _ = pair(0, name, motion="any", t1_mm=1.5, anatomy=body)
        _both(bench.scratch, ledger, f"{name}, T1 of 1.5 mm", (fixed, moving))
    fixed, moving, _, _ = pair(0, "CT", motion="any", t1_mm=1.0, anatomy=body)
    _both(bench.scratch, ledger, "CT of 512x512x400, T1 of 1 mm", (fixed, _large(moving)))


def _both(folder: Path, ledger: Ledger, what: str, volumes: tuple[Volume, Volume]) -> None:
    keys = {page: {"part": "costs", "what": what, "page": page} for page in ("no", "yes")}
    if all(ledger.has(**key) for key in keys.values()):
        return
    paths = [folder / f"{name}.nii.gz" for name in ("fixed_T1w", "moving")]
    for volume, path in zip(volumes, paths, strict=True):
        write_volume(volume, path)
    moving = f"{paths[1]}:{volumes[1].modality.name}"
    for page, key in keys.items():
        words = ours(str(paths[0]), moving, folder / "out", page=page == "yes")
        cpu, rss, code = measured(words)
        ledger.add(key, cpu=cpu, rss=rss, exit=code)
        print(f"{what}, page {page}: {cpu:.2f} CPU-s, {rss:.0f} MB, exit {code}", flush=True)


def _large(volume: Volume) -> Volume:
    """Return the same scan on a grid of 512 x 512 x 400 voxels that covers its field of view."""
    given = volume.geometry
    matrix = given.world_from_voxel.copy()
    order = sorted(range(3), key=lambda axis: given.shape[axis] * given.spacing[axis])
    shape = [512, 512, 512]
    shape[order[0]] = _LARGE[0]
    for axis in range(3):
        factor = given.shape[axis] / shape[axis]
        matrix[:3, 3] += matrix[:3, axis] * (factor - 1) / 2
        matrix[:3, axis] *= factor
    return resample(volume, Geometry((shape[0], shape[1], shape[2]), matrix))
