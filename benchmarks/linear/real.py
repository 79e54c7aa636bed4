"""Real heads: one patient at two dates, and population templates."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from ledger import Ledger

from linear import turns
from linear.tools import Bench, error_mm, turned
from linear.turns import Case, body_points
from medfuse.io.transforms import read_transform
from medfuse.io.volumes import read_volume
from medfuse.transform import Affine

ROOT = Path(__file__).resolve().parents[2]
_MS_TURNS = 3
_TEMPLATE_TURNS = 3
_ASKED = ("CT", "PET", "T2", "SPECT")
_OTHERS = (("T1", "PD"), ("T2", "CT"), ("T2", "PET"), ("CT", "PET"), ("PET", "SPECT"))


def data() -> Path:
    """Return the folder of real scans, from MEDFUSE_TEST_DATA or beside the repository."""
    folder = Path(os.environ.get("MEDFUSE_TEST_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        raise SystemExit(f"no real scans: MEDFUSE_TEST_DATA ({folder}) is not a folder")
    return folder


def run(bench: Bench, ledger: Ledger, tools: list[str]) -> None:
    """Measure both sets: ours everywhere, peers where they have a chance."""
    _longitudinal(bench, ledger, tools)
    folder = data() / "spm_mni_templates"
    for moving in _ASKED:
        case = _template(folder, "T1", moving, f"templates {moving} -> T1, any orientation")
        turns.run(bench, ledger, [case], _few(tools, "greedy", "ours-itk"))
    others = [
        _template(folder, fixed, moving, "templates, other pairs") for fixed, moving in _OTHERS
    ]
    turns.run(bench, ledger, others, _few(tools))


def _few(tools: list[str], *peers: str) -> list[str]:
    return [tool for tool in tools if tool in ("ours", *peers)]


def _template(folder: Path, fixed: str, moving: str, group: str) -> Case:
    words = {"SPECT": "OTHER"}
    first, second = (
        read_volume(f"{folder / name}.nii.gz:{words.get(name, name)}") for name in (fixed, moving)
    )
    return Case("real", group, f"{moving}-{fixed}", first, second, 180, 50, _TEMPLATE_TURNS)


def _longitudinal(bench: Bench, ledger: Ledger, tools: list[str]) -> None:
    """Measure the distance to the authors' transforms across the dates of one patient."""
    folder = data() / "open_ms_longitudinal" / "patient01"
    for fixed, moving in ((f, m) for f in ("FLAIR", "T1W", "T2W") for m in ("FLAIR", "T1W")):
        truth = _authors(folder, 1, fixed).inverse().then(_authors(folder, 2, moving))
        first, second = (
            read_volume(folder / f"study{date}_{name}.nii.gz", modality=name.rstrip("W"))
            for date, name in ((1, fixed), (2, moving))
        )
        points = body_points(first)
        case = Case(
            "real", "MS, across dates", f"{moving}-{fixed}", first, second, 180, 50, _MS_TURNS
        )
        for tool in _few(tools, "greedy", "elastix", "ours-itk"):
            for number in range(-1, case.turns):
                if number > 0 and tool in ("greedy", "elastix"):
                    continue
                group = case.group + (", as it is" if number < 0 else ", any orientation")
                key = {
                    "part": "real", "group": group, "case": case.name, "tool": tool, "seed": number,
                }  # fmt: skip
                if ledger.has(**key):
                    continue
                turn = np.eye(4) if number < 0 else turns.turn_of(case, number)
                answer = bench.run(
                    tool, bench.put("fixed", first), bench.put("moving", turned(second, turn))
                )
                if "failed" not in answer:
                    after = truth.then(Affine(turn))
                    assert isinstance(after, Affine)
                    answer["error"] = error_mm(answer["matrix"], after, points)
                ledger.add(key, **answer)
                print(f"{ledger.rows[-1]['key']}: {answer.get('error')}", flush=True)


def _authors(folder: Path, date: int, name: str) -> Affine:
    """Return the authors' map from the common space to a scan."""
    made = read_transform(folder / f"study{date}_FLAIR_to_common_space.txt")
    if name != "FLAIR":
        made = made.then(read_transform(folder / f"study{date}_{name}_intrastudy_to_FLAIR.txt"))
    assert isinstance(made, Affine)
    return made
