"""What can be asked for, and what contradicts itself."""

from __future__ import annotations

import dataclasses

import pytest

from medfuse import settings
from medfuse.errors import UsageError
from medfuse.study import Quality
from medfuse.transform import IDENTITY
from registration.settings import Refined, RegisterSettings, Registration


def test_the_default_is_rigid_by_the_first_engine_from_anywhere() -> None:
    made = RegisterSettings()
    assert (made.transform, made.engine, made.start, made.threads) == ("rigid", "mi", "auto", 1)


@pytest.mark.parametrize(
    ("name", "values"),
    [("threads", (0, -1)), ("spacing", (0.0, 0.4, 9.0, -2.0)), ("grid_mm", (0.0, 4.0, 101.0))],
)
def test_impossible_values_are_refused_by_their_name(name: str, values: tuple[float, ...]) -> None:
    for value in values:
        with pytest.raises(UsageError, match=name) as caught:
            RegisterSettings(**{name: value})  # type: ignore[arg-type]
        assert caught.value.exit_code == 2


def test_no_number_is_refused_too() -> None:
    with pytest.raises(UsageError):
        RegisterSettings(spacing=float("nan"))
    with pytest.raises(UsageError):
        RegisterSettings(grid_mm=float("nan"))


def test_settings_do_not_change_and_go_through_plain_values() -> None:
    made = RegisterSettings(transform="affine", engine="itk", spacing=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.spacing = 1.0  # type: ignore[misc]
    assert settings.load(RegisterSettings, settings.dump(made)) == made


def test_unknown_words_are_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'spacing'"):
        settings.load(RegisterSettings, {"spaceing": 2})
    with pytest.raises(UsageError, match="rigid, affine, deformable"):
        settings.load(RegisterSettings, {"transform": "elastic"})
    with pytest.raises(UsageError, match="auto, header, search"):
        settings.load(RegisterSettings, {"start": "centre"})


def test_words_are_checked_however_settings_are_made() -> None:
    # a wrong word would quietly mean another transform
    for wrong in ({"transform": "Rigid"}, {"transform": "afine"}, {"start": "headers"}):
        with pytest.raises(UsageError, match=f"unknown {next(iter(wrong))}"):
            RegisterSettings(**wrong)  # type: ignore[arg-type]


def test_what_comes_back_is_frozen() -> None:
    made = Registration(IDENTITY, Quality("pass", {}), RegisterSettings())
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.transform = IDENTITY  # type: ignore[misc]
    assert Refined(IDENTITY, 1.0).similarity == 1
