"""Transforms: the laws of a group, the inverse to hundredths of a millimetre, and ITK's borders."""

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
from medfuse.transform import IDENTITY, Affine, Chain, Displacement, Transform

FEW = settings(max_examples=50)
SEEDS = st.integers(0, 100_000)


def points(seed: int, count: int = 12) -> np.ndarray:
    return np.random.default_rng([seed, 1]).uniform(-120, 120, (count, 3))


def affine(seed: int) -> Affine:
    rng = np.random.default_rng([seed, 2])
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() * rng.uniform(0.7, 1.4, 3)
    matrix[:3, 3] = rng.uniform(-60, 60, 3)
    return Affine(matrix)


def grid(seed: int, shape: tuple[int, int, int] = (9, 10, 11), step: float = 4) -> Geometry:
    rng = np.random.default_rng([seed, 3])
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() * step
    matrix[:3, 3] = rng.uniform(-30, 30, 3)
    return Geometry(shape, matrix)


def rough(seed: int) -> Displacement:
    """Return a field of independent shifts, to try interpolation."""
    place = grid(seed)
    shifts = np.random.default_rng([seed, 4]).normal(size=(3, *place.shape))
    return Displacement(shifts.astype(np.float32), place)


def smooth(seed: int, *, millimetres: float = 3.0, wave: float = 120.0) -> Displacement:
    """Return waves of ``millimetres`` height and ``wave`` mm length on a 3 mm grid."""
    place = grid(seed, (14, 15, 16), 3.0)
    rng = np.random.default_rng([seed, 5])
    world = place.world(np.indices(place.shape).reshape(3, -1).T)  # (N, 3)
    along = Rotation.random(3, rng=rng).as_matrix()[:, 0] * (2 * np.pi / wave)
    shifts = millimetres * np.sin(world @ along.T + rng.uniform(0, 6, 3))
    return Displacement(shifts.T.reshape(3, *place.shape).astype(np.float32), place)


def transform(seed: int) -> Transform:
    made: list[Transform] = [affine(seed), rough(seed), Chain((rough(seed), affine(seed)))]
    return made[seed % 3]


def by_itk(made: sitk.Transform, where: np.ndarray) -> np.ndarray:
    return np.array([made.TransformPoint(point.tolist()) for point in where])


@FEW
@given(seed=SEEDS)
def test_then_is_one_after_the_other(seed: int) -> None:
    first, second = transform(seed), transform(seed + 1)
    both = first.then(second)
    assert np.allclose(both.map(points(seed)), second.map(first.map(points(seed))), atol=1e-9)


@FEW
@given(seed=SEEDS)
def test_composition_is_associative(seed: int) -> None:
    a, b, c = (transform(seed + n) for n in range(3))
    left, right = a.then(b).then(c), a.then(b.then(c))
    assert np.allclose(left.map(points(seed)), right.map(points(seed)), atol=1e-9)


@FEW
@given(seed=SEEDS)
def test_the_identity_changes_nothing(seed: int) -> None:
    made = transform(seed)
    expected = made.map(points(seed))
    assert np.allclose(IDENTITY.then(made).map(points(seed)), expected, atol=1e-12)
    assert np.allclose(made.then(IDENTITY).map(points(seed)), expected, atol=1e-12)
    assert np.array_equal(Chain(()).map(points(seed)), points(seed))


@FEW
@given(seed=SEEDS)
def test_a_matrix_and_its_inverse_are_the_identity(seed: int) -> None:
    made = affine(seed)
    for both in (made.then(made.inverse()), made.inverse().then(made)):
        assert isinstance(both, Affine)
        assert np.allclose(both.moving_from_fixed, np.eye(4), atol=1e-10)
    assert np.allclose(made.inverse().inverse().moving_from_fixed, made.moving_from_fixed)


@FEW
@given(seed=SEEDS)
def test_the_inverse_of_a_chain_is_the_chain_of_inverses(seed: int) -> None:
    chain = Chain((affine(seed), affine(seed + 1), affine(seed + 2)))
    back = chain.inverse().map(chain.map(points(seed)))
    assert np.allclose(back, points(seed), atol=1e-8)


@FEW
@given(seed=SEEDS)
def test_the_determinant_of_a_product_is_the_product(seed: int) -> None:
    both = affine(seed).then(affine(seed + 1))
    assert isinstance(both, Affine)
    single = [np.linalg.det(affine(seed + n).moving_from_fixed[:3, :3]) for n in range(2)]
    assert np.linalg.det(both.moving_from_fixed[:3, :3]) == pytest.approx(np.prod(single))


def test_neighbouring_matrices_become_one() -> None:
    chain = rough(0).then(affine(1)).then(affine(2)).then(rough(3)).then(affine(4))
    assert isinstance(chain, Chain)
    assert [type(part) for part in chain.parts] == [Displacement, Affine, Displacement, Affine]
    assert isinstance(Chain((affine(1),)).then(affine(2)), Affine)


@FEW
@given(seed=st.integers(0, 40))
def test_the_inverse_of_a_field_is_right_to_hundredths(seed: int) -> None:
    """On and between the voxels, wherever the way there and back stays in the field.

    Between voxels both fields are interpolated: step^2 / 8 * height * (2 pi / wave)^2 each way.
    """
    bent = smooth(seed, millimetres=2)
    back = bent.inverse()
    inside = np.random.default_rng(seed).uniform(2, np.asarray(bent.geometry.shape) - 3, (60, 3))
    start = bent.geometry.world(inside)
    for there_and_back in (bent.then(back), back.then(bent)):
        gaps = np.linalg.norm(there_and_back.map(start) - start, axis=1)
        assert gaps.max() < 0.02


@FEW
@given(seed=st.integers(0, 20))
def test_at_the_voxels_the_inverse_is_right_to_its_tolerance(seed: int) -> None:
    bent = smooth(seed, millimetres=4, wave=60)
    inner = np.indices((6, 6, 6)).reshape(3, -1).T + 4
    start = bent.geometry.world(inner)
    gaps = np.linalg.norm(bent.map(bent.inverse().map(start)) - start, axis=1)
    assert gaps.max() < 0.002 + 1e-5


def test_a_field_that_moves_its_border_has_an_inverse() -> None:
    """A shift of the whole grid: back is the same shift, also where it leads out of the grid."""
    place = Geometry((5, 6, 7), np.eye(4))
    shift = np.zeros((3, 5, 6, 7), np.float32)
    shift[:] = np.array([1.5, -2, 0.25])[:, None, None, None]
    assert np.allclose(Displacement(shift, place).inverse().field, -shift)


def test_strong_stretching_has_an_inverse() -> None:
    """x to 2.8 x: the plain iteration would run away, smaller steps do not."""
    matrix = np.eye(4)[:, [2, 1, 0, 3]]
    matrix[:3, 3] = -8
    shift = np.zeros((3, 17, 17, 17), np.float32)
    shift[0] = 1.8 * np.arange(-8, 9)
    back = Displacement(shift, Geometry((17, 17, 17), matrix)).inverse()
    inner = np.array([[x, 0.0, 0] for x in (-7.0, -2, 0, 3, 6)])
    assert np.allclose(back.map(inner)[:, 0], inner[:, 0] / 2.8, atol=0.02)


def test_a_field_that_folds_has_no_inverse() -> None:
    place = Geometry((6, 6, 6), np.eye(4)[:, [2, 1, 0, 3]])
    shift = np.zeros((3, 6, 6, 6), np.float32)
    shift[0] = -2.0 * np.arange(6)  # x to -x
    with pytest.raises(GeometryError, match="folds") as caught:
        Displacement(shift, place).inverse()
    assert caught.value.id == "X14"


def test_a_field_of_one_slice_has_an_inverse() -> None:
    place = Geometry((1, 6, 6), np.eye(4))
    shift = np.full((3, 1, 6, 6), 0.25, np.float32)
    assert np.allclose(Displacement(shift, place).inverse().field, -0.25)


@FEW
@given(seed=SEEDS)
def test_itk_moves_points_inside_and_outside_as_we_do(seed: int) -> None:
    bent = rough(seed)
    voxels = np.random.default_rng(seed).uniform(-3, 14, (40, 3))
    where = bent.geometry.world(voxels)
    theirs = by_itk(itk.transform(bent), where)
    last = np.asarray(bent.geometry.shape) - 1
    edge = np.minimum(np.abs(voxels + 0.5), np.abs(voxels - last - 0.5)).min(axis=1)
    clear = edge > 1e-6
    assert np.allclose(bent.map(where)[clear], theirs[clear], atol=1e-5)


def test_itk_ends_a_field_half_a_voxel_out() -> None:
    """On an exact grid: the lower border belongs to the field, the upper one does not."""
    place = Geometry((4, 4, 4), np.diag([2.0, 2, 2, 1]))
    ones = Displacement(np.ones((3, 4, 4, 4), np.float32), place)
    where = np.array([[x, 3, 3] for x in (-1.25, -1, -0.75, 6, 6.75, 7, 7.25)], dtype=np.float64)
    moved = ones.map(where)[:, 0] - where[:, 0]
    assert moved.tolist() == [0, 1, 1, 1, 1, 0, 0]
    assert np.allclose(by_itk(itk.transform(ones), where), ones.map(where))


@FEW
@given(seed=SEEDS)
def test_itk_agrees_on_chains(seed: int) -> None:
    chain = Chain((affine(seed), affine(seed + 1), smooth(seed), affine(seed + 2)))
    inside = np.random.default_rng(seed).uniform(1, 12, (10, 3))
    where = Chain(chain.parts[:2]).inverse().map(smooth(seed).geometry.world(inside))
    assert np.allclose(chain.map(where), by_itk(itk.transform(chain), where), atol=1e-5)


@pytest.mark.parametrize("made", [affine(0), rough(0), Chain((rough(0), affine(0)))])
def test_points_keep_their_shape(made: Transform) -> None:
    block = points(3, 12).reshape(2, 6, 3)
    assert made.map(block).shape == (2, 6, 3)
    assert np.allclose(made.map(block)[1, 2], made.map(block[1, 2]))
    assert made.map(block.tolist()[0][0]).shape == (3,)
    assert isinstance(made, Transform)


def test_rigid_is_told_from_what_is_not() -> None:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [0.3, 0.4, 0.5]).as_matrix()
    assert Affine(turn).is_rigid
    assert not Affine(turn @ np.diag([1.0, 1, 1.001, 1])).is_rigid
    assert not Affine(turn @ np.diag([1.0, 1, -1, 1])).is_rigid


@pytest.mark.parametrize(
    ("matrix", "id"),
    [
        (np.diag([1, 1, 0, 1]), "X2"),
        (np.ones((4, 4)), "X2"),
        (np.diag([1, 1, 1, 2]), "X2"),
        (np.diag([1, np.nan, 1, 1]), "X3"),
        (np.diag([1, 1, np.inf, 1]), "X3"),
        (np.eye(3), "X3"),
    ],
)
def test_a_matrix_that_is_no_transform_is_refused(matrix: np.ndarray, id: str) -> None:
    with pytest.raises(GeometryError) as caught:
        Affine(matrix)
    assert caught.value.id == id


def test_a_field_must_fit_its_grid_and_be_finite() -> None:
    with pytest.raises(GeometryError, match="grid"):
        Displacement(np.zeros((3, 2, 2, 3)), Geometry((2, 2, 2), np.eye(4)))
    broken = np.zeros((3, 2, 2, 2))
    broken[0, 1, 1, 1] = np.nan
    with pytest.raises(GeometryError) as caught:
        Displacement(broken, Geometry((2, 2, 2), np.eye(4)))
    assert caught.value.id == "X14"


def test_transforms_do_not_change_with_what_they_were_made_of() -> None:
    matrix, shifts = np.eye(4), np.zeros((3, 2, 2, 2), np.float32)
    made, bent = Affine(matrix), Displacement(shifts, Geometry((2, 2, 2), np.eye(4)))
    matrix[0, 3] = 5
    shifts += 1
    assert made.map([0, 0, 0]).tolist() == [0, 0, 0]
    assert bent.map([0, 0, 0]).tolist() == [0, 0, 0]
