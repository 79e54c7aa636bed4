"""The head of a compressed frame, against streams that other tools wrote."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import get_frame

from medfuse.io.codestream import Frame, frame_of

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
STREAMS = {
    "JPEG-lossy.dcm": Frame(1024, 256, 1, 12),
    "MR_small_jpeg_ls_lossless.dcm": Frame(64, 64, 1, 16),
    "JPEGLSNearLossless_08.dcm": Frame(45, 10, 1, 8),
    "MR_small_jp2klossless.dcm": Frame(64, 64, 1, 16),
    "JPEG2000.dcm": Frame(1024, 256, 1, 16),
    "SC_rgb_jpeg_dcmtk.dcm": Frame(100, 100, 3, 8),
}


def stream(name: str) -> bytes:
    """Return the first frame of one of pydicom's samples, as it is encoded."""
    found: bytes = get_frame(pydicom.dcmread(SAMPLES / name).PixelData, 0, number_of_frames=1)
    return found


@pytest.mark.parametrize(("name", "frame"), STREAMS.items())
def test_sizes_are_read(name: str, frame: Frame) -> None:
    assert frame_of(stream(name)) == frame


@pytest.mark.parametrize("name", STREAMS)
def test_a_cut_stream_is_damaged(name: str) -> None:
    whole = stream(name).rstrip(b"\0")
    for end in (0, 1, 2, 3, 10, 41, len(whole) // 2, len(whole) - 3):
        assert frame_of(whole[:end]) is None
    for end in (0, 1, 2, 3, 10):
        assert frame_of(whole[:end] + b"\xff\xd9") is None


@pytest.mark.parametrize("name", STREAMS)
def test_a_damaged_head_is_damaged_or_still_one(name: str) -> None:
    """Any bytes at all: an answer, at once, and never an exception."""
    whole = stream(name)
    rng = np.random.default_rng(0)
    for _ in range(300):
        mutant = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 60), 3):
            mutant[place] = rng.integers(256)
        found = frame_of(bytes(mutant))
        assert found is None or found.samples >= 0


def test_padding_behind_the_end_does_not_count() -> None:
    whole = stream("MR_small_jpeg_ls_lossless.dcm").rstrip(b"\0")
    for padding in (b"", b"\0", b"\0\0\0", b"\xff"):
        assert frame_of(whole + padding) is not None


def test_a_marker_among_the_pixels_is_damage() -> None:
    whole = bytearray(stream("MR_small_jpeg_ls_lossless.dcm"))
    whole[len(whole) // 2 : len(whole) // 2 + 2] = b"\xff\xd9"
    assert frame_of(bytes(whole)) is None


def test_tiles_are_counted() -> None:
    """A tile of one pixel would keep a decoder busy for minutes."""
    whole = bytearray(stream("MR_small_jp2klossless.dcm"))
    struct.pack_into(">2I", whole, 24, 1, 1)
    found = frame_of(bytes(whole))
    assert found is not None
    assert found.tiles == 64 * 64
    struct.pack_into(">2I", whole, 24, 0, 1)
    assert frame_of(bytes(whole)) is None


def test_what_is_no_codestream() -> None:
    assert frame_of(b"nothing at all\xff\xd9") is None
    assert frame_of(b"") is None
