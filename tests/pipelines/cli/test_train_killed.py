"""SIGKILL at any moment, then ``--resume``: the model file is the same, byte for byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.medfuse.training import toy
from tests.pipelines.cli.test_train import RECIPE

_LONGER = RECIPE.replace("epochs = 2", "epochs = 60").replace(
    "validate_every = 1", "validate_every = 7"
)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")
def test_a_killed_training_ends_with_the_same_bytes(tmp_path: Path) -> None:
    toy.write(tmp_path / "heads", 4)
    (tmp_path / "recipe.toml").write_text(_LONGER)
    whole = start(tmp_path, "whole")
    assert whole.wait(timeout=240) == 0
    history = tmp_path / "cut" / "history.csv"
    for least in (1, 15, 30):  # lines of the history: the moment after is whatever it is
        cut = start(tmp_path, "cut", "--resume")
        until = time.monotonic() + 200
        while time.monotonic() < until and cut.poll() is None:
            if history.exists() and len(history.read_text().splitlines()) > least:
                break
            time.sleep(0.003)
        assert cut.poll() is None, "it ended before it could be killed"
        os.killpg(cut.pid, signal.SIGKILL)
        cut.wait(timeout=60)
        assert not (tmp_path / "cut" / "model.mfm").exists()
    assert start(tmp_path, "cut", "--resume").wait(timeout=240) == 0
    assert (tmp_path / "whole" / "model.mfm").read_bytes() == (
        tmp_path / "cut" / "model.mfm"
    ).read_bytes()


def start(folder: Path, out: str, *more: str) -> subprocess.Popen[bytes]:
    """Start a training in a process group of its own."""
    words = ["train", "recipe.toml", "--data", "heads", "--out", out, "--threads", "1", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli.app", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
