"""From a recipe to a model with its record: files of a person, and what is written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medfuse.errors import InputError, UsageError
from medfuse.io import files
from medfuse.training.job import Machine
from pipelines.train import (
    RECIPES,
    cohort_of,
    prepare_training,
    read_recipe,
    run_training,
    write_record,
)
from tests.medfuse.training import toy


def test_a_recipes_data_count_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "mine.toml"
    path.write_text('data = "../heads"\nepochs = 7\n')
    made = read_recipe(path, epochs=None, minutes=2.0)
    assert (made.data, made.epochs, made.minutes) == (str(tmp_path / "heads"), 7, 2.0)


def test_a_recipe_that_comes_with_medfuse_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_recipe("lesion").labels[0].values == (8, 9, 10)
    (tmp_path / "lesion").write_text("epochs = 3\n")  # a file of that name goes first
    assert read_recipe("lesion").epochs == 3


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_every_recipe_is_sound(name: str) -> None:
    assert read_recipe(RECIPES / f"{name}.toml").labels


def test_what_is_no_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    for text, what in (("epochs =", "no TOML"), ("epoch = 1", "did you mean 'epochs'")):
        path.write_text(text)
        with pytest.raises(UsageError, match=what):
            read_recipe(path)


@pytest.mark.parametrize("name", ["lesoin", "lesions", "lesion.toml", "Lesion"])
def test_a_recipe_that_was_meant_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such file") as caught:
        read_recipe(name)
    assert "did you mean the recipe lesion" in caught.value.hint
    with pytest.raises(InputError) as caught:
        read_recipe("mine.toml")
    assert caught.value.hint == "check the name"


def test_no_data_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("epochs = 1\n")
    with pytest.raises(UsageError, match="no data are named"):
        cohort_of(read_recipe(path), None)


def test_the_record_holds_figures_and_no_name(tmp_path: Path) -> None:
    out = tmp_path / "o"
    out.mkdir()
    cohort, machine = toy.cohort(tmp_path / "secret-heads"), Machine(device="cpu")
    job = prepare_training(cohort, toy.settings(), out, seed=0, machine=machine)
    trained = run_training(job, out, seed=0, machine=machine)
    text = write_record(job, trained, out, seed=0, repairs=[]).read_text()
    record = json.loads(text)
    assert record["visits"] == {"learned": 2, "held_out": 2, "without_labels": 0}
    assert record["model"]["sha256"] == files.sha256(out / "model.mfm")
    assert set(record["dice"]) == {"mean", "left lesion", "right lesion"}
    assert record["plan"]["spacing"] == [1.0, 1.0, 1.0]
    assert "secret-heads" not in text
    assert "sub-" not in text
