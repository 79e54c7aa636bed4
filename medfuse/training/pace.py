"""The time that a training has: what is used up, and how many epochs the rest does for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_MARGIN = 0.95  # of the minutes are planned for: the last look and the model take some too


@dataclass
class Pace:
    """A clock that goes on over runs: ``minutes`` (None: no limit) and ``epochs`` at most.

    ``before``: seconds of earlier runs; ``began``: when this one began, by ``time.monotonic``.
    """

    minutes: float | None
    epochs: int
    before: float = 0.0
    began: float = field(default_factory=lambda: time.monotonic())

    @property
    def seconds(self) -> float:
        """The time since the start, earlier runs included."""
        return self.before + time.monotonic() - self.began

    @property
    def late(self) -> bool:
        """Whether the minutes are used up."""
        return self.minutes is not None and self.seconds > self.minutes * 60

    def fits(self, done: int, one: float, *, least: int = 0) -> int:
        """Return how many epochs there can be with those ``done``, at ``one`` second each.

        At least ``least`` more than ``done``, but no more than ``epochs``.
        """
        if self.minutes is None:
            return self.epochs
        left = self.minutes * 60 * _MARGIN - self.seconds
        return min(self.epochs, done + max(least, int(left / max(one, 1e-6))))
