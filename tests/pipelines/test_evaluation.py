"""The nouns of an evaluation: figures in range, and one row of the table a label."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from medfuse.errors import UsageError
from medfuse.metrics.lesions import LesionScores
from medfuse.metrics.scores import LabelScores, Scores
from pipelines.evaluation import COLUMNS, EvaluateSettings, Evaluation, Scored, counted, listed
from pipelines.pairing import Paired
from pipelines.summary import Summary


@pytest.mark.parametrize("wrong", [{"tolerance_mm": -1.0}, {"overlap": 2.0}, {"worst": -1}])
def test_figures_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        EvaluateSettings(**wrong)  # type: ignore[arg-type]


def test_a_row_says_all_of_a_label() -> None:
    lesions = LesionScores(3, 2, (0.5,))
    one = LabelScores((1, 4), "prediction", (0, 0, 9), 0.001, 0.0, math.inf, 0.0, lesions)
    paired = Paired("T1+CT", "007", Path("p.nii.gz"), Path("t.nii.gz"))
    (row,) = Scored(paired, Scores({"whole": one})).rows()
    found = dict(zip(COLUMNS, row, strict=True))
    assert (found["subset"], found["case"], found["label"]) == ("T1+CT", "007", "whole")
    assert (found["values"], found["empty"], found["truth_ml"]) == ("1 4", "prediction", 0.009)
    assert found["hd95_mm"] == math.inf
    assert (found["lesions_truth"], found["lesions_prediction"], found["lesions_found"]) == (
        3,
        2,
        1,
    )
    assert found["lesion_f1"] == pytest.approx(0.4)


def found(scored: dict[str, str], unpredicted: dict[str, tuple[str, ...]]) -> Evaluation:
    """Return an evaluation of cases, a letter each, by subset; those in capitals were learned."""
    paired = [
        Paired(subset, case, Path("p"), Path("t"), learned=case.isupper())
        for subset, cases in scored.items()
        for case in cases
    ]
    made = tuple(Scored(one, Scores({})) for one in paired)
    return Evaluation(made, Summary({}, {}, (0, 0)), unpredicted)


def test_cases_without_a_prediction_are_named() -> None:
    many = tuple("cdefghijkl")
    assert found({"": "ab"}, {"": ("c",)}).unscored() == [
        "1 of 3 cases with a truth has no prediction and is not scored: c"
    ]
    assert found({"": "ab"}, {"": many}).unscored() == [
        "10 of 12 cases with a truth have no prediction and are not scored: "
        "c, d, e, f, g, h, i, j and 2 more"
    ]
    assert found({"": "ab"}, {"": ()}).unscored() == []


def test_subsets_that_lack_cases_are_named() -> None:
    every = {"T1": ("c", "d"), "CT": ("c", "d")}
    scored = {"T1": "ab", "CT": "ab", "T1+CT": "abc"}
    lack = "2 of 4 cases with a truth have no prediction and are not scored: c, d"
    assert found({"T1": "ab", "CT": "ab"}, every).unscored() == [
        f"with each of the 2 subsets, {lack}"
    ]
    assert found(scored, every | {"T1+CT": ("d",)}).unscored() == [
        f"with T1, CT: {lack}",
        "with T1+CT: 1 of 4 cases with a truth has no prediction and is not scored: d",
    ]
    assert found({"T1": "a"}, {"T1": ("b",)}).unscored()[0].startswith("with T1: 1 of 2 cases")


def test_learned_cases_are_told_apart() -> None:
    one = found({"T1": "aBC", "CT": "aB"}, {})
    assert one.learned == ("B", "C")
    assert one.document()["learned"] == ["B", "C"]


def test_numbers_and_names_in_words() -> None:
    assert [counted(n, "case") for n in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
    assert listed("ab") == "a, b"
