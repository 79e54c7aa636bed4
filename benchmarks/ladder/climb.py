"""Run rows of the ladder: train, try, keep in the ledger; what is there is not run again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from ledger import Ledger
from safetensors.torch import save_file

from ladder import trials
from ladder.rows import Row, tasks
from ladder.tasks import DAMAGES, Task
from ladder.train import Budget, Trained, train

_SHARES = {"shift-match": 2}
_TRIALS = {
    "code-match": trials.matched,
    "shift-match": trials.shifted,
    "subset": trials.any_subset,
}


@dataclass(frozen=True)
class Run:
    """How the ladder is climbed: ``side`` in voxels, ``cases`` of a test, ``budget`` a network.

    Cases of shift-match hold half as many lesions as the others, and have twice the budget.
    """

    side: int
    cases: int
    budget: Budget
    kept: Path  # weights of the networks

    def budget_of(self, row: Row) -> Budget:
        """Return how long a network of ``row`` may take."""
        return replace(self.budget, seconds=self.budget.seconds * _SHARES.get(row.part, 1))


def climb(
    ledger: Ledger, rows: Iterable[Row], run: Run, seeds: Iterable[int], workers: int
) -> None:
    """Train and try each row with each seed, ``workers`` of them at a time."""
    jobs = [(row, seed) for seed in seeds for row in rows if seed < row.seeds]
    jobs = [(row, seed) for row, seed in jobs if not ledger.has(**key_of(row, run, seed))]
    if workers == 1:
        for row, seed in jobs:
            _add(ledger, row, run, seed, measured(row, run, seed))
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(
        workers, context, torch.set_num_threads, (torch.get_num_threads(),)
    ) as pool:
        made = {pool.submit(measured, row, run, seed): (row, seed) for row, seed in jobs}
        try:
            for job in as_completed(made):
                _add(ledger, made[job][0], run, made[job][1], job.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)  # what was not begun waits for the next time
            raise


Figures = dict[str, Any]


def measured(row: Row, run: Run, seed: int) -> tuple[Figures, Figures | None]:
    """Train and try one row with one seed: its figures, and those on spoilt scans if there are."""
    begin, used = time.perf_counter(), time.process_time()
    task = tasks(run.side)[row.part]
    trained = train(_training(row, task), row.settings, row.present(task.modalities),
                    run.budget_of(row), seed=seed)  # fmt: skip
    found = _TRIALS[row.part](trained.network, row, task, run.cases, seed)
    spoilt = None
    if row.corrupt:
        spoilt = trials.spoilt(trained.network, found["threshold"], task, run.cases, seed)
    _keep(trained, run, key_of(row, run, seed))
    found |= {**_costs(trained), "cases": run.cases, "ceiling": row.ceiling,
              "cpu": time.process_time() - used, "wall": time.perf_counter() - begin}  # fmt: skip
    return found, spoilt


def _add(
    ledger: Ledger, row: Row, run: Run, seed: int, made: tuple[Figures, Figures | None]
) -> None:
    key, (found, spoilt) = key_of(row, run, seed), made
    if spoilt is not None:
        ledger.add({**key, "part": "corrupt"}, **spoilt)
    ledger.add(key, **found)
    print(f"{row.part:12} {row.name:28} seed {seed}: {found.get('dice', found)}", flush=True)


def check(ledger: Ledger, run: Run, seeds: Iterable[int]) -> None:
    """Measure how often the agreement check names the spoilt scan; nothing is trained."""
    task = tasks(run.side)["subset"]
    for seed in seeds:
        for damage in (None, *DAMAGES):
            key = {"part": "check", "name": damage or "clean", "seed": seed, "side": run.side}
            if not ledger.has(**key):
                found = trials.check_rates(task, damage, run.cases, seed)
                ledger.add(key, **found)
                print(f"check {damage or 'clean'} seed {seed}: {found}", flush=True)


def key_of(row: Row, run: Run, seed: int) -> dict[str, Any]:
    """Return what a run is known by."""
    return {"part": row.part, "name": row.name, "seed": seed, "side": run.side,
            "budget": run.budget_of(row).seconds, "device": run.budget.device}  # fmt: skip


def _training(row: Row, task: Task) -> Task:
    """Return what a row is trained on: who registers first never sees a shift."""
    return replace(task, reach=0) if row.registered else task


def _keep(trained: Trained, run: Run, key: dict[str, Any]) -> None:
    run.kept.mkdir(parents=True, exist_ok=True)
    name = "_".join(str(part).replace(" ", "-").replace(",", "") for part in key.values())
    weights = {k: v.contiguous() for k, v in trained.network.state_dict().items()}
    save_file(weights, run.kept / f"{name}.safetensors")


def _costs(trained: Trained) -> dict[str, Any]:
    return {
        "steps": trained.steps,
        "seconds": trained.seconds,
        "parameters": sum(p.numel() for p in trained.network.parameters()),
    }
