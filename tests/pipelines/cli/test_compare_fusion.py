"""``medfuse compare-fusion`` as it is typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Run
from tests.medfuse.training import toy
from tests.pipelines.cli.test_train import RECIPE

WORDS = ("compare-fusion", "heads", "--out", "contest", "--threads", "1", "--recipe", "r.toml")


@pytest.fixture
def heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    toy.write(tmp_path / "heads", 4)
    (tmp_path / "r.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_and_a_verdict_are_said(heads: Path, medfuse: Run) -> None:
    (heads / "heads" / "sub-5").mkdir()
    more = ("--minutes", "0.02", "--folds", "2", "--levels", "data,model")
    said = medfuse(*WORDS, *more)
    assert (said.code, len(said.err)) == (0, 1)
    assert "warning[C13]: data: passed over sub-5" in said.err[0]
    lines = said.out.splitlines()
    assert lines[0].startswith("4 trainings of 0 seconds each (2 levels, 2 folds), reading ")
    assert [line.split(":")[0] for line in lines[-5:-3]] == ["data", "model"]
    record = json.loads((heads / "contest" / "record.json").read_text())
    assert lines[-3] == record["verdict"]["sentence"]
    assert record["command"] == "compare-fusion"
    assert [one["id"] for one in record["warnings"]] == ["C13"]
    assert (heads / "contest" / "page.html").is_file()
    assert not list((heads / "contest").glob(".*"))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--minutes", "1", "--levels", "late"), 2),
        (("--minutes", "0"), 2),
        (("--minutes", "1", "--folds", "9"), 2),
        (("--minutes", "1", "--recipe", "no.toml"), 3),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(
    heads: Path, medfuse: Run, more: tuple[str, ...], code: int
) -> None:
    said = medfuse(*WORDS, *more)
    assert said.code == code
    assert not (heads / "contest").exists()


def test_S4_nothing_is_compared_among_the_scans(heads: Path, medfuse: Run) -> None:
    before = sorted((heads / "heads").rglob("*"))
    said = medfuse(*WORDS, "--minutes", "1", "--out", "heads")
    assert (said.code, len(said.err)) == (5, 1)
    assert "error[S4]" in said.err[0]
    assert sorted((heads / "heads").rglob("*")) == before


def test_too_few_who_are_held_out_are_refused_before_the_minutes_are_spent(
    heads: Path, medfuse: Run
) -> None:
    """Two patients cannot be told apart from chance; a day of training would not change that."""
    for number in (3, 4):
        shutil.rmtree(heads / "heads" / f"sub-{number}")
    said = medfuse(*WORDS, "--minutes", "1440", "--folds", "2")
    assert said.code == 2
    assert len(said.err) == 1
    assert "2 held-out cases cannot show a difference" in said.err[0]
    assert not (heads / "contest").exists()
