"""Hostile transform files: each is refused in one line, with the row that explains it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.errors import InputError
from medfuse.geometry import Geometry
from medfuse.io.transforms import read_transform, write_transform
from medfuse.modality import MODALITIES
from medfuse.resampling import resample
from medfuse.transform import Affine, Chain, Displacement
from medfuse.volume import Volume
from pipelines.cli import app

GOOD = "1 0 0 0 1 0 0 0 1 5 6 7"


def text(*parts: tuple[str, str, str]) -> str:
    lines = ["#Insight Transform File V1.0"]
    for number, (kind, parameters, fixed) in enumerate(parts):
        lines += [f"#Transform {number}", f"Transform: {kind}"]
        if not kind.startswith("Composite"):
            lines += [f"Parameters: {parameters}", f"FixedParameters: {fixed}"]
    return "\n".join(lines) + "\n"


def affine(parameters: str, fixed: str = "0 0 0") -> str:
    return text(("AffineTransform_double_3_3", parameters, fixed))


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., InputError]:
    """Return a function that checks that a file of that content is refused.

    By the reader and on the command line, in one clear line, with nothing written.
    """
    (tmp_path / "points.csv").write_text("x,y,z\n1,2,3\n")

    def read(content: str | bytes, id: str, name: str = "t.tfm") -> InputError:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        before = path.read_bytes()
        with pytest.raises(InputError) as caught:
            read_transform(path)
        assert (caught.value.id, caught.value.exit_code) == (id, 3)
        assert caught.value.hint
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400
        assert str(caught.value).startswith(str(path))
        capfd.readouterr()
        points, out = tmp_path / "points.csv", tmp_path / "out.csv"
        assert app.run(["apply", str(path), "--points", str(points), "--out", str(out)]) == 3
        (line,) = capfd.readouterr().err.splitlines()
        assert line == f"medfuse: error[{id}]: {caught.value}"
        assert path.read_bytes() == before
        assert not out.exists()
        return caught.value

    return read


Refused = Callable[..., InputError]


def test_the_base_is_good(tmp_path: Path) -> None:
    (tmp_path / "t.tfm").write_text(affine(GOOD))
    assert read_transform(tmp_path / "t.tfm").map([0, 0, 0]).tolist() == [5, 6, 7]


def test_X1_a_transform_of_the_plane(refused: Refused, tmp_path: Path) -> None:
    sitk.WriteTransform(sitk.Euler2DTransform(), tmp_path / "flat.tfm")
    assert "2 dimensions" in refused((tmp_path / "flat.tfm").read_bytes(), "X1").what
    sitk.WriteTransform(sitk.AffineTransform(2), tmp_path / "flat.h5")
    refused((tmp_path / "flat.h5").read_bytes(), "X1", "t.h5")
    sitk.WriteTransform(sitk.AffineTransform(2), tmp_path / "flat.mat")
    refused((tmp_path / "flat.mat").read_bytes(), "X1", "t.mat")


@pytest.mark.parametrize("parameter", ["0", "0.05", "20"])
def test_X2_a_matrix_without_an_inverse(refused: Refused, parameter: str) -> None:
    refused(affine(f"{parameter} 0 0 0 1 0 0 0 1 0 0 0"), "X2")


@pytest.mark.parametrize("word", ["nan", "NaN", "inf", "-Infinity", "1e999"])
def test_X3_numbers_that_are_not_finite(refused: Refused, word: str) -> None:
    refused(affine(GOOD.replace("5", word)), "X3")
    refused(affine(GOOD, f"0 {word} 0"), "X3")


def test_X4_unknown_kinds(refused: Refused) -> None:
    for kind in ("BSplineTransform_double_3_3", "MagicTransform_double_3_3", "x" * 3000):
        refused(text((kind, "1", "1")), "X4")
        composite = ("CompositeTransform_double_3_3", "", "")
        refused(
            text(composite, ("AffineTransform_double_3_3", GOOD, "0 0 0"), (kind, "", "")), "X4"
        )


def test_X5_cut_hdf5(refused: Refused, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    shift = Displacement(rng.normal(size=(3, 6, 6, 6)), Geometry((6, 6, 6), np.eye(4)))
    path = write_transform(Chain((shift, Affine(np.eye(4) + 0.0))), tmp_path / "whole.h5")
    raw = path.read_bytes()
    for part in (0.02, 0.3, 0.6, 0.9, 0.99):
        refused(raw[: int(len(raw) * part)], "X5", "t.h5")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("parameters", ["1 0 0 0 1 0 0 0 1", GOOD + " 8", ""])
def test_X6_too_few_or_too_many_numbers(refused: Refused, parameters: str) -> None:
    refused(affine(parameters), "X6")


def test_X6_other_words_and_centres(refused: Refused) -> None:
    refused(affine(GOOD.replace("5", "five")), "X6")
    refused(affine(GOOD, "0 0"), "X6")
    refused(affine(GOOD, "0 0 0 0 0"), "X6")


def test_X7_two_transforms_that_nothing_joins(refused: Refused) -> None:
    one = ("AffineTransform_double_3_3", GOOD, "0 0 0")
    assert "2 transforms" in refused(text(one, one), "X7").what


def test_X8_decimal_comma(refused: Refused) -> None:
    refused(affine(GOOD.replace("5", "5,5")), "X8")
    refused(affine(GOOD, "0,5 0 0"), "X8")


def test_X9_a_billion_millimetres_away_is_air(tmp_path: Path) -> None:
    """The file is legal; what it carries in is air, and the overlap is for the verdict to judge."""
    (tmp_path / "t.tfm").write_text(affine("1 0 0 0 1 0 0 0 1 1e9 0 0"))
    grid = Geometry((4, 5, 6), np.eye(4))
    ct = Volume(np.full(grid.shape, 40, np.float32), grid, MODALITIES["CT"])
    moved = resample(ct, grid, read_transform(tmp_path / "t.tfm"))
    assert np.unique(moved.array).tolist() == [-1000]


def test_X10_mirrors_and_versors_that_are_none(refused: Refused) -> None:
    assert "mirror" in refused(affine("-1 0 0 0 1 0 0 0 1 0 0 0"), "X10").what
    refused(text(("VersorTransform_double_3_3", "5 5 5", "0 0 0")), "X10")
    refused(text(("VersorRigid3DTransform_double_3_3", "0.9 0.9 0 1 2 3", "0 0 0")), "X10")


FSL = "0.99 0.01 0 3\n-0.01 0.99 0 4\n0 0 1 5\n0 0 0 1\n"


@pytest.mark.parametrize(
    ("content", "name", "what", "hint"),
    [
        ("", "t.tfm", "empty", "again"),
        ("<!DOCTYPE html>\n<html></html>\n", "t.tfm", "web page", "download"),
        ("#Insight Transform File V1.0\n", "t.tfm", "no transform", "again"),
        (FSL, "t.mat", "FSL", "c3d_affine_tool"),
        ("hello", "t.txt", "no transform file", ".tfm"),
    ],
)
def test_X11_no_transform_at_all(
    refused: Refused, content: str, name: str, what: str, hint: str
) -> None:
    error = refused(content, "X11", name)
    assert what in error.what
    assert hint in error.hint


def test_X12_ants_matrices_good_and_cut(refused: Refused, tmp_path: Path) -> None:
    made = sitk.AffineTransform(3)
    made.SetTranslation((5, 6, 7))
    made.SetCenter((1, 2, 3))
    sitk.WriteTransform(made, tmp_path / "good.mat")
    assert read_transform(tmp_path / "good.mat").map([0, 0, 0]).tolist() == [5, 6, 7]
    raw = (tmp_path / "good.mat").read_bytes()
    for length in (60, 100, len(raw) - 1):
        refused(raw[:length], "X12", "t.mat")


def test_other_files_are_refused_by_their_own_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_transform(tmp_path / "absent.tfm")
    assert caught.value.id == "N40"
    with pytest.raises(InputError) as caught:
        read_transform(tmp_path)
    assert caught.value.id == "N41"


def test_damaged_files_never_crash(tmp_path: Path) -> None:
    rng = random.Random(0)
    made = Affine(np.array([[1.0, 0.1, 0, 5], [0, 1, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]]))
    sitk.WriteTransform(sitk.AffineTransform(3), tmp_path / "a.mat")
    for source in (write_transform(made, tmp_path / "a.tfm"), tmp_path / "a.mat"):
        good = source.read_bytes()
        for _ in range(150):
            raw = bytearray(good)
            if rng.random() < 0.3:
                raw = raw[: rng.randrange(1, len(raw))]
            else:
                for _ in range(rng.randrange(1, 4)):
                    raw[rng.randrange(len(raw))] = rng.randrange(256)
            source.write_bytes(raw)
            with contextlib.suppress(InputError):
                read_transform(source)


def test_X5_every_cut_is_noticed(tmp_path: Path) -> None:
    shift = Displacement(np.ones((3, 3, 3, 3)), Geometry((3, 3, 3), np.eye(4)))
    path = write_transform(shift, tmp_path / "a.h5")
    raw = path.read_bytes()
    for length in range(8, len(raw), 97):
        path.write_bytes(raw[:length])
        with pytest.raises(InputError) as caught:
            read_transform(path)
        assert caught.value.id == "X5"
