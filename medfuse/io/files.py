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
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from medfuse.errors import InputError, OutputError

GZIP = b"\x1f\x8b"
MAX_VOXELS = 2**31
_CHUNK = 1 << 22
_PIECE = 1 << 16  # small: zlib copies what follows the end of a member
_UMASK = threading.Lock()
_AGAIN = "copy it again from where it came"


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
    except ValueError:  # a NUL
        raise InputError("is no name of a file", where=path, id="N40") from None
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


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is a folder; False for whatever cannot be looked at."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - Path.is_dir raises for some
    except (OSError, ValueError):
        return False


def _denied(path: str | os.PathLike[str]) -> InputError:
    return InputError(
        "permission denied", where=path, hint="ask its owner for the right to read it", id="N44"
    )


def head(path: Path, size: int = 4096) -> bytes:
    """Return the first ``size`` bytes of a file as they lie on disk."""
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise _unreadable(path, error) from None


def stored(path: Path, *, limit: int = 8 * MAX_VOXELS) -> bytes:
    """Return the bytes of a file as they lie on disk, never more than ``limit``."""
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > limit:
                raise InputError(f"holds more than {limit} bytes", where=path, id="N29")
            return stream.read()  # not read(limit): that takes so much memory at once
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot be read ({error.strerror})", where=path, id="N44")


def content(path: Path, *, limit: int) -> bytes:
    """Return the bytes of a file, inflated where it is gzip, never more than ``limit``.

    The gzip stream is read to its end: see ``inflate`` for the errors.
    """
    raw = stored(path, limit=limit)
    return inflate(raw, path, limit=limit) if raw.startswith(GZIP) else raw


def beginning(raw: bytes, size: int) -> bytes:
    """Return the first ``size`` bytes of what ``raw`` holds, inflated where it is gzip.

    Fewer come back where the stream is short or damaged: only ``inflate`` judges that.
    """
    if not raw.startswith(GZIP):
        return raw[:size]
    found, rest = b"", raw[:_PIECE]
    with contextlib.suppress(zlib.error):
        while rest and len(found) < size:
            engine = zlib.decompressobj(wbits=31)
            found += engine.decompress(rest, size - len(found))
            rest = engine.unused_data
    return found


def inflate(raw: bytes, path: Path, *, limit: int) -> bytes:
    """Return what all gzip members in ``raw`` hold, drained to the end of the stream.

    Raises ``InputError``: the stream is cut (N1), its closing checksum is missing (N2), it is
    damaged (N3), or it holds more than ``limit`` bytes (N29).
    """
    parts: list[bytes] = []
    place = size = 0
    while place < len(raw):
        member, used = _member(memoryview(raw)[place:], path, limit - size)
        parts += member
        size += sum(map(len, member))
        place += used
        if raw[place : place + 1] == b"\0":  # tapes fill up with zeros
            rest = raw[place:]
            place += len(rest) - len(rest.lstrip(b"\0"))
    return b"".join(parts)


def _member(view: memoryview, path: Path, room: int) -> tuple[list[bytes], int]:
    """Return the pieces of the first gzip member, and how many bytes it takes in ``view``."""
    engine = zlib.decompressobj(wbits=31)
    parts: list[bytes] = []
    place = 0
    while not engine.eof:
        if place >= len(view):
            raise _cut(engine, place, path)
        chunk = view[place : place + _PIECE]
        try:
            parts.append(engine.decompress(chunk, room + 1))
        except zlib.error as error:
            what = "checksum is wrong" if "data check" in str(error) else "stream is damaged"
            raise InputError(f"the gzip {what}", where=path, hint=_AGAIN, id="N3") from None
        room -= len(parts[-1])
        if room < 0:
            raise InputError("inflates to more than it declares", where=path, id="N29")
        place += len(chunk)
    return parts, place - len(engine.unused_data)


def _cut(engine: Any, size: int, path: Path) -> InputError:
    # zeros in place of the eight closing bytes reach their check only where the data are complete
    try:
        engine.decompress(bytes(8), 1)
        complete = engine.eof
    except zlib.error as error:
        complete = "data check" in str(error) or "length check" in str(error)
    if complete:
        what = "the file is cut: the checksum at the end of the gzip stream is missing"
        return InputError(what, where=path, hint=_AGAIN, id="N2")
    what = f"the file is cut: the gzip stream does not end ({size} bytes of it are there)"
    return InputError(what, where=path, hint=_AGAIN, id="N1")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal; ``InputError`` (N44) if unreadable."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise _unreadable(path, error) from None
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
        # until it is whole it is its writer's alone
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        write(temporary)
        _sync(temporary)
        check(temporary)
        temporary.chmod(0o666 & ~_umask())
        _place(temporary, target, overwrite=overwrite)
        with contextlib.suppress(OSError):  # some file systems cannot sync a folder
            _sync(target.parent)
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


def write_content(path: str | os.PathLike[str], payload: bytes) -> Path:
    """Write bytes, whole or not at all; see ``write_file``."""
    return write_file(path, lambda made: _put(made, payload))


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
        raise _exists(target)


def _put(made: Path, payload: bytes) -> None:
    with made.open("wb") as stream:
        stream.write(payload)


def _umask() -> int:
    with _UMASK:  # it can only be read by setting it
        mask = os.umask(0o077)
        os.umask(mask)
    return mask


def _place(made: Path, target: Path, *, overwrite: bool) -> None:
    """Give a file its name; without ``overwrite``, only if nobody has taken it meanwhile."""
    if not overwrite:
        try:
            os.link(made, target)
        except FileExistsError:
            raise _exists(target) from None
        except OSError:  # a file system without links
            check_target(target, overwrite=False)
        else:
            return  # the temporary name is taken away by our caller
    made.replace(target)


def _exists(target: Path) -> OutputError:
    return OutputError("exists already", where=target, hint="add --overwrite", id="S5")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(target: Path, error: OSError) -> OutputError:
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the quota of this disk is used up",
        errno.EFBIG: "files may not grow so large here",
    }
    if error.errno in reasons:
        hint = "free some space or write elsewhere"
        return OutputError(reasons[error.errno], where=target, hint=hint, id="S1")
    what = f"cannot be written ({error.strerror or error})"
    return OutputError(what, where=target, hint="write elsewhere", id="S5")


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold an output folder for this run alone; the lock of a run that died does not count.

    The kernel keeps the lock (``flock``) and frees it when the run ends, however it ends; the
    file holds the run's process id for the message only. Raises ``OutputError`` (S7).
    """
    name = folder / ".medfuse.lock"
    handle = _locked(name)
    try:
        with contextlib.suppress(OSError):  # on a full disk the lock holds, nameless
            os.truncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        name.unlink(missing_ok=True)
        os.close(handle)


def _locked(name: Path) -> int:
    import fcntl  # not on Windows

    while True:
        try:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise _failed(name, error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise OutputError(
                f"locked by another run (process {holder})",
                where=name.parent,
                hint="wait for it, or choose another folder",
                id="S7",
            ) from None
        except OSError as error:  # a file system without locks: whoever holds it cannot be told
            os.close(handle)
            raise _failed(name, error) from None
        # the run that held it may have taken the file away between our two calls
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle), name.stat()):
                return handle
        os.close(handle)
