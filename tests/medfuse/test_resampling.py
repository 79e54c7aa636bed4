"""Resampling: what lies where stays there, whatever the order and direction of the array.

The judges are closed forms (a volume that is linear in x, y, z), scipy at mapped points, nibabel,
and SimpleITK's own composite.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.processing import resample_from_to
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from medfuse import itk
from medfuse.errors import GeometryError, UsageError
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.resampling import apply, overlap, resample, right_angled, straighten
from medfuse.transform import IDENTITY, Affine, Chain, Displacement
from medfuse.volume import LabelMap, Volume
from tests.medfuse.grids import cube, shift

FEW = settings(max_examples=30)
SEEDS = st.integers(0, 100_000)
MR, CT = MODALITIES["MR"], MODALITIES["CT"]
SLOPES, OFFSET = np.array([0.3, -0.2, 0.5]), 7.0


def oblique(
    seed: int, shape: tuple[int, int, int] = (9, 10, 11), *, shear: float = 0.0
) -> Geometry:
    """Return a turned, anisotropic grid around the origin of the world."""
    rng = np.random.default_rng([seed, 1])
    axes = Rotation.random(rng=rng).as_matrix()
    axes[:, 1] += shear * axes[:, 2]
    matrix = np.eye(4)
    matrix[:3, :3] = axes * rng.uniform(1.5, 4, 3)
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Geometry(shape, matrix)


def noise(geometry: Geometry, seed: int = 0) -> Volume:
    values = np.random.default_rng([seed, 2]).normal(size=geometry.shape)
    return Volume(values, geometry, MR)


def linear(geometry: Geometry) -> Volume:
    """Return the volume whose value is a linear function of the place in the world."""
    world = geometry.world(np.moveaxis(np.indices(geometry.shape), 0, -1))
    return Volume(world @ SLOPES + OFFSET, geometry, MR)


def small_turn(seed: int, *, scale: float = 1.0) -> Affine:
    rng = np.random.default_rng([seed, 3])
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_rotvec(rng.uniform(-0.4, 0.4, 3)).as_matrix()
    matrix[:3, 3] = rng.uniform(-3, 3, 3)
    return Affine(matrix)


def inside(volume: Volume | LabelMap, onto: Geometry, transform: object = IDENTITY) -> np.ndarray:
    """Return which voxels of ``onto`` fall between the voxel centres of ``volume``."""
    world = onto.world(np.indices(onto.shape).reshape(3, -1).T)
    at = volume.geometry.voxel(transform.map(world))  # type: ignore[attr-defined]
    last = np.asarray(volume.geometry.shape) - 1
    return ((at > 1e-6) & (at < last - 1e-6)).all(axis=1).reshape(onto.shape)


@FEW
@given(seed=SEEDS)
def test_onto_itself_nothing_changes(seed: int) -> None:
    volume = noise(oblique(seed), seed)
    assert np.array_equal(resample(volume, volume.geometry).array, volume.array)
    through = resample(volume, volume.geometry, Affine(np.eye(4)))
    assert np.allclose(through.array, volume.array, atol=1e-4)
    labels = LabelMap(np.arange(990).reshape(9, 10, 11), volume.geometry)
    assert np.array_equal(resample(labels, labels.geometry, Affine(np.eye(4))).array, labels.array)


@FEW
@given(seed=SEEDS)
def test_a_linear_volume_is_reproduced_exactly(seed: int) -> None:
    """Trilinear interpolation of a linear function is that function, on any grid."""
    volume, onto, turn = linear(oblique(seed)), oblique(seed + 1), small_turn(seed)
    made = resample(volume, onto, turn)
    expected = turn.map(onto.world(np.moveaxis(np.indices(onto.shape), 0, -1))) @ SLOPES + OFFSET
    where = inside(volume, onto, turn)
    assert where.any()
    assert np.allclose(made.array[where], expected[where], atol=2e-4)


@FEW
@given(seed=st.integers(0, 300))
@pytest.mark.parametrize("kind", ["linear", "bspline"])
def test_sheared_grids_reproduce_a_linear_volume_too(seed: int, kind: str) -> None:
    volume, onto = linear(oblique(seed, (12, 13, 14), shear=0.08)), oblique(seed + 1)
    turn = small_turn(seed)
    for source, target in ((volume, onto), (linear(oblique(seed, (12, 13, 14))), onto)):
        made = resample(source, target, turn, interpolation=kind)  # type: ignore[arg-type]
        world = target.world(np.moveaxis(np.indices(target.shape), 0, -1))
        where = inside(source, target, turn)
        if kind == "bspline":  # splines bend at a border where a slope meets its mirror image
            at = source.geometry.voxel(turn.map(world))
            where = ((at > 4.5) & (at < np.asarray(source.geometry.shape) - 5.5)).all(axis=-1)
        assert where.any()
        expected = turn.map(world) @ SLOPES + OFFSET
        assert np.allclose(made.array[where], expected[where], atol=0.02)


@FEW
@given(seed=st.integers(0, 300))
def test_both_paths_agree_where_both_can_go(seed: int) -> None:
    """A shear just above what an ITK image can hold goes another way, to the same values."""
    grid, onto, turn = oblique(seed), oblique(seed + 1), small_turn(seed)
    tiny = grid.world_from_voxel.copy()
    tiny[:3, 1] += 2e-4 * grid.spacing[1] * grid.direction[:, 2]
    volume = noise(grid, seed)
    nearly = Volume(volume.array, Geometry(grid.shape, tiny), MR)
    assert not nearly.geometry.is_orthonormal
    where = inside(volume, onto, turn) & inside(nearly, onto, turn)
    for kind, worst in (("linear", 0.03), ("bspline", 0.03)):
        one = resample(volume, onto, turn, interpolation=kind)  # type: ignore[arg-type]
        two = resample(nearly, onto, turn, interpolation=kind)  # type: ignore[arg-type]
        assert np.abs(one.array - two.array)[where].max() < worst


@FEW
@given(seed=st.integers(0, 300))
def test_nibabel_carries_a_sheared_grid_to_the_same_values(seed: int) -> None:
    volume, onto = noise(oblique(seed, shear=0.1), seed), oblique(seed + 1)
    theirs = resample_from_to(
        nib.Nifti1Image(volume.array.T, volume.geometry.to_ras()),
        (onto.shape[::-1], onto.to_ras()),
        order=1,
    )
    where = inside(volume, onto)
    made = resample(volume, onto).array
    assert np.allclose(made[where], np.asarray(theirs.dataobj).T[where], atol=1e-4)


ORDERS = [
    (order, flips) for order in permutations(range(3)) for flips in product((False, True), repeat=3)
]


def stored_otherwise(
    what: Volume | LabelMap, order: tuple[int, ...], flips: tuple[bool, ...]
) -> Volume | LabelMap:
    """Return the same thing in the world with other axes of the array, some of them reversed."""
    array = what.array.transpose(order)
    matrix = what.geometry.world_from_voxel[:, [*order, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            matrix[:3, 3] += matrix[:3, axis] * (array.shape[axis] - 1)
            matrix[:3, axis] *= -1
    shape = (array.shape[0], array.shape[1], array.shape[2])
    return what.with_array(array, Geometry(shape, matrix))


@pytest.mark.parametrize(("order", "flips"), ORDERS)
def test_flips_and_permutations_change_nothing_in_the_world(
    order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    volume, onto, turn = noise(oblique(1), 1), oblique(2), small_turn(3)
    labels = LabelMap(np.abs(volume.array) * 500 // 1, volume.geometry)
    expected = resample(volume, onto, turn).array
    other = resample(stored_otherwise(volume, order, flips), onto, turn).array
    assert np.allclose(other, expected, atol=1e-4)
    mapped = resample(stored_otherwise(labels, order, flips), onto, turn).array
    assert np.array_equal(mapped, resample(labels, onto, turn).array)
    # and onto a grid that is stored otherwise
    elsewhere = stored_otherwise(noise(onto), order, flips).geometry
    turned = resample(volume, elsewhere, turn)
    back = np.zeros(onto.shape, np.float32)
    index = np.round(onto.voxel(elsewhere.world(np.indices(elsewhere.shape).reshape(3, -1).T)))
    back[tuple(index.astype(int).T)] = turned.array.ravel()
    assert np.allclose(back, expected, atol=1e-4)


@FEW
@given(seed=SEEDS)
def test_label_maps_keep_their_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    given_labels = rng.choice([0, 3, 500, 65535], size=(9, 10, 11))
    for shear in (0.0, 0.05):
        labels = LabelMap(given_labels, oblique(seed, shear=shear), {3: "lesion"})
        made = resample(labels, oblique(seed + 1), small_turn(seed), interpolation="linear")
        assert set(np.unique(made.array)) <= {0, 3, 500, 65535}
        assert made.array.dtype == np.uint16
        assert made.names == labels.names


@pytest.mark.parametrize("shear", [0.0, 0.05])
@pytest.mark.parametrize("kind", ["linear", "nearest", "bspline"])
def test_outside_a_ct_is_air(shear: float, kind: str) -> None:
    grid = oblique(4, (5, 5, 5), shear=shear)
    ct = Volume(np.full(grid.shape, 40), grid, CT)
    far = grid.pad((8, 8, 8), (8, 8, 8))
    made = resample(ct, far, interpolation=kind)  # type: ignore[arg-type]
    assert np.allclose(made.array[8:13, 8:13, 8:13], 40, atol=1e-3)
    assert set(np.round(np.unique(made.array), 2)) == {-1000, 40}
    assert (made.array[:7] == -1000).all()
    pet = resample(Volume(np.full(grid.shape, 3), grid, MODALITIES["PET"]), far)
    assert float(pet.array.min()) == 0
    assert int(resample(LabelMap(np.full(grid.shape, 3), grid), far).array.min()) == 0


@pytest.mark.parametrize("sheared", [False, True])
def test_a_volume_ends_half_a_voxel_out(sheared: bool) -> None:
    """Lower border in, upper border out, on both paths, as in ITK."""
    matrix = np.diag([1.0, 1, 1, 1])
    matrix[0, 1] = 0.25 if sheared else 0.0  # exact in binary
    ct = Volume(np.full((4, 4, 4), 40), Geometry((4, 4, 4), matrix), CT)
    quarter = matrix.copy()
    quarter[:3, 2] *= 0.25
    quarter[:3, 3] = matrix[:3, :3] @ [0, 0, -1]
    line = resample(ct, Geometry((1, 1, 25), quarter)).array[0, 0]
    steps = np.arange(25) * 0.25 - 1
    assert (line == 40).tolist() == ((steps >= -0.5) & (steps < 3.5)).tolist()


def bent(seed: int) -> Displacement:
    grid = oblique(seed, (6, 6, 6))
    shifts = np.random.default_rng(seed).uniform(-1.5, 1.5, (3, 6, 6, 6))
    return Displacement(shifts.astype(np.float32), grid)


@FEW
@given(seed=st.integers(0, 300))
def test_a_chain_interpolates_once(seed: int) -> None:
    """The values are those at the mapped points, from one look into the array."""
    volume, onto = noise(oblique(seed), seed), oblique(seed + 1)
    chain = Chain((small_turn(seed), bent(seed + 2), small_turn(seed + 3)))
    made = resample(volume, onto, chain)
    at = volume.geometry.voxel(chain.map(onto.world(np.indices(onto.shape).reshape(3, -1).T)))
    expected = map_coordinates(volume.array, at.T, order=1).reshape(onto.shape)
    where = inside(volume, onto, chain)
    assert where.any()
    # a point on the border of the field may fall on either side of it
    assert np.quantile(np.abs(made.array - expected)[where], 0.99) < 1e-3


def test_a_field_on_a_sheared_grid_is_carried_too() -> None:
    """Its shifts are linear in the world: what it makes of a linear volume has a closed form."""
    place = oblique(3, (12, 12, 12), shear=0.08)
    spread = np.array([[0.02, 0, 0.01], [0, -0.03, 0], [0.01, 0, 0]])
    world = place.world(np.moveaxis(np.indices(place.shape), 0, -1))
    field = Displacement(np.moveaxis(world @ spread.T, -1, 0).astype(np.float32), place)
    volume, onto = linear(oblique(3, (14, 14, 14))), oblique(4, (5, 5, 5))
    made = resample(volume, onto, field)
    there = onto.world(np.moveaxis(np.indices(onto.shape), 0, -1))
    at = place.voxel(there)
    where = ((at > 0) & (at < 11)).all(axis=-1) & inside(volume, onto, field)
    assert where.sum() > 60
    expected = (there + there @ spread.T) @ SLOPES + OFFSET
    assert np.allclose(made.array[where], expected[where], atol=1e-3)


def test_two_steps_are_not_one() -> None:
    volume, onto = noise(oblique(1), 1), oblique(2)
    once = resample(volume, onto, small_turn(1).then(small_turn(2)))
    twice = resample(resample(volume, onto, small_turn(2)), onto, small_turn(1))
    assert np.abs(once.array - twice.array).mean() > 0.05


def test_the_composite_of_simpleitk_gives_the_same() -> None:
    volume, onto = noise(oblique(5), 5), oblique(6)
    first, second = small_turn(5), small_turn(6)
    composite = sitk.CompositeTransform([itk.transform(second), itk.transform(first)])
    reference = sitk.Image([int(n) for n in onto.shape[::-1]], sitk.sitkUInt8)
    itk.place(reference, onto)
    theirs = sitk.Resample(itk.image(volume), reference, composite, sitk.sitkLinear, 0.0)
    ours = resample(volume, onto, Chain((first, second)))
    assert np.allclose(ours.array, sitk.GetArrayFromImage(theirs), atol=1e-4)


def test_there_and_back_returns_a_smooth_volume() -> None:
    grid = oblique(7, (20, 20, 20))
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    volume = Volume(np.sin(world @ (SLOPES / 8)), grid, MR)
    turn = small_turn(7)
    back = resample(resample(volume, grid, turn), grid, turn.inverse())
    assert np.abs(back.array - volume.array)[7:13, 7:13, 7:13].max() < 0.02


def test_threads_do_not_change_values() -> None:
    volume, onto, turn = noise(oblique(8)), oblique(9), small_turn(8)
    one, two = (resample(volume, onto, turn, threads=threads) for threads in (1, 2))
    assert np.array_equal(one.array, two.array)


def test_apply_goes_the_way_each_thing_means() -> None:
    """A shift by +2 mm: points move by +2, what is seen moves by -2 (it is pulled back)."""
    shift = np.eye(4)
    shift[0, 3] = 2
    grid = Geometry((3, 3, 9), np.eye(4)[:, [2, 1, 0, 3]])
    values = np.zeros(grid.shape)
    values[1, 1, 6] = 1
    moved = apply(Affine(shift), Volume(values, grid, MR), onto=grid)
    assert isinstance(moved, Volume)
    assert np.argwhere(moved.array == 1).tolist() == [[1, 1, 4]]
    labels = apply(Affine(shift), LabelMap(values, grid), onto=grid)
    assert isinstance(labels, LabelMap)
    assert np.argwhere(labels.array == 1).tolist() == [[1, 1, 4]]
    assert apply(Affine(shift), [[4, 1, 1]]).tolist() == [[6, 1, 1]]  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="grid"):
        apply(Affine(shift), labels)


@FEW
@given(seed=SEEDS)
def test_straightening_keeps_things_where_they_are(seed: int) -> None:
    volume = linear(oblique(seed, shear=0.05))
    straight = straighten(volume)
    assert straight.geometry.is_orthonormal
    assert np.allclose(straight.geometry.direction[:, 2], volume.geometry.direction[:, 2])
    corners = straight.geometry.voxel(volume.geometry.corners())
    last = np.asarray(straight.geometry.shape) - 1
    assert (corners > -1e-5).all()
    assert (corners < last + 1e-5).all()
    where = inside(volume, straight.geometry)
    world = straight.geometry.world(np.moveaxis(np.indices(straight.geometry.shape), 0, -1))
    assert np.allclose(straight.array[where], (world @ SLOPES + OFFSET)[where], atol=2e-4)
    left = np.linalg.det(volume.geometry.direction) < 0
    assert (np.linalg.det(straight.geometry.direction) < 0) == left


def test_straightening_has_a_limit() -> None:
    straight = noise(oblique(0))
    assert straighten(straight) is straight
    matrix = np.eye(4)
    matrix[0, 1] = np.tan(np.radians(6))
    volume = noise(Geometry((5, 5, 5), matrix))
    with pytest.raises(GeometryError, match=r"6\.0 degrees") as caught:
        straighten(volume)
    assert caught.value.id == "N10"
    assert straighten(volume, limit_degrees=10).geometry.is_orthonormal


def test_a_right_angled_grid_around_a_mirrored_one() -> None:
    matrix = np.diag([-1.0, 1, 1, 1])
    matrix[1, 0] = 0.05
    made = right_angled(Geometry((5, 6, 7), matrix))
    assert np.linalg.det(made.direction) < 0
    assert made.direction[:, 0] @ matrix[:3, 0] > 0


MEMORY = """
import resource, sys
import numpy as np
import medfuse.resampling as r
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.transform import Affine
from medfuse.volume import Volume
kind, shear = sys.argv[1], float(sys.argv[2])
matrix = np.eye(4)
matrix[0, 1] = shear
def go(shape):
    grid = Geometry(shape, matrix)
    shift = np.eye(4); shift[0, 3] = 0.4
    volume = Volume(np.ones(shape, np.float32), grid, MODALITIES["CT"])
    peak = lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before = peak()
    r.resample(volume, grid, Affine(shift), interpolation=kind)
    return (peak() - before) / volume.array.nbytes
go((8, 8, 8))
print(go((96, 256, 256)))
"""


@pytest.mark.parametrize(
    ("kind", "shear", "copies"),
    [("linear", 0.0, 2.3), ("linear", 0.05, 2.3), ("nearest", 0.0, 2.3)],
)
def test_no_second_copy_in_double_precision(kind: str, shear: float, copies: float) -> None:
    """Beside the volume: its image in ITK and the result there, both float32."""
    made = subprocess.run(
        [sys.executable, "-c", MEMORY, kind, str(shear)], capture_output=True, text=True, check=True
    )
    assert float(made.stdout) < copies


@pytest.mark.parametrize(("moved", "expected"), [(0, 1.0), (12, 0.5), (24, 0.0), (1e9, 0.0)])
def test_overlap_of_two_equal_cubes(moved: float, expected: float) -> None:
    assert overlap(cube(24), cube(24), shift(moved)) == pytest.approx(expected, abs=0.05)


def test_a_small_scan_inside_a_large_one_overlaps_fully() -> None:
    assert overlap(cube(60, 4.0), cube(20), shift(0)) == pytest.approx(1)
    assert overlap(cube(20), cube(60, 4.0), shift(0)) == pytest.approx(1)


def test_two_thin_slabs_across_each_other_share_what_lies_in_both() -> None:
    """A box around both along the axes of the world would call a turned slab's corner shared."""
    turn = np.eye(4)
    turn[1:3, 1:3] = Rotation.from_euler("z", 45, degrees=True).as_matrix()[:2, :2]
    slab = Geometry((4, 4, 80), cube(80).world_from_voxel)
    across = Geometry(slab.shape, turn @ slab.world_from_voxel)
    assert 0 < overlap(slab, across, IDENTITY) < 0.2


@pytest.mark.parametrize("z", [100.0, 103.0, 117.3])
def test_a_thin_or_small_scan_overlaps_a_large_grid_fully(z: float) -> None:
    """Points 20 mm apart over the large grid would miss it between them."""
    large, moved, slab = cube(120, 4.0), shift(0, 0, -z), Geometry((3, 40, 40), np.eye(4))
    assert overlap(large, slab, moved) == pytest.approx(1)
    assert overlap(large, slab, shift(0, 0, -400)) == 0
    assert overlap(large, cube(12), Chain((moved,))) == pytest.approx(1, abs=0.7)
