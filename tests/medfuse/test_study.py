"""A study and its aligned form, and cohorts of them: frozen, on one grid, split by patient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfuse.errors import GeometryError, InputError, UsageError
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.study import AlignedStudy, Cohort, Quality, Role, Split, Study, StudyEntry
from medfuse.transform import IDENTITY
from medfuse.volume import LabelMap, Volume

GRID = Geometry((2, 3, 4), np.eye(4))
OTHER = Geometry((2, 3, 4), np.diag([1.0, 1, 1.1, 1]))


def volume(name: str, value: float, grid: Geometry = GRID) -> Volume:
    return Volume(np.full(grid.shape, value, np.float32), grid, MODALITIES[name])


def aligned(**changes: object) -> AlignedStudy:
    volumes = {"T1": volume("T1", 1), "CT": volume("CT", 2)}
    fields: dict[str, object] = {
        "study": Study("case", volumes),
        "fixed": "T1",
        "geometry": GRID,
        "volumes": volumes,
        "transforms": {"CT": IDENTITY},
        "quality": {"CT": Quality("pass", {"overlap": 1.0})},
    }
    return AlignedStudy(**{**fields, **changes})  # type: ignore[arg-type]


def test_volumes_are_stacked_in_the_order_asked_for() -> None:
    array, present = aligned().stack(["CT", "PET", "T1"])
    assert array.shape == (3, 2, 3, 4)
    assert array.dtype == np.float32
    assert array[:, 0, 0, 0].tolist() == [2, 0, 1]
    assert present.tolist() == [True, False, True]
    assert present.dtype == np.bool_


def test_a_stack_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError):
        aligned().stack([])


def test_a_stack_is_a_copy() -> None:
    study = aligned()
    study.stack(["CT"])[0][:] = 9
    assert float(study.volumes["CT"].array.max()) == 2


def test_another_grid_is_refused_by_name() -> None:
    with pytest.raises(GeometryError, match=r"^CT: "):
        aligned(volumes={"CT": volume("CT", 1, OTHER)})
    with pytest.raises(GeometryError, match="label map"):
        aligned(labels=LabelMap(np.zeros(OTHER.shape), OTHER))


def test_mappings_cannot_be_changed_from_either_side() -> None:
    volumes = {"T1": volume("T1", 1)}
    study = Study("case", volumes)
    volumes["CT"] = volume("CT", 2)
    assert list(study.volumes) == ["T1"]
    with pytest.raises(TypeError):
        study.volumes["CT"] = volume("CT", 2)  # type: ignore[index]
    for mapping in (aligned().volumes, aligned().transforms, aligned().quality, aligned().dropped):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]


def test_the_report_is_not_shown() -> None:
    assert "lesion" not in repr(Study("case", {}, "a lesion of Jane Doe"))


def entry(subject: str, visit: str = "", role: Role = "") -> StudyEntry:
    return StudyEntry(subject, visit, {"CT": "ct.nii", "T1": "t1.nii"}, "labels.nii", role=role)


def test_modalities_of_an_entry_are_in_one_order() -> None:
    assert list(entry("a").volumes) == ["T1", "CT"]
    assert Cohort((entry("a"), StudyEntry("b", "", {"FLAIR": "f"}))).modalities == (
        "T1",
        "FLAIR",
        "CT",
    )
    assert (entry("a").id, entry("a", "v1").id) == ("a", "a_v1")


def test_C5_a_visit_listed_twice_is_refused() -> None:
    Cohort((entry("a", "1"), entry("a", "2"), entry("b", "1")))
    for visits in (("", ""), ("1", "1")):
        with pytest.raises(InputError, match="listed twice") as caught:
            Cohort(tuple(entry("a", visit) for visit in visits))
        assert caught.value.id == "C5"


@pytest.mark.parametrize("turn", [1, -1])
def test_C5_two_patients_whose_visits_would_have_one_name_are_refused(turn: int) -> None:
    with pytest.raises(InputError, match="would be called 'P1_2'") as caught:
        Cohort((entry("P1", "2"), entry("P1_2"))[::turn])
    assert caught.value.id == "C5"


def test_C6_a_patient_on_both_sides_of_a_split_is_refused() -> None:
    with pytest.raises(InputError, match="more than one part") as caught:
        Cohort((entry("a", "1", "train"), entry("a", "2", "test")))
    assert caught.value.id == "C6"


@given(
    visits=st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=8, max_size=30, unique=True
    ),
    folds=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_folds_part_patients_and_hold_each_out_once(
    visits: list[tuple[int, int]], folds: int, seed: int
) -> None:
    cohort = Cohort(tuple(entry(f"p{subject}", f"v{visit}") for subject, visit in visits))
    subjects = {subject for subject, _ in visits}
    if len(subjects) < folds:
        with pytest.raises(UsageError, match="fewer folds"):
            cohort.split(seed, folds)
        return
    splits = cohort.split(seed, folds)
    held = [id for split in splits for id in split.validate]
    assert sorted(held) == sorted(one.id for one in cohort.studies)
    for split in splits:
        learned, watched = (
            {id.split("_")[0] for id in ids} for ids in (split.train, split.validate)
        )
        assert not learned & watched
        assert learned | watched == {f"p{subject}" for subject in subjects}
    counts = [len({id.split("_")[0] for id in split.validate}) for split in splits]
    assert max(counts) - min(counts) <= 1
    turned = Cohort(cohort.studies[::-1]).split(seed, folds)
    assert [set(split.validate) for split in turned] == [set(split.validate) for split in splits]


def test_a_split_depends_on_the_seed() -> None:
    cohort = Cohort(tuple(entry(f"p{n}") for n in range(20)))
    assert cohort.split(0, 5) == cohort.split(0, 5) != cohort.split(1, 5)


def test_test_visits_are_in_no_split_and_given_ones_are_kept() -> None:
    given_ = Cohort((entry("a"), entry("b", role="validate"), entry("c", role="test")))
    assert given_.split(0, 5) == (Split(("a",), ("b",)),)
    assert [one.id for one in given_.test] == ["c"]
    assert Cohort((entry("a"), entry("b"))).split(0, 1) == (Split(("a", "b"), ()),)
