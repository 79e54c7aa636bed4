"""The bridge to SimpleITK: nothing moves on the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfuse import itk
from medfuse.errors import GeometryError
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.transform import Affine, Chain, Displacement, Transform
from medfuse.volume import LabelMap, Volume

FEW = settings(max_examples=50)
SEEDS = st.integers(0, 100_000)


def oblique(seed: int) -> Geometry:
    rng = np.random.default_rng([seed, 1])
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() @ np.diag(rng.choice([-1, 1], 3))
    matrix[:3, :3] *= rng.uniform(0.5, 6, 3)
    matrix[:3, 3] = rng.uniform(-99, 99, 3)
    return Geometry((4, 5, 6), matrix)


def affine(seed: int) -> Affine:
    rng = np.random.default_rng([seed, 2])
    matrix = np.eye(4)
    matrix[:3, :3] += rng.uniform(-0.3, 0.3, (3, 3))
    matrix[:3, 3] = rng.uniform(-50, 50, 3)
    return Affine(matrix)


def field(seed: int) -> Displacement:
    rng = np.random.default_rng([seed, 3])
    return Displacement(rng.normal(size=(3, 4, 5, 6)).astype(np.float32), oblique(seed))


@FEW
@given(seed=SEEDS)
def test_an_image_holds_the_same_voxels_at_the_same_places(seed: int) -> None:
    grid = oblique(seed)
    values = np.random.default_rng(seed).normal(size=grid.shape).astype(np.float32)
    image = itk.image(Volume(values, grid, MODALITIES["MR"]))
    assert image.GetPixelID() == sitk.sitkFloat32
    d, h, w = (int(n) for n in np.random.default_rng(seed).integers(0, 4, 3))
    assert image.GetPixel(w, h, d) == values[d, h, w]
    place = image.TransformIndexToPhysicalPoint((w, h, d))
    assert np.allclose(place, grid.world((d, h, w)), atol=1e-9)
    assert itk.geometry(image).same_grid(grid, tolerance=1e-9)


def test_labels_stay_16_bits() -> None:
    image = itk.image(LabelMap(np.full((4, 5, 6), 65535), oblique(0)))
    assert image.GetPixelID() == sitk.sitkUInt16
    assert image.GetPixel(0, 0, 0) == 65535


def test_an_image_is_a_copy() -> None:
    volume = Volume(np.zeros((4, 5, 6)), oblique(0), MODALITIES["MR"])
    itk.image(volume).SetPixel(0, 0, 0, 5.0)
    assert not volume.array.any()


def test_a_sheared_grid_does_not_cross() -> None:
    matrix = np.eye(4)
    matrix[0, 1] = 0.1
    with pytest.raises(GeometryError) as caught:
        itk.image(Volume(np.zeros((4, 5, 6)), Geometry((4, 5, 6), matrix), MODALITIES["MR"]))
    assert caught.value.id == "N10"


@FEW
@given(seed=SEEDS)
def test_transforms_come_back_as_they_went(seed: int) -> None:
    kinds: list[Transform] = [
        affine(seed),
        field(seed),
        Chain((affine(seed), field(seed), affine(seed + 1))),
    ]
    ours = kinds[seed % 3]
    theirs = itk.transform(ours)
    again = itk.from_transform(theirs)
    inside = np.random.default_rng(seed).uniform(0.2, 2.8, (8, 3))
    where = affine(seed).inverse().map(oblique(seed).world(inside))
    expected = [theirs.TransformPoint(point.tolist()) for point in where]
    assert np.allclose(ours.map(where), expected, atol=1e-5)
    assert np.allclose(again.map(where), expected, atol=1e-5)


def test_reading_a_field_leaves_itk_its_own() -> None:
    theirs = itk.transform(field(0))
    itk.from_transform(theirs)
    point = oblique(0).centre.tolist()
    assert theirs.TransformPoint(point) != tuple(point)


def test_any_linear_kind_becomes_a_matrix() -> None:
    made = sitk.Euler3DTransform((1, 2, 3), 0.1, 0.2, 0.3, (4, 5, 6))
    ours = itk.from_transform(made)
    assert isinstance(ours, Affine)
    assert ours.is_rigid
    assert np.allclose(ours.map([7, 8, 9]), made.TransformPoint((7.0, 8, 9)))
    identity = itk.from_transform(sitk.Transform(3, sitk.sitkIdentity))
    assert np.allclose(identity.map([7, 8, 9]), [7, 8, 9])


def test_nested_composites_become_chains() -> None:
    first, second = itk.transform(affine(0)), itk.transform(affine(1))
    nested = sitk.CompositeTransform([sitk.CompositeTransform([first, second]), first])
    where = [1.0, 2, 3]
    assert np.allclose(itk.from_transform(nested).map(where), nested.TransformPoint(where))


@pytest.mark.parametrize(
    ("made", "id"),
    [(sitk.BSplineTransform(3), "X4"), (sitk.Euler2DTransform(), "X1")],
)
def test_other_kinds_are_refused(made: sitk.Transform, id: str) -> None:
    with pytest.raises(GeometryError) as caught:
        itk.from_transform(made)
    assert caught.value.id == id


def test_a_stranger_has_no_counterpart() -> None:
    with pytest.raises(TypeError):
        itk.transform("shift")  # type: ignore[arg-type]
