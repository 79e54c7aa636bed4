"""The header of a MetaImage file (``.mha``, or ``.mhd`` beside its data).

The format: https://itk.org/Wiki/ITK/MetaIO/Documentation. Its matrix lists the direction of one
axis after the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medfuse.errors import GeometryError, InputError, Repair
from medfuse.geometry import Array64
from medfuse.io import itk_header
from medfuse.io.itk_header import Header, numbers

_DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",  # MetaIO fixes a long at four bytes, whatever the machine
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LONGEST_NAME = 200
_FIRST = re.compile(
    rb"\s*(ObjectType|ObjectSubType|NDims|Comment|Name|ID|BinaryData|DimSize)[ \t]*=", re.IGNORECASE
)


def sniff(head: bytes) -> bool:
    """Tell whether ``head`` starts a MetaImage header."""
    return _FIRST.match(head) is not None and b"NDims" in head[: itk_header.MAX_HEADER]


def header(raw: bytes, path: Path, options: Mapping[str, str], *, where: object) -> Header:
    """Return what the first bytes of a file, ``raw``, say; ``path`` is that of the file.

    Raises ``InputError``; its ids are those of rows R1 to R12.
    """
    fields, end = _fields(raw, where)
    if fields.get("ObjectType", "Image") != "Image":
        raise InputError("holds no image", where=where, hint="give a volume", id="R6")
    count = int(numbers(_need(fields, "NDims", where), 1, what="NDims", where=where, id="R12")[0])
    if not 1 <= count <= 10:
        raise InputError(f"has {count} axes", where=where, hint="give one volume", id="R12")
    sizes = itk_header.sizes_of(_need(fields, "DimSize", where), count, where=where)
    if count < 3:
        raise InputError("has two axes, not three", where=where, hint="give a volume", id="N22")
    matrix, repairs = _placed(fields, sizes, options, where)
    _check_scalar(fields, where)
    compressed = _truth(fields, "CompressedData", where)
    name = fields["ElementDataFile"]
    data, offset = path, end
    if name.upper() != "LOCAL":
        data = itk_header.data_file(name, path, where=where, id="R2")
        offset = int(
            numbers(fields.get("HeaderSize", "0"), 1, what="HeaderSize", where=where, id="R6")[0]
        )
    if offset < -1 or (compressed and offset != end and offset != 0):
        raise InputError("has an impossible HeaderSize", where=where, hint="mend it", id="R6")
    return Header(
        sizes=sizes,
        space=(0, 1, 2),
        dtype=_dtype(fields, where),
        world_from_index=matrix,
        encoding="zlib" if compressed else "raw",
        data=data,
        offset=offset,
        repairs=repairs,
    )


def _fields(raw: bytes, where: object) -> tuple[dict[str, str], int]:
    """Return the fields and the byte behind ``ElementDataFile``, where local voxels begin."""
    fields: dict[str, str] = {}
    at = 0
    while "ElementDataFile" not in fields:
        stop = raw.find(b"\n", at) + 1 or len(raw)
        line, at, last = raw[at:stop].strip(), stop, at == len(raw)
        name, equals, value = line.partition(b"=")
        name = name.strip()
        good = equals and 0 < len(name) <= _LONGEST_NAME and not {0, 13} & set(line)
        if last or (line and not good):
            raise InputError(
                "the header is damaged or has no ElementDataFile",
                where=where,
                hint="copy it again from where it came",
                id="R6",
            )
        if line:
            fields[name.decode("utf-8", "replace")] = value.decode(
                "utf-8", "surrogateescape"
            ).strip()
    return fields, at


def _need(fields: Mapping[str, str], name: str, where: object) -> str:
    if name not in fields:
        raise InputError(
            f"the header has no {name}", where=where, hint="copy or mend the file", id="R6"
        )
    return fields[name]


def _truth(fields: Mapping[str, str], name: str, where: object) -> bool:
    word = fields.get(name, "False").lower()
    if word not in {"true", "false", "1", "0"}:
        raise InputError(f"{name} is neither True nor False", where=where, hint="mend it", id="R6")
    return word in {"true", "1"}


def _placed(
    fields: Mapping[str, str], sizes: tuple[int, ...], options: Mapping[str, str], where: object
) -> tuple[Array64, tuple[Repair, ...]]:
    count = len(sizes)
    spacing = numbers(
        _need(fields, "ElementSpacing", where), count, what="ElementSpacing", where=where, id="R8"
    )
    if spacing.min() <= 0:
        raise GeometryError(
            f"an ElementSpacing is {spacing.min():g} mm",
            where=where,
            hint="mend the header",
            id="R8" if spacing.min() == 0 else "R9",
        )
    repairs: tuple[Repair, ...] = ()
    turned = _first(fields, "TransformMatrix", "Rotation", "Orientation")
    if turned is None:
        axes = np.eye(count)
        repairs = (
            Repair("no directions in the header: rows run left, columns back, slices up", id="R13"),
        )
    else:
        flat = numbers(turned, count * count, what="TransformMatrix", where=where, id="R5")
        axes = flat.reshape(count, count).T
    steps = (axes * spacing)[:3, :3]
    position = _first(fields, "Offset", "Position", "Origin")
    if position is None:
        origin, repair = itk_header.centred(sizes[:3], steps, options, where=where)
        repairs = (*repairs, repair)
    else:
        origin = numbers(position, count, what="Offset", where=where, id="R5")[:3]
    unit = fields.get("DistanceUnits", "")
    steps, origin, converted = itk_header.to_millimetres(unit, steps, origin, where=where)
    return itk_header.placed(steps, origin, where=where), repairs + converted


def _first(fields: Mapping[str, str], *names: str) -> str | None:
    return next((fields[name] for name in names if name in fields), None)


def _check_scalar(fields: Mapping[str, str], where: object) -> None:
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise InputError(
            "holds several values a voxel", where=where, hint="give a scalar volume", id="N20"
        )
    if fields.get("BinaryData", "True").lower() not in {"true", "1"}:
        raise InputError(
            "holds its voxels as text", where=where, hint="write it as binary data", id="R6"
        )
    names = ("ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset")
    for name, neutral in zip(names, (1, 0), strict=True):
        scale = numbers(fields.get(name, str(neutral)), 1, what=name, where=where, id="N16")
        if scale[0] != neutral:
            # ITK passes over these fields, other tools apply them
            raise InputError(
                f"{name} is {scale[0]:g}, which not every tool applies",
                where=where,
                hint="write the values as they are meant",
                id="N16",
            )


def _dtype(fields: Mapping[str, str], where: object) -> np.dtype[np.generic]:
    word = _need(fields, "ElementType", where).upper()
    if word not in _DTYPES:
        raise InputError(
            f"holds values of the type {word[:30]!r}", where=where, hint="give numbers", id="N18"
        )
    name = "BinaryDataByteOrderMSB" if "BinaryDataByteOrderMSB" in fields else "ElementByteOrderMSB"
    return np.dtype((">" if _truth(fields, name, where) else "<") + _DTYPES[word])
