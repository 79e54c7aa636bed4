"""Visits in memory: upright, resampled once, normalised, with labels in their place."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from medfuse.errors import GeometryError, InputError, Repair
from medfuse.intensity import normalise, scheme_for
from medfuse.io.volumes import read_volume
from medfuse.training.cases import load_case, load_cases
from tests.medfuse.training import toy


def test_a_visit_becomes_arrays(tmp_path: Path) -> None:
    (entry,) = toy.cohort(tmp_path, 1).studies
    made = load_case(entry, toy.plan())
    ct = normalise(read_volume(entry.volumes["CT"], modality="CT"), scheme_for("CT"))
    # the file runs from left to right and back to front (RAS): upright is turned on both axes
    wanted = ct.array[:, ::-1, ::-1].copy()
    torch.testing.assert_close(
        made.images[1].float(), torch.from_numpy(wanted), atol=2e-3, rtol=1e-3
    )
    assert made.present.tolist() == [True, True]
    labels = toy.arrays(1)["labels"].transpose(2, 1, 0)[:, ::-1, ::-1]
    assert torch.equal(made.codes == 1, torch.from_numpy((labels == 3).copy()))
    assert torch.equal(made.codes == 2, torch.from_numpy((labels == 7).copy()))
    left, right = made.places  # in the order of the plan's labels
    assert {tuple(place) for place in left} == {tuple(p) for p in np.argwhere(labels == 7)}
    assert {tuple(place) for place in right} == {tuple(p) for p in np.argwhere(labels == 3)}


def test_the_array_axis_means_the_same_side_whatever_the_file(tmp_path: Path) -> None:
    (entry,) = toy.cohort(tmp_path / "a", 1).studies
    flipped = toy.write(tmp_path / "b", 1)
    for path in (flipped / "sub-1").iterdir():
        image = nib.load(path)
        turned = nib.Nifti1Image(np.asarray(image.dataobj).copy(), image.affine).as_reoriented(
            np.array([[1, -1], [0, 1], [2, -1]])
        )
        array = np.asarray(
            turned.dataobj
        ).copy()  # the file is written over: nothing may look into it
        nib.save(nib.Nifti1Image(array, turned.affine), path)
    (other,) = toy.read_manifest(flipped).studies
    one, two = (load_case(entry_, toy.plan()) for entry_ in (entry, other))
    assert torch.equal(one.codes, two.codes)
    torch.testing.assert_close(one.images.float(), two.images.float(), atol=2e-3, rtol=1e-3)


def test_coarser_images_keep_finer_labels(tmp_path: Path) -> None:
    (entry,) = toy.cohort(tmp_path, 1).studies
    made = load_case(entry, toy.plan(spacing=(2.0, 2.0, 2.0), finer=(2, 2, 2)))
    assert made.shape == (8, 10, 9)
    assert made.codes.shape == (16, 20, 18)
    full = load_case(entry, toy.plan())
    assert torch.equal(made.codes, full.codes)  # twice as fine is the file's own grid
    assert int(made.places[0].max()) < 10


def test_what_was_not_scanned_is_zero(tmp_path: Path) -> None:
    toy.write(tmp_path, 1)
    (tmp_path / "sub-1" / "CT.nii").unlink()
    (entry,) = toy.read_manifest(tmp_path).studies
    made = load_case(entry, toy.plan())
    assert made.present.tolist() == [True, False]
    assert not made.images[1].any()


def _place(path: Path, shift: float) -> None:
    image = nib.load(path)
    affine = image.affine.copy()
    affine[0, 3] += shift
    array = np.asarray(image.dataobj).copy()
    nib.save(nib.Nifti1Image(array, affine), path)


def test_C9_scans_on_two_grids_are_refused(tmp_path: Path) -> None:
    toy.write(tmp_path, 1)
    _place(tmp_path / "sub-1" / "CT.nii", 1.0)
    (entry,) = toy.read_manifest(tmp_path).studies
    with pytest.raises(GeometryError, match="CT lies on another grid than T1") as caught:
        load_case(entry, toy.plan())
    assert (caught.value.id, caught.value.where) == ("C9", "sub-1")
    assert "medfuse register" in caught.value.hint


def test_C9_a_tenth_of_a_thousandth_is_one_grid(tmp_path: Path) -> None:
    toy.write(tmp_path, 1)
    _place(tmp_path / "sub-1" / "CT.nii", 1e-4)
    (entry,) = toy.read_manifest(tmp_path).studies
    load_case(entry, toy.plan())


def test_C8_labels_on_another_grid_are_refused_or_carried(tmp_path: Path) -> None:
    toy.write(tmp_path, 1)
    (entry,) = toy.read_manifest(tmp_path).studies
    straight = load_case(entry, toy.plan())
    _place(tmp_path / "sub-1" / "labels.nii", 2.0)
    with pytest.raises(GeometryError, match="label map lies") as caught:
        load_case(entry, toy.plan())
    assert caught.value.id == "C8"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (moved,) = load_cases([entry], toy.plan(), resample_labels=True)
    said = [str(one.message) for one in told if isinstance(one.message, Repair)]
    assert said == [
        "[C8] sub-1: the label map was carried onto the scans' grid (nearest neighbour)"
    ]
    # 2 mm to the right (RAS x) are two voxels down the last axis, which runs to the left
    assert torch.equal(moved.codes[:, :, :-2], straight.codes[:, :, 2:])


def test_C8_labels_that_miss_the_scans_are_refused_or_told(tmp_path: Path) -> None:
    toy.write(tmp_path, 1)
    (entry,) = toy.read_manifest(tmp_path).studies
    _place(tmp_path / "sub-1" / "labels.nii", 900.0)
    with pytest.raises(GeometryError, match="nothing of what is labelled lies inside") as caught:
        load_case(entry, toy.plan(), resample_labels=True)
    assert caught.value.id == "C8"
    _place(tmp_path / "sub-1" / "labels.nii", 10.0 - 900.0)  # one of two lesions is out of sight
    (repair,) = load_case(entry, toy.plan(), resample_labels=True).repairs
    assert re.search(r"; 5\d% of what is labelled lies outside$", repair.what)


def test_C8_labels_of_a_body_reach_beyond_a_small_scan(tmp_path: Path) -> None:
    """Every voxel of the scans is labelled, and a 27th of what is labelled lies there."""
    toy.write(tmp_path, 1)
    path = tmp_path / "sub-1" / "labels.nii"
    image = nib.load(path)
    body = np.full([3 * n for n in image.shape], 3, dtype=np.uint8)
    affine = image.affine.copy()
    affine[:3, 3] = image.affine[:3, :3] @ (-np.asarray(image.shape)) + image.affine[:3, 3]
    nib.save(nib.Nifti1Image(body, affine), path)
    (entry,) = toy.read_manifest(tmp_path).studies
    made = load_case(entry, toy.plan(), resample_labels=True)
    assert (made.codes == 1).all()
    (repair,) = made.repairs
    assert re.search(r"; 9\d% of what is labelled lies outside$", repair.what)


def test_C8_a_label_between_the_voxels_of_the_scans_is_told(tmp_path: Path) -> None:
    toy.write(tmp_path, 1)
    path = tmp_path / "sub-1" / "labels.nii"
    image = nib.load(path)
    fine = np.zeros([5 * n for n in image.shape], dtype=np.uint8)
    fine[20, 20, 20] = 3  # the voxels of the scans have their centres at 2, 7, 12, ...
    affine = image.affine @ np.diag([0.2, 0.2, 0.2, 1.0])
    affine[:3, 3] -= 0.4 * image.affine[:3, :3].sum(axis=1)
    nib.save(nib.Nifti1Image(fine, affine), path)
    (entry,) = toy.read_manifest(tmp_path).studies
    (repair,) = load_case(entry, toy.plan(), resample_labels=True).repairs
    assert "too small for that grid: nothing of it is left" in repair.what


def test_C8_a_corner_in_common_is_too_little(tmp_path: Path) -> None:
    toy.write(tmp_path, 1)
    path = tmp_path / "sub-1" / "labels.nii"
    image = nib.load(path)
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ (np.asarray(image.shape) - 5)
    nib.save(nib.Nifti1Image(np.full(image.shape, 3, dtype=np.uint8), affine), path)
    (entry,) = toy.read_manifest(tmp_path).studies
    with pytest.raises(GeometryError, match="shares only 2% of the smaller field of view"):
        load_case(entry, toy.plan(), resample_labels=True)


def test_C12_a_label_that_vanishes_at_the_spacing_is_told(tmp_path: Path) -> None:
    (entry,) = toy.cohort(tmp_path, 1).studies
    assert load_case(entry, toy.plan()).vanished == ()
    coarse = load_case(entry, toy.plan(spacing=(100.0, 100.0, 100.0)))
    assert coarse.vanished == (0, 1)
    assert [(one.id, one.what[:19]) for one in coarse.repairs] == [
        ("C12", "label 'left lesion'"),
        ("C12", "label 'right lesion"),
    ]


def test_C7_a_label_that_nobody_named_is_refused(tmp_path: Path) -> None:
    (entry,) = toy.cohort(tmp_path, 1).studies
    with pytest.raises(InputError, match="holds the label 3") as caught:
        load_case(entry, toy.plan(labels=toy.TARGETS[:1]))
    assert caught.value.id == "C7"


def test_a_visit_without_any_of_the_modalities_is_named(tmp_path: Path) -> None:
    (entry,) = toy.cohort(tmp_path, 1).studies
    plan = toy.plan(modalities=(toy.ModalityPlan("PET", scheme_for("PET")),))
    with pytest.raises(InputError, match="has none of PET") as caught:
        load_case(entry, plan)
    assert caught.value.where == "sub-1"


def test_threads_change_nothing(tmp_path: Path) -> None:
    entries = toy.cohort(tmp_path, 3).studies
    one, two = (load_cases(entries, toy.plan(), threads=n) for n in (1, 3))
    for a, b in zip(one, two, strict=True):
        assert a.id == b.id
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.codes, b.codes)


def test_the_memory_is_what_the_arrays_take(tmp_path: Path) -> None:
    (entry,) = toy.cohort(tmp_path, 1).studies
    made = load_case(entry, toy.plan())
    voxels = int(np.prod(toy.SHAPE))
    assert made.bytes == voxels * (2 * 2 + 1)
