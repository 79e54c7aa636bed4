"""Start ours or a peer in a process of its own, one thread each, and read what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medfuse.geometry import Geometry
from medfuse.io.volumes import write_volume
from medfuse.transform import Affine
from medfuse.volume import Volume

HERE = Path(__file__).resolve().parent
OURS = {  # what each of our names asks for
    "ours": {},
    "ours-itk": {"engine": "itk"},
    "ours-deformable": {"transform": "deformable"},
}
_LIMIT_S = 1800.0


@dataclass(frozen=True)
class Bench:
    """Where peers live, and a folder for the volumes of the pair at hand."""

    scratch: Path
    peers: str | None

    def put(self, name: str, volume: Volume) -> str:
        """Write a volume for the tools and return ``PATH:MODALITY``."""
        path = self.scratch / f"{name}.nii"
        write_volume(volume, path)
        return f"{path}:{volume.modality.name}"

    def run(self, tool: str, fixed: str, moving: str, **request: Any) -> dict[str, Any]:
        """Run ``tool`` on two written volumes; ``{"failed": ...}`` where it did not answer."""
        if tool in OURS:
            asked = {"settings": OURS[tool], **request}
            words = [sys.executable, str(HERE / "call_ours.py"), fixed, moving, json.dumps(asked)]
        elif self.peers is None:
            raise SystemExit(f"{tool}: give --peers PYTHON")
        else:
            paths = [text.rsplit(":", 1)[0] for text in (fixed, moving)]
            extra = [request["field"]] if "field" in request else []
            words = [self.peers, str(HERE / "call_peer.py"), tool, *paths, *extra]
        return answered(words)


def answered(words: list[str]) -> dict[str, Any]:
    """Run a command whose last line is JSON, on one thread."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=_LIMIT_S, env=one_thread(), check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"no answer in {_LIMIT_S:g} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        return {"failed": f"exit {done.returncode}: {said[-1] if said else 'nothing said'}"}
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def one_thread() -> dict[str, str]:
    """Return the environment in which every tool is given one thread."""
    names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
    kept = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    return {
        **kept,
        **{f"{name}_NUM_THREADS": "1" for name in names},
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def error_mm(matrix: Any, truth: Affine, points: np.ndarray) -> float:
    """Return the mean distance between where both send the points, mm."""
    found = Affine(np.asarray(matrix, dtype=np.float64))
    return float(np.linalg.norm(found.map(points) - truth.map(points), axis=1).mean())


def turned(volume: Volume, matrix: np.ndarray) -> Volume:
    """Return a volume whose header is moved by a (4, 4) matrix; its values stay."""
    moved: Geometry = volume.geometry.moved(matrix)
    return volume.with_array(volume.array, moved)
