"""Made heads: ours on every seed, peers on the first few, at four kinds of motion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from linear.ledger import Ledger
from linear.tools import Bench, error_mm
from medfuse.phantom.anatomy import head
from medfuse.phantom.cohort import pair

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


def wanted(seeds: int, sets: list[str], tools: list[str], t1_mm: float) -> Iterator[dict[str, Any]]:
    """Yield the keys of all runs, seed by seed."""
    for seed in range(seeds):
        for name in sets:
            for modality in MODALITIES:
                for tool in tools:
                    if tool == "greedy-search" and not name.startswith("any"):
                        continue
                    if seed < FIRST.get(tool, seeds):
                        yield {
                            "part": "heads",
                            "set": name,
                            "modality": modality,
                            "t1_mm": t1_mm,
                            "seed": seed,
                            "tool": tool,
                        }


def run(
    bench: Bench, ledger: Ledger, seeds: int, sets: list[str], tools: list[str], t1_mm: float
) -> None:
    """Make what is missing in the ledger."""
    made: tuple[Any, ...] = ()
    body = None
    for key in wanted(seeds, sets, tools, t1_mm):
        if ledger.has(**key):
            continue
        if body is None or body.seed != key["seed"]:
            body = head(key["seed"])
        this = (key["seed"], key["set"], key["modality"])
        if made[:3] != this:
            fixed, moving, truth, points = pair(
                key["seed"], key["modality"], t1_mm=t1_mm, anatomy=body, **SETS[key["set"]]
            )
            made = (*this, bench.put("fixed", fixed), bench.put("moving", moving), truth, points)
        answer = bench.run(key["tool"], made[3], made[4])
        if "failed" not in answer:
            answer["tre"] = error_mm(answer["matrix"], made[5], made[6])
        ledger.add(key, **answer)
        said = answer.get("failed") or f"TRE {answer['tre']:.3f} mm, {answer['cpu']:.2f} CPU-s"
        print(f"{ledger.rows[-1]['key']}: {said} {answer.get('verdict', '')}", flush=True)
