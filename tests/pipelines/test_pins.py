"""A comparison goes on with the recipe and the bytes that it was begun with, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from medfuse.fusion.settings import FusionSettings
from medfuse.study import Cohort, StudyEntry
from medfuse.training.settings import TrainSettings
from pipelines.contest import Contest
from pipelines.pins import differences, pins_of

RECIPE = TrainSettings(rate=1e-3)


def cohort(root: Path, option: str = "") -> Cohort:
    found = []
    for name in ("a", "b", "c"):
        (root / name / "ct").mkdir(parents=True, exist_ok=True)
        files = root / name / "t1.nii", root / name / "ct" / "IM1", root / name / "labels.nii"
        for file in files:
            if not file.exists():
                file.write_text(f"{name}, {file.name}")
        volumes = {"T1": f"{files[0]}{option}", "CT": str(files[1].parent)}
        found.append(StudyEntry(name, "", volumes, str(files[2])))
    return Cohort(tuple(found))


def pinned(entries: Cohort, recipe: TrainSettings = RECIPE) -> dict[str, object]:
    contest = Contest.of(entries, levels=("data", "model"), folds=3, minutes=6, seed=0)
    return pins_of(entries, recipe, contest)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "contest.json"
    path.write_text(json.dumps(pinned(cohort(tmp_path))))
    return path


def test_the_same_in_another_place_is_the_same(kept: Path, tmp_path: Path) -> None:
    moved = RECIPE
    for change in ({"data": "x"}, {"epochs": 7}, {"minutes": 2.0}, {"licence": "CC0-1.0"}):
        moved = replace(moved, **change)
    moved = replace(moved, fusion=FusionSettings(level="hybrid"))
    assert differences(kept, pinned(cohort(tmp_path / "moved"), moved)) == ""


def test_another_recipe_is_named_by_what_differs(kept: Path, tmp_path: Path) -> None:
    other = replace(RECIPE, rate=2e-3, required=("T1",))
    assert differences(kept, pinned(cohort(tmp_path), other)) == "another recipe (rate, required)"


@pytest.mark.parametrize("name", ["t1.nii", "ct/IM1", "labels.nii"])
def test_other_bytes_under_the_same_name_are_other_data(
    kept: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "b" / name).write_text("corrected")
    assert differences(kept, pinned(cohort(tmp_path))) == "another data (b)"


def test_another_reading_of_the_same_bytes_is_other_data(kept: Path, tmp_path: Path) -> None:
    other = pinned(cohort(tmp_path, ":volume=1"))
    assert differences(kept, other) == "another data (a, b, c)"


def test_what_no_comparison_wrote_differs(kept: Path, tmp_path: Path) -> None:
    pins = pinned(cohort(tmp_path))
    kept.write_text(json.dumps({name: pins[name] for name in pins if name != "recipe"}))
    assert differences(kept, pins) == "another recipe"
    kept.write_text("no JSON")
    assert differences(kept, pins) == "contest.json is no comparison's"
