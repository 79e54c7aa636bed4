"""One grid for both, or a sentence that says how they differ; labels by name, value and sum."""

from __future__ import annotations

import numpy as np
import pytest

from medfuse.errors import GeometryError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.volume import LabelMap
from pipelines.comparable import chosen_regions, onto_truth

GRID = Geometry((6, 8, 10), np.diag([3.0, 2.0, 1.0, 1.0]))


def labels(geometry: Geometry = GRID) -> LabelMap:
    array = np.zeros(geometry.shape, np.uint16)
    array[1:3, 2:5, 3:7] = 1
    return LabelMap(array, geometry)


def test_the_same_grid_is_left_alone() -> None:
    made = labels()
    assert onto_truth(made, labels(), where="a") is made


def test_a_part_of_the_grid_is_put_into_place() -> None:
    """As a DICOM SEG comes back: without the slices that hold nothing."""
    part = LabelMap(labels().array[1:3], GRID.crop((1, 0, 0), (3, 8, 10)))
    found = onto_truth(part, labels(), where="a")
    np.testing.assert_array_equal(found.array, labels().array)
    assert found.geometry.same_grid(GRID)


@pytest.mark.parametrize(
    ("geometry", "said"),
    [
        (Geometry((6, 8, 9), np.diag([3.3, 2.0, 1.0, 1.0])), "6 x 8 x 9 voxels against 6 x 8 x 10"),
        (GRID.respace((3.5, 2.0, 1.0)).crop((0, 0, 0), (6, 8, 10)), "3.5 x 2 x 1 mm against"),
        (GRID.moved(np.eye(4) + 2.5 * np.eye(4, k=3)), "corners up to 2.5 mm apart"),
    ],
    ids=["shape", "spacing", "place"],
)
def test_C8_another_grid_is_refused_in_words(geometry: Geometry, said: str) -> None:
    with pytest.raises(GeometryError, match=said) as caught:
        onto_truth(labels(geometry), labels(), where="T1/sub-001")
    assert caught.value.id == "C8"
    assert caught.value.where == "T1/sub-001"
    assert "same patient" in caught.value.hint


def test_another_grid_is_carried_over_where_that_is_wished() -> None:
    twice = labels().geometry.respace((1.5, 1.0, 0.5))
    fine = LabelMap(labels().array.repeat(2, 0).repeat(2, 1).repeat(2, 2), twice)
    with pytest.warns(Repair, match="nearest") as caught:
        found = onto_truth(fine, labels(), where="a", anyway=True)
    assert caught[0].message.id == "C8"  # type: ignore[union-attr]
    np.testing.assert_array_equal(found.array, labels().array)


def test_C8_what_lies_elsewhere_is_not_carried_over() -> None:
    far = LabelMap(labels().array, GRID.moved(np.eye(4) + 900 * np.eye(4, k=3)))
    with pytest.raises(GeometryError, match="only 0% of the smaller") as caught:
        onto_truth(far, labels(), where="a", anyway=True)
    assert caught.value.id == "C8"


def test_labels_that_do_not_arrive_are_told() -> None:
    """The prediction reaches 10 of 18 mm further, and its only label lies there."""
    longer = GRID.moved(np.eye(4) + 10 * np.eye(4, k=3))
    array = np.zeros(longer.shape, np.uint16)
    array[-1, -1, -1] = 1
    with pytest.warns(Repair, match="no label arrived"):
        onto_truth(LabelMap(array, longer), labels(), where="a", anyway=True)


NAMED = {"whole": (1, 4), "core": (4,), "label 7": (7,)}


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ([], NAMED),
        (["core"], {"core": (4,)}),
        (["4"], {"core": (4,)}),
        (["9"], {"label 9": (9,)}),
        (["tumour=1, 4", "core"], {"tumour": (1, 4), "core": (4,)}),
    ],
)
def test_labels_are_asked_for_by_name_value_or_sum(
    asked: list[str], meant: dict[str, tuple[int, ...]]
) -> None:
    assert chosen_regions(NAMED, asked) == meant


@pytest.mark.parametrize("asked", ["edema", "x=", "x=1,b", "x=0", "x=70000"])
def test_what_is_no_label_is_refused(asked: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen_regions(NAMED, [asked])
    assert caught.value.where == "--label"


def test_a_name_that_is_to_mean_two_things_is_refused() -> None:
    assert chosen_regions(NAMED, ["x=1", "x=1"]) == {"x": (1,)}
    for asked in (["x=1", "x=10"], ["core", "core=7"]):
        with pytest.raises(UsageError, match="two things"):
            chosen_regions(NAMED, asked)
