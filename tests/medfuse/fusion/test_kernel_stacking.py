"""Kernel stacking: a view of noise is not believed, and scikit-learn's AUC is the judge."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel

from medfuse.errors import UsageError
from medfuse.fusion import kernel_stacking
from medfuse.fusion.kernel_stacking import fit, regions


def views(seed: int, count: int = 160) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return two views that each know half of the truth, one of noise, and the truth."""
    rng = np.random.default_rng([seed, 3])
    hidden = rng.normal(size=(count, 2))
    tables = {
        "T1": np.c_[hidden[:, 0], rng.normal(size=count)],
        "T2": np.c_[hidden[:, 1], rng.normal(size=count)],
        "CT": rng.normal(size=(count, 2)),
    }
    return tables, hidden.sum(axis=1) > 0


def test_noise_gets_little_weight_and_all_are_better_than_one() -> None:
    tables, truth = views(0)
    stack = fit(tables, truth)
    assert stack.weights["CT"] < 0.1
    assert sum(stack.weights.values()) == pytest.approx(1)
    test, answer = views(1)
    together = roc_auc_score(answer, stack.decide(test))
    alone = [
        roc_auc_score(answer, fit({name: tables[name]}, truth).decide({name: test[name]}))
        for name in tables
    ]
    assert together > max(alone) + 0.05
    assert together > 0.9


def test_the_kernel_is_that_of_scikit_learn() -> None:
    tables, _ = views(0, 20)
    centre = kernel_stacking._centre(tables["T1"])
    scaled = (tables["T1"] - centre[0]) / centre[1]
    expected = rbf_kernel(scaled, gamma=1 / 4)
    assert np.allclose(kernel_stacking._kernel(centre, tables["T1"], tables["T1"]), expected)


def test_a_region_that_was_not_scanned_is_judged_by_the_rest() -> None:
    tables, truth = views(0)
    stack = fit(tables, truth)
    test, answer = views(1)
    test["T2"] = np.full_like(test["T2"], np.nan)
    decided = stack.decide(test)
    assert np.isfinite(decided).all()
    assert roc_auc_score(answer, decided) > 0.7
    tables["T2"][::3] = np.nan
    assert np.isfinite(fit(tables, truth).decide(test)).all()


def test_regions_are_connected_parts_with_their_numbers() -> None:
    one, other = np.zeros((2, 6, 6, 6))
    one[0:2, 0:2, 0:2] = 0.9
    other[4:, 4:, 4:] = 0.5
    other[4, 4, 4] = 0.7
    numbered, tables = regions({"T1": one, "T2": other})
    assert numbered.max() == 2
    assert np.allclose(tables["T1"], [[0.9, 0.9, 0, np.log(8)], [0, 0, 0, np.log(8)]])
    part = other[4:, 4:, 4:]
    assert np.allclose(tables["T2"][1], [part.mean(), 0.7, part.std(), np.log(8)])


def test_a_table_that_does_not_fit_is_refused() -> None:
    tables, truth = views(0)
    with pytest.raises(UsageError, match="one row a region"):
        fit(tables, truth[:-1])
    with pytest.raises(UsageError, match="not"):
        fit(tables, np.ones_like(truth))
    with pytest.raises(UsageError, match="no modality"):
        regions({})
    with pytest.raises(UsageError, match="no region"):
        fit({**tables, "T2": np.full_like(tables["T2"], np.nan)}, truth)
