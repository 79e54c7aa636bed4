"""Settings: what does not exist or does not go together is said in the words of the recipe."""

from __future__ import annotations

from typing import Any

import pytest

from medfuse import settings
from medfuse.errors import UsageError
from medfuse.fusion.settings import FusionSettings


def test_settings_go_through_json_and_back() -> None:
    chosen = FusionSettings(level="model", widths=(8, 16, 24), strides=((1, 2, 2), (2, 2, 2)))
    assert settings.load(FusionSettings, settings.dump(chosen)) == chosen


def test_the_stem_decides_the_finest_scale() -> None:
    assert FusionSettings(stem="full").shape.stem == (1, 1, 1)
    assert FusionSettings(stem_stride=(1, 2, 2)).shape.stem == (1, 2, 2)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"operator": "conkat"}, "unknown operator"),
        ({"level": "deep"}, "level"),
        ({"level": "data", "operator": "gated"}, "channels"),
        ({"level": "model", "rounds": 2}, "rounds"),
        ({"rounds": 0}, "rounds"),
        ({"combiner": "median"}, "combiner"),
        ({"network": "monai:UNet"}, "unknown network"),
        ({"network": "monai:DynUNet"}, "no features"),
        ({"network": "monai:DynUNet", "level": "model", "combiner": "cascade"}, "no features"),
        ({"widths": [16]}, "widths"),
        ({"widht": 3}, "did you mean"),
    ],
)
def test_a_wrong_choice_is_named(values: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        settings.load(FusionSettings, values)
