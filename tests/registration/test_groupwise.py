"""A whole study on one grid: which volume stays, where the others and their labels end up."""

from __future__ import annotations

import numpy as np
import pytest

from medfuse.errors import GeometryError, UsageError
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.study import AlignedStudy, Study
from medfuse.transform import Affine
from medfuse.volume import LabelMap, Volume
from registration import RegisterSettings, align, choose_fixed
from tests.registration import toy

CT_TRUTH = toy.motion((1, 2, 3), 15, (60, -40, 10))
PET_TRUTH = toy.motion((0, 1, 0), 180, (10, 5, -15))


def brain(pose: Affine, grid: Geometry) -> LabelMap:
    """Return the brain of a carried head as a label map: 7 on its left, 3 on its right."""
    places = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    head = pose.inverse().map(places)
    centre, axes = toy.PARTS[4]
    inside = np.linalg.norm((head - centre) / np.asarray(axes), axis=-1) < 1
    return LabelMap(np.where(head[..., 0] > 0, 7, 3) * inside, grid, {7: "left", 3: "right"})


@pytest.fixture(scope="module")
def study() -> Study:
    """Return T1, CT and PET of one head, with labels that were drawn on the CT."""
    ct = toy.scan("CT", CT_TRUTH, grid=toy.around(CT_TRUTH), seed=1)
    pet = toy.scan("PET", PET_TRUTH, grid=toy.around(PET_TRUTH), seed=1)
    volumes = {"CT": ct, "T1": toy.still("T1"), "PET": pet}
    return Study("case", volumes, labels=brain(CT_TRUTH, ct.geometry))


@pytest.fixture(scope="module")
def said() -> list[tuple[str, int, int]]:
    """Return what was reported while the study was aligned."""
    return []


@pytest.fixture(scope="module")
def aligned(study: Study, said: list[tuple[str, int, int]]) -> AlignedStudy:
    """Return the study on the grid of its T1."""
    return align(study, seed=1, progress=lambda *step: said.append(step))


def test_every_volume_lies_on_the_fixed_grid(study: Study, aligned: AlignedStudy) -> None:
    assert aligned.fixed == "T1"
    assert set(aligned.volumes) == {"T1", "CT", "PET"}
    for volume in aligned.volumes.values():
        assert volume.geometry.same_grid(toy.HEAD)
    assert aligned.study is study
    assert np.array_equal(aligned.volumes["T1"].array, toy.still("T1").array)


def test_each_moving_volume_has_its_own_transform_and_verdict(aligned: AlignedStudy) -> None:
    assert set(aligned.transforms) == set(aligned.quality) == {"CT", "PET"}
    assert toy.errors(aligned.transforms["CT"], CT_TRUTH).max() < 1
    assert toy.errors(aligned.transforms["PET"], PET_TRUTH).max() < 1
    assert {quality.verdict for quality in aligned.quality.values()} == {"pass"}


def test_the_values_are_those_of_the_head(aligned: AlignedStudy) -> None:
    places = toy.HEAD.world(np.moveaxis(np.indices(toy.HEAD.shape), 0, -1))
    centre, axes = toy.PARTS[4]
    inside = np.linalg.norm((places - centre) / np.asarray(axes), axis=-1) < 0.9
    for name, tolerance in (("CT", 15), ("PET", 0.6)):
        gap = aligned.volumes[name].array - toy.signal(name, places)
        assert np.abs(gap[inside]).mean() < tolerance
        assert aligned.volumes[name].modality is MODALITIES[name]
    # what the moving scanner did not see is its air
    assert aligned.volumes["CT"].array.min() >= -1100


def test_labels_come_along_with_the_volume_that_they_were_drawn_on(aligned: AlignedStudy) -> None:
    truth = brain(Affine(np.eye(4)), toy.HEAD)
    assert aligned.labels is not None
    assert dict(aligned.labels.names) == {7: "left", 3: "right"}
    for label in (3, 7):
        ours, theirs = aligned.labels.array == label, truth.array == label
        assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.96


def test_each_volume_is_reported(aligned: AlignedStudy, said: list[tuple[str, int, int]]) -> None:
    assert [step[0] for step in said] == ["CT", "PET", "aligned"]
    assert [step[1:] for step in said] == [(0, 2), (1, 2), (2, 2)]


def test_another_volume_may_stay(study: Study) -> None:
    two = Study("case", {name: study.volumes[name] for name in ("T1", "CT")}, labels=study.labels)
    found = align(two, fixed="CT", settings=RegisterSettings(start="header"))
    assert found.fixed == "CT"
    assert found.geometry.same_grid(study.volumes["CT"].geometry)
    assert toy.errors(found.transforms["T1"].inverse(), CT_TRUTH).max() < 1
    assert found.labels is not None
    assert study.labels is not None
    assert np.array_equal(found.labels.array, study.labels.array)


def test_a_single_volume_is_aligned_already() -> None:
    alone = Study("case", {"CT": toy.still("CT")}, labels=brain(Affine(np.eye(4)), toy.HEAD))
    found = align(alone)
    assert found.fixed == "CT"
    assert found.volumes["CT"] is alone.volumes["CT"]
    assert found.labels is alone.labels
    assert dict(found.transforms) == {}


def test_labels_on_the_grid_of_nothing_are_refused() -> None:
    lost = brain(Affine(np.eye(4)), toy.HEAD.crop((1, 1, 1), (60, 60, 60)))
    study = Study("case", {"T1": toy.still("T1"), "T2": toy.still("T2")}, labels=lost)
    with pytest.raises(GeometryError, match="grid of none"):
        align(study, settings=RegisterSettings(start="header"))


def test_a_name_that_is_not_there_is_refused_with_those_that_are(study: Study) -> None:
    with pytest.raises(UsageError, match=r"'T2'.*CT, T1, PET"):
        align(study, fixed="T2")
    with pytest.raises(UsageError, match="no volume"):
        align(Study("case", {}))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("PET", "CT", "T1"), "T1"),
        (("T2", "FLAIR", "T1CE"), "T1CE"),
        (("T2", "FLAIR"), "FLAIR"),
        (("PET", "CT", "MR"), "MR"),
        (("PET", "CT"), "CT"),
        (("OTHER", "PET"), "PET"),
    ],
)
def test_magnetic_resonance_stays_and_T1_first(names: tuple[str, ...], expected: str) -> None:
    grid = Geometry((8, 8, 8), np.eye(4))
    volumes = {n: Volume(np.zeros((8, 8, 8)), grid, MODALITIES[n]) for n in names}
    assert choose_fixed(Study("case", volumes)) == expected


def test_of_two_alike_the_finer_stays() -> None:
    def volume(step: float) -> Volume:
        return Volume(
            np.zeros((8, 8, 8)),
            Geometry((8, 8, 8), np.eye(4) * [step, step, step, 1]),
            MODALITIES["T1"],
        )

    assert choose_fixed(Study("case", {"T1": volume(3), "T1-2": volume(1)})) == "T1-2"
    assert choose_fixed(Study("case", {"T1-2": volume(1), "T1": volume(1)})) == "T1"


def test_of_other_mr_the_finest_stays_whatever_its_contrast() -> None:
    def volume(name: str, step: float) -> Volume:
        grid = Geometry((8, 8, 8), np.eye(4) * [step, step, step, 1])
        return Volume(np.zeros((8, 8, 8)), grid, MODALITIES[name])

    study = {"FLAIR": volume("FLAIR", 6), "T2": volume("T2", 3), "CT": volume("CT", 1)}
    assert choose_fixed(Study("case", study)) == "T2"
