"""Draw the patches of a step: which visit, where, and which of its modalities are shown.

Everything follows from (seed, step, place in the batch) and nothing from what was drawn before:
so a training that was killed goes on with the very same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from medfuse import seeds
from medfuse.training.cases import Case
from medfuse.training.survey import IGNORED


@dataclass(frozen=True, eq=False)
class Batch:
    """``x`` (B, M, C, D, H, W) float32, ``present`` and ``shown`` (B, M), ``codes`` uint8.

    ``codes`` (B, D * f, H * g, W * h) are as fine as those of the cases. ``present``: what ``x``
    holds; ``shown``: what of it the network is given, for a teacher may see more.
    """

    x: Tensor
    present: Tensor
    codes: Tensor
    shown: Tensor


@dataclass(frozen=True)
class Drawing:
    """How patches are drawn: their size, how many, and what is shown of them."""

    patch: tuple[int, int, int]
    batch: int
    oversample: float = 0.6
    subsets: Literal["uniform", "all"] = "uniform"
    whole: float = 0.0  # share of patches that show all
    required: tuple[int, ...] = ()  # rows that are shown where they are there
    hidden: bool = False  # whether a batch holds what it does not show, too


def draw_batch(cases: Sequence[Case], drawing: Drawing, seed: int, step: int) -> Batch:
    """Return the batch of one step, on the device that the cases are on.

    Every visit is shown equally often: a new shuffled deck is dealt when the last is used up.
    """
    patches, there, shown, codes = [], [], [], []
    for place in range(drawing.batch):
        case = cases[_dealt(len(cases), seed, step * drawing.batch + place)]
        rng = seeds.rng(seed, "patch", step, place)
        index = _indices(case, drawing, rng)
        x, code = _cut(case, index)
        seen = draw_subset(case.present, drawing, rng).to(x.device)
        held = case.present.to(x.device) if drawing.hidden else seen
        patches.append(torch.where(held[:, None, None, None], x, 0.0))
        there.append(held)
        shown.append(seen)
        codes.append(code)
    x = torch.stack(patches)[:, :, None]  # (B, M, 1, D, H, W)
    return Batch(x, torch.stack(there), torch.stack(codes), torch.stack(shown))


def draw_subset(present: Tensor, drawing: Drawing, rng: np.random.Generator) -> Tensor:
    """Return which of the ``present`` (M,) modalities are shown.

    How many is drawn evenly from 1 to all, then which: every size is seen equally often, which a
    fair coin for each modality would not give (it hardly ever shows one alone). Before that the
    share ``whole`` is shown all: from single scans alone a network learns slowly what to look for.
    """
    there = np.flatnonzero(present.cpu().numpy())
    if drawing.subsets == "all" or rng.random() < drawing.whole:
        return present.clone()
    count = int(rng.integers(1, len(there) + 1))
    chosen = {*rng.permutation(there)[:count].tolist(), *drawing.required} & {*there.tolist()}
    shown = torch.zeros(len(present), dtype=torch.bool)
    shown[sorted(chosen)] = True
    return shown


def _dealt(cards: int, seed: int, number: int) -> int:
    """Return the card that is dealt ``number``-th from shuffled decks."""
    deck, place = divmod(number, cards)
    return int(seeds.rng(seed, "deck", deck).permutation(cards)[place])


def _indices(case: Case, drawing: Drawing, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the voxels of a patch along each axis; they may lie outside of a small visit."""
    focus = None
    if case.places and rng.random() < drawing.oversample:
        voxels = case.places[int(rng.integers(len(case.places)))]
        focus = voxels[int(rng.integers(len(voxels)))]
    indices = []
    for axis, (size, patch) in enumerate(zip(case.shape, drawing.patch, strict=True)):
        room = max(0, size - patch)
        low, high = 0, room
        if focus is not None:  # anywhere in the patch, not in its middle only
            low = min(max(0, int(focus[axis]) - patch + 1), room)
            high = min(int(focus[axis]), room)
        start = int(rng.integers(low, high + 1))
        start -= max(0, patch - size) // 2
        indices.append(np.arange(start, start + patch))
    return indices


def _cut(case: Case, indices: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Return the values (M, D, H, W) and codes of a patch; outside of the visit none count."""
    fine = [
        (i[:, None] * f + np.arange(f)).reshape(-1)  # the label voxels of each voxel
        for i, f in zip(indices, case.finer, strict=True)
    ]
    codes, inside = _taken(case.codes[None], fine)
    for axis, part in enumerate(inside):
        if not part.all():
            codes.movedim(axis + 1, 0)[torch.from_numpy(~part).to(codes.device)] = IGNORED
    return _taken(case.images, indices)[0].float(), codes[0]


def _taken(array: Tensor, indices: list[np.ndarray]) -> tuple[Tensor, list[np.ndarray]]:
    """Return a new (C, d, h, w) of ``array`` (C, D, H, W), its edge going on outside.

    And, along each axis, which of the indices lie inside.
    """
    shape = array.shape[1:]
    inside = [(i >= 0) & (i < n) for i, n in zip(indices, shape, strict=True)]
    low = [max(0, int(i[0])) for i in indices]
    box = [slice(a, min(n, int(i[-1]) + 1)) for a, i, n in zip(low, indices, shape, strict=True)]
    made = array[(slice(None), *box)]
    for axis, (i, n) in enumerate(zip(indices, shape, strict=True), start=1):
        if not inside[axis - 1].all():
            near = torch.from_numpy(np.clip(i, 0, n - 1) - low[axis - 1]).to(array.device)
            made = made.index_select(axis, near)
    return made.clone(), inside
