"""A plain training within a budget of seconds, and what comes out of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ladder.ceilings import dice
from ladder.tasks import BODY, Cases, Flags, Task, generate
from medfuse.fusion.levels import FusionNetwork, build
from medfuse.fusion.settings import FusionSettings
from medfuse.nets.blocks import generator
from medfuse.training.losses import deep_loss, unimodal_loss

_POOL = 384  # cases that a training draws from, turned and mirrored anew each time
_BATCH = 2
_RATE, _DECAY, _WARM = 1e-2, 1e-4, 0.05
_LIMITS = np.round(np.arange(0.02, 0.99, 0.02), 2)  # thresholds that validation chooses from


@dataclass(frozen=True)
class Budget:
    """How long a training may take: ``seconds`` of CPU (of the clock on CUDA), cases included."""

    seconds: float
    device: str = "cpu"

    def clock(self) -> float:
        """Return the seconds used so far, from any start."""
        return time.process_time() if self.device == "cpu" else time.perf_counter()


@dataclass(frozen=True)
class Trained:
    """A network, and what it took: ``steps`` of 2 cases and ``seconds``."""

    network: FusionNetwork
    steps: int
    seconds: float


def scaled(x: np.ndarray) -> Tensor:
    """Return scans (N, M, D, H, W) as networks take them, (N, M, 1, D, H, W): the body is 0.

    As ``medfuse.intensity`` centres MR; half the step from air to body is about a spread.
    """
    return (torch.from_numpy(x)[:, :, None] - BODY) * 4


Rule = Callable[[int, torch.Generator], Tensor]  # (B,), stream -> present (B, M)


def train(
    task: Task, settings: FusionSettings, present: Rule, budget: Budget, *, seed: int
) -> Trained:
    """Return a network trained on fresh cases of ``task`` until the budget is used up.

    AdamW, the rate climbs for 5 % of the budget and falls to 0 as a cosine; the loss is the
    product's (Dice and cross-entropy at all scales, and that of single modalities where the
    level has them). ``present`` draws which scans each case has.
    """
    start = budget.clock()
    network = build(
        settings, modalities=task.modalities, classes=1, seed=seed, activation="sigmoid"
    ).to(budget.device)
    pool = generate(task, _POOL, seed=seed, purpose="train")
    x = scaled(pool.x)
    target = torch.from_numpy(pool.target)[:, None].float()
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    stream = generator(seed, "ladder", "batches")
    counted = torch.ones(_BATCH, 1, *target.shape[2:], device=budget.device)
    steps = 0
    while (part := (budget.clock() - start) / budget.seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1, part / _WARM) * 0.5 * (1 + math.cos(math.pi * part))
        chosen = torch.randint(len(x), (_BATCH,), generator=stream)
        turn = _turn(stream)
        batch, wanted = turn(x[chosen]).to(budget.device), turn(target[chosen]).to(budget.device)
        there = present(_BATCH, stream).to(budget.device)
        loss = _loss(network, batch, there, wanted, counted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        steps += 1
    return Trained(network.eval(), steps, budget.clock() - start)


def _loss(
    network: FusionNetwork, x: Tensor, present: Tensor, wanted: Tensor, counted: Tensor
) -> Tensor:
    heads = network.heads(x, present)
    loss = deep_loss((heads.logits, *heads.deep), wanted, counted, exclusive=False)
    if heads.unimodal is None:
        return loss
    alone = unimodal_loss(heads.unimodal, present, wanted, counted, exclusive=False)
    return (loss + alone) / 2


def _turn(stream: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Return one of the 48 symmetries of the cube, for (..., D, H, W)."""
    axes = (torch.randperm(3, generator=stream) - 3).tolist()
    flips = [axis for axis in (-3, -2, -1) if torch.rand((), generator=stream) < 0.5]

    def turned(x: Tensor) -> Tensor:
        order = [*range(x.ndim - 3), *(x.ndim + axis for axis in axes)]
        return x.permute(order).flip(flips)

    return turned


def probability(network: FusionNetwork, x: np.ndarray, present: Flags | Tensor) -> np.ndarray:
    """Return (N, D, H, W) for scans (N, M, D, H, W) and who is present, (M,) or (N, M)."""
    device = next(network.parameters()).device
    flags = torch.as_tensor(present).expand(len(x), -1)
    found = []
    with torch.inference_mode():
        for first in range(0, len(x), 16):
            part = scaled(x[first : first + 16]).to(device)
            logits = network(part, flags[first : first + 16].to(device))
            found.append(logits[:, 0].sigmoid().cpu().numpy())
    return np.concatenate(found)


def best_threshold(chance: np.ndarray, wanted: Flags) -> float:
    """Return the threshold with the best micro-Dice; where several are, the middle one."""
    scores = []
    for limit in _LIMITS:
        named = chance > limit
        true = np.count_nonzero(named & wanted)
        scores.append(dice(true, np.count_nonzero(named), np.count_nonzero(wanted)))
    best = np.flatnonzero(np.array(scores) >= max(scores) - 1e-9)
    return float(_LIMITS[best[len(best) // 2]])


def validation(task: Task, *, seed: int, cases: int = 64) -> Cases:
    """Return the cases on which thresholds are chosen."""
    return generate(task, cases, seed=seed, purpose="validate")
