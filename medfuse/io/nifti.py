"""NIfTI-1 and NIfTI-2 in one file, plain or gzip: checked first, then read to its end.

The world of NIfTI is RAS+: it enters and leaves through ``Geometry.from_ras`` and ``to_ras``
here and nowhere else.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medfuse.errors import GeometryError, InputError, Repair
from medfuse.geometry import Geometry
from medfuse.io.files import GZIP, beginning, inflate, stored
from medfuse.io.image import Image, check_shear
from medfuse.io.nifti_header import (
    DATATYPES,
    HEAD,
    MAGIC,
    Header,
    check_extensions,
    declared_size,
    layout,
    parse,
)
from medfuse.io.nifti_space import quaternion, world
from medfuse.modality import MODALITIES
from medfuse.volume import LabelMap, Volume

_SLACK = 1 << 20  # bytes after the voxels that are tolerated
_RATIO = 1032  # deflate cannot pack tighter
_UNITS = {f"unit={word}".encode(): word for word in ("SUVbw", "Bq/ml", "HU", "unknown")}
_SCANNER, _MM = 1, 2  # nifti1.h: NIFTI_XFORM_SCANNER_ANAT, NIFTI_UNITS_MM


def sniff(head: bytes) -> bool:
    """Tell whether ``head`` begins a NIfTI (or Analyze) file: its first number is a header size."""
    return declared_size(head)[0] != 0


def read(path: Path, options: Mapping[str, str]) -> Image:
    """Read one volume; options: ``volume`` (of a 4-D file), ``xform``, ``centred``.

    Raises ``InputError`` for a damaged or unsuitable file and ``GeometryError`` where its place in
    the world is unknown, contradictory, singular or sheared by more than 5 degrees.
    """
    raw = stored(path)
    head = beginning(raw, HEAD)
    if len(head) < HEAD and raw.startswith(GZIP):
        head = inflate(raw, path, limit=HEAD)  # says what is wrong with the stream
    header = parse(head, path)
    affine, placed = world(
        header.fields, header.shape, path, xform=options.get("xform"), centred="centred" in options
    )
    geometry = Geometry.from_ras(header.shape, affine)
    check_shear(geometry, path)
    wanted = _wanted(header, path, options.get("volume"))
    data, extra = _voxel_bytes(header, raw, path)
    flat = np.frombuffer(
        data,
        header.voxels,
        header.volume_size // header.voxels.itemsize,
        header.offset + wanted * header.volume_size,
    )
    array = _scaled(
        flat.reshape(geometry.shape), header, path
    )  # (D, H, W): files run fastest along i
    repairs = (*header.repairs, *placed, *extra)
    unit = _UNITS.get(bytes(header.fields["descrip"]))
    return Image(array, geometry, hashlib.sha256(raw).hexdigest(), repairs, unit=unit)


def write(volume: Volume | LabelMap, path: Path) -> None:
    """Write NIfTI-1 (NIfTI-2 where a side is over 32767), gzip if the name ends in ``.gz``.

    qform and sform are one (code 1, scanner), lengths mm, the same bytes each time; the only text
    is the unit of CT and PET (``unit=SUVbw``), which NIfTI has no field for. Whole numbers in the
    range of int16 or uint16 are stored so, labels as uint8 or uint16, all else as float32; nothing
    is scaled. Raises ``GeometryError`` for a sheared grid.
    """
    geometry = volume.geometry
    if not geometry.is_orthonormal:
        raise GeometryError("a sheared grid cannot be written", where=path, id="N10")
    array = _compact(volume)
    payload = _header(geometry, array.dtype, _remark(volume)) + bytes(4)
    if not path.name.lower().endswith(".gz"):
        with path.open("wb") as stream:
            stream.write(payload)
            stream.write(array.data)
        return
    # runs alone for floats: half the time of level 1, and smaller, on resampled scans
    strategy = zlib.Z_RLE if array.dtype.kind == "f" else zlib.Z_DEFAULT_STRATEGY
    engine = zlib.compressobj(1, zlib.DEFLATED, 31, 9, strategy)  # 31: gzip, no name, time 0
    with path.open("wb") as stream:
        for part in (payload, array.data):
            stream.write(engine.compress(part))
        stream.write(engine.flush())


def _wanted(header: Header, path: Path, chosen: str | None) -> int:
    if chosen is None and header.count > 1:
        raise InputError(
            f"holds {header.count} volumes",
            where=path,
            hint=f"choose one: volume=0 to volume={header.count - 1}",
            id="N23",
        )
    wanted = int(chosen or 0)
    if wanted >= header.count:
        raise InputError(
            f"has no volume={wanted}: it holds {header.count}, counted from 0",
            where=path,
            hint=f"choose one of volume=0 to volume={header.count - 1}",
            id="N23",
        )
    return wanted


def _voxel_bytes(header: Header, raw: bytes, path: Path) -> tuple[bytes, list[Repair]]:
    """Return the whole file, inflated and long enough, and what was found behind the voxels."""
    packed = raw.startswith(GZIP)
    if packed and header.size > _RATIO * len(raw):
        raise InputError(
            f"declares {header.size} bytes, more than its {len(raw)} can hold", where=path, id="N29"
        )
    data = inflate(raw, path, limit=header.size + _SLACK) if packed else raw
    if header.offset >= len(data) and header.offset > header.header_size + 4:
        raise InputError(
            f"says that its voxels begin at byte {header.offset}, but it has {len(data)}",
            where=path,
            id="N37",
        )
    if len(data) < header.size:
        raise InputError(
            f"the file is cut ({len(data)} of {header.size} bytes are there)",
            where=path,
            hint="copy it again from where it came",
            id="N4" if len(data) > header.offset else "N28",
        )
    check_extensions(data, header, path)
    behind = len(data) - header.size
    what = f"{behind} bytes after the voxels were ignored"
    return data, [Repair(what, id="N29")] if behind else []


def _scaled(
    stored_array: npt.NDArray[np.generic], header: Header, path: Path
) -> npt.NDArray[np.generic]:
    if header.slope is None:
        return stored_array.astype(stored_array.dtype.newbyteorder("="), copy=False)
    slope, inter = np.float64(header.slope), np.float64(header.inter)
    largest = float(np.finfo(np.float32).max)
    bounded = stored_array.dtype.kind in "iu" and (
        abs(slope) * 2.0 ** (8 * stored_array.dtype.itemsize) + abs(inter) < largest
    )
    made = np.empty(stored_array.shape, dtype=np.float32)
    for d in range(len(made)):  # float64 of one slice, never of the whole
        values = stored_array[d] * slope + inter
        if not bounded and (np.isfinite(values) & (np.abs(values) > largest)).any():
            raise InputError("its scaled values exceed float32", where=path, id="N21")
        made[d] = values
    return made


def _compact(volume: Volume | LabelMap) -> npt.NDArray[np.generic]:
    array = volume.array
    if isinstance(volume, LabelMap):
        return array.astype("u1" if array.max() < 256 else "<u2")
    low, high = float(array.min()), float(array.max())
    kind = "<i2" if low >= -(2**15) and high < 2**15 else "<u2" if low >= 0 and high < 2**16 else ""
    whole = kind and all(bool((plane == np.rint(plane)).all()) for plane in array)
    return array.astype(kind if whole else "<f4")


def _remark(volume: Volume | LabelMap) -> bytes:
    """Return what ``descrip`` says: one of a few fixed words, so that nothing else gets there."""
    if isinstance(volume, LabelMap) or volume.unit == MODALITIES["OTHER"].unit:
        return b""
    said = f"unit={volume.unit}".encode()
    return said if said in _UNITS else b"unit=unknown"


def _header(geometry: Geometry, voxels: np.dtype[np.generic], remark: bytes) -> bytes:
    size = 348 if max(geometry.shape) < 2**15 else 540
    affine = geometry.to_ras()
    vector, qfac, sizes = quaternion(affine)
    fields = np.zeros((), layout(size))
    codes = {np.dtype(kind): code for code, kind in DATATYPES.items()}
    values = {
        "sizeof_hdr": size,
        "dim": [3, *geometry.shape[::-1], 1, 1, 1, 1],
        "datatype": codes[voxels.newbyteorder("=")],
        "bitpix": 8 * voxels.itemsize,
        "pixdim": [qfac, *sizes, 1, 1, 1, 1],
        "vox_offset": size + 4,
        "scl_slope": 1,
        "xyzt_units": _MM,
        "descrip": remark,
        "qform_code": _SCANNER,
        "sform_code": _SCANNER,
        "quatern": vector,
        "qoffset": affine[:3, 3],
        "srow": affine[:3],
        "magic": MAGIC[size],
    }
    for name, value in values.items():
        fields[name] = value
    return fields.tobytes()
