"""Every linear kind of ITK's, with drawn parameters, against the points that ITK itself makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.errors import InputError
from medfuse.io.transforms import read_transform
from medfuse.io.transforms.itk_linear import LINEAR, linear

KINDS = [
    sitk.AffineTransform,
    sitk.ComposeScaleSkewVersor3DTransform,
    sitk.Euler3DTransform,
    sitk.ScaleSkewVersor3DTransform,
    sitk.ScaleTransform,
    sitk.ScaleVersor3DTransform,
    sitk.Similarity3DTransform,
    sitk.TranslationTransform,
    sitk.VersorRigid3DTransform,
    sitk.VersorTransform,
]
IN_SPACE = {sitk.AffineTransform, sitk.ScaleTransform, sitk.TranslationTransform}


def drawn(kind: type, seed: int) -> sitk.Transform:
    rng = np.random.default_rng(seed)
    made = kind(3) if kind in IN_SPACE else kind()
    start = np.array(made.GetParameters())
    made.SetParameters((start + rng.uniform(-0.25, 0.25, len(start))).tolist())
    if made.GetFixedParameters():
        fixed = np.zeros(len(made.GetFixedParameters()))
        fixed[:3] = rng.uniform(-80, 80, 3)
        made.SetFixedParameters(fixed.tolist())
    return made


def by_itk(transform: sitk.Transform, points: np.ndarray) -> np.ndarray:
    return np.array([transform.TransformPoint(point.tolist()) for point in points])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".mat", ".h5"])
@pytest.mark.parametrize("seed", [0, 1])
def test_points_agree_with_itk(tmp_path: Path, kind: type, suffix: str, seed: int) -> None:
    made = drawn(kind, seed)
    sitk.WriteTransform(made, tmp_path / f"t{suffix}")
    points = np.random.default_rng(9).uniform(-150, 150, (20, 3))
    ours = read_transform(tmp_path / f"t{suffix}")
    assert np.allclose(ours.map(points), by_itk(made, points), rtol=0, atol=1e-10)


def test_both_orders_of_euler_angles(tmp_path: Path) -> None:
    made = drawn(sitk.Euler3DTransform, 3)
    made.SetComputeZYX(True)
    sitk.WriteTransform(made, tmp_path / "t.tfm")
    points = np.random.default_rng(9).uniform(-150, 150, (20, 3))
    ours = read_transform(tmp_path / "t.tfm").map(points)
    assert np.allclose(ours, by_itk(made, points), rtol=0, atol=1e-10)
    made.SetComputeZYX(False)
    assert np.abs(ours - by_itk(made, points)).max() > 0.1


def test_half_a_turn_as_a_versor_is_a_rotation() -> None:
    """The versor of 180 degrees has length 1; written with six digits it may come out longer."""
    for versor in ([1.0, 0, 0], [0.577351, 0.577351, 0.577351]):
        made = linear("VersorTransform", np.array(versor), np.zeros(3), "t")
        assert made.is_rigid
        assert np.trace(made.moving_from_fixed[:3, :3]) == pytest.approx(-1, abs=1e-5)


@pytest.mark.parametrize(
    ("determinant", "id"), [(0.09, "X2"), (11.0, "X2"), (0.0, "X2"), (-0.01, "X2"), (-1.0, "X10")]
)
def test_what_no_patient_does_is_refused(determinant: float, id: str) -> None:
    parameters = np.array([determinant, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
    with pytest.raises(InputError) as caught:
        linear("AffineTransform", parameters, np.zeros(3), "t")
    assert caught.value.id == id


def test_every_kind_in_the_table_can_stand_still() -> None:
    still = {
        "AffineTransform": [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
        "Similarity3DTransform": [0, 0, 0, 0, 0, 0, 1],
        "ScaleTransform": [1, 1, 1],
        "ScaleVersor3DTransform": [0] * 6 + [1, 1, 1],
        "ScaleSkewVersor3DTransform": [0] * 6 + [1, 1, 1] + [0] * 6,
        "ComposeScaleSkewVersor3DTransform": [0] * 6 + [1, 1, 1] + [0] * 3,
    }
    for name, (count, fixed_counts, _) in LINEAR.items():
        usual = still["AffineTransform"] if count == 12 else [0] * count
        parameters = np.array(still.get(name, usual), dtype=np.float64)
        made = linear(name, parameters, np.zeros(fixed_counts[0]), "t")
        assert np.allclose(made.moving_from_fixed, np.eye(4)), name
