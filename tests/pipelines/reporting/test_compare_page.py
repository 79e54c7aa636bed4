"""The page of a comparison: the sentence, marks where they belong, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from medfuse.errors import Repair
from medfuse.metrics.lesions import LesionScores
from medfuse.metrics.scores import LabelScores, Scores
from medfuse.study import Split
from pipelines.comparison import judge
from pipelines.contest import Compared, Contest, dice_of
from pipelines.evaluation import Evaluation, Scored
from pipelines.pairing import Paired
from pipelines.reporting.compare_page import write_compare_page
from pipelines.summary import summarise

LEVELS = ("data", "feature", "model")
NAMES = ("oedema", "core")


def evaluation(dice: Mapping[str, list[tuple[float, float]]]) -> Evaluation:
    """Return an evaluation in which each level's cases have these Dice of two labels."""
    scored = []
    for level, cases in dice.items():
        for number, values in enumerate(cases, start=1):
            labels = {
                name: LabelScores((k,), "no", (8, 9, 9), 0.001, value, 1.0, value,
                                  LesionScores(1, 1, (0.5,)))
                for k, (name, value) in enumerate(zip(NAMES, values, strict=True), start=1)
            }  # fmt: skip
            paired = Paired(level, f"sub-{number}", Path("p.nii"), Path("t.nii"))
            scored.append(Scored(paired, Scores(labels)))
    tables = {
        level: {s.paired.case: s.scores.labels for s in scored if s.paired.subset == level}
        for level in dice
    }
    return Evaluation(tuple(scored), summarise(tables), {})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    whole = evaluation(
        {
            "data": [(0.8, 0.82), (0.7, 0.72), (0.75, 0.8), (0.9, 0.6)],
            "feature": [(0.82, 0.78), (0.69, 0.76), (0.71, 0.8), (0.9, 0.64)],
            "model": [(0.1, 0.1), (0.0, 0.05), (0.02, 0.1), (0.2, 0.0)],
        }
    )
    verdict = judge(dice_of(whole, LEVELS))
    contest = Contest(LEVELS, (Split(("a",), ("sub-1",)),), 2.5, 7)
    repairs = (("data, sub-1", Repair("<b>T2</b> was left out", id="agreement")),)
    steps = dict.fromkeys(LEVELS, 40.0)
    found = Compared(whole, whole, verdict, steps, contest, repairs)
    path = tmp_path_factory.mktemp("page") / "page.html"
    return write_compare_page(found, path).read_text("utf-8")


def test_no_winner_where_two_are_alike(page: str) -> None:
    assert "No difference shown" in page
    assert "too few to claim a Dice" in page
    assert page.count("Research software, not a medical device") == 2


def test_only_the_clear_difference_is_drawn_as_one(page: str) -> None:
    assert re.findall(r'class="whisker( clear)?"', page) == ["", " clear"]


def test_dots_lie_at_their_dice(page: str) -> None:
    places = {float(x) for x in re.findall(r'class="dot" cx="([0-9.]+)"', page)}
    assert round(92 + 0.81 * 608, 1) in places  # 92 is Dice 0, 700 is Dice 1
    assert all(92 <= x <= 700 for x in places - {5.0})


def test_it_loads_nothing_and_escapes_what_it_shows(page: str) -> None:
    assert "<b>T2</b>" not in page
    assert "&lt;b&gt;T2" in page
    assert "src=" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_each_label_has_a_row(page: str) -> None:
    assert "oedema" in page
    assert "core" in page
