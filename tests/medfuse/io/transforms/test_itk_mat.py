"""ANTs' binary matrices, as ITK and scipy write them in both byte orders."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.io import savemat

from medfuse.errors import InputError
from medfuse.io.transforms import itk_mat, read_transform
from medfuse.io.transforms.itk_kinds import transform_of

PARAMETERS = np.array([1.1, 0.1, 0, 0, 0.9, 0, 0.2, 0, 1, 5, -6, 7])
CENTRE = np.array([10.0, 20, 30])


def expected(point: np.ndarray) -> np.ndarray:
    return PARAMETERS[:9].reshape(3, 3) @ (point - CENTRE) + CENTRE + PARAMETERS[9:]


def big_endian(precision: str, code: int) -> bytes:
    raw = b""
    for name, values in ((b"AffineTransform_double_3_3\0", PARAMETERS), (b"fixed\0", CENTRE)):
        raw += struct.pack(">5i", 1000 + code, len(values), 1, 0, len(name)) + name
        raw += values.astype(f">{precision}").tobytes()
    return raw


def test_what_itk_writes(tmp_path: Path) -> None:
    made = sitk.AffineTransform(3)
    made.SetParameters(PARAMETERS.tolist())
    made.SetCenter(CENTRE.tolist())
    sitk.WriteTransform(made, tmp_path / "t.mat")
    assert itk_mat.sniff((tmp_path / "t.mat").read_bytes()[:64])
    point = np.array([3.0, 4, 5])
    assert np.allclose(read_transform(tmp_path / "t.mat").map(point), expected(point))


def test_what_scipy_writes(tmp_path: Path) -> None:
    values = {"AffineTransform_double_3_3": PARAMETERS[:, None], "fixed": CENTRE[:, None]}
    savemat(tmp_path / "t.mat", values, format="4")
    point = np.array([3.0, 4, 5])
    assert np.allclose(read_transform(tmp_path / "t.mat").map(point), expected(point))


@pytest.mark.parametrize(("precision", "code"), [("f8", 0), ("f4", 10)])
def test_the_other_byte_order_and_single_precision(precision: str, code: int) -> None:
    raw = big_endian(precision, code)
    assert itk_mat.sniff(raw)
    point = np.array([3.0, 4, 5])
    made = transform_of(itk_mat.read(raw, "t"), "t")
    assert np.allclose(made.map(point), expected(point), atol=1e-4)


def test_every_cut_is_refused() -> None:
    raw = big_endian("f8", 0)
    for length in range(1, len(raw)):
        with pytest.raises(InputError) as caught:
            transform_of(itk_mat.read(raw[:length], "t"), "t")
        assert caught.value.id == "X12"


@pytest.mark.parametrize("head", [b"", b"1 0 0 0\n", b"MATLAB 5.0 MAT-file" + bytes(99), bytes(64)])
def test_other_files_are_not_ours(head: bytes) -> None:
    assert not itk_mat.sniff(head)
