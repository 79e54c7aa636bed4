"""The stored numbers of one DICOM frame, and which of them are padding.

Uncompressed pixels are unpacked here (so that padding is found before unused bits are masked),
compressed ones by whichever pydicom plugin can. Values are never inverted: MONOCHROME1 says how to
show numbers, not what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder

from medfuse.errors import DicomError
from medfuse.io.codestream import frame_of
from medfuse.io.dicom_header import Header, guarded, no_pixels
from medfuse.io.files import MAX_VOXELS

_NATIVE = {
    "1.2.840.10008.1.2": "<",
    "1.2.840.10008.1.2.1": "<",
    "1.2.840.10008.1.2.1.99": "<",  # deflated: inflated by the parser
    "1.2.840.10008.1.2.2": ">",
}
_CODESTREAMS = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)}
_MOST_TILES = 4096
_INSTALL = 'install the decoders: pip install "medfuse[dicom]"'

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """How the numbers of one file are stored; ``padding`` as 16 unsigned bits, if there is one."""

    rows: int
    columns: int
    frames: int
    allocated: int
    stored: int
    high: int
    signed: bool
    padding: int | None
    padding_limit: int | None
    padding_signed: bool


def layout(header: Header) -> Layout:
    """Return how the pixels of a file are stored.

    Raises ``DicomError`` for what no greyscale image holds, or more pixels than fit (D43).
    """
    allocated = header.integer("BitsAllocated")
    stored = header.integer("BitsStored", allocated)
    found = Layout(
        header.integer("Rows"),
        header.integer("Columns"),
        max(header.integer("NumberOfFrames", 1), 1),
        allocated,
        stored,
        header.integer("HighBit", stored - 1),
        header.integer("PixelRepresentation") == 1,
        header.bits16("PixelPaddingValue"),
        header.bits16("PixelPaddingRangeLimit"),
        header.is_signed("PixelPaddingValue"),
    )
    if allocated not in (1, 8, 16, 32) or not 0 < stored <= allocated or found.high >= allocated:
        raise DicomError(
            f"stores its pixels in a way that is none ({stored} of {allocated} bits)",
            where=header.where,
            id="D46",
        )
    if not 0 < found.rows * found.columns * found.frames <= MAX_VOXELS:
        raise DicomError(
            f"declares {found.frames} frames of {found.rows} x {found.columns} pixels",
            where=header.where,
            id="D43",
        )
    return found


def stored_frame(header: Header, index: int) -> tuple[Pixels, Mask | None]:
    """Return frame ``index`` of a file as stored integers (H, W), and which are padding.

    ``header`` must hold the pixels. Raises ``DicomError``: there are none (D12), they are cut or
    far too many (D13), no installed plugin decodes them (D15).
    """
    shape = layout(header)
    if "PixelData" not in header.dataset:
        raise no_pixels(header.where)
    order = _NATIVE.get(header.syntax)
    if order is None:
        values = _decoded(header, index, shape)
        return values, _padding(values, values, shape)
    raw = _native(header, index, shape, order)
    values = _meant(raw, shape)
    return values, _padding(raw, values, shape)


def _native(header: Header, index: int, shape: Layout, order: str) -> Pixels:
    """Return a frame of uncompressed pixels as unsigned words, all bits as they are stored."""
    with guarded(header.where):
        data = header.dataset.PixelData
    pixels = shape.rows * shape.columns
    needed = (pixels * shape.frames * shape.allocated + 7) // 8
    if len(data) < needed:
        raise DicomError(
            f"the pixels are cut: {len(data)} of {needed} bytes are there",
            where=header.where,
            hint="copy the file again from where it came",
            id="D13",
        )
    # some writers add a line; what is longer was made for other Rows or Columns
    if len(data) > needed + 1 + shape.columns * max(shape.allocated // 8, 1):
        raise DicomError(
            f"holds {len(data)} bytes of pixels, where its header declares {needed}",
            where=header.where,
            hint="export the file again",
            id="D13",
        )
    if shape.allocated == 1:
        first = index * pixels
        bits = np.unpackbits(
            np.frombuffer(data, np.uint8, (first + pixels + 7) // 8 - first // 8, first // 8),
            bitorder="little",
        )
        return bits[first % 8 : first % 8 + pixels].reshape(shape.rows, shape.columns)
    kind = np.dtype(f"{order}u{shape.allocated // 8}")
    if shape.allocated == 8 and order == ">" and header.dataset["PixelData"].VR == "OW":
        data = _swapped(data)
    frame = np.frombuffer(data, kind, pixels, index * pixels * kind.itemsize)
    return frame.reshape(shape.rows, shape.columns)  # (H, W)


def _swapped(data: bytes) -> bytes:
    """Return bytes that were written as big-endian words of two in their own order."""
    return np.frombuffer(data, np.dtype(">u2"), len(data) // 2).astype("<u2").tobytes()


def _meant(raw: Pixels, shape: Layout) -> Pixels:
    """Return the stored integers without unused bits, signed where they are."""
    if shape.allocated == 1:
        return raw
    kind = raw.dtype.newbyteorder("=")
    meant = raw.astype(kind, copy=False)
    above = shape.allocated - 1 - shape.high
    unused = shape.allocated - shape.stored
    if above:
        meant = meant << kind.type(above)
    if shape.signed:
        meant = meant.view(np.dtype(f"i{kind.itemsize}"))
    return meant >> meant.dtype.type(unused) if unused else meant


def _padding(raw: Pixels, values: Pixels, shape: Layout) -> Mask | None:
    """Return where the padding is; its sign need not be that of the pixels (D29, D30)."""
    if shape.padding is None or shape.allocated > 16:
        return None
    bits = (1 << shape.allocated) - 1
    kind = np.dtype(f"u{shape.allocated // 8 or 1}").type
    meant = _as_pixel(shape.padding, shape)
    if shape.padding_limit is not None:
        low, high = sorted((meant, _as_pixel(shape.padding_limit, shape)))
        return (values >= low) & (values <= high)
    unsigned = raw if raw.dtype.kind == "u" else raw.view(np.dtype(f"u{raw.dtype.itemsize}"))
    found = unsigned == kind(shape.padding & bits)
    if shape.stored < shape.allocated:
        found |= values == meant
    return found if found.any() else None


def _as_pixel(word: int, shape: Layout) -> int:
    """Return a 16-bit word as the pixels would hold it."""
    return word - 0x10000 if shape.signed and word >= 0x8000 else word


def _decoded(header: Header, index: int, shape: Layout) -> Pixels:
    name = _decodable(header)
    if header.syntax in _CODESTREAMS:
        _check_stream(header, index, shape)
    try:
        with guarded(header.where):
            decoder = get_decoder(header.syntax)
            values, _ = decoder.as_array(header.dataset, index=index, raw=True)
    except DicomError:
        raise DicomError(
            f"the {name} pixels cannot be decoded: they are damaged or of a rare kind",
            where=header.where,
            hint=f"copy the file again, or {_INSTALL}",
            id="D15" if _lacks_plugins() or _is_rare(header, shape) else "D13",
        ) from None
    if values.shape != (shape.rows, shape.columns):
        raise DicomError("the decoded pixels have another size", where=header.where, id="D13")
    found: Pixels = values
    return found


def _check_stream(header: Header, index: int, shape: Layout) -> None:
    """Refuse a codestream that is cut or declares another frame than the file does (D13)."""
    with guarded(header.where):
        data = header.dataset.PixelData
        stream = get_frame(data, index, number_of_frames=shape.frames)
    found = frame_of(stream)
    declared = (shape.rows, shape.columns, 1)
    if found and (found.rows, found.columns, found.samples) == declared:
        whole = found.tiles <= _MOST_TILES and found.bits <= shape.allocated
        if whole:
            return
    raise DicomError(
        "the compressed pixels are cut or damaged",
        where=header.where,
        hint="copy the file again from where it came",
        id="D13",
    )


def _decodable(header: Header) -> str:
    """Return the name of the compression, where a decoder of it is installed."""
    with guarded(header.where):
        name = str(header.dataset.file_meta.TransferSyntaxUID.name)
        try:
            available = get_decoder(header.syntax).is_available
        except NotImplementedError:
            available = False
    if available:
        return name
    raise DicomError(
        f"no decoder of {name} is installed", where=header.where, hint=_INSTALL, id="D15"
    )


def _lacks_plugins() -> bool:
    return any(find_spec(name) is None for name in ("gdcm", "openjpeg", "jpeg_ls"))


def _is_rare(header: Header, shape: Layout) -> bool:
    """Tell whether these are 12-bit lossy JPEG pixels, which hardly any decoder knows."""
    return header.syntax == "1.2.840.10008.1.2.4.51" and shape.stored > 8
