"""The checks that NRRD and MetaImage headers share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfuse.errors import GeometryError, InputError
from medfuse.io import itk_header


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4))
def test_numbers_are_read_exactly(values: list[float]) -> None:
    text = " ".join(f"{value:.17g}" for value in values)
    read = itk_header.numbers(text, len(values), what="row", where="f", id="R5")
    assert read.tolist() == values


@pytest.mark.parametrize("text", ["1 2", "1 2 3 4", "1 2 x", "1 2 0x3", "1 2 1_0", "1 2 ٣", ""])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="not 3 numbers") as caught:
        itk_header.numbers(text, 3, what="row", where="f", id="R5")
    assert caught.value.id == "R5"


@pytest.mark.parametrize("word", ["nan", "NaN", "inf", "-Infinity", "1e999"])
def test_numbers_must_be_finite(word: str) -> None:
    with pytest.raises(GeometryError, match="not finite"):
        itk_header.numbers(f"1 2 {word}", 3, what="row", where="f", id="R5")


def test_a_decimal_comma_is_called_one() -> None:
    with pytest.raises(InputError, match="decimal comma"):
        itk_header.numbers("0,5 1 1", 3, what="row", where="f", id="R8")


@pytest.mark.parametrize("text", ["4 4 0", "4 4 -6", "4 4 4.5", "4 4", "60000 60000 60000"])
def test_sizes_must_make_sense(text: str) -> None:
    with pytest.raises(InputError) as caught:
        itk_header.sizes_of(text, 3, where="f")
    assert caught.value.id == "R12"


def test_lengths_in_another_unit_become_millimetres() -> None:
    steps, origin = np.eye(3) * 200, np.array([1000.0, 0, 0])
    in_mm, at, repairs = itk_header.to_millimetres("um", steps, origin, where="f")
    assert np.allclose(in_mm, np.eye(3) * 0.2)
    assert np.allclose(at, [1, 0, 0])
    assert [repair.id for repair in repairs] == ["N13"]
    assert itk_header.to_millimetres('"mm"', steps, origin, where="f")[2] == ()
    with pytest.raises(GeometryError, match="unknown unit"):
        itk_header.to_millimetres("furlong", steps, origin, where="f")


def test_a_data_file_may_be_a_link_inside_the_folder_only(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(b"1")
    (folder / "real.raw").write_bytes(b"1")
    (folder / "inside.raw").symlink_to("real.raw")
    (folder / "outside.raw").symlink_to("../secret.raw")
    header = folder / "a.mhd"
    assert itk_header.data_file("inside.raw", header, where="f", id="R2").samefile(
        folder / "real.raw"
    )
    with pytest.raises(InputError, match="outside its own folder"):
        itk_header.data_file("outside.raw", header, where="f", id="R2")
