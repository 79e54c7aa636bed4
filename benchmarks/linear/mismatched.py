"""Pairs that do not belong together: none of them may be called good. And the adapters' check."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ledger import Ledger

from linear.real import data
from linear.tools import Bench, error_mm, turned
from linear.turns import body_points
from medfuse import seeds
from medfuse.io.volumes import read_volume
from medfuse.phantom.anatomy import head
from medfuse.phantom.cohort import pair
from medfuse.phantom.scanners import about, rotation
from medfuse.transform import Affine
from medfuse.volume import Volume

_HEADS = 4
_KNOWN = np.array([9.0, -14.0, 6.0])  # mm


def run(bench: Bench, ledger: Ledger, tools: list[str]) -> None:
    """Ask ours for a verdict on every pair."""
    for group, name, fixed, moving in _pairs(ledger):
        key = {"part": "mismatched", "group": group, "case": name, "tool": "ours", "seed": 0}
        if "ours" not in tools or ledger.has(**key):
            continue
        answer = bench.run("ours", bench.put("fixed", fixed), bench.put("moving", moving))
        ledger.add(key, **answer, error=None, never=group != "another person's head")
        print(f"{ledger.rows[-1]['key']}: {answer.get('verdict')}", flush=True)


def adapters(bench: Bench, ledger: Ledger, tools: list[str]) -> None:
    """Check every tool's matrix on a copy of a head that was moved by a known motion."""
    fixed, *_ = pair(0, "PET", t1_mm=2.0)
    turn = about(fixed.geometry.centre, rotation(seeds.rng(7, "adapters"), 12), _KNOWN)
    points = body_points(fixed)
    for tool in tools:
        key = {"part": "adapters", "group": "a copy", "case": "T1", "tool": tool, "seed": 0}
        if ledger.has(**key):
            continue
        answer = bench.run(
            tool, bench.put("fixed", fixed), bench.put("moving", turned(fixed, turn))
        )
        if "failed" not in answer:
            answer["error"] = error_mm(answer["matrix"], Affine(turn), points)
        ledger.add(key, **answer)
        print(f"{tool}: {answer.get('failed') or answer['error']}", flush=True)


def _pairs(ledger: Ledger) -> Iterator[tuple[str, str, Volume, Volume]]:
    """Yield group, name, fixed and moving; what the ledger has is not made again."""
    done = {row["case"] for row in ledger.select(part="mismatched")}
    limbs = {
        f"{patient} {name}": read_volume(
            data() / "sts_ct_mr_pet" / "nifti" / patient / f"{file}.nii.gz", modality=modality
        )
        for patient in ("STS_002", "STS_025", "STS_035")
        for name, file, modality in (
            ("CT", "CT_image", "CT"), ("MR", "MR_T1_image", "T1"), ("PET", "PET_image", "PET")
        )
    }  # fmt: skip
    for seed in range(_HEADS):
        body, other = head(seed), head(seed + 100)
        for name in ("CT", "PET", "T2"):
            fixed, moving, truth, _ = pair(seed, name, motion="20", t1_mm=1.5, anatomy=body)
            _, stranger, _, _ = pair(seed + 100, name, motion="20", t1_mm=1.5, anatomy=other)
            yield "another person's head", f"{name} of {seed + 100} on {seed}", fixed, stranger
            top, below = _apart(fixed, moving, truth)
            yield "no overlap", f"{name} below, T1 of the top, {seed}", top, below
            for limb, volume in limbs.items():
                word = f"limb {limb}, head {name} {seed}"
                if seed == 0 and word not in done:
                    yield "head and limb", word, volume, moving
            if name == "CT":
                for limb, volume in limbs.items():
                    yield "limb on head", f"limb {limb} on T1 {seed}", fixed, volume


def _apart(fixed: Volume, moving: Volume, truth: Affine) -> tuple[Volume, Volume]:
    """Return the fixed volume above, the moving one below two planes 20 mm apart."""
    centre = fixed.geometry.centre
    upper = _kept(fixed, fixed.geometry.world, centre[2] + 20, above=True)
    back = truth.inverse()
    lower = _kept(moving, lambda at: back.map(moving.geometry.world(at)), centre[2], above=False)
    return upper, lower


def _kept(volume: Volume, place, height: float, *, above: bool) -> Volume:  # type: ignore[no-untyped-def]
    """Return the volume cropped to the slices all of whose middle lies on one side of a plane."""
    shape = np.asarray(volume.geometry.shape)
    middle = (shape - 1) / 2
    axis = int(np.argmax([abs(_rise(place, middle, k)) for k in range(3)]))
    line = np.tile(middle, (shape[axis], 1))
    line[:, axis] = np.arange(shape[axis])
    z = place(line)[:, 2]
    inside = np.flatnonzero(z > height if above else z < height)
    start, stop = [0, 0, 0], shape.tolist()
    start[axis], stop[axis] = int(inside[0]), int(inside[-1]) + 1
    part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    cropped = volume.geometry.crop((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    return volume.with_array(np.ascontiguousarray(volume.array[part]), cropped)


def _rise(place, middle: np.ndarray, axis: int) -> float:  # type: ignore[no-untyped-def]
    step = np.zeros(3)
    step[axis] = 1
    return float(place((middle + step)[None])[0, 2] - place(middle[None])[0, 2])
