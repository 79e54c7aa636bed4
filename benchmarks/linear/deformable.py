"""Deformable registration beside elastix' B-splines, on a head bent by a known smooth field."""

from __future__ import annotations

from typing import Any

import numpy as np
from ledger import Ledger
from scipy.ndimage import gaussian_filter, map_coordinates

from linear.tools import Bench
from medfuse import seeds
from medfuse.geometry import Geometry
from medfuse.phantom.anatomy import head
from medfuse.phantom.appearance import scan
from medfuse.phantom.scanners import CENTRE
from medfuse.resampling import resample
from medfuse.transform import Displacement
from medfuse.volume import Volume

_SEEDS = (21, 22)
_SIZE, _SPACING = 128, 1.5
_PEAK_MM = 12.0
_SMOOTH_MM = 18.0
_TOOLS = ("ours-deformable", "elastix-bspline")


def run(bench: Bench, ledger: Ledger, tools: list[str]) -> None:
    """Measure both contrasts on each seed; elastix where there are peers."""
    asked = _TOOLS if bench.peers else _TOOLS[:1]
    for seed in _SEEDS if any(tool.startswith("ours") for tool in tools) else ():
        for contrast, name in (("mono", "T1"), ("cross", "T2")):
            made = None
            for tool in asked:
                key = {"part": "deformable", "contrast": contrast, "seed": seed, "tool": tool}
                if ledger.has(**key):
                    continue
                made = made or bent(seed, name)
                fixed, moving, truth, brain = made
                field = bench.scratch / "field.npy"
                answer = bench.run(
                    tool, bench.put("fixed", fixed), bench.put("moving", moving), field=str(field)
                )
                if "failed" not in answer:
                    answer |= _compared(np.load(field), truth, brain, fixed)
                answer.pop("matrix", None)
                ledger.add(key, **answer)
                print(f"{ledger.rows[-1]['key']}: {answer.get('error')}", flush=True)


def bent(seed: int, name: str) -> tuple[Volume, Volume, Displacement, np.ndarray]:
    """Return a T1, a bent scan ``name``, the true field, and the voxels of the brain, (N,)."""
    body = head(seed)
    matrix = np.eye(4)[:, [2, 1, 0, 3]] @ np.diag([_SPACING, _SPACING, _SPACING, 1.0])
    matrix[:3, 3] = CENTRE - _SPACING * (_SIZE - 1) / 2
    grid = Geometry((_SIZE, _SIZE, _SIZE), matrix)
    fixed = scan(body, "T1", geometry=grid, rng=seeds.rng(seed, "deformable", "fixed"))
    plain = scan(body, name, geometry=grid, rng=seeds.rng(seed, "deformable", name), noise=0)
    forth, back = _field(seed, grid)
    rng = seeds.rng(seed, "deformable", name, "noise")
    warped = resample(plain, grid, back).array
    sigma = 0.03 * np.percentile(warped, 99)
    real, other = (sigma * rng.standard_normal(warped.shape) for _ in range(2))
    moving = plain.with_array(np.hypot(warped + real, other))
    points = body.brain_points(20_000, seeds.rng(seed, "deformable", "points"))
    at = np.clip(np.rint(grid.voxel(points)).astype(int), 0, _SIZE - 1)
    return fixed, moving, forth, np.unique(np.ravel_multi_index(tuple(at.T), grid.shape))


def _field(seed: int, grid: Geometry) -> tuple[Displacement, Displacement]:
    """Return a diffeomorphism of peak 12 mm and its inverse: a smooth velocity, exponentiated."""
    coarse = grid.respace((3.0, 3.0, 3.0))
    rng = seeds.rng(seed, "deformable", "velocity")
    velocity = np.stack(
        [gaussian_filter(rng.normal(size=coarse.shape), _SMOOTH_MM / 3, truncate=3) for _ in "xyz"]
    )  # (3, D, H, W), mm along x, y, z
    velocity *= _PEAK_MM / np.linalg.norm(velocity, axis=0).max()
    forth, back = (_exponential(sign * velocity, 3.0) for sign in (1, -1))
    return (
        Displacement(forth.astype(np.float32), coarse),
        Displacement(back.astype(np.float32), coarse),
    )


def _exponential(velocity: np.ndarray, spacing: float) -> np.ndarray:
    """Return the displacement of a stationary velocity by scaling and squaring."""
    shift = velocity / 2**6
    at = np.indices(velocity.shape[1:]).astype(float)
    for _ in range(6):
        there = at + shift[::-1] / spacing
        shift = shift + np.stack(
            [map_coordinates(part, there, order=1, mode="nearest") for part in shift]
        )
    return shift


def _compared(
    found: np.ndarray, truth: Displacement, brain: np.ndarray, fixed: Volume
) -> dict[str, Any]:
    """Return the errors over brain voxels, mm, and the share of folded voxels, %."""
    points = fixed.geometry.world(np.indices(fixed.geometry.shape).reshape(3, -1).T)
    right = truth.map(points[brain]) - points[brain]
    error = np.linalg.norm(found[brain] - right, axis=1)
    mapped = (points + found).reshape(*fixed.geometry.shape, 3)
    gradient = np.stack(np.gradient(mapped, _SPACING, axis=(2, 1, 0)), axis=-1)
    folded = np.linalg.det(gradient).ravel()[brain] <= 0
    return {
        "before": float(np.median(np.linalg.norm(right, axis=1))),
        "error": float(np.median(error)),
        "worst": float(np.percentile(error, 99)),
        "folding": float(100 * folded.mean()),
    }
