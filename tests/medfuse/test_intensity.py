"""Normalising intensities: closed forms, robustness, and the way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from medfuse import settings
from medfuse.errors import UsageError
from medfuse.geometry import Geometry
from medfuse.intensity import Scheme, denormalise, fitted, normalise, scheme_for
from medfuse.modality import MODALITIES
from medfuse.volume import Volume

SHAPE = (8, 10, 12)


def volume(array: np.ndarray, name: str = "T1") -> Volume:
    return Volume(array.astype(np.float32), Geometry(SHAPE, np.eye(4)), MODALITIES[name])


def head(seed: int = 0) -> np.ndarray:
    """Return air (0) around a normally distributed tissue of 300 +- 50."""
    rng = np.random.default_rng(seed)
    array = np.zeros(SHAPE)
    array[2:, 2:, 2:] = rng.normal(300, 50, (6, 8, 10))
    return array


def test_mr_tissue_gets_median_0_and_spread_1() -> None:
    made = normalise(volume(head()), scheme_for("T1"))
    tissue = made.array[2:, 2:, 2:]
    assert abs(float(np.median(tissue))) < 0.05
    assert stats.iqr(tissue, scale="normal") == pytest.approx(1, abs=0.05)
    assert made.unit == "1"


@given(scale=st.floats(0.01, 100), shift=st.floats(0, 1000), seed=st.integers(0, 20))
def test_mr_does_not_depend_on_the_scanners_scale(scale: float, shift: float, seed: int) -> None:
    array = head(seed)
    one = normalise(volume(array), scheme_for("T2"))
    other = normalise(volume(array * scale + shift), scheme_for("T2"))
    np.testing.assert_allclose(one.array, other.array, atol=0.02)


def test_a_spark_and_a_bright_lesion_move_nothing() -> None:
    array = head()
    spark = array.copy()
    spark[4, 4, 4] = 1e7
    spark[3:5, 3:5, 3:4] += 400
    one, other = (normalise(volume(values), scheme_for("MR")) for values in (array, spark))
    same = np.ones(SHAPE, bool)
    same[3:5, 3:5, 3:5] = False
    assert abs(one.array[same] - other.array[same]).max() < 0.2
    assert other.array.max() == 10


def test_a_constant_volume_becomes_0() -> None:
    made = normalise(volume(np.full(SHAPE, 7.0)), scheme_for("T1"))
    assert not made.array.any()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CT", 40, 0.0),
        ("CT", 80, np.arcsinh(1)),
        ("CT", -9000, np.arcsinh(-1064 / 40)),
        ("CT", 9000, np.arcsinh(3031 / 40)),
        ("PET", 0, 0.0),
        ("PET", 2, np.arcsinh(1)),
        ("PET", -1, 0.0),
    ],
)
def test_ct_and_pet_have_one_map_everywhere(name: str, value: float, expected: float) -> None:
    array = np.zeros(SHAPE)
    array[0, 0, 0] = value
    made = normalise(volume(array, name), scheme_for(name))
    assert made.array[0, 0, 0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["CT", "PET", "T1"])
def test_there_and_back(name: str) -> None:
    array = np.random.default_rng(1).uniform(0, 40, SHAPE)
    given_ = volume(array, name)
    fit = fitted(given_, scheme_for(name))
    back = denormalise(normalise(given_, fit), fit)
    np.testing.assert_allclose(back.array, given_.array, atol=1e-3)
    assert back.unit == MODALITIES[name].unit


def test_a_scheme_lives_in_a_card_as_plain_values() -> None:
    plain = settings.dump(scheme_for("CT"))
    array = np.random.default_rng(2).uniform(-1000, 1000, SHAPE)
    one, other = (normalise(volume(array, "CT"), how) for how in (plain, scheme_for("CT")))
    np.testing.assert_array_equal(one.array, other.array)


def test_what_is_no_scheme_is_refused() -> None:
    for fields in ({"centre": 1.0}, {"centre": 0.0, "scale": 0.0}, {"clip": (1.0, 0.0)}):
        with pytest.raises(UsageError):
            Scheme(**fields)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown setting 'centr'"):
        normalise(volume(head()), {"centr": 1.0})


def test_the_way_back_needs_the_numbers() -> None:
    with pytest.raises(UsageError, match="no numbers"):
        denormalise(volume(head()), scheme_for("T1"))


def test_a_pet_in_counts_is_refused() -> None:
    counts = replace(volume(head(), "PET"), unit="BQML")
    with pytest.raises(UsageError, match="BQML"):
        normalise(counts, scheme_for("PET"))


def test_the_volume_that_came_is_untouched() -> None:
    given_ = volume(head())
    before = given_.array.copy()
    normalise(given_, scheme_for("T1"))
    np.testing.assert_array_equal(given_.array, before)
