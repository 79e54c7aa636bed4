"""The record: complete, without identity, the same in each run but for its ``run`` block."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from medfuse.errors import Repair
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.record import SCHEMA, Record, versions
from medfuse.volume import Source, Volume


def recorded() -> Record:
    source = Source(
        "/data/Doe^Jane/ct.nii",
        "ab" * 32,
        series_uid="1.2.840.1",
        instance_uids=("1.2.840.1.1",),
        repairs=(Repair("lengths were in um and were converted to mm", id="N13"),),
    )
    grid = Geometry((2, 3, 4), np.diag([1.0, 2, 3, 1]), "1.2.840.9")
    record = Record("register", {"transform": "rigid"}, seed=3)
    record.add_input("CT", Volume(np.zeros(grid.shape), grid, MODALITIES["CT"], source=source))
    record.add_input("T1", Volume(np.zeros(grid.shape), grid, MODALITIES["T1"]))
    record.results["moving"] = [{"name": "CT", "verdict": "pass"}]
    return record


def test_what_stands_in_it() -> None:
    document = json.loads(recorded().to_json())
    assert document["schema"] == SCHEMA
    assert document["command"] == "register"
    assert document["settings"] == {"transform": "rigid"}
    assert document["seed"] == 3
    assert document["inputs"]["CT"] == {
        "modality": "CT",
        "unit": "HU",
        "shape": [2, 3, 4],
        "spacing_mm": [1.0, 2.0, 3.0],
        "orientation": recorded().inputs["CT"]["orientation"],
        "sha256": "ab" * 32,
    }
    assert document["inputs"]["T1"]["sha256"] is None
    assert document["warnings"] == [
        {"volume": "CT", "id": "N13", "what": "lengths were in um and were converted to mm"}
    ]
    assert document["moving"] == [{"name": "CT", "verdict": "pass"}]
    assert "research" in document["intended_use"]
    assert document["versions"]["numpy"] == np.__version__


def test_no_path_name_or_uid_of_the_patient() -> None:
    text = recorded().to_json()
    for secret in ("Doe", "Jane", "ct.nii", "/data", "1.2.840"):
        assert secret not in text


def test_two_runs_differ_in_their_run_block_alone() -> None:
    first, second = recorded(), recorded()
    first.lap("search", 1.23456)
    one, two = first.document(), second.document()
    assert one.pop("run")["stages"] == {"search": 1.235}
    assert set(two.pop("run")) == {"started_utc", "seconds", "stages"}
    assert one == two
    assert list(one) == list(two)


def test_the_text_is_plain() -> None:
    record = recorded()
    record.warn("CT", "N1", "é\n患者")
    text = record.to_json()
    assert text.isascii()
    assert text.endswith("}\n")


def test_versions_of_what_results_depend_on() -> None:
    assert {"python", "medfuse", "numpy", "scipy", "SimpleITK"} <= set(versions())
    assert "not installed" not in versions().values()


def test_json_holds_no_nan() -> None:
    """NaN and infinity are no JSON: other readers stop at them."""
    record = Record("register", {"a": math.nan, "b": (1.5, math.inf)})
    text = record.to_json()
    assert json.loads(text, parse_constant=pytest.fail)["settings"] == {"a": None, "b": [1.5, None]}
