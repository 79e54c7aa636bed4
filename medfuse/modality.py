"""The modalities that medfuse knows, and what each needs to be shown, padded and recognised."""

from __future__ import annotations

import re
from dataclasses import dataclass

from medfuse.errors import UsageError


@dataclass(frozen=True)
class Modality:
    """One kind of scan.

    ``unit`` of its values, ``air``: the value outside the field of view, ``clip``: the range of
    values that means something (None: by percentiles), ``window``: display window (low, high) in
    ``unit`` (None: by percentiles), ``words``: lower-case names in the wild (file suffixes).
    """

    name: str
    unit: str
    air: float
    clip: tuple[float, float] | None
    window: tuple[float, float] | None
    words: tuple[str, ...]

    @property
    def is_mr(self) -> bool:
        """Whether this is a magnetic resonance contrast."""
        return self.name in {"T1", "T1CE", "T2", "FLAIR", "PD", "MR"}


MODALITIES: dict[str, Modality] = {
    entry.name: entry
    for entry in (
        Modality("T1", "a.u.", 0.0, None, None, ("t1", "t1w", "mprage", "bravo", "spgr")),
        Modality(
            "T1CE", "a.u.", 0.0, None, None, ("t1ce", "t1c", "t1gd", "t1post", "cet1w", "t1wce")
        ),
        Modality("T2", "a.u.", 0.0, None, None, ("t2", "t2w")),
        Modality("FLAIR", "a.u.", 0.0, None, None, ("flair", "t2flair", "t2wflair")),
        Modality("PD", "a.u.", 0.0, None, None, ("pd", "pdw")),
        Modality("CT", "HU", -1000.0, (-1024.0, 3071.0), (-100.0, 200.0), ("ct", "ldct", "ncct")),
        Modality("PET", "SUVbw", 0.0, (0.0, 50.0), None, ("pet", "fdg", "suv", "pt")),
        Modality("MR", "a.u.", 0.0, None, None, ("mr", "mri")),
        Modality("OTHER", "a.u.", 0.0, None, None, ()),
    )
}


def modality(name: str) -> Modality:
    """Return the modality called ``name`` (any case, or one of its words).

    Raises ``UsageError`` for a word that no modality carries.
    """
    found = _by_word(name)
    if found is None:
        known = ", ".join(MODALITIES)
        raise UsageError(f"unknown modality {name!r}", hint=f"use one of {known}")
    return found


def modality_from_name(stem: str) -> Modality:
    """Guess the modality from a file or series name; ``OTHER`` where nothing, or two, fit.

    The name is split at everything that is not a letter or digit; the last part that is a known
    word decides (``sub-01_ses-2_T1w`` is T1, ``CT_image`` is CT); a contrast part or ``ce-``
    entity beside T1 makes it T1CE.
    """
    parts = [part for part in re.split(r"[^A-Za-z0-9]+", stem.lower()) if part]
    found = [entry for part in parts if (entry := _by_word(part)) is not None]
    names = {entry.name for entry in found}
    contrast = {"ce", "gd", "gad", "gado", "post", "contrast", "gadolinium"}
    if "T1" in names and (contrast & set(parts)):
        return MODALITIES["T1CE"]
    names -= {"MR"} if len(names) > 1 else set()
    if names == {"T2", "FLAIR"}:
        return MODALITIES["FLAIR"]
    if len(names) == 1:
        return MODALITIES[names.pop()]
    return found[-1] if found and found[-1] is _by_word(parts[-1]) else MODALITIES["OTHER"]


def _by_word(word: str) -> Modality | None:
    upper, lower = word.upper(), word.lower()
    if upper in MODALITIES:
        return MODALITIES[upper]
    return next((entry for entry in MODALITIES.values() if lower in entry.words), None)
