"""Random streams that depend on what they are for, never on the order of calls.

``rng(seed, "phantom", "noise")`` is the same stream in every process, whatever was drawn before.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np


def rng(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of ``seed`` for the purpose that ``names`` say.

    Raises ``ValueError`` for a negative seed.
    """
    return np.random.default_rng([seed, *(crc32(str(name).encode()) for name in names)])


def integer(seed: int, *names: str | int) -> int:
    """Return a 63-bit integer of the same stream, for generators of other libraries."""
    return int(rng(seed, *names).integers(2**63 - 1))
