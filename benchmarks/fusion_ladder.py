"""Levels and operators of fusion on made tasks whose best possible Dice is known.

Resumable: every run is a line of ``benchmarks/results/ladder.jsonl``; what is there is not run
again. Each network of a task has the same seconds, cases included.

    python benchmarks/fusion_ladder.py --quick
    python benchmarks/fusion_ladder.py --workers 2
    python benchmarks/fusion_ladder.py --part code-match --part shift-match --seeds 1
    python benchmarks/fusion_ladder.py --side 64 --device cuda --seeds 3
    python benchmarks/fusion_ladder.py --table
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from ladder.climb import Run, check, climb
from ladder.rows import rows
from ladder.tables import report
from ladder.train import Budget
from ledger import Ledger

RESULTS = Path(__file__).resolve().parent / "results" / "ladder.jsonl"
PARTS = ("code-match", "shift-match", "subset", "check")
QUICK = (  # at 40 s (shift-match 80) these show what the ladder is about
    ("code-match", "data concat"),
    ("code-match", "model mean"),
    ("code-match", "A alone"),
    ("shift-match", "register, then data concat"),
    ("shift-match", "data concat"),
    ("subset", "data concat"),
)


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--part", action="append", choices=PARTS, help="what to run (repeatable)")
    words.add_argument("--only", action="append", help="rows of this name (repeatable)")
    words.add_argument("--seeds", type=int, default=3, help="how many")
    words.add_argument("--first-seed", type=int, default=0)
    words.add_argument("--side", type=int, default=32, help="voxels along each axis")
    words.add_argument("--budget", type=float, default=150.0,
                       help="seconds a network; shift-match has twice as many")  # fmt: skip
    words.add_argument("--cases", type=int, default=64, help="of each test; a multiple of 16")
    words.add_argument("--check-seeds", type=int, default=1000, help="first seed of part check")
    words.add_argument("--device", default="cpu")
    words.add_argument("--threads", type=int, default=1)
    words.add_argument("--workers", type=int, default=1, help="rows at a time, each with --threads")
    words.add_argument("--quick", action="store_true", help="six rows in at most ten minutes")
    words.add_argument("--table", action="store_true", help="print the tables, run nothing")
    words.add_argument("--results", type=Path, default=RESULTS)
    return words.parse_args()


def main() -> None:
    """Run what was asked for, then print the tables."""
    asked = arguments()
    torch.set_num_threads(asked.threads)
    ledger = Ledger(asked.results)
    if not asked.table:
        budget = Budget(40.0 if asked.quick else asked.budget, asked.device)
        run = Run(asked.side, asked.cases, budget, asked.results.parent / "ladder")
        parts = asked.part or PARTS
        chosen = [row for row in rows(asked.side) if row.part in parts]
        if asked.only:
            chosen = [row for row in chosen if row.name in asked.only]
        seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
        if asked.quick:
            chosen = [row for row in chosen if (row.part, row.name) in QUICK]
            seeds = range(asked.first_seed, asked.first_seed + 1)
        if "check" in parts and not asked.only:
            check(ledger, run, [asked.check_seeds + seed for seed in seeds])
        climb(ledger, chosen, run, seeds, asked.workers)
    print(report(ledger))


if __name__ == "__main__":
    main()
