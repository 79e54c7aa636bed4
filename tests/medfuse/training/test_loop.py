"""The loop: a model comes out, a killed run goes on as if nothing had been, budgets hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from medfuse.errors import OutputError
from medfuse.fusion.segmenter import load_segmenter
from medfuse.io.tables import read_table
from medfuse.nets import modelfile
from medfuse.study import Cohort
from medfuse.training import loop
from medfuse.training import pace as pace_
from medfuse.training.augment import augment
from medfuse.training.history import read_history
from medfuse.training.settings import AugmentSettings
from tests.medfuse.training import toy
from tests.medfuse.training.toy import run


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return toy.cohort(tmp_path_factory.mktemp("heads"))


class Killed(Exception):
    """Stands for a kill: nothing of the run is left but its files."""


def killing(step: int) -> Callable[[str, int, int], None]:
    def progress(what: str, done: int, total: int) -> None:
        if what.startswith("training") and done == step:
            raise Killed

    return progress


def test_a_model_comes_out_and_segments(cohort: Cohort, tmp_path: Path) -> None:
    path = run(cohort, tmp_path / "o")
    segmenter = load_segmenter(path)
    card = segmenter.card
    assert card.modalities == ("T1", "CT")
    assert [(r.name, r.values) for r in card.labels] == [
        ("left lesion", (7,)),
        ("right lesion", (3,)),
    ]
    assert dict(card.trained_on) == {"visits": 2, "subjects": 2, "held_out": 2}
    assert card.intensity["CT"]["bend"] == "asinh"
    names = {entry.name for entry in (tmp_path / "o").iterdir()}
    assert {"plan.toml", "splits.json", "history.csv", "curves.png", "model.mfm"} <= names
    assert "sub-1" not in json.dumps(modelfile.load(path)[0].__dict__, default=str)


@pytest.mark.parametrize("level", ["data", "feature"])
def test_a_killed_run_goes_on_as_if_nothing_had_been(
    cohort: Cohort, tmp_path: Path, level: str
) -> None:
    fusion = toy.FusionSettings(level=level, widths=(4, 8))  # type: ignore[arg-type]
    changes = {"fusion": fusion, "augment": AugmentSettings(corrupt=0.3), "epochs": 3, "batch": 2}
    whole = run(cohort, tmp_path / "whole", **changes)
    for step in (1, 2, 3, 5, 6):  # before a checkpoint, within an epoch, at the very end
        with pytest.raises(Killed):
            run(cohort, tmp_path / "cut", resume=True, progress=killing(step), **changes)
    resumed = run(cohort, tmp_path / "cut", resume=True, **changes)
    assert whole.read_bytes() == resumed.read_bytes()
    for name in ("curves.png", "plan.toml", "splits.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_seeds_differ_and_repeat(cohort: Cohort, tmp_path: Path) -> None:
    one = run(cohort, tmp_path / "a", seed=1, folds=1)
    two = run(cohort, tmp_path / "b", seed=1, folds=1)
    other = run(cohort, tmp_path / "c", seed=2, folds=1)
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()


def test_the_global_stream_is_not_touched(cohort: Cohort, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    run(cohort, tmp_path / "a", epochs=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_training_longer_after_the_end(cohort: Cohort, tmp_path: Path) -> None:
    run(cohort, tmp_path / "o")
    run(cohort, tmp_path / "o", resume=True)  # nothing left to do
    assert read_history(tmp_path / "o")[0] == 2
    run(cohort, tmp_path / "o", resume=True, epochs=4)
    assert read_history(tmp_path / "o")[0] == 4
    before = (tmp_path / "o" / "model.mfm").read_bytes()
    run(cohort, tmp_path / "o", resume=True, epochs=3)  # more than that lies behind it
    assert read_history(tmp_path / "o")[0] == 4
    assert (tmp_path / "o" / "model.mfm").read_bytes() == before


def test_a_training_is_not_written_over(cohort: Cohort, tmp_path: Path) -> None:
    run(cohort, tmp_path / "o", epochs=1)
    with pytest.raises(OutputError, match="holds a training already"):
        run(cohort, tmp_path / "o", epochs=1)


def test_there_is_an_epoch_however_short_the_time(cohort: Cohort, tmp_path: Path) -> None:
    path = run(cohort, tmp_path / "o", epochs=3, minutes=1e-6)
    _, rows = read_table(path.parent / "history.csv", key="epoch")
    assert [row.cells["steps"] for row in rows] == ["2"]


def test_minutes_lower_the_epochs(cohort: Cohort, tmp_path: Path) -> None:
    path = run(cohort, tmp_path / "o", epochs=10_000, minutes=0.05)
    epochs, _ = read_history(tmp_path / "o")
    assert 1 <= epochs < 200
    assert path.exists()


class Clock:
    """A clock of its own: a step takes ``pace(step)`` seconds, and nothing else takes any."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pace: Callable[[int], float]) -> None:
        self.now, self.pace = 0.0, pace
        monkeypatch.setattr(pace_, "time", SimpleNamespace(monotonic=lambda: self.now))

    def __call__(self, what: str, done: int, *_: int) -> None:
        self.now += self.pace(done) if what.startswith("training") else 0


def epochs_of(folder: Path) -> list[dict[str, str]]:
    """Return the cells of the history, one row an epoch."""
    return [dict(row.cells) for row in read_table(folder / "history.csv", key="epoch")[1]]


def test_a_run_with_more_minutes_ends_at_a_low_rate_too(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps of a second are an epoch; of the minutes 95 % are planned for, so 19 s are nine."""
    out, limits = tmp_path / "o", {"epochs": 1000, "rate": 0.01, "subsets": "all"}
    run(cohort, out, minutes=20 / 60, progress=Clock(monkeypatch, lambda _: 1.0), **limits)
    assert len(epochs_of(out)) == 9
    more = {"minutes": 40 / 60, "resume": True, **limits}
    run(cohort, out, progress=Clock(monkeypatch, lambda _: 1.0), **more)
    rows = epochs_of(out)
    assert len(rows) == 19
    assert float(rows[9]["rate"]) < 0.7 * 0.01  # about half of it is behind from the first step on
    assert 0 < float(rows[-1]["rate"]) < 0.05 * 0.01


def test_the_epoch_that_the_clock_ends_is_looked_at(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first epoch steps take ten times as long: the plan of 9 does not hold."""
    clock = Clock(monkeypatch, lambda step: 1.0 if step <= 2 else 10.0)
    run(cohort, tmp_path / "o", epochs=50, minutes=20 / 60, validate_every=7, progress=clock)
    rows = epochs_of(tmp_path / "o")
    assert [bool(row["dice"]) for row in rows] == [False, True]


def test_patches_are_turned_at_the_spacing_of_the_plan(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def varied(*given: Any, **named: Any) -> Any:
        seen.append(named["spacing"])
        return augment(*given, **named)

    monkeypatch.setattr("medfuse.training.tasks.augment", varied)
    run(cohort, tmp_path / "o", epochs=1, spacing=(2.0, 1.0, 1.0))
    assert set(seen) == {(2.0, 1.0, 1.0)}


def test_bf16_is_chosen_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = loop.Machine(device="cpu")
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    for there in (True, False):
        monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda there=there: there)
        assert loop._bf16(toy.settings(), machine) is there
    assert loop._bf16(toy.settings(precision="bf16"), machine)
    assert not loop._bf16(toy.settings(precision="full"), machine)
