"""The grid in the world: laws that hold for every affine, with nibabel and SimpleITK as judges."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfuse import itk
from medfuse.errors import GeometryError
from medfuse.geometry import Geometry

FEW = settings(max_examples=60)
SEEDS = st.integers(0, 100_000)
OFFSETS = st.tuples(*[st.integers(-3, 6)] * 3)


def drawn(seed: int, *, shear: float = 0.0) -> Geometry:
    """Return an oblique, anisotropic, often left-handed grid."""
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() @ np.diag(rng.choice([-1, 1], 3))
    matrix[:3, :3] = (matrix[:3, :3] + rng.uniform(-shear, shear, (3, 3))) * rng.uniform(0.3, 7, 3)
    matrix[:3, 3] = rng.uniform(-300, 300, 3)
    depth, height, width = (int(n) for n in rng.integers(1, 20, 3))
    return Geometry((depth, height, width), matrix, "1.2.3")


@FEW
@given(seed=SEEDS)
def test_voxels_and_points_are_inverse(seed: int) -> None:
    grid = drawn(seed, shear=0.2)
    voxels = np.random.default_rng(seed).uniform(-50, 50, (7, 3))
    assert np.allclose(grid.voxel(grid.world(voxels)), voxels, atol=1e-8)
    assert grid.world(voxels.reshape(7, 1, 3)).shape == (7, 1, 3)
    assert np.allclose(grid.world([0, 0, 0]), grid.origin)


@FEW
@given(seed=SEEDS)
def test_nibabel_puts_every_voxel_at_the_same_place(seed: int) -> None:
    grid = drawn(seed, shear=0.1)
    voxels = np.random.default_rng(seed).uniform(0, 20, (9, 3))
    ras = nib.affines.apply_affine(grid.to_ras(), voxels[:, ::-1])
    assert np.allclose(ras * [-1, -1, 1], grid.world(voxels), atol=1e-8)
    again = Geometry.from_ras(grid.shape[::-1], grid.to_ras(), grid.frame)
    assert again.shape == grid.shape
    assert np.array_equal(again.world_from_voxel, grid.world_from_voxel)


@FEW
@given(seed=SEEDS)
def test_simpleitk_puts_every_voxel_at_the_same_place(seed: int) -> None:
    grid = drawn(seed)
    image = sitk.Image([int(n) for n in grid.shape[::-1]], sitk.sitkUInt8)
    itk.place(image, grid)
    for d, h, w in np.random.default_rng(seed).uniform(0, 20, (5, 3)):
        place = image.TransformContinuousIndexToPhysicalPoint([w, h, d])
        assert np.allclose(place, grid.world([d, h, w]), atol=1e-8)
    assert itk.geometry(image).same_grid(grid, tolerance=1e-8)


@FEW
@given(seed=SEEDS)
def test_orientation_codes_are_nibabels(seed: int) -> None:
    """nibabel names the side an index grows towards, in file order, in RAS letters: so do we."""
    grid = drawn(seed)
    assert grid.orientation == "".join(nib.aff2axcodes(grid.to_ras()))


def test_the_sagittal_grid_of_a_scanner() -> None:
    """By hand: slices run left to right, rows from head to foot, columns front to back."""
    matrix = np.array([[-2.0, 0, 0, 90], [0, 0, 1, -100], [0, -1, 0, 80], [0, 0, 0, 1]])
    grid = Geometry((3, 4, 5), matrix)
    assert grid.orientation == "PIR"
    assert grid.spacing == (2, 1, 1)
    assert grid.centre.tolist() == [88, -98, 78.5]
    assert grid.voxel_volume == 2
    assert grid.world([1, 2, 3]).tolist() == [88, -97, 78]


@FEW
@given(seed=SEEDS)
def test_spacing_and_direction_rebuild_the_affine(seed: int) -> None:
    grid = drawn(seed, shear=0.1)
    assert np.allclose(grid.direction * grid.spacing, grid.world_from_voxel[:3, :3])
    assert np.allclose(np.linalg.norm(grid.direction, axis=0), 1)
    steps = [grid.world(np.eye(3)[axis]) - grid.origin for axis in range(3)]
    assert np.allclose([np.linalg.norm(step) for step in steps], grid.spacing)
    assert grid.voxel_volume == pytest.approx(abs(np.dot(steps[0], np.cross(steps[1], steps[2]))))


@FEW
@given(seed=SEEDS)
def test_centre_and_corners(seed: int) -> None:
    grid = drawn(seed)
    assert np.allclose(grid.corners().mean(axis=0), grid.centre)
    last = np.asarray(grid.shape) - 1
    assert np.allclose(grid.corners()[0], grid.origin)
    assert np.allclose(grid.corners()[-1], grid.world(last))


@FEW
@given(seed=SEEDS, start=OFFSETS, size=st.tuples(*[st.integers(1, 5)] * 3))
def test_cropping_keeps_every_voxel_where_it_is(
    seed: int, start: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    grid = drawn(seed, shear=0.1)
    stop = tuple(a + n for a, n in zip(start, size, strict=True))
    part = grid.crop(start, stop)
    assert part.shape == size
    voxel = np.random.default_rng(seed).uniform(0, 5, 3)
    assert np.allclose(part.world(voxel), grid.world(voxel + start))
    assert part.frame == grid.frame


@FEW
@given(seed=SEEDS, before=st.tuples(*[st.integers(0, 4)] * 3))
def test_padding_is_cropping_backwards(seed: int, before: tuple[int, int, int]) -> None:
    grid = drawn(seed)
    wide = grid.pad(before, (1, 2, 3))
    assert wide.shape == tuple(np.add(np.add(grid.shape, before), (1, 2, 3)))
    again = wide.crop(before, tuple(np.add(before, grid.shape)))
    assert again.same_grid(grid, tolerance=1e-8)


@FEW
@given(seed=SEEDS, spacing=st.tuples(*[st.floats(0.5, 9)] * 3))
def test_another_spacing_covers_the_same_space(
    seed: int, spacing: tuple[float, float, float]
) -> None:
    grid = drawn(seed, shear=0.1)
    made = grid.respace(spacing)
    assert np.allclose(made.spacing, spacing)
    assert np.allclose(made.centre, grid.centre)
    assert np.allclose(made.direction, grid.direction)
    extents = np.multiply(grid.shape, grid.spacing), np.multiply(made.shape, made.spacing)
    changed = np.abs(extents[0] - extents[1])
    whole = np.asarray(made.shape) > 1
    assert (changed[whole] <= np.asarray(spacing)[whole] / 2 + 1e-9).all()


def test_the_same_spacing_is_the_same_grid() -> None:
    for seed in range(20):
        grid = drawn(seed)
        assert grid.respace(grid.spacing).same_grid(grid, tolerance=1e-9)


def test_moving_a_grid_moves_its_points() -> None:
    grid = drawn(3)
    carry = np.eye(4)
    carry[:3, :3] = Rotation.from_euler("xyz", [0.1, 0.2, 0.3]).as_matrix()
    carry[:3, 3] = [1, 2, 3]
    moved = grid.moved(carry)
    assert np.allclose(moved.world([1, 2, 3]), carry[:3, :3] @ grid.world([1, 2, 3]) + [1, 2, 3])
    assert moved.frame is None


def test_same_grid_has_a_tolerance_in_millimetres() -> None:
    grid = drawn(1)
    nudge = np.eye(4)
    nudge[0, 3] = 5e-4
    assert grid.same_grid(grid.moved(nudge))
    assert not grid.same_grid(grid.moved(nudge), tolerance=1e-4)
    assert not grid.same_grid(grid.crop((0, 0, 0), tuple(np.add(grid.shape, 1))))


@pytest.mark.parametrize(("tangent", "degrees"), [(0.1, 5.7106), (0.05, 2.8624), (0.0, 0.0)])
def test_shear_is_an_angle(tangent: float, degrees: float) -> None:
    matrix = np.eye(4)
    matrix[1, 0] = tangent
    grid = Geometry((2, 2, 2), matrix)
    assert grid.shear_degrees == pytest.approx(degrees, abs=1e-3)
    assert grid.is_orthonormal is (tangent == 0)


@pytest.mark.parametrize(
    ("matrix", "id"),
    [
        (np.diag([1, 1, 0, 1]), "N8"),
        (np.diag([1, 1, 1, 2]), "N8"),
        (np.ones((4, 4)), "N8"),
        (np.diag([1, 1, np.nan, 1]), "N7"),
        (np.diag([1, np.inf, 1, 1]), "N7"),
        (np.eye(3), "N7"),
    ],
)
def test_an_affine_that_places_nothing_is_refused(matrix: np.ndarray, id: str) -> None:
    with pytest.raises(GeometryError) as caught:
        Geometry((2, 2, 2), matrix)
    assert caught.value.id == id


@pytest.mark.parametrize("shape", [(2, 2), (0, 2, 2), (2, -1, 2), (2, 2, 2, 2)])
def test_a_shape_without_voxels_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="three positive sizes"):
        Geometry(shape, np.eye(4))  # type: ignore[arg-type]


@pytest.mark.parametrize("spacing", [(0, 1, 1), (1, -1, 1), (1, np.nan, 1), (1, 1)])
def test_a_spacing_that_is_none_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(GeometryError, match="spacing"):
        drawn(0).respace(spacing)  # type: ignore[arg-type]


def test_a_grid_keeps_its_own_affine() -> None:
    matrix = np.eye(4)
    grid = Geometry((2, 2, 2), matrix)
    matrix[0, 3] = 9
    assert grid.origin.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        grid.world_from_voxel[0, 0] = 2


@FEW
@given(seed=SEEDS)
def test_upright_axes_run_to_superior_posterior_and_left(seed: int) -> None:
    grid = drawn(seed)
    upright = grid.upright()
    assert upright.orientation == "LPS"
    for one, other in zip(_sorted(grid), _sorted(upright), strict=True):
        assert np.allclose(one, other, atol=1e-6)
    as_ras = nib.aff2axcodes(upright.to_ras())  # (w, h, d), RAS letters
    assert as_ras == ("L", "P", "S")


def _sorted(grid: Geometry) -> list[list[float]]:
    return sorted(grid.corners().round(7).tolist())
