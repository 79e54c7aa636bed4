"""Train, segment with every subset of scans, and evaluate on made heads: seconds and Dice.

Runs the commands as a user would: 24 heads, of which 17 are learned from, 2 choose the weights
and 5 are looked at by nothing before the end. A row of ``benchmarks/results/heads.jsonl`` a seed.

    python benchmarks/segment_heads.py --seeds 1 --threads 2
    python benchmarks/segment_heads.py --recipe benchmarks/recipes/dynunet.toml --all-scans
    python benchmarks/segment_heads.py --table
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from ledger import Ledger
from scipy import ndimage

from medfuse.io.volumes import read_labels

RESULTS = Path(__file__).resolve().parent / "results" / "heads.jsonl"
SCANS = ("T1", "T1CE", "T2", "FLAIR")
TEST, VALIDATE = 5, 2
_ML = (0.01, 0.1, 1.0)  # between sizes of pieces
_LESION = (8, 9, 10)


class Clock:
    """Runs commands, and keeps the seconds and CPU-seconds of each by its name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {"phantom": 0.0}
        self.cpu: dict[str, float] = {"phantom": 0.0}

    def medfuse(self, *words: object) -> str:
        """Run a command and return what it printed."""
        begin, used = time.perf_counter(), _used()
        done = subprocess.run([sys.executable, "-m", "pipelines.cli.app", *map(str, words)],
                              check=True, capture_output=True, text=True)  # fmt: skip
        self.seconds[str(words[0])] = time.perf_counter() - begin
        self.cpu[str(words[0])] = _used() - used
        return done.stdout


def _used() -> float:
    """Return the CPU-seconds of all commands that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def manifest(heads: Path) -> Path:
    """Write which heads are learned from, which choose the weights, and which are kept apart."""
    names = sorted(entry.name for entry in heads.iterdir() if entry.is_dir())
    roles = ["train"] * (len(names) - TEST - VALIDATE) + ["validate"] * VALIDATE + ["test"] * TEST
    path = heads / "heads.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["subject", *SCANS, "label", "split"])
        for name, role in zip(names, roles, strict=True):
            files = [f"{name}/{scan}.nii.gz" for scan in (*SCANS, "labels")]
            table.writerow([name, *files, role])
    return path


def measure(recipe: str, folder: Path, *, subjects: int, seed: int, threads: int,
            subsets: bool) -> dict[str, Any]:  # fmt: skip
    """Return the seconds of each command, and the Dice of each subset on the heads kept apart.

    Heads that lie in ``folder`` already are not made again.
    """
    heads, clock = folder / "heads", Clock()
    if not heads.exists():
        clock.medfuse("phantom", heads, "--subjects", subjects, "--seed", seed, "--aligned")
    data, many = manifest(heads), ("--threads", threads)
    clock.medfuse("train", recipe, "--data", data, "--seed", seed, *many, "--out", folder / "run")
    model, made = folder / "run" / "model.mfm", folder / "seg"
    clock.medfuse("segment", data, "--split", "test", *["--subsets"] * subsets, *many,
                  "--model", model, "--out", made)  # fmt: skip
    found = json.loads(clock.medfuse("evaluate", made, data, "--json", "--out", folder / "scores"))
    kept = ("dice", "dice_95", "dice_worst", "cases")
    dices = {
        name: {key: labels["lesion"][key] for key in kept}
        for name, labels in found["subsets"].items()
    }
    every = made / "+".join(SCANS) if subsets else made
    return {"seconds": clock.seconds, "cpu": clock.cpu, "subsets": dices,
            "pieces": pieces(every, heads),
            "counter": found.get("more_modalities_lower_dice")}  # fmt: skip


def pieces(made: Path, heads: Path) -> list[list[int]]:
    """Return how many pieces of the true lesions were seen, and how many there are, by size.

    A piece (26 neighbours) is seen where a voxel of it is predicted; one list a size, see ``_ML``.
    """
    found = [[0, 0] for _ in range(len(_ML) + 1)]
    for path in sorted(made.glob("*/labels.nii.gz")):
        truth = read_labels(heads / path.parent.name / "labels.nii.gz")
        voxel = truth.geometry.voxel_volume / 1000  # ml
        parts, count = ndimage.label(np.isin(truth.array, _LESION), np.ones((3, 3, 3)))
        claimed = read_labels(path).array > 0
        sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:] * voxel
        seen = np.bincount(parts[claimed], minlength=count + 1)[1:] > 0
        for size, hit in zip(np.searchsorted(_ML, sizes, side="right"), seen, strict=True):
            found[size][0] += int(hit)
            found[size][1] += 1
    return found


def table(ledger: Ledger) -> str:
    """Return the seconds and the Dice of every run there is, as Markdown."""
    lines = []
    for row in ledger.rows:
        times = ", ".join(
            f"{name} {value:.0f} ({row.get('cpu', {}).get(name, float('nan')):.0f} of CPU)"
            for name, value in row["seconds"].items()
        )
        total = sum(value for name, value in row["seconds"].items() if name != "phantom")
        worse = row["counter"]
        lines += [
            f"\nRecipe `{row['recipe']}`, seed {row['seed']}, {row['threads']} threads, "
            f"{row['subjects']} heads, seconds: {times}; train, segment and evaluate together "
            f"{total:.0f}. {_said(worse)}\n",
            "| scans | lesion Dice | 95 % of the mean | worst | cases |",
            "|---|---|---|---|---|",
        ]
        ordered = sorted(row["subsets"].items(), key=lambda item: item[0].count("+"))
        lines += [
            f"| {name} | {one['dice']:.3f} | {one['dice_95'][0]:.3f}–{one['dice_95'][1]:.3f} | "
            f"{one['dice_worst']:.3f} | {one['cases']} |"
            for name, one in ordered
        ]
        edges = ["0", *map(str, _ML), "∞"]
        spans = [f"{low} to {high} ml" for low, high in pairwise(edges)]
        seen = [f"{one[0]} of {one[1]}" for one in row.get("pieces", [])]
        told = ", ".join(f"{span}: {n}" for span, n in zip(spans, seen, strict=False))
        lines += [f"\nPieces of the true lesions of which something was seen, {told}.\n"]
    return "\n".join(lines)


def _said(worse: dict[str, int] | None) -> str:
    if not worse or not worse["of"]:
        return ""
    return (
        f"A scan more lowered a Dice by more than .01 in {worse['count']} of {worse['of']} "
        "comparisons."
    )


def main() -> None:
    """Measure what is not there yet, then print all."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--recipe", default="lesion")
    words.add_argument("--subjects", type=int, default=24)
    words.add_argument("--seeds", type=int, default=1)
    words.add_argument("--first-seed", type=int, default=0)
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--all-scans", action="store_true", help="no other subsets")
    words.add_argument("--table", action="store_true", help="print what is there, run nothing")
    words.add_argument("--folder", type=Path, help="keep what is made in FOLDER/SEED")
    words.add_argument("--results", type=Path, default=RESULTS)
    asked = words.parse_args()
    ledger = Ledger(asked.results)
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        key = {"recipe": asked.recipe, "seed": seed, "subjects": asked.subjects,
               "threads": asked.threads, "subsets": not asked.all_scans}  # fmt: skip
        if asked.table or ledger.has(**key):
            continue
        with tempfile.TemporaryDirectory() as made:
            folder = asked.folder / str(seed) if asked.folder else Path(made)
            ledger.add(key, **measure(asked.recipe, folder, subjects=asked.subjects, seed=seed,
                                      threads=asked.threads,
                                      subsets=not asked.all_scans))  # fmt: skip
    print(table(ledger))


if __name__ == "__main__":
    main()
