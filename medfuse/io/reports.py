"""Read a written report: text of a known encoding, of a reasonable length, or refused."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from medfuse.errors import InputError, Repair
from medfuse.io import files

_LONGEST = 1 << 20  # bytes
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_text(path: str | os.PathLike[str]) -> str | None:
    """Return the text of a report, None where it is blank.

    UTF-8 (with or without a mark), UTF-16 with its mark, else GB18030 with a warning. Raises
    ``InputError``: over 1 MB (T5), binary (T4), no such encoding (T2).
    """
    raw = _bytes(path)
    encoding = _MARKS.get(raw[:2], "utf-8-sig")
    if encoding == "utf-8-sig" and b"\0" in raw:
        raise InputError("is not text", where=path, hint="save the report as UTF-8", id="T4")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = _chinese(raw, path)
    return text.replace("\r\n", "\n") if text.strip() else None


def _bytes(path: str | os.PathLike[str]) -> bytes:
    if Path(path).is_file() and Path(path).stat().st_size == 0:
        return b""  # a blank report is none
    file = files.readable(path)
    if file.stat().st_size > _LONGEST:
        raise InputError(
            f"is longer than {_LONGEST} bytes", where=path, hint="give one report", id="T5"
        )
    return files.stored(file)


def _chinese(raw: bytes, path: str | os.PathLike[str]) -> str:
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        raise InputError(
            "is in an unknown encoding", where=path, hint="save the report as UTF-8", id="T2"
        ) from None
    warnings.warn(Repair("the report is not UTF-8; read as GB18030", id="T2"), stacklevel=4)
    return text
