"""Hostile NIfTI files, one test a row (N1 to N50): refused by name, repaired aloud, or read right.

The files are made by nibabel and patched at the byte offsets of nifti1.h.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import struct
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import GeometryError, InputError, Repair, UsageError, escaped
from medfuse.io.locators import locate
from medfuse.io.volumes import read_labels, read_volume, write_volume
from medfuse.volume import Volume

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
AFFINE[:3, 3] = [-20.0, -30.0, -40.0]
VALUES = (np.random.default_rng(7).random((12, 14, 10)) * 1000).astype("f4")


def saved(path: Path, values: np.ndarray = VALUES, affine: np.ndarray | None = AFFINE) -> Path:
    """Save a NIfTI-1 file with nibabel."""
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


@pytest.fixture
def ok(tmp_path: Path) -> Path:
    """Return a good plain file."""
    return saved(tmp_path / "ok.nii")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Return a good gzip file."""
    return saved(tmp_path / "ok.nii.gz")


def patch(path: Path, offset: int, code: str, *values: object) -> Path:
    """Overwrite bytes of a file."""
    data = bytearray(path.read_bytes())
    struct.pack_into(code, data, offset, *values)
    path.write_bytes(data)
    return path


def changed(path: Path, change: Callable[[nib.Nifti1Image], object]) -> Path:
    """Change the nibabel image of a file and save it again."""
    image = nib.Nifti1Image.from_bytes(path.read_bytes())  # not load: saving over a map is S4
    change(image)
    nib.save(image, path)
    return path


def refused(
    given: Path | str, row: str, words: str, read: Callable[..., object] = read_volume
) -> InputError:
    """Check that reading is refused by row, in one line that names the file, harming nothing."""
    path = locate(str(given)).path
    folder = Path(path).parent
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match=words) as caught:
        read(given)
    error = caught.value
    assert error.id == row
    assert error.exit_code == 3
    assert "\n" not in str(error)
    assert str(error).startswith(f"{escaped(path)}: ")
    assert sorted(folder.iterdir()) == before
    return error


def repaired(path: Path | str, row: str, words: str, **options: object) -> Volume:
    """Check that reading warns of exactly one repair, of this row, and keeps it with the volume."""
    with pytest.warns(Repair, match=words) as caught:
        volume = read_volume(path, **options)  # type: ignore[arg-type]
    assert [entry.message.id for entry in caught] == [row]  # type: ignore[union-attr]
    assert volume.source is not None
    assert [repair.id for repair in volume.source.repairs] == [row]
    assert str(path) not in str(caught[0].message)
    return volume


def same_values(volume: Volume, values: np.ndarray = VALUES) -> bool:
    """Tell whether a volume holds the values of a nibabel array (I, J, K)."""
    return np.array_equal(volume.array, values.T.astype("f4"))


def test_the_base_files_are_good(ok: Path, packed: Path) -> None:
    for path in (ok, packed):
        volume = read_volume(path)
        assert same_values(volume)
        np.testing.assert_allclose(volume.geometry.to_ras(), AFFINE, atol=1e-6)


def test_N1_gzip_cut_in_half(packed: Path) -> None:
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
    refused(packed, "N1", "cut")


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_N2_gzip_trailer_cut(packed: Path, missing: int) -> None:
    packed.write_bytes(packed.read_bytes()[:-missing])
    refused(packed, "N2", "cut")


def test_N3_one_bit_flipped_anywhere_in_the_stream(packed: Path) -> None:
    good = packed.read_bytes()
    silent = []
    for place in range(10, len(good) - 8, len(good) // 40):
        data = bytearray(good)
        data[place] ^= 0x10
        packed.write_bytes(data)
        with contextlib.suppress(InputError):
            silent.append(same_values(read_volume(packed)))
    assert all(silent), "a flipped bit changed the values and nobody said so"


def test_N3_wrong_checksum(packed: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[-6] ^= 1
    packed.write_bytes(data)
    refused(packed, "N3", "checksum is wrong")


def test_N4_plain_file_cut_in_half(ok: Path) -> None:
    size = ok.stat().st_size
    ok.write_bytes(ok.read_bytes()[: size // 2])
    refused(ok, "N4", rf"cut \({size // 2} of {size} bytes")


def test_N4_header_cut(ok: Path) -> None:
    ok.write_bytes(ok.read_bytes()[:200])
    refused(ok, "N4", "its header alone")


@pytest.mark.parametrize("magic", [b"xyz\0", b"\0\0\0\0", b"ni1\0"])
def test_N5_wrong_magic(ok: Path, magic: bytes) -> None:
    refused(patch(ok, 344, "4s", magic), "N5", "magic word|half of a .hdr/.img pair")


@pytest.mark.parametrize("size", [0, -5])
def test_N6_size_not_positive(ok: Path, size: int) -> None:
    refused(patch(ok, 42, "<h", size), "N6", "not all are positive")


@pytest.mark.parametrize("rank", [0, 8, -1])
def test_N6_number_of_dimensions(ok: Path, rank: int) -> None:
    refused(patch(ok, 40, "<h", rank), "N6", f"declares {rank} dimensions")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_N7_sform_not_finite(ok: Path, value: float) -> None:
    refused(patch(ok, 280, "<4f", value, 0, 0, 0), "N7", "not finite")


def test_N8_singular_sform(ok: Path) -> None:
    changed(ok, lambda i: (i.set_sform(np.diag([2, 2, 0, 1]), 1), i.set_qform(None, 0)))
    refused(ok, "N8", "singular")


def test_N9_left_handed_grid_gives_the_same_place_in_the_world(tmp_path: Path) -> None:
    mirrored = AFFINE.copy()
    mirrored[0, 0], mirrored[0, 3] = -2.0, AFFINE[0, 3] + 2.0 * 11
    left = read_volume(saved(tmp_path / "las.nii", VALUES[::-1], mirrored))
    right = read_volume(saved(tmp_path / "ras.nii"))
    assert same_values(left, VALUES[::-1])  # no flip of the data
    point = left.geometry.world([3, 4, 11 - 5])
    np.testing.assert_allclose(point, right.geometry.world([3, 4, 5]), atol=1e-4)
    assert left.array[3, 4, 11 - 5] == right.array[3, 4, 5]


def sheared(path: Path, degrees: float) -> Path:
    """Save a file whose first two axes deviate so much from a right angle; sform only."""
    affine = AFFINE.copy()
    affine[:3, 1] = 2.0 * np.array([np.sin(np.radians(degrees)), np.cos(np.radians(degrees)), 0])
    saved(path, VALUES, affine)
    return changed(path, lambda i: (i.set_sform(affine, 1), i.set_qform(None, 0)))


def test_N10_small_shear_is_read_as_it_lies(tmp_path: Path) -> None:
    path = sheared(tmp_path / "sheared.nii", 4.0)
    volume = read_volume(path)
    assert same_values(volume)
    assert not volume.geometry.is_orthonormal
    assert volume.geometry.shear_degrees == pytest.approx(4.0, abs=1e-4)
    np.testing.assert_allclose(volume.geometry.to_ras(), nib.load(path).affine, atol=1e-5)


def test_N10_small_shear_is_resampled_on_write(tmp_path: Path) -> None:
    volume = read_volume(sheared(tmp_path / "sheared.nii", 4.0))
    with pytest.warns(Repair, match=r"sheared by 4.00 degrees") as caught:
        made = write_volume(volume, tmp_path / "straight.nii.gz")
    assert [entry.message.id for entry in caught] == ["N10"]  # type: ignore[union-attr]
    straight = read_volume(made)
    assert straight.geometry.is_orthonormal
    # a voxel's world point still holds its value, to interpolation
    middle = straight.geometry.voxel(volume.geometry.world([5, 7, 6]))
    assert np.all(middle > 0)
    assert np.all(middle < np.asarray(straight.geometry.shape) - 1)


def test_N10_large_shear_is_refused(tmp_path: Path) -> None:
    error = refused(sheared(tmp_path / "sheared.nii", 16.7), "N10", "sheared by 16.7 degrees")
    assert isinstance(error, GeometryError)


def two_forms(path: Path, shift_mm: float) -> Path:
    """Give a file a qform that lies ``shift_mm`` beside its sform."""
    moved = AFFINE.copy()
    moved[0, 3] += shift_mm
    return changed(path, lambda i: (i.set_qform(moved, 1), i.set_sform(AFFINE, 2)))


def test_N11_forms_far_apart(ok: Path) -> None:
    two_forms(ok, 50.0)
    error = refused(ok, "N11", "sform and its qform place it up to 50 mm apart")
    assert "xform=sform" in error.hint
    for xform, x in (("sform", -20.0), ("qform", 30.0)):
        for volume in (read_volume(ok, xform=xform), read_volume(f"{ok}:xform={xform}")):
            assert volume.geometry.to_ras()[0, 3] == pytest.approx(x)


def test_N11_forms_nearly_the_same(ok: Path) -> None:
    volume = repaired(two_forms(ok, 0.05), "N11", "differ by 0.050 mm")
    assert volume.geometry.to_ras()[0, 3] == pytest.approx(-20.0)


def test_N11_an_xform_that_is_not_there(ok: Path) -> None:
    changed(ok, lambda i: i.set_qform(None, 0))
    with pytest.raises(UsageError, match="has no qform"):
        read_volume(ok, xform="qform")


def test_N12_no_position(ok: Path) -> None:
    changed(ok, lambda i: (i.set_qform(None, 0), i.set_sform(None, 0)))
    assert "centred=ok" in refused(ok, "N12", "does not say where it lies").hint
    volume = repaired(ok, "N12", "taken as centred", centred=True)
    np.testing.assert_allclose(volume.geometry.to_ras(), nib.load(ok).affine, atol=1e-5)
    np.testing.assert_allclose(volume.geometry.centre, 0, atol=1e-5)


@pytest.mark.parametrize(("code", "mm"), [(1, 1000.0), (3, 1e-3)])
def test_N13_units_become_millimetres(ok: Path, code: int, mm: float) -> None:
    scaled = np.diag([1 / mm, 1 / mm, 1 / mm, 1.0]) @ AFFINE
    changed(ok, lambda i: (i.set_sform(scaled, 1), i.set_qform(scaled, 1)))
    volume = repaired(patch(ok, 123, "B", code), "N13", "converted to mm")
    np.testing.assert_allclose(volume.geometry.to_ras(), AFFINE, rtol=1e-5)


def test_N13_unknown_unit_is_mm(ok: Path) -> None:
    volume = read_volume(patch(ok, 123, "B", 0))
    np.testing.assert_allclose(volume.geometry.to_ras(), AFFINE, rtol=1e-6)


def test_N14_slope_zero_keeps_the_values(ok: Path) -> None:
    assert same_values(read_volume(patch(ok, 112, "<2f", 0, 0)))


@pytest.mark.parametrize("slope", [np.nan, np.inf])
def test_N14_slope_not_finite_keeps_the_values(ok: Path, slope: float) -> None:
    assert same_values(repaired(patch(ok, 112, "<2f", slope, 0), "N14", "not scaled"))


def test_N15_slope_zero_ignores_the_intercept(ok: Path) -> None:
    assert same_values(repaired(patch(ok, 112, "<2f", 0, -1024), "N15", "intercept -1024"))


def test_N16_negative_slope(tmp_path: Path) -> None:
    path = saved(tmp_path / "i16.nii", VALUES.astype("i2"))
    volume = read_volume(patch(path, 112, "<2f", -1, 0))
    assert same_values(volume, -VALUES.astype("i2").astype("f4"))


def test_N16_labels_must_be_whole_after_scaling(tmp_path: Path) -> None:
    path = saved(tmp_path / "labels.nii", (VALUES > 500).astype("u1") + (VALUES > 800))
    assert np.unique(read_labels(path).array).tolist() == [0, 1, 2]
    patch(path, 112, "<2f", 0.5, 0)
    refused(path, "N16", "holds 0.5, which is no label", read_labels)


@pytest.mark.parametrize("value", [-1, 70000])
def test_N16_labels_out_of_range(tmp_path: Path, value: int) -> None:
    values = np.zeros((4, 4, 4), "i4")
    values[1, 1, 1] = value
    refused(saved(tmp_path / "labels.nii", values), "N16", str(value), read_labels)


def test_N17_large_whole_numbers(tmp_path: Path) -> None:
    values = np.zeros((4, 4, 4), "i8")
    values[0, 0, 0], values[1, 1, 1] = 5 << 40, 3
    path = tmp_path / "i64.nii"
    nib.save(nib.Nifti1Image(values, AFFINE, dtype="i8"), path)
    volume = repaired(path, "N17", "2\\^24")
    assert volume.array[0, 0, 0] == np.float32(5 << 40)
    assert volume.array[1, 1, 1] == 3


def test_N17_labels_keep_whole_numbers(tmp_path: Path) -> None:
    values = np.arange(64, dtype="i8").reshape(4, 4, 4) * 1000
    path = tmp_path / "labels.nii"
    nib.save(nib.Nifti1Image(values, AFFINE, dtype="i8"), path)
    assert np.array_equal(read_labels(path).array, values.T)


def test_N18_unknown_type(ok: Path) -> None:
    refused(patch(ok, 70, "<h", 4096), "N18", "unknown type 4096")


def test_N18_bits_that_disagree_with_the_type(ok: Path) -> None:
    assert same_values(repaired(patch(ok, 72, "<h", 16), "N18", "16 bits"))


def test_N19_complex(tmp_path: Path) -> None:
    refused(saved(tmp_path / "c.nii", VALUES.astype("c8")), "N19", "complex.*magnitude")


def test_N20_colour(tmp_path: Path) -> None:
    rgb = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    refused(saved(tmp_path / "rgb.nii", rgb), "N20", "colours")


def test_N21_values_beyond_float32(tmp_path: Path) -> None:
    refused(saved(tmp_path / "f8.nii", VALUES.astype("f8") * 1e300), "N21", "exceed float32")


def test_N21_scaled_values_beyond_float32(tmp_path: Path) -> None:
    path = saved(tmp_path / "i16.nii", VALUES.astype("i2"))
    refused(patch(path, 112, "<2f", 1e37, 0), "N21", "exceed float32")


def test_N22_two_dimensions(tmp_path: Path) -> None:
    refused(saved(tmp_path / "flat.nii", VALUES[:, :, 0]), "N22", "needs 3-D")


def test_N23_four_dimensions(tmp_path: Path) -> None:
    series = np.stack([VALUES + n for n in range(5)], axis=-1)
    path = saved(tmp_path / "series.nii.gz", series)
    assert "volume=4" in refused(path, "N23", "holds 5 volumes").hint
    for n in range(5):
        assert same_values(read_volume(path, volume=n), series[..., n])
    assert same_values(read_volume(f"{path}:volume=3"), series[..., 3])
    with pytest.raises(InputError, match="has no volume=5"):
        read_volume(path, volume=5)


def test_N23_last_dimension_of_one(tmp_path: Path) -> None:
    assert same_values(read_volume(saved(tmp_path / "one.nii", VALUES[..., None])))


def test_N24_vectors(tmp_path: Path) -> None:
    field = np.zeros((4, 4, 4, 1, 3), "f4")
    refused(saved(tmp_path / "warp.nii", field), "N24", "vectors")
    assert read_volume(saved(tmp_path / "one.nii", field[..., :1])).array.shape == (4, 4, 4)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_N25_a_constant_volume_is_read(tmp_path: Path, value: float) -> None:
    assert (
        read_volume(saved(tmp_path / "flat.nii", np.full_like(VALUES, value))).array.max() == value
    )


def test_N26_all_nan(tmp_path: Path) -> None:
    refused(saved(tmp_path / "nan.nii", np.full_like(VALUES, np.nan)), "N26", "no finite value")


def test_N27_single_voxels_are_filled_with_the_minimum(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[5, 6, 4], values[3, 3, 3] = np.inf, np.nan
    volume = repaired(saved(tmp_path / "holes.nii", values), "N27", "2 voxels .* minimum")
    least = values[np.isfinite(values)].min()
    assert volume.array[4, 6, 5] == volume.array[3, 3, 3] == least
    values[5, 6, 4] = values[3, 3, 3] = least
    assert same_values(volume, values)


def test_N27_nan_at_the_border_is_outside_the_field_of_view(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[:3] = np.nan  # a quarter of all
    path = saved(tmp_path / "scan_ct.nii", values)
    volume = repaired(path, "N27", r"420 NaN voxels at the border .* air \(-1000\)")
    assert (volume.array[..., :3] == -1000).all()
    assert same_values(volume, np.where(np.isnan(values), -1000, values))
    assert (repaired(path, "N27", r"air \(0\)", modality="T1").array[..., :3] == 0).all()


def test_N27_too_many_inside(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[4:8, 4:8, 4:6] = np.nan  # 32 of 1680 inside
    refused(saved(tmp_path / "holes.nii", values), "N27", "32 of 1680 values are not finite")


def test_N27_infinite_values_at_the_border_do_not_count_as_outside(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[:3] = np.inf
    refused(saved(tmp_path / "holes.nii", values), "N27", "420 of 1680")


def test_N28_header_of_a_giant(ok: Path) -> None:
    patch(ok, 42, "<3h", 30000, 30000, 30000)
    ok.write_bytes(ok.read_bytes()[:352])
    refused(ok, "N28", "declares 27000000000000 voxels")


def test_N28_declares_more_than_the_file_holds(ok: Path) -> None:
    patch(ok, 42, "<3h", 1200, 1200, 1200)
    ok.write_bytes(ok.read_bytes()[:352])
    refused(ok, "N28", "352 of 6912000352 bytes")


def test_N28_declares_more_than_a_gzip_stream_can_hold(packed: Path, ok: Path) -> None:
    packed.write_bytes(gzip.compress(patch(ok, 42, "<3h", 1200, 1200, 1200).read_bytes()))
    refused(packed, "N29", "more than its .* can hold")


def test_N28_a_stream_that_inflates_to_more_than_declared(packed: Path, ok: Path) -> None:
    packed.write_bytes(gzip.compress(ok.read_bytes() + bytes(1 << 22)))
    refused(packed, "N29", "inflates to more than")


def test_N29_some_bytes_behind_the_voxels_are_ignored_aloud(ok: Path) -> None:
    ok.write_bytes(ok.read_bytes() + b"tail")
    assert same_values(repaired(ok, "N29", "4 bytes after the voxels"))


@pytest.mark.parametrize("shape", [(12, 14, 1), (1, 1, 1)])
def test_N30_thin_volumes_are_read(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    volume = read_volume(saved(tmp_path / "thin.nii", VALUES[: shape[0], : shape[1], : shape[2]]))
    assert volume.geometry.shape == shape[::-1]


def test_N31_plain_file_named_gz(tmp_path: Path, ok: Path) -> None:
    path = ok.rename(tmp_path / "plain.nii.gz")
    assert same_values(repaired(path, "N31", "not compressed as its name says"))


def test_N32_gzip_named_nii(tmp_path: Path, packed: Path) -> None:
    path = packed.rename(tmp_path / "packed.nii")
    assert same_values(repaired(path, "N32", "is compressed"))


def test_N31_nifti_named_nrrd(tmp_path: Path, ok: Path) -> None:
    path = ok.rename(tmp_path / "scan.nrrd")
    assert same_values(repaired(path, "N31", "is NIfTI, not NRRD"))


@pytest.mark.parametrize("kind", ["i2", "f4", "f8"])
def test_N33_big_endian(tmp_path: Path, kind: str) -> None:
    header = nib.Nifti1Header(endianness=">")
    path = tmp_path / "big.nii"
    nib.save(nib.Nifti1Image(VALUES.astype(kind), AFFINE, header), path)
    assert path.read_bytes()[:4] == b"\0\0\x01\x5c"
    volume = read_volume(path)
    assert same_values(volume, VALUES.astype(kind))
    np.testing.assert_allclose(volume.geometry.to_ras(), AFFINE, atol=1e-6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_N34_nifti_2(tmp_path: Path, order: str) -> None:
    path = tmp_path / "two.nii.gz"
    nib.save(nib.Nifti2Image(VALUES, AFFINE, nib.Nifti2Header(endianness=order)), path)
    volume = read_volume(path)
    assert same_values(volume)
    np.testing.assert_allclose(volume.geometry.to_ras(), AFFINE, atol=1e-12)


def test_N35_extension_that_runs_into_the_voxels(ok: Path) -> None:
    patch(ok, 348, "<4B", 1, 0, 0, 0)
    patch(ok, 108, "<f", 368.0)
    data = ok.read_bytes()
    for length in (2**31 - 1, -16, 32, 4):
        extension = struct.pack("<2i8s", length, 6, b"comment")
        ok.write_bytes(data[:352] + extension + data[352:])
        refused(ok, "N35", "does not end before the voxels")


@pytest.mark.parametrize("offset", [352.0, 0.0, 356.0])
@pytest.mark.parametrize("length", [16, 2**31 - 16])
def test_N35_extension_slipped_in_before_the_voxels(ok: Path, offset: float, length: int) -> None:
    """The voxels moved, what says where they begin did not: they would be read shifted."""
    patch(ok, 348, "<4B", 1, 0, 0, 0)
    patch(ok, 108, "<f", offset)
    data = ok.read_bytes()
    ok.write_bytes(data[:352] + struct.pack("<2i8s", length, 6, b"comment") + data[352:])
    refused(ok, "N35", "before one could end")


def test_N35_good_extensions_are_skipped(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VALUES, AFFINE)
    for text in (b"one", b"another and longer comment " * 40):
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", text))
    nib.save(image, tmp_path / "extended.nii.gz")
    assert same_values(read_volume(tmp_path / "extended.nii.gz"))


def test_N36_offset_zero_means_the_end_of_the_header(ok: Path) -> None:
    assert same_values(repaired(patch(ok, 108, "<f", 0.0), "N36", "352 is meant"))


@pytest.mark.parametrize("offset", [1.0, 348.0, 351.0, -8.0])
def test_N36_offset_inside_the_header(ok: Path, offset: float) -> None:
    refused(patch(ok, 108, "<f", offset), "N36", "inside the header")


@pytest.mark.parametrize("offset", [1e9, np.nan, np.inf, 352.5])
def test_N37_offset_that_cannot_be(ok: Path, offset: float) -> None:
    refused(patch(ok, 108, "<f", offset), "N37", "voxels begin at byte")


@pytest.mark.parametrize("size", [0.0, -2.0, np.nan])
def test_N38_voxel_size_not_positive(ok: Path, size: float) -> None:
    changed(ok, lambda i: (i.set_qform(None, 0), i.set_sform(None, 0)))
    patch(ok, 80, "<f", size)
    refused(ok, "N38", "not all positive")
    refused(f"{ok}:centred=ok", "N38", "not all positive")


def test_N39_quaternion_that_is_no_rotation(ok: Path) -> None:
    changed(ok, lambda i: (i.set_qform(AFFINE, 1), i.set_sform(None, 0)))
    refused(patch(ok, 256, "<3f", 5, 5, 5), "N39", r"quaternion \(5, 5, 5\)")


def test_N39_a_bad_quaternion_beside_a_good_sform_needs_a_word(ok: Path) -> None:
    changed(ok, lambda i: (i.set_qform(AFFINE, 1), i.set_sform(AFFINE, 1)))
    refused(patch(ok, 256, "<3f", 5, 5, 5), "N39", "xform=sform")
    assert same_values(read_volume(ok, xform="sform"))


def test_N40_links(tmp_path: Path, ok: Path) -> None:
    (tmp_path / "good.nii").symlink_to(ok)
    assert same_values(read_volume(tmp_path / "good.nii"))
    (tmp_path / "dangling.nii").symlink_to(tmp_path / "nothing.nii")
    refused(tmp_path / "dangling.nii", "N40", "link to nothing")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    refused(tmp_path / "loop.nii", "N40", "link")
    refused(tmp_path / "missing.nii", "N40", "no such file")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "ok.nii/inside.nii"])
def test_N40_names_that_cannot_be(tmp_path: Path, ok: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        read_volume(tmp_path / name)
    assert caught.value.id == "N40"
    assert "\0" not in str(caught.value)


def test_N41_folder_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.nii.gz").mkdir()
    refused(tmp_path / "x.nii.gz", "N41", "is a folder")


def test_N42_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii")
    refused(tmp_path / "pipe.nii", "N42", "not a regular file")


def test_N43_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.nii").touch()
    refused(tmp_path / "empty.nii", "N43", "empty")


def test_N44_not_permitted(ok: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ok.chmod(0)
    if os.access(ok, os.R_OK):  # root may read all
        monkeypatch.setattr(os, "access", lambda *_: False)
    refused(ok, "N44", "permission denied")
    ok.chmod(0o600)


@pytest.mark.parametrize(
    "name",
    ["a b.nii", "脑.nii.gz", "🧠.nii", "new\nline.nii", "-rf.nii", "%s%n.nii", "x" * 240 + ".nii"],
)
def test_N45_odd_names(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name)
    assert same_values(read_volume(path))
    assert same_values(read_volume(str(path)))
    path.write_bytes(path.read_bytes()[:100])
    error = refused(path, "N1" if name.endswith("gz") else "N4", "cut")
    assert "\n" not in str(error)


def test_N45_marks_in_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a\u202eb\x1b[31m.nii"
    path.touch()
    assert r"a\u202eb\x1b[31m.nii" in str(refused(path, "N43", "empty"))


def test_N46_name_that_starts_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "~nobody_by_that_name.nii")
    monkeypatch.chdir(tmp_path)
    assert same_values(read_volume("~nobody_by_that_name.nii"))


def test_N47_name_that_is_not_utf8(tmp_path: Path, packed: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.nii.gz")
    packed.rename(name)
    assert same_values(read_volume(name))
    Path(name).write_bytes(b"")
    with pytest.raises(InputError, match="empty") as caught:
        read_volume(name)
    str(caught.value).encode()  # the escaped name can be shown


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html>\n<html>404</html>", "web page"),
        (b"\xef\xbb\xbf \n<html lang='en'>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git-lfs pointer"),
        (b"/annex/objects/SHA256E-s1--0.nii.gz\n", "git-annex pointer"),
    ],
)
def test_N48_not_the_file_but_a_page_about_it(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(content)
    refused(path, "N48", words)


def test_N48_something_else(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    refused(path, "N5", "none of the formats")


def test_D28_zip(tmp_path: Path) -> None:
    path = tmp_path / "scan.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    refused(path, "D28", "zip archive; unzip it first")


@pytest.mark.parametrize("name", ["OK.NII.GZ", "ok", "ok.bin", "OK.Nii"])
def test_N49_names_do_not_matter(tmp_path: Path, ok: Path, packed: Path, name: str) -> None:
    path = (packed if name == "OK.NII.GZ" else ok).rename(tmp_path / name)
    assert same_values(read_volume(path))


def test_N50_the_file_that_was_named_and_not_its_neighbour(tmp_path: Path) -> None:
    saved(tmp_path / "p.nii", np.full_like(VALUES, 2))
    saved(tmp_path / "p.nii.gz", np.full_like(VALUES, 1))
    assert (read_volume(tmp_path / "p.nii.gz").array == 1).all()
    assert (read_volume(tmp_path / "p.nii").array == 2).all()


def test_options_that_mean_nothing_here(ok: Path) -> None:
    for option in ({"series": "1.2.3"}, {"gaps": True}, {"stack": "1"}):
        with pytest.raises(UsageError, match="means nothing for NIfTI"):
            read_volume(ok, **option)  # type: ignore[arg-type]


def test_giants_are_refused_before_memory_is_taken(tmp_path: Path, ok: Path) -> None:
    path = tmp_path / "giant.nii.gz"
    path.write_bytes(gzip.compress(patch(ok, 42, "<3h", 1200, 1200, 1200).read_bytes()))
    script = textwrap.dedent(
        f"""
        import resource
        from medfuse.errors import InputError
        from medfuse.io.volumes import read_volume
        import medfuse.io.nifti
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), used + (100 << 20)))
        try:
            read_volume({str(path)!r})
        except InputError as error:
            print(error.id)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "N29"


def test_fuzzed_headers_are_read_like_nibabel_or_refused(ok: Path) -> None:
    """Whatever a header says: no crash, no other kind of error, and never another grid (N51)."""
    good = ok.read_bytes()
    rng = np.random.default_rng(11)
    read = 0
    for _ in range(300):
        data = bytearray(good)
        for place in rng.integers(0, 352, rng.integers(1, 4)):
            data[place] = rng.integers(256)
        ok.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                volume = read_volume(ok)
            except (InputError, UsageError):
                continue
            read += 1
            assert np.isfinite(volume.array).all()
            if any(repair.id == "N13" for repair in volume.source.repairs):  # type: ignore[union-attr]
                continue
            oracle = nib.Nifti1Image.from_bytes(bytes(data))
        np.testing.assert_allclose(volume.geometry.to_ras(), oracle.affine, rtol=1e-4, atol=1e-3)
    assert read > 50


def test_no_row_is_forgotten() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    rows = {int(row) for row in re.findall(r"def test_N(\d+)_", text)}
    assert rows == {*range(1, 51)}
