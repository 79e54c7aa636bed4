"""Made heads: ours on every seed, peers on the first few, at four kinds of motion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger import Ledger

from linear.call_ours import answer_of
from linear.tools import OURS, Bench, error_mm
from medfuse.phantom.anatomy import head
from medfuse.phantom.cohort import pair
from medfuse.volume import Volume

SETS: dict[str, dict[str, Any]] = {
    "20": {"motion": "20"},
    "60": {"motion": "60"},
    "any": {"motion": "any"},
    "any-slab": {"motion": "any", "slab": True},
}
MODALITIES = ("CT", "PET", "T2")
FIRST = {  # on how many seeds each tool runs; ours runs on all
    "greedy": 6,
    "elastix": 3,
    "ants": 3,
    "greedy-search": 3,
    "ours-itk": 6,
}


@dataclass(frozen=True)
class Asked:
    """Which heads to run: seeds, motions, scanners, tools, and the voxel size of the T1 in mm."""

    seeds: range
    sets: list[str]
    modalities: list[str]
    tools: list[str]
    t1_mm: float


def wanted(asked: Asked) -> Iterator[dict[str, Any]]:
    """Yield the keys of all runs, seed by seed."""
    for seed in asked.seeds:
        for name in asked.sets:
            for modality in asked.modalities:
                for tool in asked.tools:
                    if tool == "greedy-search" and not name.startswith("any"):
                        continue
                    if seed < FIRST.get(tool, asked.seeds.stop):
                        yield {
                            "part": "heads",
                            "set": name,
                            "modality": modality,
                            "t1_mm": asked.t1_mm,
                            "seed": seed,
                            "tool": tool,
                        }


def run(bench: Bench, ledger: Ledger, asked: Asked) -> None:
    """Make what is missing in the ledger.

    Without peers our own runs stay in this process (same CPU-seconds of the call, no start-up).
    """
    made: tuple[Any, ...] = ()
    body = None
    for key in wanted(asked):
        if ledger.has(**key):
            continue
        if body is None or body.seed != key["seed"]:
            body = head(key["seed"])
        this = (key["seed"], key["set"], key["modality"])
        if made[:3] != this:
            fixed, moving, truth, points = pair(
                key["seed"], key["modality"], t1_mm=asked.t1_mm, anatomy=body, **SETS[key["set"]]
            )
            here = bench.peers is None
            ready = (
                (fixed, moving)
                if here
                else (bench.put("fixed", fixed), bench.put("moving", moving))
            )
            made = (*this, *ready, truth, points)
        answer = (asked_here if bench.peers is None else bench.run)(key["tool"], made[3], made[4])
        if "failed" not in answer:
            answer["tre"] = error_mm(answer["matrix"], made[5], made[6])
        ledger.add(key, **answer)
        said = answer.get("failed") or f"TRE {answer['tre']:.3f} mm, {answer['cpu']:.2f} CPU-s"
        print(f"{ledger.rows[-1]['key']}: {said} {answer.get('verdict', '')}", flush=True)


def asked_here(tool: str, fixed: Volume, moving: Volume) -> dict[str, Any]:
    """Run one of ours in this process."""
    return answer_of(fixed, moving, {"settings": OURS[tool]})
