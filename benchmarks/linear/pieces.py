"""Small pieces of a head, as the moving or the fixed volume: few places to hold on to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ledger import Ledger

from linear.tools import Bench, error_mm
from medfuse import seeds
from medfuse.geometry import Array64
from medfuse.phantom.anatomy import head
from medfuse.phantom.cohort import pair
from medfuse.transform import Affine
from medfuse.volume import Volume

_SEEDS = (8, 9)  # not looked at while limits of the verdict were chosen
_SIDES = (36, 54, 72, 90)  # mm


def run(bench: Bench, ledger: Ledger, tools: list[str]) -> None:
    """Ask ours for a pose and a verdict; the error is that over the piece."""
    if "ours" not in tools:
        return
    done = {(row["case"], row["seed"]) for row in ledger.select(part="pieces")}
    for seed in _SEEDS:
        body = head(seed)
        for name in ("CT", "PET", "T2"):
            fixed, moving, truth, brain = pair(seed, name, t1_mm=1.5, anatomy=body)
            for case, one, two, points in _cut(fixed, moving, truth, brain, seed):
                if (f"{name}, {case}", seed) in done:
                    continue
                answer = bench.run("ours", bench.put("fixed", one), bench.put("moving", two))
                if "failed" not in answer:
                    answer["error"] = error_mm(answer["matrix"], truth, points)
                group = f"a piece as the {case.split()[-1]} volume"
                key = {"part": "pieces", "group": group, "case": f"{name}, {case}",
                       "tool": "ours", "seed": seed}  # fmt: skip
                ledger.add(key, **answer)
                said = f"{answer.get('error', -1):.2f} mm, {answer.get('verdict')}"
                print(f"{name} {seed}, {case}: {said}", flush=True)


def _cut(
    fixed: Volume, moving: Volume, truth: Affine, brain: Array64, seed: int
) -> Iterator[tuple[str, Volume, Volume, Array64]]:
    """Yield what it is, the fixed and the moving volume, and points of the piece (fixed LPS mm)."""
    rng = seeds.rng(seed, "pieces")
    for side in _SIDES:
        middle = brain[rng.integers(len(brain))]
        points = middle + rng.uniform(-side / 2, side / 2, (500, 3))
        yield f"{side} mm moving", fixed, _cube(moving, truth.map(middle[None])[0], side), points
        yield f"{side} mm fixed", _cube(fixed, middle, side), moving, points


def _cube(volume: Volume, middle: Array64, side: float) -> Volume:
    size = np.maximum(8, np.round(side / np.asarray(volume.geometry.spacing))).astype(int)
    size = np.minimum(size, volume.geometry.shape)
    low = np.round(volume.geometry.voxel(middle[None])[0]).astype(int) - size // 2
    low = np.clip(low, 0, np.asarray(volume.geometry.shape) - size)
    cut = tuple(slice(a, a + n) for a, n in zip(low, size, strict=True))
    grid = volume.geometry.crop(tuple(low.tolist()), tuple((low + size).tolist()))
    return volume.with_array(volume.array[cut].copy(), grid)
