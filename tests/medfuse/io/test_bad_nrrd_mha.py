"""Hostile NRRD and MetaImage files: each is refused in one line, before a voxel is touched."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.errors import InputError
from medfuse.io import itkfiles
from medfuse.io.volumes import read_volume
from pipelines.cli import app

Make = Callable[..., Path]
SHAPE = (10, 14, 12)  # (D, H, W)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that writes a good file and then edits its header."""

    def made(name: str, *edits: tuple[bytes, bytes], compressed: bool = False) -> Path:
        values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
        image = sitk.GetImageFromArray(values)
        image.SetSpacing((2, 2, 3))
        image.SetOrigin((-20, -30, -40))
        path = tmp_path / name
        sitk.WriteImage(image, path, compressed)
        raw = path.read_bytes()
        for old, new in edits:
            assert old in raw
            raw = raw.replace(old, new, 1)
        path.write_bytes(raw)
        return path

    return made


Refused = Callable[..., InputError]


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Refused:
    """Return a function that checks that a file is refused by the reader and on the command line.

    In one clear line, with nothing written and no file harmed.
    """

    def files() -> dict[Path, bytes]:
        return {entry: entry.read_bytes() for entry in tmp_path.rglob("*") if entry.is_file()}

    def read(path: Path, *ids: str, match: str | None = None) -> InputError:
        before = files()
        with pytest.raises(InputError, match=match) as caught:
            itkfiles.read(path, {})
        assert caught.value.exit_code == 3
        assert caught.value.id in ids
        assert caught.value.hint
        assert str(caught.value).startswith(str(path))
        capfd.readouterr()
        assert app.run(["convert", str(path), str(tmp_path / "out.nii.gz")]) == 3
        (line,) = capfd.readouterr().err.splitlines()
        assert line == f"medfuse: error[{caught.value.id}]: {caught.value}"
        assert files() == before
        return caught.value

    return read


@pytest.mark.parametrize(("name", "data"), [("a.mhd", "a.raw"), ("a.nhdr", "a.raw")])
def test_R1_missing_data_file(make: Make, refused: Refused, name: str, data: str) -> None:
    path = make(name)
    (path.parent / data).unlink()
    refused(path, "R1", match=r"a\.raw.* is missing")


@pytest.mark.parametrize(
    "data",
    [
        b"../outside/secret.raw",
        b"/etc/passwd",
        b"LIST",
        b"LIST 2",
        b"slice%03d.raw 1 10 1",
        b"sub/../../outside/secret.raw",
        b"link.raw",
    ],
)
def test_R2_data_file_out_of_the_folder(
    make: Make, refused: Refused, tmp_path: Path, data: bytes
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.raw").write_bytes(bytes(4 * 1680))
    folder = tmp_path / "scan"
    folder.mkdir()
    path = make("a.mhd", (b"a.raw", data)).rename(folder / "a.mhd")
    (folder / "sub").mkdir()
    (folder / "link.raw").symlink_to("../outside/secret.raw")
    error = refused(path, "R2")
    assert "passwd" not in error.what


@pytest.mark.parametrize("data", [b"/etc/passwd", b"../secret.raw", b"LIST", b"s%d.raw 1 9 1"])
def test_R3_data_file_of_an_nhdr_out_of_the_folder(
    make: Make, refused: Refused, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(4 * 1680))
    folder = tmp_path / "scan"
    folder.mkdir()
    path = make("a.nhdr", (b"a.raw", data)).rename(folder / "a.nhdr")
    refused(path, "R3")


def test_R4_no_directions(make: Make, refused: Refused) -> None:
    directions = (b"(2,0,0) (0,2,0) (0,0,3)", b"none none none")
    refused(make("a.nrrd", directions), "R4")
    one = (b"(2,0,0) (0,2,0) (0,0,3)", b"(2,0,0) (0,2,0) none")
    refused(make("b.nrrd", one), "R4")


@pytest.mark.parametrize("word", [b"nan", b"NaN", b"inf", b"-inf"])
def test_R5_directions_that_are_not_finite(make: Make, refused: Refused, word: bytes) -> None:
    refused(make("a.nrrd", (b"(2,0,0)", b"(" + word + b",0,0)")), "R5")
    refused(make("b.nrrd", (b"(-20,", b"(" + word + b",")), "R5")
    refused(make("c.mha", (b"Offset = -20", b"Offset = " + word)), "R5")
    matrix = (b"TransformMatrix = 1", b"TransformMatrix = " + word)
    refused(make("d.mha", matrix), "R5")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("missing", [1, 4, 3000])
def test_R6_cut_files(
    make: Make, refused: Refused, name: str, compressed: bool, missing: int
) -> None:
    path = make(name, compressed=compressed)
    path.write_bytes(path.read_bytes()[:-missing])
    refused(path, "R6", "R7", match="cut")


def test_R6_cut_detached_data(make: Make, refused: Refused) -> None:
    path = make("a.mhd")
    data = path.with_suffix(".raw")
    data.write_bytes(data.read_bytes()[:-3])
    refused(path, "R6", match="cut")
    data.write_bytes(bytes(4 * 1680 + 1))
    refused(path, "R6", match="declares 6720")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_R6_a_flipped_bit_breaks_the_checksum(make: Make, refused: Refused, suffix: str) -> None:
    path = make(f"a{suffix}", compressed=True)
    raw = bytearray(path.read_bytes())
    raw[-2000] ^= 4
    path.write_bytes(raw)
    refused(path, "R6", "R7")


def test_R7_cut_zlib_stream(make: Make, refused: Refused) -> None:
    path = make("a.mha", compressed=True)
    path.write_bytes(path.read_bytes()[:-10])
    refused(path, "R7", match="cut")


def test_R7_a_stream_that_holds_more_or_less(make: Make, refused: Refused) -> None:
    refused(make("a.mha", (b"DimSize = 12", b"DimSize = 13"), compressed=True), "R6")
    refused(make("b.mha", (b"DimSize = 12", b"DimSize = 11"), compressed=True), "R6")


@pytest.mark.parametrize("word", [b"0", b"nan", b"0,5", b"x"])
def test_R8_spacing_that_is_no_length(make: Make, refused: Refused, word: bytes) -> None:
    refused(make("a.mha", (b"ElementSpacing = 2", b"ElementSpacing = " + word)), "R8")


def test_R9_negative_spacing(make: Make, refused: Refused) -> None:
    refused(make("a.mha", (b"ElementSpacing = 2", b"ElementSpacing = -1")), "R9")


@pytest.mark.parametrize("matrix", [b"0 0 0 0 0 0 0 0 0", b"1 0 0 1 0 0 0 0 1"])
def test_R10_directions_that_do_not_span_space(make: Make, refused: Refused, matrix: bytes) -> None:
    refused(make("a.mha", (b"Matrix = 1 0 0 0 1 0 0 0 1", b"Matrix = " + matrix)), "R10")
    refused(make("a.nrrd", (b"(0,2,0)", b"(4,0,0)")), "R10")
    refused(make("b.nrrd", (b"(0,2,0)", b"(0,0,0)")), "R10")


def test_R11_shear_is_read_exactly(make: Make) -> None:
    path = make("a.mha", (b"Matrix = 1 0 0 0 1 0", b"Matrix = 1 0 0 0.05 1 0"))
    grid = itkfiles.read(path, {}).geometry
    assert np.allclose(grid.world((0, 1, 0)) - grid.world((0, 0, 0)), [0.1, 2, 0])
    assert not grid.is_orthonormal
    assert grid.shear_degrees == pytest.approx(np.degrees(np.arctan(0.05)))


@pytest.mark.parametrize("name", ["Lister_CT.raw", "List of a.raw", "50%.raw", "a 100% 1.raw"])
def test_R2_a_name_that_looks_like_a_list_is_one_file(make: Make, name: str) -> None:
    path = make("a.mhd", (b"a.raw", name.encode()))
    path.with_name("a.raw").rename(path.with_name(name))
    assert itkfiles.read(path, {}).array.shape == SHAPE


@pytest.mark.parametrize("shear", [b"0.1", b"0.3", b"-0.3"])
def test_R11_large_shear_is_refused(make: Make, refused: Refused, shear: bytes) -> None:
    """As N10: 5.7 and 16.7 degrees."""
    edit = (b"Matrix = 1 0 0 0 1 0", b"Matrix = 1 0 0 " + shear + b" 1 0")
    refused(make("a.mha", edit), "N10")
    edit = (b"directions: (2,0,0) (0,2,0)", b"directions: (2,0,0) (" + shear + b",1,0)")
    refused(make("a.nrrd", edit), "N10")


@pytest.mark.parametrize("sizes", [b"60000 60000 60000", b"12 14 -6", b"0 14 10", b"12 14"])
def test_R12_impossible_sizes(make: Make, refused: Refused, sizes: bytes) -> None:
    refused(make("a.mha", (b"DimSize = 12 14 10", b"DimSize = " + sizes)), "R12")
    refused(make("a.nrrd", (b"sizes: 12 14 10", b"sizes: " + sizes)), "R12")


@pytest.mark.parametrize("compressed", [False, True])
def test_R12_more_than_the_file_can_hold(make: Make, refused: Refused, compressed: bool) -> None:
    sizes = (b"DimSize = 12 14 10", b"DimSize = 1200 1200 1200")
    refused(make("a.mha", sizes, compressed=compressed), "R6", "R7")


def test_R13_no_space(make: Make, refused: Refused) -> None:
    error = refused(make("a.nrrd", (b"space: left-posterior-superior\n", b"")), "R13")
    assert "space: left-posterior-superior" in error.hint


def test_R14_damaged_files_never_crash_nor_change_voxels(make: Make) -> None:
    """Compressed files carry checksums: what is read of a damaged one is right, or refused."""
    rng = random.Random(0)
    for name in ("a.nrrd", "a.mha"):
        path = make(name, compressed=True)
        good = path.read_bytes()
        truth = itkfiles.read(path, {}).array
        header = good.index(b"\n\n" if name == "a.nrrd" else b"LOCAL\n") + 1
        for _ in range(150):
            raw = bytearray(good)
            kind = rng.randrange(3)
            if kind == 0:
                raw = raw[: rng.randrange(1, len(raw))]
            elif kind == 1:
                raw[rng.randrange(header, len(raw))] ^= 1 << rng.randrange(8)
            else:
                raw[rng.randrange(header)] = rng.randrange(256)
            path.write_bytes(raw)
            try:
                array = itkfiles.read(path, {}).array
            except InputError:
                continue
            assert kind == 2 or np.array_equal(array, truth)


def test_a_pipe_as_data_file_does_not_hang(make: Make) -> None:
    path = make("a.mhd")
    data = path.with_suffix(".raw")
    data.unlink()
    os.mkfifo(data)
    with pytest.raises(InputError) as caught:
        itkfiles.read(path, {})
    assert caught.value.id == "N42"


def test_a_whole_file_in_gzip_is_named(make: Make, refused: Refused) -> None:
    import gzip

    path = make("a.nrrd")
    path.write_bytes(gzip.compress(path.read_bytes()))
    refused(path, "R6", match="as a whole")


@pytest.mark.parametrize("filling", [b" ", b"\t", b"a", b"\n", b"1", b"a =", b"(", b"none "])
def test_R6_no_header_is_long_to_read(tmp_path: Path, filling: bytes) -> None:
    """A mebibyte of anything takes a moment, not a day."""
    path = tmp_path / "a.mha"
    mha = b"ObjectType = Image\nNDims = 3\n"
    nrrd = b"NRRD0004\nspace: LPS\ndimension: 3\nsizes: 9 9 9\nspace directions: "
    for text in (mha, mha + b"DimSize = ", nrrd):
        path.write_bytes(text + filling * (2**20 // len(filling)) + b"x")
        start = time.process_time()
        with pytest.raises(InputError):
            read_volume(path)
        assert time.process_time() - start < 5


def test_R5_a_number_of_a_mebibyte(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    text = b"ObjectType = Image\nNDims = 3\nDimSize = 9 9 9\nElementSpacing = 1 1 "
    path.write_bytes(text + b"1" * 2**19 + b"x\nElementDataFile = LOCAL\n")
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert caught.value.id == "R8"
    assert time.process_time() - start < 5
