"""The text of Insight transform files, written and read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfuse.errors import InputError, UsageError
from medfuse.geometry import Geometry
from medfuse.io.transforms import itk
from medfuse.io.transforms.itk_kinds import transform_of
from medfuse.transform import IDENTITY, Affine, Chain, Displacement


def rigid(seed: int) -> Affine:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix()
    matrix[:3, 3] = rng.uniform(-200, 200, 3)
    return Affine(matrix)


@given(seed=st.integers(0, 999))
def test_a_matrix_survives_to_the_last_bit(seed: int) -> None:
    made = rigid(seed)
    again = transform_of(itk.read(itk.text(made).encode(), "t"), "t")
    assert isinstance(again, Affine)
    assert np.array_equal(again.moving_from_fixed, made.moving_from_fixed)


def test_a_chain_of_matrices_is_one_matrix() -> None:
    chain = Chain((rigid(1), Chain((rigid(2),)), rigid(3)))
    again = transform_of(itk.read(itk.text(chain).encode(), "t"), "t")
    points = np.random.default_rng(0).uniform(-100, 100, (10, 3))
    assert np.allclose(again.map(points), chain.map(points), rtol=0, atol=1e-9)


def test_the_text_is_what_every_tool_reads() -> None:
    lines = itk.text(IDENTITY).splitlines()
    assert lines == [
        "#Insight Transform File V1.0",
        "#Transform 0",
        "Transform: AffineTransform_double_3_3",
        "Parameters: 1 0 0 0 1 0 0 0 1 0 0 0",
        "FixedParameters: 0 0 0",
    ]


def test_minus_zero_is_written_as_zero() -> None:
    assert "-0 " not in itk.text(Affine(np.diag([1.0, 1, 1, 1]) * 1.0 + np.zeros(4) * -1.0))


def test_a_field_does_not_fit_into_text() -> None:
    shift = Displacement(np.zeros((3, 2, 2, 2)), Geometry((2, 2, 2), np.eye(4)))
    for transform in (shift, Chain((rigid(1), shift))):
        with pytest.raises(UsageError, match=r"\.h5"):
            itk.text(transform)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_and_marks_of_other_systems(ends: str) -> None:
    raw = b"\xef\xbb\xbf" + itk.text(rigid(4)).replace("\n", ends).encode()
    assert itk.sniff(raw[:64])
    again = transform_of(itk.read(raw, "t"), "t")
    assert np.array_equal(again.map([[1, 2, 3]]), rigid(4).map([[1, 2, 3]]))


@pytest.mark.parametrize(
    ("line", "id"),
    [
        ("Parameters: 1", "X11"),  # a second time
        ("Colour: red", "X11"),
        ("1 2 3", "X11"),
        ("Transform", "X11"),
    ],
)
def test_lines_without_a_place(line: str, id: str) -> None:
    with pytest.raises(InputError) as caught:
        itk.read(f"{itk.text(rigid(0))}{line}\n".encode(), "t")
    assert caught.value.id == id


def test_parameters_before_any_transform() -> None:
    with pytest.raises(InputError, match="no place"):
        itk.read(b"#Insight Transform File V1.0\nParameters: 1 2 3\n", "t")
