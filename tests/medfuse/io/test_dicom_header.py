"""Tags as plain values: numbers are parsed by us, trouble is one error about one file."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from medfuse.errors import DicomError
from medfuse.io.dicom_header import Header, guarded, is_dicom_head, read_header, read_pixels
from tests.medfuse.io import dicom_maker as maker


def header(tmp_path: Path, syntax: str = ImplicitVRLittleEndian, **values: object) -> Header:
    """Return the header of a slice with these tags, written and read again."""
    made = maker.slice_of(0)
    for keyword, value in values.items():
        setattr(made, keyword, value)
    made.file_meta.TransferSyntaxUID = syntax
    return read_header(maker.save(made, tmp_path / "x.dcm"))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_values_are_plain(tmp_path: Path, syntax: str) -> None:
    found = header(tmp_path, syntax, SeriesDescription="  t1  ")
    assert found.text("Modality") == "CT"
    assert found.text("SeriesDescription") == "t1"
    assert found.text("ImageType") == "ORIGINAL\\PRIMARY\\AXIAL"
    assert found.numbers("PixelSpacing") == (2.0, 2.0)
    assert found.numbers("ImagePositionPatient") == maker.ORIGIN
    assert found.integer("Rows") == 16
    assert (found.number("RescaleSlope"), found.number("EchoTime")) == (1.0, None)
    assert found.syntax == syntax
    assert "PixelSpacing" in found
    assert "EchoTime" not in found
    assert (found.items("SegmentSequence"), found.item("SegmentSequence")) == ((), None)


def test_an_empty_tag_is_no_number(tmp_path: Path) -> None:
    found = header(tmp_path, PixelSpacing=None)
    assert found.numbers("PixelSpacing") == ()
    assert "PixelSpacing" not in found


@pytest.mark.parametrize("text", ["2,0", "two", "1e999", "nan"])
def test_what_is_no_number(tmp_path: Path, text: str) -> None:
    found = header(tmp_path)
    found.dataset.add_new("SliceThickness", "LO", text)
    with pytest.raises(DicomError, match="SliceThickness is not a number") as caught:
        found.number("SliceThickness")
    assert caught.value.id == "D37"
    assert ("comma" in str(caught.value)) == ("," in text)


def test_pixels_are_left_alone_until_they_are_asked_for(tmp_path: Path) -> None:
    path = header(tmp_path).where
    assert "PixelData" not in read_header(path).dataset
    read, raw = read_pixels(path)
    assert read.dataset.PixelData == maker.stored(0).tobytes()
    assert raw == path.read_bytes()


def test_whatever_pydicom_raises_is_one_error_without_its_text() -> None:
    with pytest.raises(DicomError) as caught, guarded("x.dcm"):
        raise ValueError("PLANTED^NAME")
    assert str(caught.value).startswith("x.dcm: is damaged")
    assert "PLANTED" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_pydicom_is_silent_inside_and_as_before_outside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = logging.getLogger("pydicom").level
    with guarded("x.dcm"):
        warnings.warn("PLANTED^NAME", stacklevel=1)
        logging.getLogger("pydicom.dataelem").warning("PLANTED^NAME")
    assert caplog.text == ""
    assert logging.getLogger("pydicom").level == before


def test_the_mark_stands_behind_128_bytes(tmp_path: Path) -> None:
    head = header(tmp_path).where.read_bytes()[:132]
    assert is_dicom_head(head)
    assert not is_dicom_head(head[:131])
    assert not is_dicom_head(b"DICM" + head)


def test_a_cut_header_is_one_error(tmp_path: Path) -> None:
    """Wherever the file ends: read, or one error; never another exception."""
    path = header(tmp_path, "1.2.840.10008.1.2.1").where
    whole = path.read_bytes()
    for end in range(132, len(whole) - 448, 7):
        path.write_bytes(whole[:end])
        try:
            found = read_header(path)
            found.numbers("ImagePositionPatient")
            found.words("PatientName")
        except DicomError as error:
            assert error.where == path  # noqa: PT017 - some cuts leave a readable header
    assert isinstance(pydicom.__version__, str)
