"""``medfuse apply``: which way scans, labels and points go, alone and in chains."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from tests.end_to_end import heads
from tests.end_to_end.conftest import Run


def linear(path: Path, turn: float, shift: tuple[float, float, float]) -> sitk.AffineTransform:
    """Write a turn about z and a shift (LPS mm) with SimpleITK."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    made = sitk.AffineTransform(3)
    made.SetMatrix([c, -s, 0, s, c, 0, 0, 0, 1])
    made.SetTranslation(shift)
    sitk.WriteTransform(made, path)
    return made


@pytest.fixture
def transforms(scans: Path) -> tuple[sitk.AffineTransform, sitk.AffineTransform]:
    """``one.tfm`` and ``two.tfm`` beside the scans: they do not commute."""
    return (
        linear(scans / "one.tfm", 25, (5, 0, 0)),
        linear(scans / "two.tfm", -40, (0, 12, -3)),
    )


def mapped(medfuse: Run, *words: str, points: str = "x,y,z\n10,20,30\n-4,0.5,7\n") -> np.ndarray:
    """Map points with ``medfuse apply`` and return them."""
    Path("in.csv").write_text(points)
    said = medfuse("apply", *words, "--points", "in.csv", "--out", "out.csv", "--overwrite")
    assert said.code == 0, said.err
    lines = Path("out.csv").read_text().splitlines()
    assert lines[0] == "x,y,z"
    return np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])


POINTS = [(10.0, 20.0, 30.0), (-4.0, 0.5, 7.0)]


def test_points_go_from_fixed_to_moving_in_the_order_of_the_transforms(
    medfuse: Run, transforms: tuple[sitk.AffineTransform, ...]
) -> None:
    one, two = transforms
    expected = [two.TransformPoint(one.TransformPoint(point)) for point in POINTS]
    np.testing.assert_allclose(mapped(medfuse, "one.tfm", "two.tfm"), expected, atol=1e-6)


def test_inverse_inverts_the_whole_chain(
    medfuse: Run, transforms: tuple[sitk.AffineTransform, ...]
) -> None:
    one, two = (transform.GetInverse() for transform in transforms)
    expected = [one.TransformPoint(two.TransformPoint(point)) for point in POINTS]
    found = mapped(medfuse, "one.tfm", "two.tfm", "--inverse")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_scan_is_carried_as_simpleitk_carries_it(
    medfuse: Run, scans: Path, transforms: tuple[sitk.AffineTransform, ...]
) -> None:
    one, two = transforms
    said = medfuse(
        "apply", "one.tfm", "two.tfm", "--moving", "CT.nii.gz", "--onto", "T1.nii.gz",
        "--out", "moved.nii.gz",
    )  # fmt: skip
    assert (said.code, said.err) == (0, [])
    both = sitk.CompositeTransform([two, one])  # the last one added acts first
    fixed = sitk.ReadImage("T1.nii.gz")
    expected = sitk.Resample(sitk.ReadImage("CT.nii.gz"), fixed, both, sitk.sitkLinear, -1000.0)
    made = sitk.ReadImage("moved.nii.gz")
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(made), sitk.GetArrayFromImage(expected), atol=0.01
    )
    assert made.GetOrigin() == pytest.approx(fixed.GetOrigin(), abs=1e-4)


@pytest.mark.parametrize("words", [("--label",), ()])
def test_labels_stay_labels(
    medfuse: Run,
    scans: Path,
    transforms: tuple[sitk.AffineTransform, ...],
    words: tuple[str, ...],
) -> None:
    """Their name says what they are, also where the option is forgotten."""
    labels = (np.indices(heads.SHAPE).sum(axis=0) % 3 * 500).astype(np.uint16)
    nib.save(nib.Nifti1Image(labels, heads.affine()), scans / "labels.nii.gz")
    said = medfuse(
        "apply", "one.tfm", "--moving", "labels.nii.gz", "--onto", "T1.nii.gz",
        "--out", "moved.nii.gz", *words,
    )  # fmt: skip
    assert (said.code, said.err) == (0, [])
    assert ("a label map by its name: nearest neighbour" in said.out) == (words == ())
    made = nib.load(scans / "moved.nii.gz")
    assert np.unique(np.asarray(made.dataobj)).tolist() == [0, 500, 1000]
    assert made.get_data_dtype().kind in "iu"


def test_X9_a_transform_that_leaves_nothing_is_refused(medfuse: Run, scans: Path) -> None:
    linear(scans / "far.tfm", 0, (1e5, 0, 0))
    said = medfuse(
        "apply", "far.tfm", "--moving", "CT.nii.gz", "--onto", "T1.nii.gz", "--out", "moved.nii.gz"
    )
    assert said.code == 4
    assert len(said.err) == 1
    assert said.err[0].startswith("medfuse: error[X9]: ")
    assert not (scans / "moved.nii.gz").exists()


def test_N25_a_constant_scan_can_be_carried(
    medfuse: Run, scans: Path, transforms: tuple[sitk.AffineTransform, ...]
) -> None:
    flat = nib.Nifti1Image(np.full(heads.SHAPE, 7, np.float32), heads.affine())
    nib.save(flat, scans / "flat_T2.nii.gz")
    words = ("--moving", "flat_T2.nii.gz", "--onto", "T1.nii.gz", "--out", "moved.nii.gz")
    assert medfuse("apply", "one.tfm", *words).code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--out", "out.nii.gz"),
        ("--moving", "CT.nii.gz", "--out", "out.nii.gz"),
        ("--moving", "CT.nii.gz", "--onto", "T1.nii.gz"),
        ("--points", "in.csv", "--onto", "T1.nii.gz", "--out", "out.csv"),
        ("--points", "in.csv", "--label", "--out", "out.csv"),
        ("--moving", "CT.nii.gz", "--onto", "T1.nii.gz", "--out", "out.jpg"),
    ],
)
def test_wrong_combinations(medfuse: Run, scans: Path, words: tuple[str, ...]) -> None:
    before = sorted(scans.iterdir())
    said = medfuse("apply", "one.tfm", *words)
    assert said.code == 2
    assert len(said.err) == 1
    assert sorted(scans.iterdir()) == before


def test_S4_points_are_not_written_over_their_input(
    medfuse: Run, scans: Path, transforms: tuple[sitk.AffineTransform, ...]
) -> None:
    Path("in.csv").write_text("x,y,z\n1,2,3\n")
    words = ("--points", "in.csv", "--out", "in.csv", "--overwrite")
    said = medfuse("apply", "one.tfm", *words)
    assert said.code == 5
    assert Path("in.csv").read_text() == "x,y,z\n1,2,3\n"
