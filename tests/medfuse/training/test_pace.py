"""The pace: minutes are counted over all runs, and what is left says how many epochs there are."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from medfuse.training import pace as pace_
from medfuse.training.pace import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still until its ``now`` (s) is set."""
    made = SimpleNamespace(now=500.0)
    monkeypatch.setattr(pace_, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def test_time_goes_on_where_an_earlier_run_left_off(clock: SimpleNamespace) -> None:
    pace = Pace(minutes=2.0, epochs=10, before=100.0)
    clock.now += 15
    assert pace.seconds == 115
    assert not pace.late
    clock.now += 6
    assert pace.late


def test_what_is_left_says_how_many_epochs_there_are(clock: SimpleNamespace) -> None:
    """Ten minutes are planned as 570 s; after 70 of them epochs of 50 s fit ten times."""
    pace = Pace(minutes=10.0, epochs=1000)
    clock.now += 70
    assert pace.fits(1, 50.0) == 11
    assert pace.fits(7, 50.0) == 17
    assert pace.fits(1, 600.0) == 1
    assert pace.fits(1, 600.0, least=1) == 2
    assert Pace(minutes=10.0, epochs=5).fits(1, 50.0) == 5


def test_without_minutes_nothing_is_ever_late(clock: SimpleNamespace) -> None:
    pace = Pace(minutes=None, epochs=30)
    clock.now += 1e9
    assert not pace.late
    assert pace.fits(3, 100.0) == 30
