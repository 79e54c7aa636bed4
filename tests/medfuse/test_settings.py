"""Settings come in by one door, which knows the fields and their types."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from medfuse import settings
from medfuse.errors import UsageError
from registration.settings import RegisterSettings


@dataclass(frozen=True)
class Inner:
    """A part of other settings."""

    width: float = 1.0


@dataclass(frozen=True)
class Outer:
    """One field of every type that settings have."""

    kind: Literal["rigid", "affine"] = "rigid"
    count: int = 3
    factor: float = 0.5
    quick: bool = False
    name: str | None = None
    pair: tuple[int, int] = (1, 2)
    row: tuple[float, ...] = ()
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        """Refuse a contradiction."""
        if self.quick and self.count > 5:
            raise UsageError("quick and count > 5 contradict each other")


def test_every_type_comes_through_toml() -> None:
    text = """
        kind = "affine"
        count = 4
        factor = 2
        quick = true
        name = "x"
        pair = [3, 4]
        row = [1, 2.5]
        [inner]
        width = 7
    """
    made = settings.load(Outer, tomllib.loads(text))
    assert made == Outer("affine", 4, 2.0, True, "x", (3, 4), (1.0, 2.5), Inner(7.0))
    assert isinstance(made.factor, float)
    assert settings.load(Outer, {}) == Outer()
    assert settings.load(Outer, {"name": None}).name is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"knd": "rigid"}, "did you mean 'kind'"),
        ({"zzz": 1}, "known are"),
        ({"kind": "elastic"}, "rigid, affine"),
        ({"count": 1.5}, "not of type int"),
        ({"count": True}, "not of type int"),
        ({"factor": True}, "not of type float"),
        ({"factor": "1"}, "not of type float"),
        ({"quick": 1}, "not of type bool"),
        ({"pair": [1]}, "needs 2 values"),
        ({"pair": [1, "2"]}, "not of type int"),
        ({"row": 3}, "not a list"),
        ({"inner": {"widht": 1}}, "did you mean 'width'"),
        ({"inner": 3}, "not of type Inner"),
        ({"quick": True, "count": 9}, "contradict"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        settings.load(Outer, values)
    assert "\n" not in str(caught.value)


def test_the_place_of_a_mistake_is_named() -> None:
    with pytest.raises(UsageError, match=r"^recipe\.inner\.width: "):
        settings.load(Outer, {"inner": {"width": "wide"}}, where="recipe")


def test_settings_survive_the_record() -> None:
    for made in (Outer("affine", name="y", row=(1.0,)), RegisterSettings()):
        plain = settings.dump(made)
        assert settings.load(type(made), plain) == made
        assert set(plain) == {entry.name for entry in dataclasses.fields(made)}
