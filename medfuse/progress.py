"""How long work reports that it moves: one protocol, silent unless somebody listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Take note that ``done`` of ``total`` steps of ``what`` are finished."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report one step; called from the working thread, must return quickly."""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing: the default listener."""
