"""Plans: what data and memory make of a recipe, and a file that a person can change."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import UsageError
from medfuse.fusion.settings import FusionSettings
from medfuse.geometry import Geometry
from medfuse.intensity import scheme_for
from medfuse.training.plan import ModalityPlan, Plan, make_plan, read_plan, write_plan
from medfuse.training.settings import Target, TrainSettings
from medfuse.training.survey import Seen, coding_for
from tests.medfuse.training import toy


def seen(
    shape: tuple[int, int, int] = (224, 232, 176),
    spacing: tuple[float, float, float] = (1, 1, 1),
    lesion: int = 30000,
) -> Seen:
    matrix = np.zeros((4, 4))
    matrix[2, 0], matrix[1, 1], matrix[0, 2] = spacing
    matrix[3, 3] = 1
    return Seen("x", Geometry(shape, matrix), {8: lesion}, {})


def plan_for(*visits: Seen, gpu: bool = False, **changes: object) -> Plan:
    recipe = TrainSettings(labels=(Target("lesion", (8,)),), **changes)  # type: ignore[arg-type]
    return make_plan(visits, coding_for(visits, recipe), ("T1", "CT"), recipe, gpu=gpu)


def test_a_cpu_looks_coarser_than_a_gpu() -> None:
    cpu, gpu = plan_for(seen()), plan_for(seen(), gpu=True)
    assert cpu.spacing == (1.75, 1.75, 1.75)  # 9.1 million voxels to at most 1.3 or so
    assert cpu.finer == (2, 2, 2)
    assert gpu.spacing == (1.0, 1.0, 1.0)
    assert gpu.finer == (1, 1, 1)
    assert max(cpu.patch) <= 64 < max(gpu.patch) <= 112
    assert [n % 16 for n in cpu.patch] == [0, 0, 0]


def test_a_small_label_keeps_its_voxels() -> None:
    assert plan_for(seen(lesion=400)).spacing == (1.0, 1.0, 1.0)
    middle = plan_for(seen(lesion=1400)).spacing[0]
    assert 1400 / middle**3 >= 400


def test_thick_slices_stay_and_are_not_strided_first() -> None:
    made = plan_for(seen((30, 256, 240), (5, 1, 1)), spacing=(5.0, 1.0, 1.0))
    assert made.fusion.stem_stride == (1, 2, 2)
    assert made.fusion.strides[0] == (1, 2, 2)
    assert (2, 2, 2) in made.fusion.strides
    assert made.patch[0] <= 32


def test_the_recipe_goes_first() -> None:
    made = plan_for(seen(), spacing=(3.0, 2.0, 2.0), patch=(16, 32, 32), batch=4, others="ignore")
    assert (made.spacing, made.patch, made.batch) == ((3.0, 2.0, 2.0), (16, 32, 32), 4)
    assert made.others == "ignore"
    assert made.modalities[1].scheme == scheme_for("CT")


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = replace(
        plan_for(seen()),
        labels=(Target('odd "name" \\ 左', (8, 9)), Target("b", (9,))),
        ignore=(3,),
        fusion=FusionSettings(strides=((1, 2, 2), (2, 2, 2), (2, 2, 2))),
    )
    path = write_plan(made, tmp_path / "plan.toml")
    assert read_plan(path) == made
    text = path.read_text("utf-8")
    assert text.startswith("# The plan of a training")
    assert "# mm; scans are resampled to it" in text
    assert tomllib.loads(text)["labels"][0]["values"] == [8, 9]


def test_a_hand_may_change_it_and_is_told_what_is_wrong(tmp_path: Path) -> None:
    path = write_plan(plan_for(seen()), tmp_path / "plan.toml")
    path.write_text(path.read_text().replace("patch = [64, 64, 64]", "patch = [32, 48, 64]"))
    assert read_plan(path).patch == (32, 48, 64)
    for old, new, what in (
        ("batch = 2", "bach = 2", "did you mean 'batch'"),
        ("batch = 2", "batch = 0", "batch must be at least 1"),
        ("batch = 2", "batch = ", "no TOML"),
        ('others = "refuse"', 'others = "keep"', "use one of refuse"),
    ):
        text = write_plan(plan_for(seen()), tmp_path / "bad.toml").read_text()
        (tmp_path / "bad.toml").write_text(text.replace(old, new))
        with pytest.raises(UsageError, match=what):
            read_plan(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"spacing": (float("nan"), 1.0, 1.0)}, "spacing must be"),
        ({"modalities": (ModalityPlan("T1"), ModalityPlan("T1"))}, "lists 'T1' twice"),
        ({"ignore": (70000,)}, "1 to 65535"),
    ],
)
def test_a_plan_that_no_training_can_follow_is_refused(
    changes: dict[str, object], what: str
) -> None:
    with pytest.raises(UsageError, match=what):
        toy.plan(**changes)


def test_sides_change_places_in_a_mirror() -> None:
    labels = (Target("liver", (1,)), Target("right kidney", (2,)), Target("left kidney", (5,)))
    assert toy.plan(labels=labels).swapped() == [0, 1, 3, 2]
    overlapping = (*labels[1:], Target("kidneys", (2, 5)))
    assert toy.plan(labels=overlapping).swapped() == [1, 0, 2]
