"""Insight Transform File V1.0: the text of ``.tfm`` and ``.txt`` files, read and written.

Written is always one ``AffineTransform_double_3_3`` with 17 digits and its centre at 0: every
tool that knows ITK's files reads it, and the same transform gives the same bytes.
"""

from __future__ import annotations

import re

import numpy as np

from medfuse.errors import InputError, UsageError
from medfuse.geometry import Array64
from medfuse.io.transforms.itk_kinds import AFFINE, Stored, flat
from medfuse.transform import Affine, Transform

_HEADER = "#Insight Transform File V1.0"
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?,?")


def sniff(head: bytes) -> bool:
    """Tell whether a file that starts with ``head`` says that it is an Insight Transform File."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"#Insight Transform File")


def read(raw: bytes, where: object) -> list[Stored]:
    """Return the transforms in the text ``raw``, in the order of the file.

    Raises ``InputError`` for lines that the format does not know (X11), decimal commas (X8) and
    words where numbers belong (X6).
    """
    kinds: list[str] = []
    numbers: list[dict[str, Array64]] = []
    for line in raw.decode("utf-8-sig", "replace").splitlines():
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip() or line.startswith("#"):
            continue
        if key == "Transform" and colon:
            kinds.append(value)
            numbers.append({})
        elif key in {"Parameters", "FixedParameters"} and kinds and key not in numbers[-1]:
            numbers[-1][key] = _numbers(value, where)
        else:
            raise InputError(
                f"the line {line.strip()[:40]!r} has no place in a transform file",
                where=where,
                hint="write it again with its tool",
                id="X11",
            )
    nothing = np.zeros(0)
    return [
        Stored(kind, found.get("Parameters", nothing), found.get("FixedParameters", nothing))
        for kind, found in zip(kinds, numbers, strict=True)
    ]


def text(transform: Transform) -> str:
    """Return the file's text for a linear transform or a chain of such.

    Raises ``UsageError`` for a displacement field, which belongs into a ``.h5`` file.
    """
    part, *more = flat(transform)
    if more or not isinstance(part, Affine):
        raise UsageError(
            "a displacement field does not fit into a text file", hint="write it as .h5"
        )
    matrix = part.moving_from_fixed + 0.0  # no minus before a zero
    numbers = [*matrix[:3, :3].ravel(), *matrix[:3, 3]]
    return (
        f"{_HEADER}\n#Transform 0\nTransform: {AFFINE}\n"
        f"Parameters: {' '.join(f'{number:.17g}' for number in numbers)}\n"
        "FixedParameters: 0 0 0\n"
    )


def _numbers(value: str, where: object) -> Array64:
    words = value.split()
    if any(_DECIMAL_COMMA.fullmatch(word) for word in words):
        raise InputError(
            "numbers have a decimal comma", where=where, hint="write them with a point", id="X8"
        )
    try:
        return np.array([float(word) for word in words], dtype=np.float64)
    except ValueError:
        raise InputError(
            "holds words where numbers belong", where=where, hint="write it again", id="X6"
        ) from None
