"""One registration of ours in a process of its own: ``call_ours.py FIXED MOVING REQUEST``.

FIXED and MOVING are ``PATH:MODALITY``, REQUEST is JSON (``settings``, ``seed``, ``field``).
Prints one line of JSON: the matrix (LPS, fixed to moving), CPU-seconds of the call, peak RSS in MB
and the verdict. ``field`` names a file for the displacement of a deformable result.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

from medfuse.io.volumes import read_volume
from medfuse.transform import Affine, Transform
from medfuse.volume import Volume
from registration.pairwise import register
from registration.settings import RegisterSettings


def cpu() -> float:
    """Return user and system seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """Return the peak memory of this process, MB: ``ru_maxrss`` would count its parent's, too."""
    words = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()
    return int(words[0]) / 1000


def answer_of(fixed: Volume, moving: Volume, request: dict[str, Any]) -> dict[str, Any]:
    """Register and say what came of it, as plain values."""
    settings = RegisterSettings(**request.get("settings", {}))
    before = cpu()
    result = register(fixed, moving, settings=settings, seed=request.get("seed", 0))
    spent = cpu() - before
    transform: Transform = result.transform
    if "field" in request:
        grid = np.indices(fixed.geometry.shape).reshape(3, -1).T
        points = fixed.geometry.world(grid)
        np.save(request["field"], (transform.map(points) - points).astype(np.float32))
    return {
        "matrix": transform.moving_from_fixed.tolist() if isinstance(transform, Affine) else None,
        "cpu": spent,
        "rss": peak_mb(),
        "verdict": result.quality.verdict,
        "reasons": list(result.quality.reasons),
        "figures": {name: float(value) for name, value in result.quality.figures.items()},
    }


def main() -> None:
    """Read, register, print."""
    fixed, moving = read_volume(sys.argv[1]), read_volume(sys.argv[2])
    print(json.dumps(answer_of(fixed, moving, json.loads(sys.argv[3]))))


if __name__ == "__main__":
    main()
