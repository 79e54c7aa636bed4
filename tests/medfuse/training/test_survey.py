"""Label values there: any whole numbers, named or refused, mapped to codes and to channels."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import InputError, Repair
from medfuse.geometry import Geometry
from medfuse.training.settings import Target, TrainSettings
from medfuse.training.survey import Coding, Seen, coding_for, read_visit_labels, survey, unheld
from medfuse.volume import LabelMap
from tests.medfuse.training import toy

GRID = Geometry((1, 1, 5), np.eye(4))


def labels(*values: int) -> LabelMap:
    return LabelMap(np.array(values, np.uint16).reshape(1, 1, -1), GRID)


def coding(*targets: Target, others: str = "refuse", ignore: tuple[int, ...] = ()) -> Coding:
    values = tuple(sorted({value for target in targets for value in target.values}))
    return Coding(targets, values, ignore, others)


def test_any_integers_become_codes_and_channels() -> None:
    chosen = coding(Target("b", (65535,)), Target("a", (300, 4)))
    codes = chosen.encode(labels(0, 4, 300, 65535, 4), "x")
    assert codes.ravel().tolist() == [0, 1, 2, 3, 1]
    assert chosen.classes == 3
    channels = chosen.membership()[codes.ravel()].argmax(axis=1)
    assert channels.tolist() == [0, 2, 2, 1, 2]


def test_regions_that_overlap_are_judged_each_by_itself() -> None:
    chosen = coding(Target("whole", (1, 2)), Target("core", (2,)))
    assert (chosen.overlapping, chosen.classes) == (True, 2)
    codes = chosen.encode(labels(0, 1, 2, 0, 0), "x")
    assert chosen.membership()[codes.ravel()[:3]].tolist() == [
        [False, False],
        [True, False],
        [True, True],
    ]


def test_C7_an_unknown_label_is_refused_with_its_file() -> None:
    with pytest.raises(InputError, match="holds the label 7") as caught:
        coding(Target("a", (1,))).encode(labels(0, 1, 7, 0, 0), "some/labels.nii")
    assert (caught.value.id, caught.value.where) == ("C7", "some/labels.nii")


@pytest.mark.parametrize(("others", "code"), [("background", 0), ("ignore", 255)])
def test_others_may_be_background_or_ignored(others: str, code: int) -> None:
    chosen = coding(Target("a", (1,)), others=others, ignore=(9,))
    assert chosen.encode(labels(0, 1, 7, 9, 0), "x").ravel().tolist() == [0, 1, code, 255, 0]


@pytest.mark.parametrize("value", [-1, 1.5])
def test_C7_what_is_no_label_is_refused(tmp_path: Path, value: float) -> None:
    toy.write(tmp_path, 1)
    array = np.zeros(toy.SHAPE, np.float32)
    array[3, 3, 3] = value
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "sub-1" / "labels.nii")
    (entry,) = toy.read_manifest(tmp_path).studies
    with pytest.raises(InputError) as caught:
        read_visit_labels(entry)
    assert caught.value.id == "C7"
    assert str(caught.value.where).endswith("labels.nii")
    assert str(value) in caught.value.what


def test_a_survey_counts_what_is_there(tmp_path: Path) -> None:
    seen = survey(toy.cohort(tmp_path, 2).studies)
    assert [one.id for one in seen] == ["sub-1", "sub-2"]
    for number, one in enumerate(seen, start=1):
        drawn = toy.arrays(number)["labels"]
        assert dict(one.counts) == {v: int((drawn == v).sum()) for v in (3, 7)}
        assert one.grid.shape == toy.SHAPE[::-1]


def test_a_repair_of_a_label_map_is_told_with_its_visit(tmp_path: Path) -> None:
    toy.write(tmp_path, 1)
    path = tmp_path / "sub-1" / "labels.nii"
    path.rename(path.with_suffix(".nii.gz"))  # not compressed, as its name says
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        survey(toy.read_manifest(tmp_path).studies)
    (said,) = [str(one.message) for one in caught if isinstance(one.message, Repair)]
    assert said.startswith("[N31] sub-1: labels: ")


def seen(**counts: int) -> Seen:
    return Seen("x", GRID, {int(name[1:]): count for name, count in counts.items()}, {4: "liver"})


def test_without_a_recipe_every_value_is_a_label() -> None:
    made = coding_for([seen(v4=10, v9=3), seen(v2=1)], TrainSettings(ignore=(9,)))
    assert made.targets == (Target("label 2", (2,)), Target("liver", (4,)))
    assert made.ignored == (9,)


def test_C7_labels_that_nobody_drew_are_refused() -> None:
    with pytest.raises(InputError, match="no label map holds") as caught:
        coding_for([seen(v4=10)], TrainSettings(labels=(Target("a", (8,)),)))
    assert (caught.value.id, "they hold 4" in caught.value.hint) == ("C7", True)
    with pytest.raises(InputError, match="no label map holds"):
        coding_for([seen()], TrainSettings())


def test_C7_which_labels_no_map_holds() -> None:
    whole, core = Target("whole", (4, 9)), Target("core", (90, 91))
    assert unheld([whole, core], [seen(v4=10)]) == [core]
    assert unheld([whole, core], [seen(v4=10), seen(v91=1)]) == []
