"""PET activity as standardised uptake value, by body weight."""

from __future__ import annotations

from medfuse.volume import Volume


def require_suv(volume: Volume) -> Volume:
    """Return ``volume`` where its unit is SUVbw; else raise ``InputError`` (D19)."""
    raise NotImplementedError
