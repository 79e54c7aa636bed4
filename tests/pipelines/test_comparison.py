"""The verdict on levels: scipy's paired t interval is the judge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medfuse.errors import UsageError
from pipelines.comparison import check_enough, judge

CASES = [f"sub-{number}" for number in range(1, 9)]


def table(**levels: list[float]) -> dict[str, dict[str, float]]:
    return {name: dict(zip(CASES, values, strict=False)) for name, values in levels.items()}


def drawn(seed: int, shift: float) -> list[float]:
    rng = np.random.default_rng(seed)
    return list(0.6 + shift + 0.05 * rng.normal(size=len(CASES)))


def test_a_difference_is_scipys_paired_interval() -> None:
    better, worse = drawn(0, 0.2), drawn(1, 0.0)
    (found,) = judge(table(data=worse, feature=better)).differences
    low, high = stats.ttest_rel(better, worse).confidence_interval(0.95)
    assert found.other == "data"
    assert found.interval == pytest.approx((low, high))
    assert found.mean == pytest.approx(np.mean(better) - np.mean(worse))


def test_the_intervals_hold_together_for_all_comparisons() -> None:
    values = {"data": drawn(0, 0.2), "feature": drawn(1, 0.1), "model": drawn(2, 0.0)}
    made = judge(table(**values))
    assert made.best == "data"
    assert [one.other for one in made.differences] == ["feature", "model"]
    for one in made.differences:
        wanted = stats.ttest_rel(values["data"], values[one.other]).confidence_interval(0.975)
        assert one.interval == pytest.approx((wanted.low, wanted.high))


def test_a_winner_is_named_where_it_is_clear_and_only_there() -> None:
    clear = judge(table(data=drawn(0, 0.3), model=drawn(1, 0.0)))
    assert clear.winner == "data"
    assert clear.sentence.startswith("data is best on these 8 cases: +0.")
    close = judge(table(data=drawn(0, 0.0), feature=drawn(1, 0.0), model=drawn(2, -0.4)))
    assert close.winner is None
    assert close.sentence.startswith("no difference shown between ")
    assert "model" not in close.sentence  # that one is clearly worse
    assert "95 % interval" in close.sentence


def test_where_nobody_has_learned_nobody_wins() -> None:
    made = judge(table(data=[0.01, 0.02, 0.01, 0.02], model=[0.05, 0.06, 0.05, 0.06]))
    assert made.differences[0].clear
    assert made.winner is None
    assert made.headline == "Nothing learned yet"
    assert made.sentence.startswith("no level has learned the task: model is first with a mean")


def test_equal_levels_are_no_winner() -> None:
    same = [0.5, 0.6, 0.7]
    made = judge(table(data=same, feature=same))
    assert made.winner is None
    assert made.differences[0].interval == (0.0, 0.0)


@pytest.mark.parametrize(
    ("levels", "what"),
    [
        ({"data": [0.5, 0.6, 0.7]}, "two levels"),
        ({"data": [0.5, 0.6], "model": [0.5, 0.6]}, "2 held-out cases"),
        ({"data": [0.5, 0.6, 0.7], "model": [0.5, 0.6, 0.7, 0.8]}, "same cases"),
    ],
)
def test_what_cannot_be_compared_is_refused(levels: dict[str, list[float]], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        judge(table(**levels))


def test_too_few_cases_are_told_what_helps() -> None:
    with pytest.raises(UsageError, match=r"^1 held-out case cannot") as caught:
        check_enough(1)
    assert "where the split of a manifest says who is held out, folds do nothing" in (
        caught.value.hint
    )
    check_enough(3)
