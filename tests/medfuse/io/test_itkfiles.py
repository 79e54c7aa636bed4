"""NRRD and MetaImage files against SimpleITK, which wrote or reads them, and on real scans."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfuse import itk
from medfuse.errors import GeometryError, InputError, Repair
from medfuse.geometry import Geometry
from medfuse.io import itkfiles
from medfuse.io.volumes import read_labels, read_volume, write_labels, write_volume
from medfuse.modality import MODALITIES
from medfuse.volume import LabelMap, Volume

SUFFIXES = [".nrrd", ".nhdr", ".mha", ".mhd"]
TYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]


def oblique(seed: int, *, mirrored: bool = False) -> Geometry:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() * rng.uniform(0.4, 6, 3)
    matrix[:3, 0] *= -1 if mirrored else 1
    matrix[:3, 3] = rng.uniform(-200, 200, 3)
    return Geometry((4, 5, 6), matrix)


def scan(geometry: Geometry, seed: int = 0) -> Volume:
    values = np.random.default_rng(seed).normal(size=geometry.shape).astype(np.float32)
    return Volume(values, geometry, MODALITIES["MR"])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", TYPES)
def test_what_itk_wrote_reads_equal(
    tmp_path: Path, suffix: str, compressed: bool, dtype: str
) -> None:
    values = (np.random.default_rng(1).random((4, 5, 6)) * 120).astype(dtype)
    image = sitk.GetImageFromArray(values)
    itk.place(image, oblique(3, mirrored=True))
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image, path, compressed)
    read = itkfiles.read(path, {})
    assert read.array.dtype == np.dtype(dtype)
    assert np.array_equal(read.array, values)
    assert read.geometry.same_grid(oblique(3, mirrored=True), tolerance=1e-9)
    assert itkfiles.sniff(path.read_bytes()[:4096])


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@given(seed=st.integers(0, 99), mirrored=st.booleans())
def test_what_we_write_reads_equal_in_itk(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int, mirrored: bool
) -> None:
    volume = scan(oblique(seed, mirrored=mirrored), seed)
    path = tmp_path_factory.mktemp("w") / f"a{suffix}"
    itkfiles.write(volume, path)
    image = sitk.ReadImage(path)
    assert np.array_equal(sitk.GetArrayFromImage(image), volume.array)
    assert itk.geometry(image).same_grid(volume.geometry, tolerance=1e-9)
    ours = itkfiles.read(path, {})
    assert np.array_equal(ours.array, volume.array)
    assert ours.geometry.same_grid(volume.geometry, tolerance=1e-9)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_label_maps_stay_whole_numbers(tmp_path: Path, suffix: str) -> None:
    labels = LabelMap(np.arange(120).reshape(4, 5, 6) * 500, oblique(1), {500: "liver"})
    path = tmp_path / f"a{suffix}"
    itkfiles.write(labels, path)
    image = sitk.ReadImage(path)
    assert image.GetPixelID() == sitk.sitkUInt16
    assert np.array_equal(sitk.GetArrayFromImage(image), labels.array)
    assert b"liver" not in path.read_bytes()


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_the_same_volume_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        itkfiles.write(scan(oblique(2)), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_sheared_grid_is_not_written(tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[0, 1] = 0.05
    with pytest.raises(GeometryError) as caught:
        itkfiles.write(scan(Geometry((4, 5, 6), matrix)), tmp_path / "a.nrrd")
    assert caught.value.id == "N10"


def test_big_endian_and_bzip2_are_read(tmp_path: Path) -> None:
    import bz2

    values = np.arange(120, dtype=">i4").reshape(4, 5, 6)
    header = (
        b"NRRD0004\ntype: int\ndimension: 3\nspace: LPS\nsizes: 6 5 4\n"
        b"space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: big\n"
    )
    (tmp_path / "raw.nrrd").write_bytes(header + b"encoding: raw\n\n" + values.tobytes())
    packed = bz2.compress(values.tobytes())
    (tmp_path / "bz.nrrd").write_bytes(header + b"encoding: bzip2\n\n" + packed)
    for name in ("raw.nrrd", "bz.nrrd"):
        read = itkfiles.read(tmp_path / name, {})
        assert np.array_equal(read.array, values)
        assert read.array.dtype.isnative
    (tmp_path / "cut.nrrd").write_bytes(header + b"encoding: bzip2\n\n" + packed[:-20])
    with pytest.raises(InputError, match="cut"):
        itkfiles.read(tmp_path / "cut.nrrd", {})


@pytest.mark.parametrize(("skip", "before"), [(16, b"\1" * 16), (-1, b"\1" * 37)])
def test_bytes_before_the_voxels_are_skipped(tmp_path: Path, skip: int, before: bytes) -> None:
    values = np.arange(120, dtype="<i2").reshape(4, 5, 6)
    (tmp_path / "a.raw").write_bytes(before + values.tobytes())
    (tmp_path / "a.nhdr").write_text(
        "NRRD0004\ntype: short\ndimension: 3\nspace: LPS\nsizes: 6 5 4\nencoding: raw\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nendian: little\n"
        f"byte skip: {skip}\ndata file: a.raw\n"
    )
    (tmp_path / "a.mhd").write_text(
        "NDims = 3\nDimSize = 6 5 4\nElementSpacing = 1 1 1\nOffset = 0 0 0\n"
        f"TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementType = MET_SHORT\nHeaderSize = {skip}\n"
        "ElementDataFile = a.raw\n"
    )
    for name in ("a.nhdr", "a.mhd"):
        assert np.array_equal(itkfiles.read(tmp_path / name, {}).array, values)


@pytest.mark.parametrize("axis", [0, 3])
def test_one_of_a_series_is_chosen(tmp_path: Path, axis: int) -> None:
    """The list axis may run fastest (as Slicer writes sequences) or slowest."""
    values = np.arange(3 * 120, dtype="<i2").reshape(3, 4, 5, 6)
    sizes, directions = ["6", "5", "4"], ["(1,0,0)", "(0,1,0)", "(0,0,1)"]
    sizes.insert(axis, "3")
    directions.insert(axis, "none")
    stored = np.moveaxis(values, 0, -1) if axis == 0 else values
    (tmp_path / "a.nrrd").write_bytes(
        (
            f"NRRD0004\ntype: short\ndimension: 4\nspace: LPS\nsizes: {' '.join(sizes)}\n"
            f"space directions: {' '.join(directions)}\nspace origin: (0,0,0)\n"
            "endian: little\nencoding: raw\n\n"
        ).encode()
        + np.ascontiguousarray(stored).tobytes()
    )
    for number in range(3):
        read = itkfiles.read(tmp_path / "a.nrrd", {"volume": str(number)})
        assert np.array_equal(read.array, values[number])
    for options in ({}, {"volume": "3"}):
        with pytest.raises(InputError, match="3 volumes") as caught:
            itkfiles.read(tmp_path / "a.nrrd", options)
        assert caught.value.id == "N23"


def test_a_fourth_axis_of_one_is_dropped(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(120, dtype="i2").reshape(1, 4, 5, 6), isVector=False)
    sitk.WriteImage(image, tmp_path / "a.mha")
    assert itkfiles.read(tmp_path / "a.mha", {}).array.shape == (4, 5, 6)


def test_ras_and_lps_are_one_place(tmp_path: Path) -> None:
    itkfiles.write(scan(oblique(4)), tmp_path / "lps.nrrd")
    text = (tmp_path / "lps.nrrd").read_bytes()
    header, voxels = text.split(b"\n\n", 1)
    lines = []
    for line in header.decode().splitlines():
        key, _, value = line.partition(": ")
        if key == "space":
            value = "right-anterior-superior"
        elif key in {"space directions", "space origin"}:
            vectors = [[float(n) for n in v.strip("()").split(",")] for v in value.split()]
            value = " ".join(f"({-x!r},{-y!r},{z!r})" for x, y, z in vectors)
        lines.append(f"{key}: {value}" if key != line else line)
    (tmp_path / "ras.nrrd").write_bytes("\n".join(lines).encode() + b"\n\n" + voxels)
    ours = itkfiles.read(tmp_path / "ras.nrrd", {}).geometry
    assert ours.same_grid(oblique(4), tolerance=1e-9)
    assert itk.geometry(sitk.ReadImage(tmp_path / "ras.nrrd")).same_grid(ours, tolerance=1e-6)


def test_the_hash_is_of_header_and_data(tmp_path: Path) -> None:
    sitk.WriteImage(itk.image(scan(oblique(5))), tmp_path / "a.mhd")
    whole = (tmp_path / "a.mhd").read_bytes() + (tmp_path / "a.raw").read_bytes()
    assert itkfiles.read(tmp_path / "a.mhd", {}).sha256 == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_through_the_common_door(tmp_path: Path, suffix: str) -> None:
    volume = scan(oblique(6))
    read = read_volume(write_volume(volume, tmp_path / f"scan_ct{suffix}"))
    assert np.array_equal(read.array, volume.array)
    assert read.geometry.same_grid(volume.geometry, tolerance=1e-9)
    assert read.modality is MODALITIES["CT"]
    labels = LabelMap(np.arange(120).reshape(4, 5, 6), oblique(6))
    again = read_labels(write_labels(labels, tmp_path / f"labels{suffix}"))
    assert np.array_equal(again.array, labels.array)


def test_R11_a_sheared_file_is_straightened_when_written(tmp_path: Path) -> None:
    itkfiles.write(scan(Geometry((4, 5, 6), np.eye(4))), tmp_path / "a.nrrd")
    raw = (tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "b.nrrd").write_bytes(raw.replace(b"(0,1,0)", b"(0.05,1,0)"))
    volume = read_volume(tmp_path / "b.nrrd", modality="MR")
    assert not volume.geometry.is_orthonormal
    with pytest.warns(Repair, match=r"2\.86 degrees"):
        written = write_volume(volume, tmp_path / "c.mha")
    assert read_volume(written, modality="MR").geometry.is_orthonormal


@pytest.mark.parametrize("folder", ["pyradiomics", "dcmqi_ct_seg"])
def test_real_scans_agree_with_itk_and_their_facts(real_data: Path, folder: str) -> None:
    facts = json.loads((real_data / folder / "facts.json").read_text())
    entries = {entry["path"]: entry for entry in facts["images"]}
    paths = sorted((real_data / folder).glob("*.nrrd"))
    assert paths
    for path in paths:
        read, image = itkfiles.read(path, {}), sitk.ReadImage(path)
        assert np.array_equal(read.array, sitk.GetArrayFromImage(image))
        assert read.geometry.same_grid(itk.geometry(image), tolerance=1e-6)
        entry = entries[path.name]
        for corner, place in entry.get("corner_voxels_world_ras_mm", {}).items():
            i, j, k = (int(n) for n in corner.split(","))
            x, y, z = read.geometry.world((k, j, i))
            assert np.allclose((-x, -y, z), place, atol=1e-3)
