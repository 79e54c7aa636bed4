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


_AGENT = {"ce", "gd", "gad", "gado", "post", "contrast", "gadolinium", "enhanced", "postcontrast"}
_WITHOUT = {"pre", "non", "no", "without", "wo", "unenhanced", "native", "plain"} | {
    begin + end for begin in ("pre", "non", "no") for end in ("contrast", "gad", "gd", "enhanced")
}
# "post" and "pre" that tell of an operation, not of an agent
_TREATMENT = re.compile(
    r"\b(pre|post) ?(ops?|operative|surg\w*|rt|radio\w*|chemo\w*|tx|treat\w*)\b"
)
_BIDS = re.compile(r"(sub-[A-Za-z0-9]+(?:_[a-z0-9]+-[A-Za-z0-9+]+)*_)([A-Za-z0-9]+)")


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
    """Guess the modality from a file or series name; ``OTHER`` where nothing fits.

    A name after BIDS is read as BIDS says: its suffix names the modality and a ``ce-`` entity makes
    a T1 a T1CE, nothing else counts (``sub-01_ses-post_T1w`` is T1). Any other name is split at
    everything that is not a letter or digit: ``FLAIR`` beside ``T2`` is FLAIR, a word of contrast
    agent makes a T1 a T1CE unless a word denies it (``T1 pre contrast``), two other contrasts of
    MR make it MR (``T1 FLAIR``), else the last part decides if it is a known word (``CT_PET``).
    """
    name = _BIDS.fullmatch(stem)
    if name and (named := _by_word(name[2])) is not None:
        agent = re.search(r"_ce-(?!none_|no_)", name[1])
        return MODALITIES["T1CE"] if agent and named.name == "T1" else named
    parts = _words(stem)
    found = [entry for part in parts if (entry := _by_word(part)) is not None]
    names = {entry.name for entry in found}
    if names == {"T2", "FLAIR"}:
        return MODALITIES["FLAIR"]
    names -= {"MR"} if len(names) > 1 else set()
    if "T1" in names and "FLAIR" not in names and _AGENT & set(parts) and not denies_agent(stem):
        names = names - {"T1"} | {"T1CE"}
    if len(names) == 1:
        return MODALITIES[names.pop()]
    if names and all(MODALITIES[name].is_mr for name in names):
        return MODALITIES["MR"]
    return found[-1] if found and found[-1] is _by_word(parts[-1]) else MODALITIES["OTHER"]


def denies_agent(text: str) -> bool:
    """Tell whether a description says that no contrast agent was given (``T1 pre contrast``)."""
    return bool(_WITHOUT & set(_words(text)))


def _words(text: str) -> list[str]:
    """Return the parts of a name, lower case, without those that tell of a treatment."""
    plain = text.lower().replace("w/o", " without ")
    plain = re.sub(r"(?<![^\W_])(c\+|\+c)(?![^\W_])", " contrast ", plain)
    plain = " ".join(part for part in re.split(r"[\W_]+", plain, flags=re.ASCII) if part)
    return _TREATMENT.sub("", plain).split()


def _by_word(word: str) -> Modality | None:
    upper, lower = word.upper(), word.lower()
    if upper in MODALITIES:
        return MODALITIES[upper]
    return next((entry for entry in MODALITIES.values() if lower in entry.words), None)
