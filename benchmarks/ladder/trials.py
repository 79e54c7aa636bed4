"""What a trained network is tried on: figures for the ledger."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import torch

from ladder.ceilings import micro, subset
from ladder.rows import Row
from ladder.tasks import DAMAGES, Cases, Damage, Flags, Task, damaged, generate
from ladder.train import best_threshold, probability, scaled, validation
from medfuse.fusion.agreement import agreement
from medfuse.fusion.levels import FusionNetwork
from medfuse.geometry import Geometry
from medfuse.modality import modality
from medfuse.volume import Volume

_NAMES = ("T1", "T1CE", "T2", "FLAIR")  # scans of one kind, as the check wants them
_MORE = 0.01  # more scans may be worse by so much


def matched(network: FusionNetwork, row: Row, task: Task, cases: int, seed: int) -> dict[str, Any]:
    """Return the Dice on code-match, the threshold from validation."""
    flags = _flags(row, task)
    known = validation(task, seed=seed)
    limit = best_threshold(probability(network, known.x, flags), known.target)
    made = generate(task, cases, seed=seed, purpose="test")
    return {
        "threshold": limit,
        "dice": micro(probability(network, made.x, flags) > limit, made.target),
    }


def shifted(network: FusionNetwork, row: Row, task: Task, cases: int, seed: int) -> dict[str, Any]:
    """Return the Dice and the mean error of the shift (voxels) at several largest shifts."""
    known = _ready(validation(task, seed=seed), row, task)
    flags = _flags(row, task)
    limit = best_threshold(probability(network, known.x, flags), known.target)
    found: dict[str, Any] = {"threshold": limit}
    for part in (6, 3, 1.5, 1):
        reach = max(1, int(task.reach / part))
        made = generate(replace(task, reach=reach), cases, seed=seed, purpose=f"test {reach}")
        ready = _ready(made, row, task)
        named = probability(network, ready.x, flags) > limit
        found[f"dice_{reach}"] = micro(named, made.target)
        error = _shift_error(network, made, row, task)
        if error is not None:
            found[f"error_{reach}"] = error
    return found


def any_subset(
    network: FusionNetwork, row: Row, task: Task, cases: int, seed: int
) -> dict[str, Any]:
    """Return Dice, regret and counter-intuitive rate over all subsets; one threshold for all."""
    known = validation(task, seed=seed)
    sets = [s for size in range(1, task.count + 1) for s in combinations(range(task.count), size)]
    own = [row.sees] if row.sees else sets
    drawn = np.zeros((len(known.x), task.count), dtype=bool)
    for case, line in enumerate(drawn):
        line[list(own[case % len(own)])] = True
    limit = best_threshold(probability(network, known.x, drawn), known.target)
    made = generate(task, cases, seed=seed, purpose="test")
    pooled: dict[tuple[int, ...], float] = {}
    single: dict[tuple[int, ...], np.ndarray] = {}
    for seen in own:
        flags = np.isin(np.arange(task.count), seen)
        named = probability(network, made.x, flags) > limit
        pooled[seen] = micro(named, made.target)
        single[seen] = np.array([micro(*pair) for pair in zip(named, made.target, strict=True)])
    regret = {seen: subset(len(seen), task.count) - pooled[seen] for seen in own}
    found: dict[str, Any] = {
        "threshold": limit,
        "dice": pooled[own[-1]],
        "regret": float(np.mean(list(regret.values()))),
        "worst": max(regret.values()),
        "pooled": {"".join("ABCD"[scan] for scan in seen): pooled[seen] for seen in own},
    }
    if not row.sees:
        found |= _counter_intuitive(pooled, single)
    return found


def _counter_intuitive(
    pooled: dict[tuple[int, ...], float], single: dict[tuple[int, ...], np.ndarray]
) -> dict[str, float]:
    """Return the largest loss of the pooled Dice by one scan more, and the share of cases."""
    pairs = [(s, t) for s in pooled for t in pooled if len(t) == len(s) + 1 and set(s) < set(t)]
    return {
        "more_is_worse": max(pooled[s] - pooled[t] for s, t in pairs),
        "counter_intuitive": float(np.mean([single[t] < single[s] - _MORE for s, t in pairs])),
    }


def spoilt(network: FusionNetwork, limit: float, task: Task, cases: int, seed: int) -> dict:
    """Return, for each damage, the Dice that believes it, checks it, or was told of it."""
    found: dict[str, Any] = {}
    for damage in DAMAGES:
        bad, told, sound = _spoilt_cases(task, damage, cases, seed)
        everything = np.ones_like(told)
        for name, flags in (("believed", everything), ("checked", sound), ("told", told)):
            named = probability(network, bad.x, flags) > limit
            found[f"{damage}_{name}"] = micro(named, bad.target)
        found[f"{damage}_loss"] = found[f"{damage}_told"] - found[f"{damage}_checked"]
    return found


@lru_cache(maxsize=len(DAMAGES))  # no network has a part in it
def _spoilt_cases(
    task: Task, damage: Damage, cases: int, seed: int
) -> tuple[Cases, np.ndarray, np.ndarray]:
    """Return cases with one spoilt scan each; (N, M): who is sound, and whom the check keeps."""
    bad, which = damaged(generate(task, cases, seed=seed, purpose="corrupt"), damage, seed=seed)
    return bad, np.arange(task.count) != which[:, None], ~odd(bad)


def odd(cases: Cases) -> Flags:
    """Return (N, M): the scans that the product's check would leave out."""
    found = np.zeros(cases.x.shape[:2], dtype=bool)
    names = _NAMES[: cases.x.shape[1]]
    grid = Geometry(cases.x.shape[2:], np.eye(4))
    for case, scans in enumerate(cases.x):
        volumes = {
            name: Volume(scan, grid, modality(name))
            for name, scan in zip(names, scans, strict=True)
        }
        verdict = agreement(volumes)
        found[case] = [name in verdict.odd for name in names]
    return found


def check_rates(task: Task, damage: Damage | None, cases: int, seed: int) -> dict[str, Any]:
    """Return how often the check names the spoilt scan, and how often a good one."""
    made = generate(task, cases, seed=seed, purpose="check")
    if damage is None:
        return {"cases": cases, "false": float(odd(made).any(axis=1).mean())}
    bad, which = damaged(made, damage, seed=seed)
    named = odd(bad)
    mine = np.arange(task.count) == which[:, None]
    return {
        "cases": cases,
        "named": float(named[mine].mean()),
        "false": float((named & ~mine).any(axis=1).mean()),
    }


def searched(x: np.ndarray, reach: int) -> np.ndarray:
    """Return the shift (N, 3) of the second scan against the first, from their edges alone.

    The highest correlation of gradient lengths over all whole shifts up to ``reach``.
    """
    axes = (-3, -2, -1)
    slopes = np.sqrt(sum(np.square(step) for step in np.gradient(x, axis=axes)))
    slopes -= slopes.mean(axis=axes, keepdims=True)
    size = [n + reach for n in x.shape[-3:]]
    spectra = np.fft.rfftn(slopes, s=size, axes=axes)
    product = np.fft.irfftn(spectra[:, 0].conj() * spectra[:, 1], s=size, axes=axes)
    near = np.roll(product, [reach] * 3, axis=axes)
    span = 2 * reach + 1
    near = near[:, :span, :span, :span]
    best = near.reshape(len(x), -1).argmax(axis=1)
    return np.stack(np.unravel_index(best, (span,) * 3), axis=1) - reach


def _ready(cases: Cases, row: Row, task: Task) -> Cases:
    """Return the cases as the network gets them: B moved back where it is registered first."""
    if not row.registered:
        return cases
    x = cases.x.copy()
    for case, shift in enumerate(searched(cases.x, task.reach)):
        x[case, 1] = np.roll(x[case, 1], -shift, axis=(0, 1, 2))
    return replace(cases, x=x)


def _shift_error(network: FusionNetwork, cases: Cases, row: Row, task: Task) -> float | None:
    """Return the mean length of the error of B's shift, None for who looks for none."""
    if row.registered:
        found = searched(cases.x, task.reach)
    elif getattr(network, "aligner", None) is not None:
        x = scaled(cases.x)
        device = next(network.parameters()).device
        there = torch.ones(len(x), 2, dtype=torch.bool, device=device)
        with torch.inference_mode():
            parts = [
                network.aligner.shifts(x[i : i + 16].to(device), there[i : i + 16])[:, 1]
                for i in range(0, len(x), 16)
            ]
        found = torch.cat(parts).cpu().numpy()
    else:
        return None
    return float(np.linalg.norm(found - cases.shifts[:, 1], axis=1).mean())


def _flags(row: Row, task: Task) -> Flags:
    return np.isin(np.arange(task.modalities), row.sees or range(task.modalities))
