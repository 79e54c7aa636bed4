"""Means, intervals and counts over cases, against numpy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from medfuse.metrics.lesions import LesionScores
from medfuse.metrics.overlap import Empty, dice
from medfuse.metrics.scores import LabelScores
from pipelines.summary import ALL, interval, interval_text, summarise


def scores(
    shared: int, made: int, true: int, *, hd95: float = 1.0, empty: Empty = "no"
) -> LabelScores:
    return LabelScores(
        (1,), empty, (shared, made, true), 0.001, dice(shared, made, true), hd95, 0.5,
        LesionScores(2, 3, (0.5,)),
    )  # fmt: skip


def test_means_pooled_and_counts() -> None:
    table = {
        "a": {"x": scores(50, 100, 100)},
        "b": {"x": scores(0, 0, 0, hd95=0.0, empty="both")},
        "c": {"x": scores(0, 40, 0, hd95=math.inf, empty="truth")},
    }
    found = summarise({"": table}).subsets[""]["x"]
    assert found.dice == pytest.approx((0.5 + 1 + 0) / 3)
    assert found.pooled_dice == pytest.approx(100 / 240)
    assert found.dice_present == 0.5
    assert (found.median_dice, found.worst_dice) == (0.5, 0)
    assert (found.hd95_mm, found.hd95_infinite) == (1.0, 1)
    assert found.lesions == (3, 6, 9)
    assert (found.sensitivity, found.precision) == (0.5, pytest.approx(1 / 3))
    assert found.volume_error_ml == pytest.approx(0.040 / 3)
    document = found.document()
    assert document["empty"] == {"both": 1, "truth": 1, "prediction": 0}


def test_infinite_is_null_in_json() -> None:
    table = {"a": {"x": scores(0, 0, 9, hd95=math.inf, empty="prediction")}}
    document = summarise({"": table}).document()["subsets"][""]["x"]
    assert document["hd95_mm_median"] is None
    assert document["hd95_infinite"] == 1
    assert document["dice_present"] == 0


def test_the_overall_dice_is_the_mean_over_labels_then_cases() -> None:
    table = {
        "a": {"x": scores(1, 1, 1), "y": scores(0, 1, 1)},
        "b": {"x": scores(1, 2, 2), "y": scores(1, 2, 2)},
    }
    found = summarise({"": table})
    assert found.overall[""][0] == pytest.approx(0.5)
    assert found.document()["subsets"][""][ALL]["dice"] == 0.5


def test_the_interval_is_the_percentile_bootstrap() -> None:
    values = np.random.default_rng(0).uniform(0.3, 0.9, 40).tolist()
    ours = interval(values, 0, "a")
    oracle = stats.bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours == pytest.approx((oracle.low, oracle.high), abs=0.01)
    assert interval(values, 0, "a") == ours


def test_fewer_than_three_cases_have_no_interval() -> None:
    """Draws from one case are all alike: "0.7 to 0.7" would pass for certainty."""
    for values in ([0.7], [0.7, 0.9]):
        assert all(math.isnan(end) for end in interval(values, 0))
        table = {str(n): {"x": scores(int(10 * dice_), 10, 10)} for n, dice_ in enumerate(values)}
        document = summarise({"": table}).document()["subsets"][""]
        assert document["x"]["dice_95"] is document[ALL]["dice_95"] is None
    assert interval([0.7, 0.8, 0.9], 0)[0] < 0.8
    assert interval_text(interval([0.7], 0), "{:.1f}") is None
    assert interval_text((0.25, 0.5), "[{:.2f}, {:.2f}]") == "[0.25, 0.50]"


def test_more_modalities_that_lower_a_dice_are_counted() -> None:
    def table(*dices: int) -> dict[str, dict[str, LabelScores]]:
        return {f"case {n}": {"x": scores(value, 100, 100)} for n, value in enumerate(dices)}

    tables = {
        "T1": table(50, 80),
        "CT": table(60, 10),
        "T1+CT": table(55, 90),  # below CT alone in case 0
        "T1+CT+PET": table(54, 95),  # 0.01 lower: not more than that
    }
    assert summarise(tables).counter == (1, 6)
    assert summarise({"": table(1, 2)}).counter == (0, 0)
