"""Hear what was repaired while something was read, so that a record and a user are told."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from medfuse.errors import Repair


@contextmanager
def heard() -> Iterator[list[Repair]]:
    """Collect the repairs that are warned of inside, each once; they are there on leaving."""
    found: list[Repair] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Repair)
        yield found
    for entry in caught:
        said = entry.message
        if isinstance(said, Repair) and all((said.id, said.what) != (r.id, r.what) for r in found):
            found.append(said)
