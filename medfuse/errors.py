"""The errors and repairs that medfuse reports, and nothing else.

    MedfuseError            a bug of ours                                          exit 1
    ├── UsageError          a recipe, option or combination is wrong               exit 2
    ├── InputError          missing, unreadable, truncated, unsafe, wrong kind     exit 3
    │   ├── DicomError      series mixed, slices missing, tags missing             exit 3
    │   ├── GeometryError   singular, not finite, sheared, grids differ            exit 3
    │   └── ModelError      model file refused, card and input disagree            exit 3
    ├── QualityRefused      the gate refused: verdicts inside                      exit 4
    ├── OutputError         exists, not writable, disk full, locked, is an input   exit 5
    ├── ResourceError       memory, disk or time would not do                      exit 6
    └── SomeFailed          several cases, some of them failed: which              exit 7

    Repair (a warning)      a documented repair of an input: said, recorded, never silent

Every message says *what* is wrong, *where* (file or field) and *what to do*; it never holds
patient data. The ids (``N1``, ``D3``, ...) are explained in ``docs/errors.md``.
"""

from __future__ import annotations

import unicodedata
from typing import ClassVar


def escaped(text: object) -> str:
    """Return ``text`` on one line, with control, bidirectional and unprintable marks escaped."""
    shown = []
    for mark in str(text):
        if mark != " " and unicodedata.category(mark)[0] in "CZ":
            shown.append(mark.encode("unicode_escape", "surrogatepass").decode("ascii"))
        else:
            shown.append(mark)
    return "".join(shown)


class MedfuseError(Exception):
    """Raise when medfuse itself is at fault; its subclasses say what a user can mend.

    ``what`` is the sentence, ``where`` the file or field, ``hint`` what to do, ``id`` the
    documented row (see ``docs/errors.md``) or an empty string.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, what: str, *, where: object | None = None, hint: str = "", id: str = ""
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.id = id

    def __str__(self) -> str:
        """Return ``where: what; hint`` on one line."""
        where = "" if self.where is None else f"{escaped(self.where)}: "
        hint = f"; {escaped(self.hint)}" if self.hint else ""
        return f"{where}{escaped(self.what)}{hint}"


class UsageError(MedfuseError):
    """Raise when a recipe, an option or a combination of options is wrong."""

    exit_code = 2


class InputError(MedfuseError):
    """Raise when an input is missing, unreadable, truncated, unsafe or of the wrong kind."""

    exit_code = 3


class DicomError(InputError):
    """Raise when a DICOM series is mixed, incomplete or lacks what its geometry needs."""


class GeometryError(InputError):
    """Raise when a grid or transform is singular, not finite, sheared, or grids differ."""


class ModelError(InputError):
    """Raise when a model file is refused, or what its card asks for is not what came in."""


class QualityRefused(MedfuseError):
    """Raise when the gate refused a result; ``verdicts`` maps each name to its reasons."""

    exit_code = 4

    def __init__(
        self,
        what: str,
        *,
        where: object | None = None,
        hint: str = "",
        id: str = "",
        verdicts: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__(what, where=where, hint=hint, id=id)
        self.verdicts = dict(verdicts or {})


class OutputError(MedfuseError):
    """Raise when an output exists, cannot be written, is locked or is one of the inputs."""

    exit_code = 5


class ResourceError(MedfuseError):
    """Raise when memory, disk or time would not do; the message says what is needed and there."""

    exit_code = 6


class SomeFailed(MedfuseError):
    """Raise at the end of many cases when some of them failed; ``failed`` names these."""

    exit_code = 7

    def __init__(self, what: str, *, failed: tuple[str, ...], hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.failed = failed


class Repair(UserWarning):
    """Warn that an input was repaired in a documented way (``id`` is its row in the docs)."""

    def __init__(self, what: str, *, id: str) -> None:
        super().__init__(what)
        self.what = what
        self.id = id

    def __str__(self) -> str:
        """Return ``[id] what`` on one line."""
        return f"[{self.id}] {escaped(self.what)}"
