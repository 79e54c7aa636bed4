"""The two verbs: what is written moves a point by the same known mm in every other tool."""

from __future__ import annotations

import json
from pathlib import Path

import nitransforms
import numpy as np
import pytest
import SimpleITK as sitk

import medfuse.io.transforms.dispatch as door
from medfuse.errors import OutputError, UsageError
from medfuse.geometry import Geometry
from medfuse.io.transforms import read_transform, write_transform
from medfuse.transform import IDENTITY, Affine, Chain, Displacement, Transform

# a quarter turn about the patient's long axis (x to y), then 10 mm left, 20 back and 30 up
TURN = Affine(np.array([[0.0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]]))
POINT, GOES_TO = [1.0, 2, 3], [8.0, 21, 33]  # LPS mm, by hand


@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".h5", ".TFM"])
def test_a_point_moves_by_the_same_millimetres(tmp_path: Path, suffix: str) -> None:
    path = write_transform(TURN, tmp_path / f"t{suffix}")
    assert path == tmp_path / f"t{suffix}"
    assert TURN.map(POINT).tolist() == GOES_TO
    assert read_transform(path).map(POINT).tolist() == GOES_TO
    if suffix != ".TFM":
        assert sitk.ReadTransform(path).TransformPoint(POINT) == tuple(GOES_TO)


def test_nitransforms_agrees_in_its_own_ras(tmp_path: Path) -> None:
    path = write_transform(TURN, tmp_path / "t.tfm")
    theirs = nitransforms.linear.load(path, fmt="itk")
    x, y, z = theirs.map(np.array([[-POINT[0], -POINT[1], POINT[2]]]))[0]
    assert np.allclose([-x, -y, z], GOES_TO)


def test_nitransforms_opens_a_composite(tmp_path: Path) -> None:
    matrix = np.diag([4.0, 4, 4, 1])
    matrix[:3, 3] = -20
    shift = np.zeros((3, 11, 11, 11))
    shift[:] = np.array([1.0, 2, 3])[:, None, None, None]
    chain = Chain((Displacement(shift, Geometry((11, 11, 11), matrix)), TURN))
    path = write_transform(chain, tmp_path / "t.h5")
    theirs = nitransforms.manip.load(path, fmt="itk")
    x, y, z = theirs.map(np.array([[-POINT[0], -POINT[1], POINT[2]]]))[0]
    expected = TURN.map([1 + 1, 2 + 2, 3 + 3])
    assert np.allclose(chain.map([POINT])[0], expected)
    # nitransforms smooths the field with splines and mirrors it at the border
    assert np.allclose([-x, -y, z], expected, atol=0.01)


def test_the_same_transform_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_transform(TURN, tmp_path / "a.tfm").read_bytes()
    assert write_transform(Chain((TURN, IDENTITY)), tmp_path / "b.tfm").read_bytes() == first


@pytest.mark.parametrize("name", ["t.mat", "t.nii.gz", "t"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.tfm"):
        write_transform(TURN, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_field_as_text_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    shift = Displacement(np.zeros((3, 2, 2, 2)), Geometry((2, 2, 2), np.eye(4)))
    with pytest.raises(UsageError):
        write_transform(shift, tmp_path / "t.tfm")
    assert list(tmp_path.iterdir()) == []


def test_an_input_is_never_written_over(tmp_path: Path) -> None:
    path = write_transform(TURN, tmp_path / "t.tfm")
    before = path.read_bytes()
    with pytest.raises(OutputError) as caught:
        write_transform(IDENTITY, path, inputs=[path])
    assert caught.value.id == "S4"
    with pytest.raises(OutputError, match="exists"):
        write_transform(IDENTITY, path, overwrite=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".tfm", ".h5"])
def test_S2_what_reads_differently_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A disk that loses what was written: the old file stays, nothing new appears."""
    path = write_transform(TURN, tmp_path / f"t{suffix}")
    before = path.read_bytes()
    real = door.read_transform
    monkeypatch.setattr(door, "read_transform", lambda made: real(made).then(TURN))
    with pytest.raises(OutputError) as caught:
        write_transform(IDENTITY, path)
    assert (caught.value.id, caught.value.exit_code) == ("S2", 5)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [1, 2])
def test_the_authors_transforms_of_open_ms(real_data: Path, number: int) -> None:
    """Their text files carry the landmarks of the common space to each study's own space."""
    folder = real_data / "open_ms_longitudinal"
    facts = json.loads((folder / "facts.json").read_text())["reference_transforms"]
    path = folder / "patient01" / f"study{number}_FLAIR_to_common_space.txt"
    common = np.array([entry["common"] for entry in facts["landmarks_lps_mm"]])
    native = np.array([entry[f"study{number}_FLAIR"] for entry in facts["landmarks_lps_mm"]])
    assert np.allclose(read_transform(path).map(common), native, atol=2e-3)


def test_all_real_text_files_agree_with_itk(real_data: Path, tmp_path: Path) -> None:
    paths = sorted((real_data / "open_ms_longitudinal" / "patient01").glob("*_to_*.txt"))
    assert len(paths) >= 6
    points = np.random.default_rng(0).uniform(-90, 90, (20, 3))
    for path in paths:
        ours: Transform = read_transform(path)
        theirs = sitk.ReadTransform(path)
        expected = [theirs.TransformPoint(point.tolist()) for point in points]
        assert np.allclose(ours.map(points), expected, rtol=0, atol=1e-10)
        again = sitk.ReadTransform(write_transform(ours, tmp_path / "t.tfm"))
        moved = [again.TransformPoint(point.tolist()) for point in points]
        assert np.allclose(moved, expected, rtol=0, atol=1e-10)
