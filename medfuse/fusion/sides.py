"""Which labels are each other's mirror image: ``left hippocampus`` and ``right hippocampus``."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORDS = {"left": "right", "l": "r", "lh": "rh"}
_OTHER = {**_WORDS, **{other: word for word, other in _WORDS.items()}}
_PARTS = re.compile(r"[A-Za-z]+|[^A-Za-z]+")


def partners(names: Sequence[str]) -> tuple[int, ...]:
    """Return, for each name, the index of its mirror image: its own where it has no side.

    A name has a side where one of its words is left, right, L, R, LH or RH (any case), and a
    partner where the name with the other side is there too.
    """
    lowered = [name.lower() for name in names]
    found = []
    for number, name in enumerate(lowered):
        other = "".join(_OTHER.get(part, part) for part in _PARTS.findall(name))
        found.append(lowered.index(other) if other in lowered else number)
    return tuple(found)
