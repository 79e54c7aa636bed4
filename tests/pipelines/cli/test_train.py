"""``medfuse train`` as it is typed: a model, a resume, a plan alone, and clean refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Run
from tests.medfuse.training import toy

RECIPE = """
patch = [16, 16, 16]
batch = 1
epochs = 2
steps = 2
validate_every = 1
folds = 2
spacing = [1.0, 1.0, 1.0]
[[labels]]
name = "left lesion"
values = [7]
[[labels]]
name = "right lesion"
values = [3]
[fusion]
level = "data"
widths = [4, 8]
"""


@pytest.fixture
def heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with ``heads/`` and ``recipe.toml`` in it."""
    toy.write(tmp_path / "heads", 4)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(*more: str) -> tuple[str, ...]:
    return ("train", "recipe.toml", "--data", "heads", "--out", "run", "--threads", "1", *more)


def test_a_model_is_trained_and_said(heads: Path, medfuse: Run) -> None:
    said = medfuse(*typed())
    assert (said.code, said.err) == (0, [])
    assert "2 visits to learn from, 2 held out" in said.out
    assert "2 epochs; Dice of held-out visits: mean " in said.out
    assert said.out.splitlines()[-1].endswith("model.mfm")
    record = json.loads((heads / "run" / "record.json").read_text())
    assert (record["command"], record["epochs"]) == ("train", 2)
    assert not list((heads / "run").glob(".*"))


def test_a_training_is_resumed_and_never_written_over(heads: Path, medfuse: Run) -> None:
    assert medfuse(*typed("--epochs", "1")).code == 0
    refused = medfuse(*typed())
    assert (refused.code, "--resume" in refused.err[0]) == (5, True)
    said = medfuse(*typed("--resume"))
    assert said.code == 0
    assert "2 epochs" in said.out


def test_a_plan_alone(heads: Path, medfuse: Run) -> None:
    said = medfuse(*typed("--plan-only"))
    assert said.code == 0
    names = {path.name for path in (heads / "run").iterdir()}
    assert names == {"plan.toml", "splits.json", "settings.json"}
    plan = heads / "run" / "plan.toml"
    plan.write_text(plan.read_text().replace("patch = [16, 16, 16]", "patch = [8, 16, 16]"))
    assert "patches of 8x16x16" in medfuse(*typed()).out


def test_a_refusal_is_one_line_and_leaves_nothing(heads: Path, medfuse: Run) -> None:
    recipe = heads / "recipe.toml"
    recipe.write_text(RECIPE.replace("values = [3]", "values = [4]"))
    said = medfuse(*typed())
    assert (said.code, len(said.err)) == (3, 1)
    assert said.err[0].startswith("medfuse: error[C7]: ")
    assert "holds the label 3" in said.err[0]
    assert not (heads / "run").exists()


@pytest.mark.parametrize("out", ["heads", "heads/sub-1"])
def test_S4_nothing_is_trained_among_the_scans(heads: Path, medfuse: Run, out: str) -> None:
    before = sorted((heads / "heads").rglob("*"))
    said = medfuse(*typed("--out", out))
    assert (said.code, len(said.err)) == (5, 1)
    assert "error[S4]" in said.err[0]
    assert sorted((heads / "heads").rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("train", "no.toml", "--out", "run"), 3),
        (("train", "recipe.toml", "--out", "run"), 2),
        (("train", "recipe.toml", "--data", "nowhere", "--out", "run"), 3),
        (("train", "recipe.toml", "--data", "heads", "--out", "no/run"), 5),
        (typed("--fold", "2"), 2),
        (typed("--minutes", "0"), 2),
    ],
)
def test_exit_codes(heads: Path, medfuse: Run, words: tuple[str, ...], code: int) -> None:
    said = medfuse(*words)
    assert (said.code, len(said.err)) == (code, 1)
    assert not (heads / "run").exists()


def test_labels_on_another_grid_are_carried_where_that_is_allowed(
    heads: Path, medfuse: Run
) -> None:
    import nibabel as nib
    import numpy as np

    path = heads / "heads" / "sub-2" / "labels.nii"
    path.unlink()
    nib.save(nib.Nifti1Image(toy.arrays(2)["labels"], np.diag([1.0, 1, 1.5, 1])), path)
    said = medfuse(*typed())
    assert (said.code, said.err[0].startswith("medfuse: error[C8]: sub-2: ")) == (3, True)
    assert not (heads / "run").exists()
    said = medfuse(*typed("--resample-labels"))
    assert said.code == 0
    assert [line for line in said.err if "warning[C8]" in line and "sub-2" in line]
    record = json.loads((heads / "run" / "record.json").read_text())
    assert [one["id"] for one in record["warnings"]] == ["C8"]
