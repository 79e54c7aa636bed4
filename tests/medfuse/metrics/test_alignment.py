"""Errors in mm and folding of fields, against closed forms on turned and anisotropic grids."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfuse import itk
from medfuse.geometry import Array64, Geometry
from medfuse.metrics import folding, jacobian_determinant, target_registration_error
from medfuse.transform import IDENTITY, Affine, Displacement

SEEDS = st.integers(0, 100_000)


def oblique(seed: int, shape: tuple[int, int, int] = (7, 8, 9)) -> Geometry:
    """Return a turned, anisotropic grid, left-handed for odd seeds."""
    rng = np.random.default_rng([seed, 1])
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() * rng.uniform(0.7, 5, 3)
    if seed % 2:
        matrix[:3, 0] *= -1
    matrix[:3, 3] = rng.uniform(-100, 100, 3)
    return Geometry(shape, matrix)


def places(geometry: Geometry) -> Array64:
    """Return the world positions of all voxels, (D, H, W, 3)."""
    return geometry.world(np.moveaxis(np.indices(geometry.shape), 0, -1))


def linear_field(geometry: Geometry, slope: Array64, about: Array64) -> Displacement:
    """Return the field of ``x + slope (x - about)``."""
    shift = (places(geometry) - about) @ slope.T
    return Displacement(np.moveaxis(shift, -1, 0), geometry)


@given(seed=SEEDS)
def test_a_linear_field_changes_volume_as_its_matrix(seed: int) -> None:
    grid = oblique(seed)
    slope = np.random.default_rng([seed, 2]).uniform(-0.3, 0.3, (3, 3))
    found = jacobian_determinant(linear_field(grid, slope, grid.centre))
    assert np.allclose(found, np.linalg.det(np.eye(3) + slope), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.1, 2.0])
def test_scaling_and_rest(factor: float) -> None:
    grid = oblique(4)
    scaled = linear_field(grid, (factor - 1) * np.eye(3), grid.origin)
    assert np.allclose(jacobian_determinant(scaled), factor**3, rtol=1e-4)
    assert folding(scaled) == 0
    one_axis = linear_field(grid, np.diag([factor - 1, 0, 0]), grid.origin)
    assert np.allclose(jacobian_determinant(one_axis), factor, rtol=1e-4)


def test_a_curved_field_as_itk_sees_it() -> None:
    # ITK's filter reads vectors along the array's axes: it is right on straight grids alone. The
    # determinant does not change with the frame, so the same bumps on a turned grid have the same
    spacing = np.array([2.0, 1.2, 3.1])  # along d, h, w
    straight = Geometry((16, 18, 20), np.diag([*spacing, 1.0])[[2, 1, 0, 3]])
    bumps = np.sin((places(straight) + 3 * places(straight)[..., [1, 2, 0]]) / 30)
    field = Displacement(np.moveaxis(bumps, -1, 0), straight)
    vectors = sitk.GetImageFromArray(np.moveaxis(field.field, 0, -1), isVector=True)
    itk.place(vectors, straight)
    theirs = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(vectors))
    inner = (slice(1, -1),) * 3  # at the border ITK repeats the last voxel
    assert np.allclose(jacobian_determinant(field)[inner], theirs[inner], atol=1e-5)
    assert np.ptp(theirs[inner]) > 0.1
    turn = np.eye(4)
    turn[:3, :3] = Rotation.random(rng=np.random.default_rng(3)).as_matrix()
    turned = Displacement(np.moveaxis(bumps @ turn[:3, :3].T, -1, 0), straight.moved(turn))
    assert np.allclose(jacobian_determinant(turned), jacobian_determinant(field), atol=1e-5)


def test_a_turned_over_field_folds_everywhere() -> None:
    grid = oblique(6)
    mirror = linear_field(grid, np.diag([-2.0, 0, 0]), grid.centre)  # x becomes -x
    assert np.allclose(jacobian_determinant(mirror), -1, rtol=1e-4)
    assert folding(mirror) == 1


def test_a_fold_in_one_place_is_counted() -> None:
    grid = Geometry(
        (20, 20, 40), np.array([[0, 0, 2.0, 0], [0, 2, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1]])
    )
    field = np.zeros((3, *grid.shape), np.float32)
    x = np.arange(40) * 2.0
    # between x = 30 and 50 points are thrown back: there the slope of x + u is -1
    field[0] = np.interp(x, [30, 50], [0, -40])
    field = Displacement(field, grid)
    folds = jacobian_determinant(field) <= 0
    assert folding(field) == pytest.approx(folds.mean())
    columns = np.flatnonzero(folds.all(axis=(0, 1)))
    assert x[columns].min() >= 28
    assert x[columns].max() <= 52
    assert folds.any(axis=(0, 1)).sum() == len(columns)
    assert 9 / 40 <= folding(field) <= 11 / 40


def test_folding_is_a_share() -> None:
    grid = oblique(8, (4, 5, 6))
    assert folding(Displacement(np.zeros((3, 4, 5, 6)), grid)) == 0
    constant = Displacement(np.full((3, 4, 5, 6), 9.0), grid)
    assert folding(constant) == 0
    assert np.allclose(jacobian_determinant(constant), 1, atol=1e-6)


def test_the_error_is_a_distance_in_mm() -> None:
    points = np.random.default_rng(1).uniform(-80, 80, (50, 3))
    shift = np.eye(4)
    shift[:3, 3] = 2, -3, 6  # 7 mm
    assert target_registration_error(Affine(shift), IDENTITY, points) == pytest.approx(
        np.full(50, 7)
    )
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", 10, degrees=True).as_matrix()
    lever = np.linalg.norm(points[:, :2], axis=1)
    expected = 2 * lever * np.sin(np.radians(5))  # the chord
    assert target_registration_error(Affine(turn), IDENTITY, points) == pytest.approx(expected)
    assert target_registration_error(Affine(turn), Affine(turn), points).max() == 0


def test_a_field_is_measured_like_any_transform() -> None:
    grid = oblique(3)
    push = Displacement(np.stack([np.full(grid.shape, v) for v in (0.0, 3.0, 4.0)]), grid)
    inside = places(grid).reshape(-1, 3)
    assert target_registration_error(push, IDENTITY, inside) == pytest.approx(
        np.full(len(inside), 5)
    )


def test_a_field_of_one_slice_folds_within_it_or_not() -> None:
    """x' = x + a x on voxels of 1 mm: the determinant is 1 + a."""
    grid = Geometry((1, 4, 5), np.eye(4)[:, [2, 1, 0, 3]])
    for slope in (0.5, -2.0):
        field = np.zeros((3, 1, 4, 5))
        field[0] = slope * np.arange(5)
        bent = Displacement(field, grid)
        assert jacobian_determinant(bent) == pytest.approx(np.full((1, 4, 5), 1 + slope))
        assert folding(bent) == (0 if slope > 0 else 1)
