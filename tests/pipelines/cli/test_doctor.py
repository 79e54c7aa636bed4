"""``medfuse doctor``: says what is there, and ends badly only where medfuse cannot work."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipelines import doctor
from tests.end_to_end.conftest import Run


def test_this_machine_is_ready(medfuse: Run) -> None:
    said = medfuse("doctor")
    assert (said.code, said.err) == (0, [])
    assert said.out.splitlines()[-1] == "ready"
    found = json.loads(medfuse("doctor", "--json").out)
    assert found["problems"] == []
    assert found["needed"]["numpy"] in said.out


def test_what_is_in_the_way_is_said(medfuse: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = replace(doctor.examine(), problems=("numpy is missing: pip install medfuse",))
    monkeypatch.setattr(doctor, "examine", lambda: found)
    said = medfuse("doctor")
    assert said.code == 3
    assert said.err == ["medfuse: warning[doctor]: numpy is missing: pip install medfuse"]
    assert said.out.splitlines()[-1] == "not ready"
