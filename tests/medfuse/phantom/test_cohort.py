"""Pairs whose truth is true, and folders that other tools read."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.errors import OutputError, UsageError
from medfuse.phantom import cohort, scanners
from medfuse.phantom.anatomy import Anatomy
from medfuse.phantom.cohort import pair, subject, write_phantom
from medfuse.phantom.scanners import _Plan
from medfuse.resampling import resample
from medfuse.transform import Affine

NAMES = ("T1", "T1CE", "T2", "FLAIR", "CT", "PET")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, coarse: Anatomy) -> Anatomy:
    """Let all scanners have coarse grids over the same fields, and all seeds one head."""
    plans = {}
    for name, plan in scanners.SCANNERS.items():
        spacing = (4.0, 3.0, 3.0)
        shape = tuple(
            round(n * s / t) for n, s, t in zip(plan.shape, plan.spacing, spacing, strict=True)
        )
        plans[name] = _Plan((shape[0], shape[1], shape[2]), spacing, plan.bottom)
    monkeypatch.setattr(scanners, "SCANNERS", plans)
    monkeypatch.setattr(cohort, "SCANNERS", plans)
    monkeypatch.setattr(cohort, "head", lambda _: coarse)
    return coarse


def agreement(fixed: np.ndarray, moving: np.ndarray) -> float:
    """Return the mutual information of two arrays, nats."""
    counts, *_ = np.histogram2d(fixed.ravel(), moving.ravel(), bins=24)
    joint = counts / counts.sum()
    alone = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / alone[seen])).sum())


@pytest.mark.parametrize(("name", "motion", "slab"), [("CT", "20", False), ("T2", "any", True)])
def test_the_truth_aligns_better_than_its_neighbours(
    small: Anatomy, name: str, motion: cohort.Motion, slab: bool
) -> None:
    fixed, moving, truth, points = pair(3, name, motion=motion, t1_mm=3.0, slab=slab)
    assert truth.is_rigid
    assert (fixed.geometry.voxel(points) > 0).all()

    def value(shift: tuple[float, float, float]) -> float:
        matrix = truth.moving_from_fixed.copy()
        matrix[:3, 3] += shift
        seen = resample(moving, fixed.geometry, Affine(matrix)).array
        covered = resample(
            moving.with_array(np.ones(moving.array.shape)), fixed.geometry, Affine(matrix)
        )
        inside = covered.array > 0.99
        return agreement(fixed.array[inside], seen[inside])

    right = value((0, 0, 0))
    for axis in range(3):
        for step in (-4.0, 4.0):
            shift = [0.0, 0.0, 0.0]
            shift[axis] = step
            assert value((shift[0], shift[1], shift[2])) < right


def test_a_motion_keeps_within_its_limits(small: Anatomy) -> None:
    for seed in range(3):
        _, _, truth, points = pair(seed, "PET", motion="20", t1_mm=4.0)
        turn = truth.moving_from_fixed[:3, :3]
        angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
        assert angle < 36
        shift = truth.map(points).mean(axis=0) - points.mean(axis=0)
        assert np.linalg.norm(shift) < 75


def test_a_slab_is_a_hundred_millimetres(small: Anatomy) -> None:
    _, moving, _, _ = pair(1, "PET", motion="any", t1_mm=4.0, slab=True)
    sizes = [n * s for n, s in zip(moving.geometry.shape, moving.geometry.spacing, strict=True)]
    assert min(sizes) == pytest.approx(100, abs=3)


def test_pairs_differ_in_storage_and_a_seed_is_a_pair(small: Anatomy) -> None:
    orientations = set()
    for seed in range(4):
        fixed, moving, truth, _ = pair(seed, "PET", motion="any", t1_mm=4.0)
        orientations |= {fixed.geometry.orientation, moving.geometry.orientation}
    again = pair(3, "PET", motion="any", t1_mm=4.0)
    np.testing.assert_array_equal(again[1].array, moving.array)
    np.testing.assert_array_equal(again[2].moving_from_fixed, truth.moving_from_fixed)
    assert len(orientations) > 3


@pytest.mark.parametrize(("name", "motion"), [("CT", "45"), ("US", "20")])
def test_an_unknown_pair_is_refused(name: str, motion: str) -> None:
    with pytest.raises(UsageError):
        pair(0, name, motion=motion)  # type: ignore[arg-type]


def test_a_subject_agrees_with_its_truth(small: Anatomy) -> None:
    made = subject(2)
    assert set(made.volumes) == set(NAMES)
    assert set(made.truth) == set(NAMES) - {"T1"}
    fixed = made.volumes["T1"]
    head = made.labels.array > 0
    for name, transform in made.truth.items():
        seen = resample(made.volumes[name], fixed.geometry, transform).array
        bright = seen[head].mean() - seen[~head].mean()
        assert bright > 0, name
    turn = made.truth["PET"].moving_from_fixed[:3, :3]
    assert np.trace(turn) < -0.5  # feet first: half a turn about the front-to-back axis
    assert np.linalg.norm(made.truth["CT"].moving_from_fixed[:3, 3]) > 200
    assert (made.labels.array == 9).any()


def test_an_aligned_subject_lies_on_one_grid(small: Anatomy) -> None:
    made = subject(2, aligned=True)
    for volume in made.volumes.values():
        assert volume.geometry.same_grid(made.labels.geometry)
    skull, white = made.labels.array == 11, made.labels.array == 2
    ct = made.volumes["CT"].array
    assert ct[skull].mean() > 400
    assert abs(np.median(ct[white]) - 29) < 8
    assert all(np.allclose(t.moving_from_fixed, np.eye(4)) for t in made.truth.values())


def test_other_tools_read_the_folder(small: Anatomy, tmp_path: Path) -> None:
    steps = []
    home = write_phantom(
        tmp_path / "heads", subjects=2, seed=4, progress=lambda *step: steps.append(step)
    )
    assert sorted(path.name for path in home.iterdir()) == ["sub-001", "sub-002"]
    assert steps[-1][1:] == (2, 2)
    folder = home / "sub-002"
    t1 = nibabel.load(folder / "T1.nii.gz")
    labels = nibabel.load(folder / "labels.nii.gz")
    np.testing.assert_allclose(t1.affine, labels.affine, atol=1e-4)
    assert "mm" in (folder / "report.txt").read_text("utf-8")
    truth = sitk.ReadTransform(str(folder / "truth" / "CT.tfm"))
    ct = sitk.ReadImage(str(folder / "CT.nii.gz"))
    tissue = np.argwhere(np.asarray(labels.dataobj) == 11)[::50]  # the skull
    ras = tissue @ t1.affine[:3, :3].T + t1.affine[:3, 3]
    values = []
    for point in ras * (-1, -1, 1):
        at = ct.TransformPhysicalPointToContinuousIndex(truth.TransformPoint(point.tolist()))
        index = [round(i) for i in at]
        if all(0 <= i < n for i, n in zip(index, ct.GetSize(), strict=True)):
            values.append(ct[index])
    assert np.median(values) > 250  # HU


def test_dicom_is_read_back_by_others(small: Anatomy, tmp_path: Path) -> None:
    home = write_phantom(tmp_path / "heads", seed=1, dicom=True)
    folder = home / "sub-001" / "dicom" / "CT"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    series = reader.Execute()
    plain = sitk.ReadImage(str(home / "sub-001" / "CT.nii.gz"))
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(series), sitk.GetArrayFromImage(plain).astype(float)
    )
    np.testing.assert_allclose(series.GetOrigin(), plain.GetOrigin(), atol=1e-3)
    assert {path.name for path in folder.parent.iterdir()} == set(NAMES)


def test_S5_a_head_that_is_there_is_left_alone(small: Anatomy, tmp_path: Path) -> None:
    there = tmp_path / "sub-001"
    there.mkdir()
    (there / "mine.txt").write_text("mine")
    with pytest.raises(OutputError) as caught:
        write_phantom(tmp_path)
    assert caught.value.id == "S5"
    assert [path.name for path in tmp_path.iterdir()] == ["sub-001"]
    with pytest.raises(UsageError):
        write_phantom(tmp_path / "other", subjects=0)


def test_a_head_that_fails_leaves_nothing(
    small: Anatomy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("the disk is full", id="S1")

    monkeypatch.setattr(cohort, "write_labels", full)
    with pytest.raises(OutputError):
        write_phantom(tmp_path / "heads")
    assert list((tmp_path / "heads").iterdir()) == []


def test_no_more_heads_than_a_seed_has(tmp_path: Path) -> None:
    """Head 1001 of seed 0 would be the first of seed 1."""
    with pytest.raises(UsageError, match="1 to 1000"):
        write_phantom(tmp_path / "x", subjects=1001)
    assert not (tmp_path / "x").exists()
