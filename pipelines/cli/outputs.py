"""Check where a single result goes before anything is read or made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medfuse.errors import UsageError
from medfuse.io.files import check_target
from medfuse.io.volumes import WRITTEN
from pipelines.cli import inputs, worker


def target(out: str, *, given: Iterable[str], overwrite: bool, scan: bool = True) -> Path:
    """Return the absolute path of a result; ``given`` are the inputs as typed.

    Raises ``UsageError`` for a name that no format of scans has (unless ``scan`` is False), and
    ``OutputError`` where it cannot be written, exists, or is one of the inputs (S4).
    """
    if scan and not out.lower().endswith(tuple(WRITTEN)):
        raise UsageError(
            "its name does not say which format to write",
            where=out,
            hint=f"end it in {', '.join(WRITTEN)}",
        )
    path = Path(out).absolute()
    check_target(path, inputs=[inputs.path(text) for text in given], overwrite=overwrite)
    worker.announce(path.parent)
    return path
