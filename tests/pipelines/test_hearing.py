"""Repairs are heard once each; other warnings are nobody's to swallow."""

from __future__ import annotations

import warnings

import pytest

from medfuse.errors import Repair
from pipelines.hearing import heard


def test_a_repair_is_heard_once() -> None:
    with heard() as found:
        for what in ("a", "b", "a"):
            warnings.warn(Repair(what, id="N1"), stacklevel=1)
    assert [repair.what for repair in found] == ["a", "b"]


def test_another_warning_is_not_swallowed() -> None:
    with pytest.raises(UserWarning, match="else"), heard():
        warnings.warn("something else", stacklevel=1)
