"""Quaternions and affines against nibabel."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfuse.errors import GeometryError
from medfuse.io import nifti_header, nifti_space

PATH = Path("scan.nii")


def fields(header: nib.Nifti1Header) -> np.void:
    """Return our view of a nibabel header."""
    found: np.void = np.frombuffer(header.binaryblock, nifti_header.layout(348), 1)[0]
    return found


def header_with(affine: np.ndarray, *, qform: int = 0, sform: int = 0) -> nib.Nifti1Header:
    """Return a nibabel header whose forms are an affine."""
    header = nib.Nifti1Header()
    header.set_data_shape((40, 50, 60))
    header.set_qform(affine, qform)
    header.set_sform(affine, sform)
    return header


angles = st.floats(-np.pi, np.pi)
sizes = st.floats(0.3, 6.0)


@given(st.tuples(angles, angles, angles), st.tuples(sizes, sizes, sizes), st.booleans())
def test_qform_is_nibabels(turn: tuple, size: tuple, mirrored: bool) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn).as_matrix() * size
    affine[:3, 3] = [-90.5, 12.25, 33.0]
    if mirrored:
        affine[:3, 0] *= -1
    header = header_with(affine, qform=1)
    found, repairs = nifti_space.world(fields(header), (40, 50, 60), PATH)
    np.testing.assert_allclose(found, header.get_qform(), atol=1e-5)
    assert repairs == []


@given(st.tuples(angles, angles, angles), st.tuples(sizes, sizes, sizes), st.booleans())
def test_quaternion_is_nibabels(turn: tuple, size: tuple, mirrored: bool) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn).as_matrix() * size
    if mirrored:
        affine[:3, 2] *= -1
    vector, qfac, steps = nifti_space.quaternion(affine)
    a = np.sqrt(max(0.0, 1 - vector @ vector))
    turned = nib.quaternions.quat2mat([a, *vector]) * [1, 1, qfac]
    np.testing.assert_allclose(turned * steps, affine[:3, :3], atol=1e-6)
    np.testing.assert_allclose(steps, size, rtol=1e-12)
    assert qfac == (-1 if mirrored else 1)


@given(st.tuples(angles, angles, angles))
def test_forms_written_as_one_are_read_without_a_word(turn: tuple) -> None:
    """Rounding a quaternion to float32 is no contradiction, not even near half a turn."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn).as_matrix() * [0.5, 0.5, 3.0]
    affine[:3, 3] = [120.0, -90.0, 40.0]
    for code in (1, 2, 4):
        header = header_with(affine, qform=code, sform=code)
        header.set_data_shape((512, 512, 60))
        found, repairs = nifti_space.world(fields(header), (512, 512, 60), PATH)
        assert repairs == []
        np.testing.assert_allclose(found, header.get_sform(), atol=1e-12)


@pytest.mark.parametrize("angle", [np.pi, np.pi - 1e-3, np.pi - 1e-4, -np.pi + 1e-5])
def test_half_a_turn(angle: float) -> None:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(angle * np.array([0.0, 0.6, 0.8])).as_matrix()
    header = header_with(affine, qform=1, sform=1)
    _, repairs = nifti_space.world(fields(header), (256, 256, 200), PATH)
    assert repairs == []


def test_qfac_of_zero_is_one() -> None:
    header = header_with(np.diag([2.0, 2.0, 3.0, 1.0]), qform=1)
    header["pixdim"][0] = 0
    found, _ = nifti_space.world(fields(header), (40, 50, 60), PATH)
    np.testing.assert_allclose(np.diag(found), [2, 2, 3, 1])


def test_unknown_kind_of_form() -> None:
    header = header_with(np.eye(4), qform=1, sform=1)
    header["sform_code"] = 1234
    with pytest.raises(GeometryError, match="unknown kind 1234"):
        nifti_space.world(fields(header), (40, 50, 60), PATH)
    found, _ = nifti_space.world(fields(header), (40, 50, 60), PATH, xform="qform")
    np.testing.assert_allclose(found, np.eye(4))
