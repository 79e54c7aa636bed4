"""The header of an NRRD file (``.nrrd``, or ``.nhdr`` beside its data).

The format: https://teem.sourceforge.net/nrrd/format.html. Of its many freedoms those are read
that place one scalar volume in a patient; the rest is refused by name.
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

MAGIC = b"NRRD000"

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": (
        "longlong",
        "long long",
        "long long int",
        "signed long long",
        "signed long long int",
        "int64",
        "int64_t",
    ),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {word: code for code, words in _TYPES.items() for word in words}
_ENCODINGS = {"raw": "raw", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2"}
# the sign that turns x and y of each space into LPS
_SPACES = {
    "left-posterior-superior": (1, 1),
    "lps": (1, 1),
    "right-anterior-superior": (-1, -1),
    "ras": (-1, -1),
    "left-anterior-superior": (1, -1),
    "las": (1, -1),
}
_SPATIAL_KINDS = {"domain", "space", "none", "???", ""}
_SERIES_KINDS = {"list", "time", "none", "???", "", "domain"}


def header(raw: bytes, path: Path, options: Mapping[str, str], *, where: object) -> Header:
    """Return what the first bytes of a file, ``raw``, say; ``path`` is that of the file.

    Raises ``InputError``; its ids are those of rows R1 to R13.
    """
    text, end = _text(raw, where)
    fields = _fields(text, where)
    count = int(
        numbers(_need(fields, "dimension", where), 1, what="dimension", where=where, id="R12")[0]
    )
    if not 1 <= count <= 16:
        raise InputError(f"has {count} axes", where=where, hint="give one volume", id="R12")
    sizes = itk_header.sizes_of(_need(fields, "sizes", where), count, where=where)
    if count < 3:
        raise InputError("has two axes, not three", where=where, hint="give a volume", id="N22")
    space = _space_axes(fields, count, where)
    matrix, repairs = _placed(fields, sizes, space, options, where)
    name = fields.get("data file") or fields.get("datafile")
    data = path
    if name is not None:
        data, end = itk_header.data_file(name, path, where=where, id="R3"), 0
    encoding = _encoding(fields, where)
    return Header(
        sizes=sizes,
        space=space,
        dtype=_dtype(fields, where),
        world_from_index=matrix,
        encoding=encoding,
        data=data,
        offset=_offset(fields, end, encoding, where),
        repairs=repairs,
    )


def _text(raw: bytes, where: object) -> tuple[str, int]:
    """Return the header's text and the byte where attached voxels begin."""
    found = re.search(rb"\r?\n\r?\n", raw)
    if found is None and len(raw) >= itk_header.MAX_HEADER:
        raise InputError("the header has no end", where=where, hint="copy it again", id="R6")
    stop, end = (found.start(), found.end()) if found else (len(raw), len(raw))
    return raw[:stop].decode("utf-8", "replace"), end


def _fields(text: str, where: object) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        # "key:=value" are free remarks, often of patients: they end here
        if not line.strip() or line.startswith("#") or re.match(r"[^:]*:=", line):
            continue
        key, colon, value = line.partition(":")
        if not colon:
            raise InputError(
                "a line of the header is no 'field: value'", where=where, hint="mend it", id="R6"
            )
        name = key.strip().lower()
        if name in fields:
            raise InputError(
                f"the header gives {name[:30]!r} twice",
                where=where,
                hint="mend the header",
                id="R6",
            )
        fields[name] = value.strip()
    return fields


def _need(fields: Mapping[str, str], name: str, where: object) -> str:
    if name not in fields:
        raise InputError(
            f"the header has no {name!r}", where=where, hint="copy or mend the file", id="R6"
        )
    return fields[name]


def _space_axes(fields: Mapping[str, str], count: int, where: object) -> tuple[int, int, int]:
    """Return which axes lie in space; all others must be series, not colours or vectors."""
    vectors = _vectors(fields, count, where)
    kinds = fields.get("kinds", "").lower().split() or ["???"] * count
    if len(kinds) != count:
        raise InputError(f"the header needs {count} kinds", where=where, hint="mend it", id="R4")
    space = [axis for axis, vector in enumerate(vectors) if vector is not None]
    if len(space) != 3:
        raise GeometryError(
            f"{len(space)} of its axes have a direction in space, not 3",
            where=where,
            hint="mend the header",
            id="R4",
        )
    for axis, kind in enumerate(kinds):
        allowed = _SPATIAL_KINDS if axis in space else _SERIES_KINDS
        if kind not in allowed:
            raise InputError(
                f"holds {kind[:20]!r} values, not one number a voxel",
                where=where,
                hint="give a scalar volume",
                id="N20",
            )
    return space[0], space[1], space[2]


def _vectors(fields: Mapping[str, str], count: int, where: object) -> list[str | None]:
    """Return the text between the brackets for each axis, None where it says ``none``."""
    if "space" not in fields:
        raise GeometryError(
            "does not say in which space it lies",
            where=where,
            hint="add a line such as 'space: left-posterior-superior' if that is known",
            id="R13",
        )
    text = _need(fields, "space directions", where)
    words = re.findall(r"\([^()]*\)|none", text, re.IGNORECASE)
    if len(words) != count or re.sub(r"\([^()]*\)|none|\s", "", text, flags=re.IGNORECASE):
        raise GeometryError(
            f"the space directions are not {count} vectors",
            where=where,
            hint="mend the header",
            id="R4",
        )
    return [None if word.lower() == "none" else word for word in words]


def _vector(word: str, what: str, where: object) -> Array64:
    return numbers(
        " ".join(word.strip().strip("()").split(",")), 3, what=what, where=where, id="R5"
    )


def _placed(
    fields: Mapping[str, str],
    sizes: tuple[int, ...],
    space: tuple[int, int, int],
    options: Mapping[str, str],
    where: object,
) -> tuple[Array64, tuple[Repair, ...]]:
    name = fields["space"].strip('"').lower()
    if name not in _SPACES:
        raise GeometryError(
            f"lies in the space {name[:40]!r}, which is no patient's",
            where=where,
            hint="give a volume in left-posterior-superior space",
            id="R13",
        )
    vectors = _vectors(fields, len(sizes), where)
    steps = np.column_stack(
        [_vector(vectors[axis] or "", "space direction", where) for axis in space]
    )
    repairs: tuple[Repair, ...] = ()
    if "space origin" in fields:
        origin = _vector(fields["space origin"], "space origin", where)
    else:
        origin, repair = itk_header.centred(
            (sizes[axis] for axis in space), steps, options, where=where
        )
        repairs = (repair,)
    units = re.findall(r'"([^"]*)"', fields.get("space units", "")) or [""]
    if len(set(units)) > 1:
        raise GeometryError("its axes have different units", where=where, hint="mend it", id="N13")
    steps, origin, converted = itk_header.to_millimetres(units[0], steps, origin, where=where)
    signs = np.array([*_SPACES[name], 1], dtype=np.float64)
    matrix = itk_header.placed(signs[:, None] * steps, signs * origin, where=where)
    return matrix, repairs + converted


def _dtype(fields: Mapping[str, str], where: object) -> np.dtype[np.generic]:
    word = " ".join(_need(fields, "type", where).lower().split())
    if word not in _DTYPES:
        raise InputError(
            f"holds values of the type {word[:30]!r}", where=where, hint="give numbers", id="N18"
        )
    code = _DTYPES[word]
    if code[1] == "1":
        return np.dtype(code)
    orders = {"little": "<", "big": ">"}
    endian = _need(fields, "endian", where).lower()
    if endian not in orders:
        raise InputError(f"its endian is {endian[:20]!r}", where=where, hint="mend it", id="R6")
    return np.dtype(orders[endian] + code)


def _encoding(fields: Mapping[str, str], where: object) -> str:
    word = _need(fields, "encoding", where).lower()
    if word not in _ENCODINGS:
        raise InputError(
            f"is encoded as {word[:20]!r}", where=where, hint="write it as raw or gzip", id="R6"
        )
    return _ENCODINGS[word]


def _offset(fields: Mapping[str, str], end: int, encoding: str, where: object) -> int:
    lines = fields.get("line skip", fields.get("lineskip", "0"))
    text = fields.get("byte skip", fields.get("byteskip", "0"))
    skip = int(numbers(text, 1, what="byte skip", where=where, id="R6")[0])
    if lines != "0" or skip < -1 or (skip != 0 and encoding != "raw"):
        raise InputError(
            "skips lines or bytes in a way that is not supported",
            where=where,
            hint="write it without 'line skip' and 'byte skip'",
            id="R6",
        )
    return -1 if skip == -1 else end + skip
