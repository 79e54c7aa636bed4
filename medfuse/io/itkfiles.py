"""NRRD and MetaImage files (``.nrrd``, ``.nhdr``, ``.mha``, ``.mhd``), read and written by numpy.

The header is parsed and checked first, the size on disk is held against the size declared, and a
compressed stream is drained to its end: ITK, which fills what is missing with zeros or with
whatever lay in memory, is not asked. Both formats speak LPS mm.
"""

from __future__ import annotations

import bz2
import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medfuse.errors import GeometryError, InputError
from medfuse.io import files, metaimage, nrrd
from medfuse.io.image import Image, check_shear
from medfuse.io.itk_header import MAX_HEADER, Header
from medfuse.volume import LabelMap, Volume

_LEVEL = 4  # of deflate: more costs time and saves little on measured values
_MOST_DEFLATE = 1032  # no deflate stream grows more than that many times
_WORDS = {"<f4": ("float", "MET_FLOAT"), "<u2": ("unsigned short", "MET_USHORT")}


def sniff(head: bytes) -> bool:
    """Tell whether a file that begins with ``head`` is NRRD or MetaImage."""
    return head.startswith(nrrd.MAGIC) or metaimage.sniff(head)


def read(path: Path, options: Mapping[str, str]) -> Image:
    """Return the numbers and the grid of a file; the option ``volume`` picks one of a series.

    Raises ``InputError`` (R1 to R13 of the documented errors) for what is cut, damaged, unsafe or
    not one scalar volume in a patient, ``GeometryError`` (N10) for more than 5 degrees of shear.
    """
    file = files.readable(path)
    raw = files.head(file, MAX_HEADER)
    if raw.startswith(files.GZIP):
        raise InputError(
            "is compressed as a whole", where=path, hint="unpack it with gunzip first", id="R6"
        )
    parse = nrrd.header if raw.startswith(nrrd.MAGIC) else metaimage.header
    found = parse(raw, file, options, where=path)
    geometry = found.geometry()
    check_shear(geometry, path)
    voxels = _voxels(found, path).reshape(found.sizes[::-1])
    array = _one_volume(voxels, found, options, path)
    return Image(array, geometry, _sha256(file, found.data), found.repairs)


def write(volume: Volume | LabelMap, path: Path) -> None:
    """Write a volume or label map to ``path``, in the format of its suffix.

    The header holds the grid and nothing else; the same volume gives the same bytes. Raises
    ``GeometryError`` for a sheared grid.
    """
    if not volume.geometry.is_orthonormal:
        raise GeometryError(
            f"the grid is sheared by {volume.geometry.shear_degrees:.2f} degrees",
            hint="resample it to a right-angled grid first",
            id="N10",
        )
    little = volume.array.astype(volume.array.dtype.newbyteorder("<"), copy=False)
    is_nrrd = path.suffix.lower() == ".nrrd"
    engine = zlib.compressobj(_LEVEL, wbits=31 if is_nrrd else 15)
    payload = engine.compress(little.data.cast("B")) + engine.flush()
    text = _nrrd_text(volume) if is_nrrd else _metaimage_text(volume, len(payload))
    with path.open("wb") as stream:
        stream.write(text.encode("ascii"))
        stream.write(payload)


def _voxels(found: Header, where: object) -> npt.NDArray[np.generic]:
    """Return all numbers of the file in one row, in native byte order."""
    held = found.data.stat().st_size - max(found.offset, 0)
    if found.encoding == "raw":
        _check_held(held, found, where)
        offset = found.offset if found.offset >= 0 else held - found.bytes
        row = np.fromfile(
            found.data, found.dtype, found.bytes // found.dtype.itemsize, offset=offset
        )
    else:
        if found.encoding != "bzip2" and found.bytes > held * _MOST_DEFLATE:
            raise _short(held, found, where)
        with found.data.open("rb") as stream:
            stream.seek(found.offset)
            packed = stream.read()
        row = np.frombuffer(_unpacked(packed, found, where), found.dtype)
    return row.astype(found.dtype.newbyteorder("="), copy=False)


def _check_held(held: int, found: Header, where: object) -> None:
    if held < found.bytes:
        raise _short(held, found, where)
    if held > found.bytes and found.offset >= 0:
        raise InputError(
            f"holds {held} bytes of voxels, its header declares {found.bytes}",
            where=where,
            hint="mend the header",
            id="R6",
        )


def _unpacked(packed: bytes, found: Header, where: object) -> bytes:
    """Return the inflated voxels, once the stream has ended where the header says."""
    if found.encoding == "gzip":
        try:
            voxels = files.inflate(packed, found.data, limit=found.bytes)
        except InputError as error:
            raise InputError(error.what, where=where, hint=error.hint, id="R6") from None
    else:
        voxels = _drained(packed, found, where)
    if len(voxels) != found.bytes:
        raise _short(len(voxels), found, where)
    return voxels


def _drained(packed: bytes, found: Header, where: object) -> bytes:
    # MetaIO reads zlib and gzip streams alike: 47 lets zlib tell them apart
    engine = zlib.decompressobj(wbits=47) if found.encoding == "zlib" else bz2.BZ2Decompressor()
    try:
        voxels = engine.decompress(packed, found.bytes + 1)
    except (zlib.error, OSError):
        raise InputError(
            f"the {found.encoding} stream is damaged",
            where=where,
            hint="copy it again from where it came",
            id="R7",
        ) from None
    if not engine.eof and len(voxels) <= found.bytes:
        raise InputError(
            f"the {found.encoding} stream is cut ({len(packed)} bytes of it are there)",
            where=where,
            hint="copy it again from where it came",
            id="R7",
        )
    return voxels


def _short(held: int, found: Header, where: object) -> InputError:
    return InputError(
        f"the file is cut or its header wrong: {held} bytes of voxels of {found.bytes}",
        where=where,
        hint="copy it again from where it came",
        id="R6",
    )


def _one_volume(
    voxels: npt.NDArray[np.generic], found: Header, options: Mapping[str, str], where: object
) -> npt.NDArray[np.generic]:
    """Return the (D, H, W) part of an array that may have more axes, stored slowest first."""
    others = [axis for axis in range(len(found.sizes)) if axis not in found.space]
    count = int(np.prod([found.sizes[axis] for axis in others], dtype=np.int64))
    chosen = int(options["volume"]) if "volume" in options else 0
    if (count > 1 and "volume" not in options) or chosen >= count:
        raise InputError(
            f"holds {count} volumes",
            where=where,
            hint=f"add :volume=K, K from 0 to {count - 1}",
            id="N23",
        )
    last = voxels.ndim - 1
    spatial = tuple(last - axis for axis in reversed(found.space))
    ordered = voxels.transpose(*(last - axis for axis in reversed(others)), *spatial)
    return np.ascontiguousarray(ordered.reshape(count, *ordered.shape[-3:])[chosen])


def _sha256(header: Path, data: Path) -> str:
    if data == header:
        return files.sha256(header)
    digest = hashlib.sha256(header.read_bytes())
    with data.open("rb") as stream:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


def _nrrd_text(volume: Volume | LabelMap) -> str:
    grid = volume.geometry
    steps = [_row(grid.world_from_voxel[:3, axis], ",") for axis in (2, 1, 0)]
    return (
        "NRRD0004\n"
        f"type: {_WORDS[volume.array.dtype.newbyteorder('<').str][0]}\n"
        "dimension: 3\n"
        "space: left-posterior-superior\n"
        f"sizes: {_row(grid.shape[::-1])}\n"
        f"space directions: {' '.join(f'({step})' for step in steps)}\n"
        "kinds: domain domain domain\n"
        "endian: little\n"
        "encoding: gzip\n"
        f"space origin: ({_row(grid.origin, ',')})\n\n"
    )


def _metaimage_text(volume: Volume | LabelMap, compressed: int) -> str:
    grid = volume.geometry
    return (
        "ObjectType = Image\n"
        "NDims = 3\n"
        "BinaryData = True\n"
        "BinaryDataByteOrderMSB = False\n"
        "CompressedData = True\n"
        f"CompressedDataSize = {compressed}\n"
        f"TransformMatrix = {_row(grid.direction[:, ::-1].T.ravel())}\n"
        f"Offset = {_row(grid.origin)}\n"
        "CenterOfRotation = 0 0 0\n"
        f"ElementSpacing = {_row(grid.spacing[::-1])}\n"
        f"DimSize = {_row(grid.shape[::-1])}\n"
        f"ElementType = {_WORDS[volume.array.dtype.newbyteorder('<').str][1]}\n"
        "ElementDataFile = LOCAL\n"
    )


def _row(values: npt.ArrayLike, between: str = " ") -> str:
    return between.join(f"{value + 0.0:.17g}" for value in np.asarray(values).tolist())
