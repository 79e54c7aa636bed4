"""Two processes that train one model (gloo, on the CPU), started as torchrun starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medfuse.nets import modelfile
from tests.medfuse.training import toy
from tests.pipelines.cli.test_train import RECIPE


@pytest.mark.slow
def test_two_processes_share_one_training(tmp_path: Path) -> None:
    """Scans are left out at random, so each process leaves other weights without a gradient."""
    toy.write(tmp_path / "heads", 4)
    (tmp_path / "recipe.toml").write_text(RECIPE.replace('"data"', '"feature"'))

    def started(out: str, count: int) -> dict[str, torch.Tensor]:
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
        words = ["train", "recipe.toml", "--data", "heads", "--out", out, "--device", "cpu"]
        done = subprocess.run(
            [*command, "--standalone", "-m", "pipelines.cli.app", *words, "--threads", "1"],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("model: ") == 1  # one of them speaks
        assert not list((tmp_path / out).glob(".*"))
        return modelfile.load(tmp_path / out / "model.mfm")[1]

    alone, shared = started("one", 1), started("two", 2)
    assert alone.keys() == shared.keys()
    # each step saw the batches of both, so the weights are others
    assert not all(torch.allclose(alone[name], shared[name]) for name in alone)
