"""The nouns of an evaluation: figures in range, and one row of the table a label."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from medfuse.errors import UsageError
from medfuse.metrics.lesions import LesionScores
from medfuse.metrics.scores import LabelScores, Scores
from pipelines.evaluation import COLUMNS, EvaluateSettings, Scored
from pipelines.pairing import Paired


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
