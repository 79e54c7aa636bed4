"""Every file passes here: checked before it is opened, written whole or not at all.

Reading: ``readable`` looks at what a path is before anything opens it, ``content`` returns its
bytes with gzip drained to its end. Writing: ``write_file`` makes the file under a temporary name
in the same folder, syncs it, lets the caller check it, and only then renames it into place.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from medfuse.errors import InputError, OutputError, ResourceError

GZIP = b"\x1f\x8b"
MAX_VOXELS = 2**31
_CHUNK = 1 << 22


def readable(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a regular, non-empty, permitted file.

    Raises ``InputError``: missing (N40), a folder (N41), a pipe or device (N42), empty (N43), not
    permitted (N44).
    """
    given = Path(os.path.abspath(path))  # noqa: PTH100 - a leading "~" is a name here (N46)
    try:
        state = given.stat()
    except (FileNotFoundError, NotADirectoryError):
        link = " (a link to nothing)" if given.is_symlink() else ""
        raise InputError(
            f"there is no such file{link}", where=path, hint="check the name", id="N40"
        ) from None
    except PermissionError:
        raise _denied(path) from None
    except OSError as error:
        what = "a link that leads to itself" if error.errno == errno.ELOOP else error.strerror
        raise InputError(str(what), where=path, hint="check the name", id="N40") from None
    if stat.S_ISDIR(state.st_mode):
        raise InputError("is a folder", where=path, hint="name a file in it", id="N41")
    if not stat.S_ISREG(state.st_mode):
        raise InputError(
            "is not a regular file", where=path, hint="copy it to a file first", id="N42"
        )
    if state.st_size == 0:
        raise InputError("the file is empty", where=path, hint="copy it again", id="N43")
    if not os.access(given, os.R_OK):
        raise _denied(path)
    return given


def _denied(path: str | os.PathLike[str]) -> InputError:
    return InputError(
        "permission denied", where=path, hint="ask its owner for the right to read it", id="N44"
    )


def head(path: Path, size: int = 4096) -> bytes:
    """Return the first ``size`` bytes of a file as they lie on disk."""
    with path.open("rb") as stream:
        return stream.read(size)


def content(path: Path, *, limit: int) -> bytes:
    """Return the bytes of a file, inflated where it is gzip, never more than ``limit``.

    The gzip stream is read to its end: a cut file (N1, N2) and a wrong checksum (N3) raise
    ``InputError``; more than ``limit`` bytes raise it too (N29).
    """
    with path.open("rb") as stream:
        raw = stream.read()
    if not raw.startswith(GZIP):
        if len(raw) > limit:
            raise InputError(f"holds more than {limit} bytes", where=path, id="N29")
        return raw
    return inflate(raw, path, limit=limit)


def inflate(raw: bytes, path: Path, *, limit: int) -> bytes:
    """Return what all gzip members in ``raw`` hold; see ``content`` for the errors."""
    parts: list[bytes] = []
    size = 0
    while raw:
        engine = zlib.decompressobj(wbits=31)
        try:
            part = engine.decompress(raw, limit - size + 1)
        except zlib.error as error:
            damaged = "checksum" if "check" in str(error) else "stream"
            raise InputError(
                f"the gzip {damaged} is wrong: the file is damaged",
                where=path,
                hint="copy it again from where it came",
                id="N3",
            ) from None
        size += len(part)
        if size > limit:
            raise InputError(
                f"holds more than the {limit} bytes that its header declares", where=path, id="N29"
            )
        if not engine.eof:
            raise InputError(
                f"the gzip stream is cut ({len(raw)} bytes of it are there)",
                where=path,
                hint="copy it again from where it came",
                id="N1",
            )
        parts.append(part)
        raw = engine.unused_data.lstrip(b"\0")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_file(
    path: str | os.PathLike[str],
    write: Callable[[Path], None],
    *,
    check: Callable[[Path], None] = lambda _: None,
    inputs: Iterable[Path] = (),
    overwrite: bool = True,
) -> Path:
    """Write a file whole or not at all, and return its path.

    ``write`` gets a temporary name in the same folder (same suffix), ``check`` re-reads it and
    raises where it is not what was meant; then it is synced and renamed. Raises ``OutputError``:
    the target is one of ``inputs`` (S4), a folder, a link out of its folder, in a folder that is
    missing or not writable (S5), exists and ``overwrite`` is False, or the disk is full (S1-S3).
    """
    target = Path(os.path.abspath(path))  # noqa: PTH100
    check_target(target, inputs=inputs, overwrite=overwrite)
    suffix = "".join(target.suffixes[-2:])
    temporary = target.with_name(f".{os.getpid()}-{os.urandom(4).hex()}.part{suffix}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        write(temporary)
        _sync(temporary)
        check(temporary)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        raise _failed(target, error) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return target


def write_text(path: str | os.PathLike[str], text: str, *, overwrite: bool = True) -> Path:
    """Write ``text`` as UTF-8, whole or not at all; see ``write_file``."""

    def check(made: Path) -> None:
        if made.read_bytes() != text.encode():
            raise OutputError("what was written reads differently", where=path, id="S1")

    return write_file(
        path, lambda made: _put(made, text.encode()), check=check, overwrite=overwrite
    )


def check_target(target: Path, *, inputs: Iterable[Path] = (), overwrite: bool = True) -> None:
    """Refuse, before any work, a target that cannot or must not be written (``OutputError``)."""
    folder = target.parent
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "there is no such folder"
        raise OutputError(what, where=folder, hint="name a folder that exists", id="S5")
    if not os.access(folder, os.W_OK):
        raise OutputError("cannot write into this folder", where=folder, id="S5")
    if target.is_dir():
        raise OutputError("is a folder", where=target, hint="name a file", id="S5")
    if target.is_symlink() and target.resolve().parent != folder.resolve():
        raise OutputError("is a link out of its folder", where=target, id="N40")
    for given in inputs:
        if target.exists() and given.exists() and target.samefile(given):
            raise OutputError(
                "is one of the inputs", where=target, hint="choose another name", id="S4"
            )
    if target.exists() and not overwrite:
        raise OutputError("exists already", where=target, hint="add --overwrite", id="S5")


def _put(made: Path, payload: bytes) -> None:
    with made.open("wb") as stream:
        stream.write(payload)


def _sync(made: Path) -> None:
    with made.open("rb") as stream:
        os.fsync(stream.fileno())


def _failed(target: Path, error: OSError) -> OutputError | ResourceError:
    reasons = {errno.ENOSPC: "the disk is full", errno.EFBIG: "the file may not grow so large"}
    what = reasons.get(error.errno or 0, error.strerror or "cannot be written")
    return OutputError(what, where=target, hint="free some space or write elsewhere", id="S1")
