"""Linear registration against greedy, elastix and ANTs, on made heads and on real scans.

Resumable: every run is a line of ``benchmarks/results/linear.jsonl``; what is there is not run
again. Peers live in an environment of their own (``requirements-peers.txt``).

    python benchmarks/registration_linear.py --part heads --seeds 100 --peers PYTHON
    python benchmarks/registration_linear.py --part real --peers PYTHON
    python benchmarks/registration_linear.py --table
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ledger import Ledger
from linear import costs, deformable, heads, limbs, mismatched, pieces, process, real, tables
from linear.tools import Bench

RESULTS = Path(__file__).resolve().parent / "results" / "linear.jsonl"
MODULES = {
    "process": process,
    "costs": costs,
    "real": real,
    "limbs": limbs,
    "mismatched": mismatched,
    "pieces": pieces,
    "deformable": deformable,
}
PARTS = ("adapters", "heads", *MODULES)


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--part", action="append", choices=PARTS, help="what to run (repeatable)")
    words.add_argument("--table", action="store_true", help="print the tables")
    words.add_argument("--seeds", type=int, default=6, help="heads: on how many seeds ours runs")
    words.add_argument("--first-seed", type=int, default=0, help="heads: the first of them")
    words.add_argument("--sets", default=",".join(heads.SETS), help="heads: which motions")
    words.add_argument(
        "--modalities", default=",".join(heads.MODALITIES), help="heads: which scanners"
    )
    words.add_argument("--t1-mm", type=float, default=1.5, help="heads: voxel size of the T1")
    words.add_argument("--tools", default="ours,ours-itk,greedy,elastix,ants,greedy-search")
    words.add_argument("--peers", help="the Python that has the peers")
    words.add_argument("--results", type=Path, default=RESULTS)
    return words.parse_args()


def main() -> None:
    """Run the parts that were asked for, then print the tables."""
    asked = arguments()
    ledger = Ledger(asked.results)
    seeds = range(asked.first_seed, asked.seeds)
    tools = [tool for tool in asked.tools.split(",") if asked.peers or tool.startswith("ours")]
    with tempfile.TemporaryDirectory(prefix="registration-") as scratch:
        bench = Bench(Path(scratch), asked.peers)
        for part in asked.part or ():
            if part == "heads":
                which = heads.Asked(
                    seeds, asked.sets.split(","), asked.modalities.split(","), tools, asked.t1_mm
                )
                heads.run(bench, ledger, which)
            elif part == "adapters":
                mismatched.adapters(bench, ledger, tools)
            else:
                MODULES[part].run(bench, ledger, tools)
    if asked.table or not asked.part:
        print(report(ledger, asked.first_seed))


def report(ledger: Ledger, first: int = 0) -> str:
    """Return all tables that the ledger can fill; heads from seed ``first`` on."""
    parts = {row["part"] for row in ledger.rows}
    text = []
    if "heads" in parts:
        text.append("### Made heads\n\n" + tables.heads(ledger, first))
    titles = {
        "adapters": "Adapters, on a known motion",
        "real": "Real scans",
        "limbs": "Limbs",
        "mismatched": "Pairs that do not belong together",
        "pieces": "Small pieces of a head",
    }
    text += [
        f"### {title}\n\n{tables.cases(ledger, part)}"
        for part, title in titles.items()
        if part in parts
    ]
    if "process" in parts:
        columns = ["t1_mm", "modality", "seed", "tool", "cpu", "rss", "ratio"]
        text.append("### Whole process\n\n" + tables.plain(ledger, "process", columns))
    if "costs" in parts:
        columns = ["what", "page", "cpu", "rss", "exit"]
        text.append("### Page and memory\n\n" + tables.plain(ledger, "costs", columns))
    if "deformable" in parts:
        columns = ["contrast", "seed", "tool", "before", "error", "worst", "folding", "cpu", "rss"]
        text.append("### Deformable\n\n" + tables.plain(ledger, "deformable", columns))
    return "\n".join(text)


if __name__ == "__main__":
    main()
