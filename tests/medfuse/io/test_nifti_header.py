"""The header fields lie where nibabel says that they do."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import InputError
from medfuse.io import nifti_header


@pytest.mark.parametrize(
    ("size", "theirs"), [(348, nib.nifti1.header_dtype), (540, nib.nifti2.header_dtype)]
)
def test_fields_lie_where_nibabel_has_them(size: int, theirs: np.dtype) -> None:
    ours = nifti_header.layout(size)
    assert ours.itemsize == theirs.itemsize == size
    names = {"quatern": "quatern_b", "qoffset": "qoffset_x", "srow": "srow_x"}
    for name in ours.names or ():
        kind, offset = ours.fields[name][:2]  # type: ignore[index]
        other, place = theirs.fields[names.get(name, name)][:2]  # type: ignore[index]
        assert offset == place, name
        assert name == "magic" or kind.base.itemsize == other.base.itemsize, name


def test_types_are_those_of_nibabel() -> None:
    codes = nib.nifti1.data_type_codes
    for code, kind in nifti_header.DATATYPES.items():
        assert codes.dtype[code] == np.dtype(kind)


@pytest.mark.parametrize("size", [348, 540])
@pytest.mark.parametrize("order", ["<", ">"])
def test_size_and_byte_order(size: int, order: str) -> None:
    kind = nib.Nifti1Header if size == 348 else nib.Nifti2Header
    head = kind(endianness=order).binaryblock
    assert nifti_header.declared_size(head) == (size, order)
    assert nifti_header.declared_size(b"NRRD0004\n") == (0, "<")


def test_what_a_header_declares() -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype("i2")
    header.set_data_shape((5, 6, 7, 3))
    header["vox_offset"] = 352
    header.set_slope_inter(0.5, -1024)
    found = nifti_header.parse(header.binaryblock + bytes(4), Path("scan.nii"))
    assert (found.shape, found.count, found.offset) == ((5, 6, 7), 3, 352)
    assert found.volume_size == 5 * 6 * 7 * 2
    assert found.size == 352 + 3 * 5 * 6 * 7 * 2
    assert (found.slope, found.inter) == (0.5, -1024)
    assert found.repairs == ()


def test_slope_one_means_nothing_to_scale() -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((5, 6, 7))
    header["vox_offset"] = 352
    header.set_slope_inter(1, 0)
    assert nifti_header.parse(header.binaryblock + bytes(4), Path("scan.nii")).slope is None


def test_an_intercept_that_is_not_finite() -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((5, 6, 7))
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = 352, 2, np.nan
    with pytest.raises(InputError, match="intercept"):
        nifti_header.parse(header.binaryblock + bytes(4), Path("scan.nii"))
