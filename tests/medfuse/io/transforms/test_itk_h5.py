"""HDF5 transforms: ITK opens ours, we open ITK's, and ours are the same bytes every time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from medfuse import itk
from medfuse.errors import InputError
from medfuse.geometry import Geometry
from medfuse.io.transforms import read_transform, write_transform
from medfuse.transform import Affine, Chain, Displacement, Transform


def affine(seed: int) -> Affine:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() * rng.uniform(0.8, 1.2, 3)
    matrix[:3, 3] = rng.uniform(-30, 30, 3)
    return Affine(matrix)


def field(seed: int) -> Displacement:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() * [3, 4, 5]
    matrix[:3, 3] = rng.uniform(-50, 50, 3)
    return Displacement(rng.normal(size=(3, 5, 6, 7)), Geometry((5, 6, 7), matrix))


TRANSFORMS = {
    "affine": affine(0),
    "field": field(0),
    "affine, then field": Chain((affine(1), field(1))),
    "field, then affine": Chain((field(2), affine(2))),
    "many": Chain((affine(3), field(3), affine(4), affine(5), field(4))),
}
POINTS = np.random.default_rng(7).uniform(-60, 60, (200, 3))


def by_itk(made: sitk.Transform) -> np.ndarray:
    return np.array([made.TransformPoint(point.tolist()) for point in POINTS])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_itk_opens_ours(tmp_path: Path, name: str) -> None:
    ours: Transform = TRANSFORMS[name]
    path = write_transform(ours, tmp_path / "t.h5")
    assert np.allclose(by_itk(sitk.ReadTransform(path)), ours.map(POINTS), rtol=0, atol=1e-5)
    assert np.allclose(read_transform(path).map(POINTS), ours.map(POINTS), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_we_open_what_itk_wrote(tmp_path: Path, name: str) -> None:
    theirs = itk.transform(TRANSFORMS[name])
    sitk.WriteTransform(theirs, tmp_path / "t.h5")
    read = read_transform(tmp_path / "t.h5")
    assert np.allclose(read.map(POINTS), by_itk(theirs), rtol=0, atol=1e-5)


def test_a_field_in_text_is_read(tmp_path: Path) -> None:
    sitk.WriteTransform(itk.transform(TRANSFORMS["field, then affine"]), tmp_path / "t.tfm")
    read = read_transform(tmp_path / "t.tfm")
    assert np.allclose(read.map(POINTS), TRANSFORMS["field, then affine"].map(POINTS), atol=1e-5)


def test_S16_the_same_bytes_from_another_process(tmp_path: Path) -> None:
    path = write_transform(TRANSFORMS["many"], tmp_path / "t.h5")
    code = (
        "import sys; from medfuse.io.transforms import read_transform, write_transform;"
        "write_transform(read_transform(sys.argv[1]), sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, path, tmp_path / "u.h5"], check=True)
    write_transform(read_transform(path), tmp_path / "v.h5")
    assert path.read_bytes() == (tmp_path / "u.h5").read_bytes()
    assert path.read_bytes() == (tmp_path / "v.h5").read_bytes()


def test_the_file_says_nothing_of_its_maker(tmp_path: Path) -> None:
    with h5py.File(write_transform(TRANSFORMS["many"], tmp_path / "t.h5")) as file:
        names: list[str] = []
        file.visit(names.append)
        assert "OSName" not in names
        assert {name.split("/")[0] for name in names} == {"ITKVersion", "TransformGroup"}
        kinds = [
            file[f"TransformGroup/{n}/TransformType"][0].decode()
            for n in range(len(file["TransformGroup"]))
        ]
    assert kinds == [
        "CompositeTransform_double_3_3",
        "DisplacementFieldTransform_float_3_3",
        "AffineTransform_double_3_3",
        "DisplacementFieldTransform_float_3_3",
        "AffineTransform_double_3_3",
    ]


def test_names_that_older_itk_misspelled(tmp_path: Path) -> None:
    path = write_transform(TRANSFORMS["affine"], tmp_path / "t.h5")
    with h5py.File(path, "r+") as file:
        group = file["TransformGroup/0"]
        for name in ("TransformParameters", "TransformFixedParameters"):
            group.move(name, name.replace("Transform", "Tranform", 1))
    assert np.allclose(read_transform(path).map(POINTS), TRANSFORMS["affine"].map(POINTS))


def test_links_out_of_the_file_are_refused(tmp_path: Path) -> None:
    other = write_transform(TRANSFORMS["affine"], tmp_path / "other.h5")
    for link in (
        h5py.ExternalLink(str(other), "/TransformGroup/0/TransformParameters"),
        h5py.SoftLink("/TransformGroup/0/TransformFixedParameters"),
    ):
        path = write_transform(TRANSFORMS["affine"], tmp_path / "t.h5")
        with h5py.File(path, "r+") as file:
            del file["TransformGroup/0/TransformParameters"]
            file["TransformGroup/0/TransformParameters"] = link
        with pytest.raises(InputError, match="damaged") as caught:
            read_transform(path)
        assert caught.value.id == "X5"


@pytest.mark.parametrize(
    "dtype", [h5py.vlen_dtype(np.float64), h5py.vlen_dtype(np.int32), "f8", "i4"], ids=str
)
def test_a_kind_that_is_no_word_is_refused_unread(tmp_path: Path, dtype: object) -> None:
    """HDF5 can crash where a damaged type says that the word is something else."""
    path = write_transform(TRANSFORMS["affine"], tmp_path / "t.h5")
    with h5py.File(path, "r+") as file:
        entry = file["TransformGroup/0"]
        del entry["TransformType"]
        entry.create_dataset("TransformType", (1,), dtype)
    with pytest.raises(InputError) as caught:
        read_transform(path)
    assert caught.value.id == "X5"


def test_a_kind_of_fixed_length_is_read(tmp_path: Path) -> None:
    path = write_transform(TRANSFORMS["affine"], tmp_path / "t.h5")
    with h5py.File(path, "r+") as file:
        entry = file["TransformGroup/0"]
        del entry["TransformType"]
        entry["TransformType"] = np.array([b"AffineTransform_double_3_3"])
    assert np.allclose(read_transform(path).map(POINTS), TRANSFORMS["affine"].map(POINTS))


def test_a_few_bytes_cannot_declare_terabytes(tmp_path: Path) -> None:
    path = write_transform(TRANSFORMS["field"], tmp_path / "t.h5")
    with h5py.File(path, "r+") as file:
        entry = file["TransformGroup/0"]
        size = 20_000
        entry["TransformFixedParameters"][:3] = size
        del entry["TransformParameters"]
        entry.create_dataset("TransformParameters", (3 * size**3,), "f4", chunks=(1 << 20,))
    with pytest.raises(InputError) as caught:
        read_transform(path)
    assert caught.value.id == "X6"


def test_a_file_of_something_else(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["values"] = [1, 2, 3]
    with pytest.raises(InputError) as caught:
        read_transform(tmp_path / "t.h5")
    assert caught.value.id == "X11"


def test_N8_a_field_without_directions_names_its_file(tmp_path: Path) -> None:
    path = write_transform(field(0), tmp_path / "t.h5")
    with h5py.File(path, "r+") as file:
        file["TransformGroup/0/TransformFixedParameters"][9:] = 0
    with pytest.raises(InputError) as caught:
        read_transform(path)
    assert (caught.value.id, caught.value.where) == ("N8", path)
