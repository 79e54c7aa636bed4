"""CPU-seconds of one training step: our networks beside MONAI's DynUNet, in the same run.

Four scans, four classes, 64^3, one case, one thread, fp32 and, where the CPU has it, bf16. Steps
of all networks take turns, so that a slow minute of the machine hits all of them; the median over
rounds and its spread are printed.

    python benchmarks/training_step.py --rounds 5
    python benchmarks/training_step.py --side 96 --rounds 3
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from medfuse.fusion.levels import FusionNetwork, build
from medfuse.fusion.settings import FusionSettings
from medfuse.training.loop import bf16_on_cpu

_SCANS, _CLASSES, _WIDTHS = 4, 4, (16, 32, 64, 128, 160)


def networks() -> dict[str, FusionNetwork]:
    """Return what is timed, MONAI's DynUNet first."""
    kinds = {
        "DynUNet (MONAI)": FusionSettings(level="data", network="monai:DynUNet", widths=_WIDTHS),
        "data, half stem": FusionSettings(level="data", widths=_WIDTHS),
        "data, full stem": FusionSettings(level="data", widths=_WIDTHS, stem="full"),
        "feature, half stem": FusionSettings(level="feature", widths=_WIDTHS),
        "model, half stem": FusionSettings(level="model", widths=_WIDTHS),
    }
    return {
        name: build(kind, modalities=_SCANS, classes=_CLASSES, seed=0)
        for name, kind in kinds.items()
    }


def step(
    network: FusionNetwork, side: int, present: int, *, half: bool = False
) -> Callable[[], float]:
    """Return a function that makes one step and returns its CPU-seconds; ``half``: in bf16."""
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(1, _SCANS, 1, side, side, side, generator=stream)
    wanted = torch.randint(_CLASSES, (1, side, side, side), generator=stream)
    there = (torch.arange(_SCANS) < present)[None]
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def run() -> float:
        begin = time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            logits = network(x, there)
        loss = F.cross_entropy(logits.float(), wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return time.process_time() - begin

    return run


def main() -> None:
    """Time all, then print one line each."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--side", type=int, default=64)
    words.add_argument("--rounds", type=int, default=5)
    asked = words.parse_args()
    torch.set_num_threads(1)
    made = networks()
    steps = {(name, _SCANS): step(made[name], asked.side, _SCANS) for name in made}
    for few in (1, 2):
        steps |= {(name, few): step(made[name], asked.side, few) for name in list(made)[3:]}
    if bf16_on_cpu():
        steps |= {
            (f"{name}, bf16", _SCANS): step(made[name], asked.side, _SCANS, half=True)
            for name in made
        }
    for run in steps.values():
        run()  # what is made once is not counted
    seconds: dict[tuple[str, int], list[float]] = {key: [] for key in steps}
    for _ in range(asked.rounds):
        for key, run in steps.items():
            seconds[key].append(run())
    peer = statistics.median(seconds["DynUNet (MONAI)", _SCANS])
    print(f"{asked.side}^3, {asked.rounds} rounds, torch {torch.__version__}, one thread\n")
    print("| network | scans there | parameters, millions | CPU-s a step | spread | of DynUNet's |")
    print("|---|---|---|---|---|---|")
    for (name, present), found in seconds.items():
        network = made[name.removesuffix(", bf16")]
        size = sum(weight.numel() for weight in network.parameters()) / 1e6
        middle = statistics.median(found)
        print(f"| {name} | {present} of {_SCANS} | {size:.1f} | {middle:.2f} | "
              f"{min(found):.2f}–{max(found):.2f} | {middle / peer:.2f} |")  # fmt: skip


if __name__ == "__main__":
    main()
