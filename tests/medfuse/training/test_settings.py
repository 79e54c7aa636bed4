"""Recipes: what they may say, and what contradicts itself."""

from __future__ import annotations

import tomllib

import pytest

from medfuse import settings
from medfuse.errors import UsageError
from medfuse.training.settings import AugmentSettings, Target, TrainSettings


def test_a_recipe_is_toml() -> None:
    text = """
    modalities = ["T1", "FLAIR"]
    spacing = [2, 2, 2.5]
    others = "background"
    [[labels]]
    name = "lesion"
    values = [8, 9]
    [fusion]
    level = "data"
    [augment]
    mirror = false
    """
    made = settings.load(TrainSettings, tomllib.loads(text))
    assert made.labels == (Target("lesion", (8, 9)),)
    assert made.spacing == (2.0, 2.0, 2.5)
    assert (made.fusion.level, made.augment.mirror, made.batch) == ("data", False, None)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"epochs": 0}, "epochs"),
        ({"minutes": 0.0}, "minutes"),
        ({"folds": 3, "fold": 3}, "fold 3 is none of 3"),
        ({"oversample": 1.5}, "oversample"),
        ({"modalities": ["T1"], "required": ["CT"]}, "required names 'CT'"),
        ({"labels": [{"name": "a", "values": [0]}]}, "1 to 65535"),
        ({"labels": [{"name": "a", "values": []}]}, "at least one value"),
        ({"labels": [{"name": "mean", "values": [1]}]}, "no label can be called 'mean'"),
        ({"labels": [{"name": "a", "values": [1]}, {"name": "a", "values": [2]}]}, "same name"),
        ({"labels": [{"name": "a", "values": [1]}], "ignore": [1]}, "value 1 is a label"),
        ({"labels": [{"name": "a", "values": [1, 1]}]}, "lists a value twice"),
        ({"ignore": [70000]}, "ignore: it lists the values"),
        ({"ignore": [-1]}, "1 to 65535"),
        ({"ignore": [0]}, "0 is background"),
        ({"rate": float("nan")}, "rate must be a number above 0"),
        ({"rate": -1.0}, "rate must be a number above 0"),
        ({"minutes": float("inf")}, "minutes must be a number"),
        ({"decay": float("nan")}, "decay must be a number"),
        ({"modalities": ["T1", "T1"]}, "modalities lists 'T1' twice"),
        ({"spacing": [0.0, 0.0, 0.0]}, "spacing must be"),
        ({"spacing": [float("nan"), 2.0, 2.0]}, "spacing must be"),
        ({"augment": {"degrees": float("nan")}}, "degrees is a number"),
        ({"augment": {"noise": 2.0}}, "noise is a share"),
        ({"epoch": 3}, "did you mean 'epochs'"),
    ],
)
def test_contradictions_are_refused_by_name(values: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        settings.load(TrainSettings, values)


def test_shares_of_augmentation_end_at_1() -> None:
    AugmentSettings(turn=1.0, zoom=0.9)
    for bad in ({"turn": -0.1}, {"zoom": 1.0}, {"degrees": -1.0}):
        with pytest.raises(UsageError):
            AugmentSettings(**bad)
