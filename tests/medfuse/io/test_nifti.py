"""NIfTI in and out: the same world points as nibabel and SimpleITK, the same bytes each time."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

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
from medfuse.io import nifti
from medfuse.modality import MODALITIES
from medfuse.volume import LabelMap, Volume

SHAPE = (7, 6, 5)  # D, H, W
VALUES = np.random.default_rng(3).normal(300, 100, SHAPE).astype("f4")

angles = st.floats(-np.pi, np.pi)
sizes = st.floats(0.4, 6.0)
turns = st.tuples(angles, angles, angles)
steps = st.tuples(sizes, sizes, sizes)
orders = st.permutations(range(3))
flips = st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)


def oblique(turn: tuple, step: tuple, order: list[int], flip: tuple) -> np.ndarray:
    """Return a RAS+ affine: turned, anisotropic, axes permuted and flipped (left-handed too)."""
    affine = np.eye(4)
    axes = Rotation.from_euler("xyz", turn).as_matrix()[:, order] * flip
    affine[:3, :3] = axes * step
    affine[:3, 3] = [-71.5, 33.25, -12.0]
    return affine


def volume_on(affine: np.ndarray, values: np.ndarray = VALUES) -> Volume:
    """Return a volume on the grid of a RAS+ affine."""
    geometry = Geometry.from_ras(values.shape[::-1], affine)
    return Volume(values, geometry, MODALITIES["T1"])


@settings(max_examples=40)
@given(turns, steps, orders, flips, st.booleans(), st.booleans())
def test_world_points_are_those_of_nibabel_and_simpleitk(
    tmp_path_factory: pytest.TempPathFactory,
    turn: tuple,
    step: tuple,
    order: list[int],
    flip: tuple,
    with_qform: bool,
    with_sform: bool,
) -> None:
    affine = oblique(turn, step, order, flip)
    image = nib.Nifti1Image(VALUES.T, affine)
    image.set_qform(affine, int(with_qform or not with_sform))
    image.set_sform(affine, int(with_sform))
    path = tmp_path_factory.mktemp("oblique") / "scan.nii"
    nib.save(image, path)

    read = nifti.read(path, {})
    loaded = nib.load(path)
    voxels = np.array([[0, 0, 0], [6, 5, 4], [2, 0, 3], [0, 5, 1]])  # d, h, w
    ours = read.geometry.world(voxels)
    theirs = nib.affines.apply_affine(loaded.affine, voxels[:, ::-1]) * [-1, -1, 1]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    for d, h, w in voxels:
        assert read.array[d, h, w] == loaded.dataobj[w, h, d]

    seen = sitk.ReadImage(str(path))
    points = [seen.TransformIndexToPhysicalPoint([int(n) for n in at[::-1]]) for at in voxels]
    # ITK makes its own rotation of what is stored: 0.1 mm where a float32 quaternion is half a turn
    np.testing.assert_allclose(ours, points, atol=0.1 if not with_sform else 0.02)


@settings(max_examples=40)
@given(turns, steps, orders, flips)
def test_what_we_write_lies_where_it_lay(
    tmp_path_factory: pytest.TempPathFactory,
    turn: tuple,
    step: tuple,
    order: list[int],
    flip: tuple,
) -> None:
    volume = volume_on(oblique(turn, step, order, flip))
    path = tmp_path_factory.mktemp("written") / "scan.nii.gz"
    nifti.write(volume, path)
    for made in (nifti.read(path, {}), nifti.read(path, {"xform": "sform"})):
        np.testing.assert_allclose(
            made.geometry.corners(), volume.geometry.corners(), rtol=1e-6, atol=1e-4
        )
        assert made.repairs == ()
        assert np.array_equal(made.array, VALUES)
    image = nib.load(path)
    np.testing.assert_allclose(image.affine, volume.geometry.to_ras(), rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=0.01)
    seen = itk.geometry(sitk.ReadImage(str(path)))
    assert seen.same_grid(volume.geometry, tolerance=1e-3)


def test_the_header_says_scanner_mm_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    nifti.write(volume_on(np.diag([2.0, 2.0, 3.0, 1.0])), path)
    header = nib.load(path).header
    assert header.get_xyzt_units() == ("mm", "unknown")
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    assert path.read_bytes()[112:120] == np.array([1, 0], "<f4").tobytes()  # slope, intercept
    assert header["vox_offset"] == 0  # nibabel's word for 352 in memory
    for field in ("descrip", "aux_file", "intent_name", "db_name", "data_type"):
        assert header[field].item() == b""
    assert int(header["intent_code"]) == 0
    assert path.read_bytes()[348:352] == bytes(4)


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    volume = volume_on(np.eye(4))
    for name in ("one.nii.gz", "two.nii.gz"):
        nifti.write(volume, tmp_path / name)
    one, two = ((tmp_path / f"{name}.nii.gz").read_bytes() for name in ("one", "two"))
    assert one == two
    assert one[:10] == b"\x1f\x8b\x08\x00" + bytes(4) + one[8:10]  # no name, time 0
    nifti.write(volume, tmp_path / "plain.nii")
    assert gzip.decompress(one) == (tmp_path / "plain.nii").read_bytes()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 2], "int16"),
        ([-1024, 3071, 0], "int16"),
        ([-32768, 32767, 0], "int16"),
        ([0, 40000, 65535], "uint16"),
        ([-1, 40000, 5], "float32"),
        ([0, 0.5, 1], "float32"),
        ([0, 70000, 1], "float32"),
        ([7, 7, 7], "int16"),
        ([40000, 40000, 40000], "uint16"),
    ],
)
def test_whole_numbers_are_stored_as_such(tmp_path: Path, values: list[float], kind: str) -> None:
    array = np.resize(np.array(values, "f4"), SHAPE)
    path = tmp_path / "scan.nii.gz"
    nifti.write(volume_on(np.eye(4), array), path)
    image = nib.load(path)
    assert image.get_data_dtype() == kind
    assert np.array_equal(np.asarray(image.dataobj), array.T)


@pytest.mark.parametrize(("most", "kind"), [(3, "uint8"), (255, "uint8"), (256, "uint16")])
def test_labels_are_stored_as_labels(tmp_path: Path, most: int, kind: str) -> None:
    array = np.zeros(SHAPE, "u2")
    array[1, 2, 3] = most
    path = tmp_path / "labels.nii.gz"
    nifti.write(LabelMap(array, Geometry(SHAPE, np.eye(4))), path)
    assert nib.load(path).get_data_dtype() == kind
    assert nifti.read(path, {}).array.dtype == kind
    assert np.array_equal(nifti.read(path, {}).array, array)


def test_a_sheared_grid_is_not_written(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.05
    with pytest.raises(GeometryError, match="sheared"):
        nifti.write(volume_on(affine), tmp_path / "scan.nii")


def test_a_side_too_long_for_nifti_1(tmp_path: Path) -> None:
    array = np.arange(40000, dtype="f4").reshape(1, 1, 40000) + 0.5
    path = tmp_path / "long.nii.gz"
    nifti.write(volume_on(np.diag([0.1, 1, 1, 1]), array), path)
    assert isinstance(nib.load(path), nib.Nifti2Image)
    assert np.array_equal(nifti.read(path, {}).array, array)


def test_scaling_is_nibabels(tmp_path: Path) -> None:
    """Slope and intercept act in float64, then round once to float32."""
    values = np.random.default_rng(5).integers(-(2**31), 2**31, SHAPE, dtype="i4")
    image = nib.Nifti1Image(values.T, np.eye(4))
    image.header.set_slope_inter(0.1, 17)
    path = tmp_path / "scaled.nii"
    nib.save(image, path)
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([0.1, 17], "<f4").tobytes()
    path.write_bytes(data)
    wanted = np.asarray(nib.load(path).dataobj, dtype="f8").T.astype("f4")
    assert np.array_equal(nifti.read(path, {}).array, wanted)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_in_both_byte_orders(tmp_path: Path, kind: str, order: str) -> None:
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(kind)
    path = tmp_path / "typed.nii"
    header = nib.Nifti1Header(endianness=order)
    nib.save(nib.Nifti1Image(values.T, np.eye(4), header, dtype=np.dtype(kind)), path)
    image = nifti.read(path, {})
    assert image.array.dtype == np.dtype(kind)
    assert np.array_equal(image.array, values)
    assert image.array.flags.c_contiguous


def test_the_checksum_is_that_of_the_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    nifti.write(volume_on(np.eye(4)), path)
    assert nifti.read(path, {}).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_several_gzip_members(tmp_path: Path) -> None:
    plain = tmp_path / "scan.nii"
    nifti.write(volume_on(np.eye(4)), plain)
    data = plain.read_bytes()
    path = tmp_path / "members.nii.gz"
    path.write_bytes(b"".join(gzip.compress(data[n : n + 100]) for n in range(0, len(data), 100)))
    # the header spans members, as in files made by bgzip
    assert np.array_equal(nifti.read(path, {}).array, VALUES)
    path.write_bytes(path.read_bytes() + bytes(512))
    assert np.array_equal(nifti.read(path, {}).array, VALUES)


@pytest.mark.parametrize(
    ("head", "ours"),
    [
        (nib.Nifti1Header().binaryblock, True),
        (nib.Nifti2Header(endianness=">").binaryblock, True),
        (b"NRRD0005\n", False),
        (b"", False),
        (bytes(128) + b"DICM", False),
    ],
)
def test_sniff(head: bytes, ours: bool) -> None:
    assert nifti.sniff(head) is ours
