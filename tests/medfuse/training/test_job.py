"""What is settled before a training starts: the plan, and what it needs."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import InputError, Repair, ResourceError, UsageError
from medfuse.fusion.settings import FusionSettings, Level
from medfuse.geometry import Geometry
from medfuse.training import job as job_
from medfuse.training.job import Machine
from medfuse.training.plan import ModalityPlan
from medfuse.training.settings import AugmentSettings, Target
from medfuse.training.survey import Seen
from tests.medfuse.training import toy
from tests.medfuse.training.toy import settle


def test_a_job_says_what_it_will_do(tmp_path: Path) -> None:
    made = settle(toy.cohort(tmp_path / "d"), tmp_path / "o")
    assert (len(made.learned), len(made.watched)) == (2, 2)
    said = made.summary()
    assert "2 visits to learn from, 2 held out; T1, CT; 2 labels" in said
    assert "patches of 16x16x16" in said
    assert "MB of memory" in said
    assert "\n" not in said


def test_the_plan_in_the_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    cohort, out = toy.cohort(tmp_path / "d"), tmp_path / "o"
    settle(cohort, out)
    path = out / "plan.toml"
    path.write_text(path.read_text().replace("patch = [16, 16, 16]", "patch = [8, 16, 16]"))
    assert settle(cohort, out).plan.patch == (8, 16, 16)


def test_another_recipe_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    cohort, out = toy.cohort(tmp_path / "d"), tmp_path / "o"
    settle(cohort, out)
    settle(cohort, out, epochs=9, minutes=3.0, patience=2)  # to train longer is fine
    with pytest.raises(UsageError, match="rate is not what this folder"):
        settle(cohort, out, rate=0.5)
    with pytest.raises(UsageError, match="seed is not what this folder"):
        settle(cohort, out, seed=1)


def test_a_label_of_one_side_alone_is_never_mirrored(tmp_path: Path) -> None:
    cohort, on = toy.cohort(tmp_path / "d"), AugmentSettings(mirror=True)
    assert settle(cohort, tmp_path / "both", augment=on).settings.augment.mirror
    alone = {"labels": (Target("left lesion", (7,)),), "others": "background", "augment": on}
    with pytest.warns(Repair, match="'left lesion' has a side") as caught:
        made = settle(cohort, tmp_path / "one", **alone)
    assert not made.settings.augment.mirror
    assert [one.message.id for one in caught] == ["sides"]  # type: ignore[union-attr]
    with pytest.warns(Repair, match="'left lesion' has a side"):
        settle(cohort, tmp_path / "one", **alone)  # the recipe is still the same


def test_C7_a_label_that_only_held_out_visits_have_is_told(tmp_path: Path) -> None:
    cohort = toy.cohort(tmp_path / "heads")
    first = toy.settle(cohort, tmp_path / "first")
    for entry in first.learned:
        path = Path(str(entry.labels))
        image = nib.load(path, mmap=False)
        values = np.asanyarray(image.dataobj).copy()
        values[values == 3] = 0
        nib.save(nib.Nifti1Image(values, image.affine, image.header), path)
    with pytest.warns(Repair, match="holds the label 'right lesion': it cannot be learned"):
        toy.settle(cohort, tmp_path / "second")


def test_C7_a_label_that_nobody_has_is_refused_where_somebody_is_judged(tmp_path: Path) -> None:
    """Empty in every visit, it would score 1 in each; folds of a comparison judge nobody."""
    cohort = toy.cohort(tmp_path / "heads")
    labels = (*toy.TARGETS, Target("core", (90, 91)))
    with pytest.raises(InputError, match=r"holds the label 'core' \(90, 91\)") as caught:
        toy.settle(cohort, tmp_path / "refused", labels=labels)
    assert (caught.value.id, caught.value.hint[:14]) == ("C7", "they hold 3, 7")
    with pytest.warns(Repair, match="holds the label 'core': it cannot be learned"):
        assert not toy.settle(cohort, tmp_path / "unjudged", labels=labels, folds=1).watched


def test_a_modality_that_nobody_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no visit has the modality 'PET'") as caught:
        settle(toy.cohort(tmp_path / "d"), tmp_path / "o", modalities=("T1", "PET"))
    assert "T1, CT" in caught.value.hint


def test_S9_too_little_memory_is_said_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_, "free_memory", lambda: 10_000_000)
    with pytest.raises(ResourceError, match=r"needs about \d+ MB of memory, 10 MB are free"):
        settle(toy.cohort(tmp_path / "d"), tmp_path / "o")
    assert list((tmp_path / "o").iterdir()) == []


def test_a_machine_that_has_read_much_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that were read fill what nobody needs, and the kernel gives it back."""
    told = tmp_path / "meminfo"
    told.write_text("MemFree: 20000 kB\nMemAvailable: 20000000 kB\nCached: 19980000 kB\n")
    monkeypatch.setattr("medfuse.io.memory._MEMINFO", told)
    assert settle(toy.cohort(tmp_path / "d"), tmp_path / "o").memory > 20000 * 1024


@pytest.mark.parametrize(
    ("side", "grown", "fusion"),
    [
        (48, 0.27, FusionSettings(level="data")),
        (64, 2.03, FusionSettings(level="feature")),
        (48, 1.26, FusionSettings(level="feature", rounds=3)),
        (64, 2.83, FusionSettings(level="hybrid")),
        (64, 2.17, FusionSettings(level="data", network="monai:SwinUNETR")),
        (48, 0.45, FusionSettings(level="data", network="monai:DynUNet")),
        (48, 1.60, FusionSettings(level="model", network="monai:SegResNet")),
    ],
)
def test_a_step_takes_what_was_measured(side: int, grown: float, fusion: FusionSettings) -> None:
    """``grown``: GB by which a process grew in a step of 4 scans, 4 classes, 2 patches, float32."""
    names = ("T1", "T1CE", "T2", "FLAIR")
    plan = toy.plan(
        patch=(side,) * 3,
        modalities=tuple(ModalityPlan(name) for name in names),
        labels=tuple(Target(f"label {value}", (value,)) for value in (1, 2, 3)),
        fusion=fusion,
    )
    grid = Geometry((8, 8, 8), np.eye(4))
    tiny = job_._needs([Seen("a", grid, {1: 5}, {})], plan)[0] - 5e8  # what any process has
    assert 0.8 * grown < tiny / 1e9 < 1.4 * grown


@pytest.mark.parametrize("level", ["data", "feature", "hybrid"])
def test_the_search_for_shifts_is_counted(level: Level) -> None:
    """Forward and backward kept 73 floats a voxel, scan and patch, 4 bytes each."""
    with_it, without = (
        job_.step_bytes(
            toy.plan(patch=(32,) * 3, fusion=FusionSettings(level=level, operator=name))
        )
        for name in ("offset", "concat")
    )
    assert 0.9 < (with_it - without) / (73 * 4 * 32**3 * 2 * 2) < 1.2  # 2 scans, 2 patches


def test_a_look_at_a_large_visit_is_counted() -> None:
    """Of 256 x 256 x 256 voxels and 3 classes: the scores alone take five arrays of each class."""
    plan = toy.plan()
    large = Seen("a", Geometry((256, 256, 256), np.eye(4)), {3: 5}, {})
    held = 256**3 * 2 * 2  # the scans themselves, half precision
    assert job_._needs([large], plan)[0] > 5e8 + held + 5 * 3 * 4 * 256**3


def test_cuda_in_vain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert not Machine(device="auto").gpu
    with pytest.raises(UsageError, match="no CUDA device"):
        _ = Machine(device="cuda").gpu
