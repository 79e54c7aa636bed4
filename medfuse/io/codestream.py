"""The head and the tail of a compressed frame, read before a decoder written in C sees it.

Decoders trust the sizes in a codestream: where these are damaged they crash, run for minutes, or
return what they like. So the sizes must be those that DICOM declares, and the stream must end.
(JPEG: ITU T.81, JPEG-LS: T.87, JPEG 2000: T.800 annex A.)
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_START, _END = b"\xff\xd8", b"\xff\xd9"
_START_2000, _SIZE_2000 = b"\xff\x4f", 0xFF51
_SIZES = {0xFFC0 + n for n in (0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15)} | {0xFFF7}
_SCAN = 0xFFDA
# what cannot follow FF within the one scan of lossless JPEG and of JPEG-LS
_ALIEN = {
    0xFFC3: re.compile(rb"\xff[^\x00\xd0-\xd7\xff]"),
    0xFFF7: re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]"),
}
# tables, restart interval, applications', extensions (JPEG-LS parameters), comment
_SEGMENTS = {0xFFC4, 0xFFCC, 0xFFDB, 0xFFDD, 0xFFF8, 0xFFFE, *range(0xFFE0, 0xFFF0)}


@dataclass(frozen=True)
class Frame:
    """What a codestream says of its frame; ``tiles`` is 1 but for JPEG 2000."""

    rows: int
    columns: int
    samples: int
    bits: int
    tiles: int = 1


def frame_of(stream: bytes) -> Frame | None:
    """Return the frame of a JPEG, JPEG-LS or JPEG 2000 codestream, None where it is damaged.

    The stream must end with its end marker (padding zeros, or one byte of any kind, behind it do
    not count), so a cut one is damaged too; and so is one where a marker stands among the pixels.
    """
    bare = stream.rstrip(b"\0")
    if not (bare.endswith(_END) or bare[:-1].endswith(_END)):
        return None
    try:
        if stream.startswith(_START_2000):
            return _frame_2000(stream)
        if stream.startswith(_START):
            return _frame(stream)
    except struct.error:
        return None
    return None


def _frame(stream: bytes) -> Frame | None:
    """Walk from segment to segment, every one of them whole, until the scan begins."""
    found: Frame | None = None
    place, kind = len(_START), 0
    while True:
        marker, length = struct.unpack_from(">HH", stream, place)
        if marker == _SCAN:
            alien = _ALIEN.get(kind)
            inside = stream[place + 2 + length : stream.rindex(_END)]
            return None if alien and alien.search(inside) else found
        if marker in _SIZES:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", stream, place + 4)
            if found or length != 8 + 3 * samples:
                return None
            found, kind = Frame(rows, columns, samples, bits), marker
        elif marker not in _SEGMENTS or length < 2:
            return None
        place += 2 + length


def _frame_2000(stream: bytes) -> Frame | None:
    marker, length = struct.unpack_from(">HH", stream, 2)
    sizes = struct.unpack_from(">8I", stream, 8)
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top = sizes
    (samples,) = struct.unpack_from(">H", stream, 40)
    (depth,) = struct.unpack_from(">B", stream, 42)
    sound = marker == _SIZE_2000 and length == 38 + 3 * samples and tile_width and tile_height
    if not sound or tile_left > left or tile_top > top or right <= left or bottom <= top:
        return None
    across = -(-(right - tile_left) // tile_width)
    down = -(-(bottom - tile_top) // tile_height)
    return Frame(bottom - top, right - left, samples, (depth & 0x7F) + 1, across * down)
