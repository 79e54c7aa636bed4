"""Stored numbers of a frame, against pydicom's own decoding and against bits written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from medfuse.errors import InputError
from medfuse.io.dicom_header import read_pixels
from medfuse.io.dicom_pixels import stored_frame
from tests.medfuse.io import dicom_maker as maker

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.mark.filterwarnings("ignore:The pixel data is .* excess padding:UserWarning")
@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
        "image_dfl.dcm",
        "JPEG2000.dcm",
        "JPEGLSNearLossless_16.dcm",
        "J2K_pixelrep_mismatch.dcm",
    ],
)
def test_samples_equal_what_pydicom_decodes(name: str) -> None:
    """MR_small in all its encodings holds the same numbers."""
    found, _ = stored_frame(read_pixels(SAMPLES / name)[0], 0)
    np.testing.assert_array_equal(found, pydicom.dcmread(SAMPLES / name).pixel_array)
    if name.startswith("MR_small"):
        plain = pydicom.dcmread(SAMPLES / "MR_small.dcm").pixel_array
        np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_D15_lossy_jpeg_of_12_bits(name: str) -> None:
    with pytest.raises(InputError, match=r"medfuse\[dicom\]") as caught:
        stored_frame(read_pixels(SAMPLES / name)[0], 0)
    assert caught.value.id == "D15"


def test_D13_a_cut_codestream() -> None:
    header, _ = read_pixels(SAMPLES / "MR_small_jpeg_ls_lossless.dcm")
    header.dataset.PixelData = header.dataset.PixelData[:400]
    with pytest.raises(InputError, match="cut or damaged") as caught:
        stored_frame(header, 0)
    assert caught.value.id == "D13"


def test_D13_a_codestream_of_another_size() -> None:
    """The decoder would believe the stream; the file says otherwise."""
    header, _ = read_pixels(SAMPLES / "MR_small_jp2klossless.dcm")
    header.dataset.Rows = 32
    with pytest.raises(InputError, match="cut or damaged"):
        stored_frame(header, 0)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_padding_in_every_encoding(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    """An implicit file does not say whether 63536 is -2000: the bits are the same."""
    made = maker.slice_of(0)
    array = maker.stored(0)
    array[3, 5:9] = -2000
    big = syntax == ExplicitVRBigEndian
    maker.put_pixels(made, array.astype(">i2" if big else "<i2"))
    made.add_new("PixelPaddingValue", "SS", -2000)
    made.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(tmp_path / "x.dcm", made, implicit_vr=not big, little_endian=not big)
    found, padding = stored_frame(read_pixels(tmp_path / "x.dcm")[0], 0)
    np.testing.assert_array_equal(found, array)
    assert padding is not None
    np.testing.assert_array_equal(padding, array == -2000)


def test_a_range_of_padding(tmp_path: Path) -> None:
    made = maker.slice_of(0)
    made.add_new("PixelPaddingValue", "SS", 120)
    made.add_new("PixelPaddingRangeLimit", "SS", 110)
    _, padding = stored_frame(read_pixels(maker.save(made, tmp_path / "x.dcm"))[0], 0)
    assert padding is not None
    np.testing.assert_array_equal(padding, (maker.stored(0) >= 110) & (maker.stored(0) <= 120))


def test_signed_numbers_of_twelve_bits(tmp_path: Path) -> None:
    """The upper four bits are junk; the twelfth is the sign."""
    meant = np.array([[-2048, -1, 0, 5, 2047]], dtype=np.int16)
    junk = (meant.view(np.uint16) & 0x0FFF) | 0xA000
    made = maker.slice_of(0)
    maker.put_pixels(made, junk, bits=12)
    made.PixelRepresentation = 1
    found, _ = stored_frame(read_pixels(maker.save(made, tmp_path / "x.dcm"))[0], 0)
    np.testing.assert_array_equal(found, meant)


def test_numbers_that_do_not_stand_at_the_low_end(tmp_path: Path) -> None:
    """HighBit 15 of 12 stored: the numbers are shifted up by four bits."""
    meant = np.array([[0, 1, 77, 4095]], dtype=np.uint16)
    made = maker.slice_of(0)
    maker.put_pixels(made, meant << 4, bits=12)
    made.HighBit = 15
    found, _ = stored_frame(read_pixels(maker.save(made, tmp_path / "x.dcm"))[0], 0)
    np.testing.assert_array_equal(found, meant)


@pytest.mark.parametrize("bits", [(0, 0), (16, 17), (12, 12)])
def test_bits_that_cannot_be(tmp_path: Path, bits: tuple[int, int]) -> None:
    made = maker.slice_of(0)
    made.BitsAllocated, made.BitsStored = bits
    with pytest.raises(InputError, match="in a way that is none"):
        stored_frame(read_pixels(maker.save(made, tmp_path / "x.dcm"))[0], 0)


@pytest.mark.parametrize("kind", ["OW", "OB"])
@pytest.mark.parametrize("columns", [13, 14])
def test_bytes_in_big_endian_words_keep_their_order(
    tmp_path: Path, kind: str, columns: int
) -> None:
    array = np.arange(2 * 15 * columns).reshape(2, 15, columns).astype(np.uint8)
    payload = array.tobytes() + b"\0" * (array.size % 2)
    made = maker.enhanced(array, [(0, 0, 0), (0, 0, 3)])
    made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    words = np.frombuffer(payload, "<u2").astype(">u2").tobytes()
    made.PixelData = words if kind == "OW" else payload
    made["PixelData"].VR = kind
    path = tmp_path / "x.dcm"
    pydicom.dcmwrite(path, made, implicit_vr=False, little_endian=False)
    header, _ = read_pixels(path)
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, array)
    for k in range(2):
        np.testing.assert_array_equal(stored_frame(header, k)[0], array[k])


def test_D13_more_pixels_than_are_declared(tmp_path: Path) -> None:
    """Half the rows would be read as if they were all; one line more is harmless."""
    made = maker.slice_of(0)
    made.Rows = 8
    header, _ = read_pixels(maker.save(made, tmp_path / "x.dcm"))
    with pytest.raises(
        InputError, match="448 bytes of pixels, where its header declares 224"
    ) as no:
        stored_frame(header, 0)
    assert no.value.id == "D13"
    made.Rows = 15
    header, _ = read_pixels(maker.save(made, tmp_path / "x.dcm"))
    np.testing.assert_array_equal(stored_frame(header, 0)[0], maker.stored(0)[:15])
