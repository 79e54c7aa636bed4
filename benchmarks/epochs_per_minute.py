"""Epochs a minute: our batches, varied on the device, beside MONAI's usual loader.

Same network, loss, patch and precision (bf16 on CUDA); only where batches come from differs:
``CacheDataset`` with random crops, turns, flips, contrast and noise on CPU workers, or ours. An
epoch is 50 steps of two patches. Written for a GPU; on a CPU it shows that it runs.

    python benchmarks/epochs_per_minute.py --device cuda --patch 96 --seconds 120
    python benchmarks/epochs_per_minute.py --device cpu --patch 32 --side 48 --seconds 20
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from medfuse.fusion.levels import FusionNetwork, build
from medfuse.fusion.settings import FusionSettings
from medfuse.nets.blocks import generator
from medfuse.training.augment import augment, draw_flips, mirror
from medfuse.training.cases import Case
from medfuse.training.draw import Batch, Drawing, draw_batch
from medfuse.training.losses import deep_loss
from medfuse.training.settings import AugmentSettings

_SCANS, _CASES, _BATCH, _STEPS = 4, 16, 2, 50
_VARIED = AugmentSettings(misalign=0)  # MONAI's chain moves no scan by itself
Pair = tuple[Tensor, Tensor]  # x (B, M, D, H, W), codes (B, D, H, W)


def volumes(side: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return made scans (M, n, n, n) with a bright ball, and its label (n, n, n)."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(_CASES):
        place = np.indices((side,) * 3) - rng.uniform(side / 3, 2 * side / 3, (3, 1, 1, 1))
        label = ((place**2).sum(axis=0) < (side / 8) ** 2).astype(np.uint8)
        made.append((rng.normal(size=(_SCANS, *label.shape)).astype(np.float32) + label, label))
    return made


def ours(side: int, patch: int, device: str) -> Iterator[Pair]:
    """Yield batches as ``medfuse train`` makes them."""
    cases = [
        Case(str(number), torch.from_numpy(scans).half(), torch.ones(_SCANS, dtype=torch.bool),
             torch.from_numpy(label), (np.argwhere(label),))
        for number, (scans, label) in enumerate(volumes(side))
    ]  # fmt: skip
    drawing = Drawing((patch,) * 3, _BATCH, subsets="all")
    for step in itertools.count():
        batch = draw_batch(cases, drawing, 0, step)
        parts = (batch.x, batch.present, batch.codes, batch.shown)
        batch = Batch(*(part.to(device) for part in parts))
        stream = generator(0, "augment", step)
        batch = augment(batch, _VARIED, stream)
        flips = draw_flips(_BATCH, _VARIED, stream)
        codes = batch.codes[:, None]
        x, codes, _ = mirror(batch.x, codes, codes, [0], flips)
        yield x[:, :, 0], codes[:, 0]


def usual(side: int, patch: int, device: str) -> Iterator[Pair]:
    """Yield batches of MONAI's ``CacheDataset`` and ``DataLoader``, after its tutorials."""
    from monai import data
    from monai import transforms as t

    both, shape = ["x", "y"], (patch,) * 3
    chain = t.Compose([
        t.ToTensord(both),
        t.RandCropByPosNegLabeld(both, "y", shape, pos=1, neg=1, num_samples=1),
        t.RandAffined(both, prob=0.3, rotate_range=(0.26,) * 3, scale_range=(0.2,) * 3,
                      mode=("bilinear", "nearest"), padding_mode="border"),
        t.RandFlipd(both, prob=0.5, spatial_axis=2),
        t.RandScaleIntensityd("x", 0.25, prob=0.3),
        t.RandShiftIntensityd("x", 0.3, prob=0.3),
        t.RandBiasFieldd("x", prob=0.2),
        t.RandGaussianNoised("x", prob=0.2),
    ])  # fmt: skip
    items = [{"x": scans, "y": label[None]} for scans, label in volumes(side)]
    workers = min(8, (os.cpu_count() or 2) - 1)
    cached = data.CacheDataset(items, chain, progress=False)
    loader = data.DataLoader(cached, batch_size=_BATCH, shuffle=True, num_workers=workers,
                             persistent_workers=workers > 0,
                             pin_memory=device == "cuda")  # fmt: skip
    while True:
        for batch in loader:
            x, y = batch["x"].as_tensor(), batch["y"].as_tensor()
            yield x.to(device, non_blocking=True), y[:, 0].to(device, non_blocking=True)


def stepper(device: str) -> Callable[[Pair], None]:
    """Return what makes one training step of a new network."""
    network: FusionNetwork = build(
        FusionSettings(level="data"), modalities=_SCANS, classes=2, seed=0
    ).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def step(pair: Pair) -> None:
        x, codes = pair
        there = torch.ones(x.shape[:2], dtype=torch.bool, device=device)
        target = torch.stack([codes == 0, codes == 1], dim=1).float()
        counted = (codes < 2).float()[:, None]
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            heads = network.heads(x[:, :, None].float(), there)
            loss = deep_loss((heads.logits, *heads.deep), target, counted, exclusive=True)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def epochs(batches: Iterator[Pair], device: str, seconds: float) -> float:
    """Return the epochs a minute, after a tenth of the time to warm up."""
    step, steps, began, told = stepper(device), 0, 0.0, time.perf_counter()
    for pair in batches:
        step(pair)
        if device == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if not began and now - told > seconds / 10:
            began = now
        elif began:
            steps += 1
            if now - began > seconds:
                break
    return 60 * steps / _STEPS / (now - began)


def main() -> None:
    """Time both in turn, and print a line each and how many times as many ours are."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    words.add_argument("--side", type=int, default=160, help="voxels of a volume along each axis")
    words.add_argument("--patch", type=int, default=96)
    words.add_argument("--seconds", type=float, default=60.0)
    words.add_argument("--rounds", type=int, default=3)
    asked = words.parse_args()
    found: dict[str, list[float]] = {"medfuse": [], "MONAI": []}
    for _ in range(asked.rounds):
        for name, source in (("medfuse", ours), ("MONAI", usual)):
            batches = source(asked.side, asked.patch, asked.device)
            found[name].append(epochs(batches, asked.device, asked.seconds))
    print("| batches | epochs a minute | spread |\n|---|---|---|")
    for name, rates in found.items():
        print(f"| {name} | {np.median(rates):.2f} | {min(rates):.2f}–{max(rates):.2f} |")
    print(f"\n{np.median(found['medfuse']) / np.median(found['MONAI']):.2f} times as many")


if __name__ == "__main__":
    main()
