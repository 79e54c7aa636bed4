"""MetaImage headers: what places a volume, in every spelling that is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import InputError
from medfuse.io import metaimage

FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "TransformMatrix": "0 1 0 1 0 0 0 0 -1",
    "Offset": "10 20 30",
    "ElementSpacing": "2 3 4",
    "DimSize": "4 5 6",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


def parsed(options: dict[str, str] | None = None, **changes: str | None) -> metaimage.Header:
    fields = {**FIELDS, **changes}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")
    lines = [f"{key} = {value}\n" for key, value in fields.items() if value is not None]
    raw = "".join(lines).encode()
    return metaimage.header(raw + b"\0" * 99, Path("a.mha"), options or {}, where="a.mha")


def test_the_matrix_lists_one_axis_after_the_other() -> None:
    grid = parsed(TransformMatrix="0 1 0 0 0 1 1 0 0").geometry()
    assert grid.shape == (6, 5, 4)
    assert grid.world((0, 0, 1)).tolist() == [10, 22, 30]
    assert grid.world((0, 1, 0)).tolist() == [10, 20, 33]
    assert grid.world((1, 0, 0)).tolist() == [14, 20, 30]


@pytest.mark.parametrize("name", ["Rotation", "Orientation"])
def test_older_names_of_the_matrix_are_known(name: str) -> None:
    turned = parsed(TransformMatrix=None, **{name: FIELDS["TransformMatrix"]})
    assert np.array_equal(turned.world_from_index, parsed().world_from_index)


def test_without_a_matrix_the_axes_are_the_patients() -> None:
    header = parsed(TransformMatrix=None)
    assert header.geometry().orientation == "LPS"
    assert [repair.id for repair in header.repairs] == ["R13"]


def test_without_an_offset_the_middle_may_be_put_at_zero() -> None:
    with pytest.raises(InputError) as caught:
        parsed(Offset=None)
    assert caught.value.id == "N12"
    assert np.allclose(parsed({"centred": "ok"}, Offset=None).geometry().centre, 0)


@pytest.mark.parametrize("name", ["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])
def test_both_names_of_the_byte_order_are_known(name: str) -> None:
    changes = {"BinaryDataByteOrderMSB": None, name: "True"}
    assert parsed(**changes).dtype == np.dtype(">i2")


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"ObjectType": "Tube"}, "R6"),
        ({"NDims": None}, "R6"),
        ({"NDims": "2", "DimSize": "4 5"}, "N22"),
        ({"NDims": "11"}, "R12"),
        ({"ElementType": "MET_STRING"}, "N18"),
        ({"ElementNumberOfChannels": "3"}, "N20"),
        ({"BinaryData": "False"}, "R6"),
        ({"BinaryDataByteOrderMSB": "maybe"}, "R6"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0"}, "R5"),
        ({"DistanceUnits": "inch"}, "N13"),
        ({"ElementSpacing": None}, "R6"),
        ({"ElementToIntensityFunctionSlope": "2"}, "N16"),
    ],
)
def test_what_cannot_be_placed_is_refused(changes: dict[str, str | None], id: str) -> None:
    with pytest.raises(InputError) as caught:
        parsed(**changes)
    assert caught.value.id == id
    assert "\n" not in str(caught.value)


def test_remarks_with_any_word_are_passed_over() -> None:
    header = parsed(**{"NRRD_kinds[0]": "domain", "PatientName": "Doe = Jane"})
    assert header.sizes == (4, 5, 6)
    assert "Jane" not in repr(header)


def test_a_header_that_never_names_its_data_is_refused() -> None:
    with pytest.raises(InputError, match="ElementDataFile"):
        metaimage.header(b"NDims = 3\nDimSize = 1 1 1\n", Path("a.mha"), {}, where="a.mha")


@pytest.mark.parametrize(
    ("head", "ours"),
    [
        (b"ObjectType = Image\nNDims = 3\n", True),
        (b"Comment = x\r\nNDims = 3\r\n", True),
        (b"NRRD0004\n", False),
        (b"<html>NDims</html>", False),
        (b"ID = 3\nname = cohort\n", False),
    ],
)
def test_sniff(head: bytes, ours: bool) -> None:
    assert metaimage.sniff(head) is ours
