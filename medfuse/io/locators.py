"""An input as a user names it: ``PATH:CT,series=UID``, the options riding on the path.

The part after the last colon counts only if it parses and no file of the whole name exists, so
a name that holds a colon still works.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from medfuse.errors import UsageError
from medfuse.modality import MODALITIES, Modality, modality


def _is_index(value: str) -> bool:
    return value.isascii() and value.isdigit()


def _is_word(value: str) -> bool:
    return value != ""


_WORD = r"\w+|[a-z]+=[^/]*|unit=Bq/ml"  # a modality, or an option: no part of a path
# option -> (is the value legal?, what to write)
OPTIONS: dict[str, tuple[Callable[[str], bool], str]] = {
    "series": (_is_word, "series=UID"),
    "volume": (_is_index, "volume=K with K = 0, 1, 2, ..."),
    "stack": (_is_word, "stack=ID"),
    "segment": (_is_index, "segment=N with N = 1, 2, ..."),
    "xform": (lambda value: value in {"sform", "qform"}, "xform=sform or xform=qform"),
    "gaps": (lambda value: value == "ok", "gaps=ok"),
    "centred": (lambda value: value == "ok", "centred=ok"),
    "unit": (lambda value: value in {"SUVbw", "HU", "Bq/ml"}, "unit=SUVbw, unit=HU or unit=Bq/ml"),
}


@dataclass(frozen=True)
class Locator:
    """Where an input lies and how to read it: ``path`` as typed, ``modality``, ``options``."""

    path: str
    modality: Modality | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check and freeze the options."""
        object.__setattr__(self, "path", os.fspath(self.path))
        checked = {key: option(key, value) for key, value in self.options.items()}
        object.__setattr__(self, "options", MappingProxyType(checked))


def option(key: str, value: object) -> str:
    """Return the value of one reading option as text, checked.

    Raises ``UsageError`` for an unknown option (with the nearest known one) or an illegal value.
    """
    if key not in OPTIONS:
        near = difflib.get_close_matches(key, OPTIONS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(OPTIONS)}"
        raise UsageError(f"unknown option {key!r} of an input", hint=hint)
    legal, usage = OPTIONS[key]
    text = "ok" if value is True else str(value)
    if not legal(text):
        raise UsageError(f"{key}={text} is not understood", hint=f"write {usage}")
    return text


def locate(text: str) -> Locator:
    """Split ``PATH:CT,key=value,...`` into path, modality and options.

    Raises ``UsageError`` where what follows the last colon is clearly meant as options (it holds
    a ``=``, or the path before the colon exists) but names an unknown modality or option.
    """
    before, colon, after = text.rpartition(":")
    if not colon or not before or os.path.lexists(text):
        return Locator(text)
    meant = os.path.lexists(before) and "/" not in after.replace("Bq/ml", "")
    words = [word.strip() for word in after.split(",")]
    if not meant and not all(re.fullmatch(_WORD, word) for word in words):
        return Locator(text)
    try:
        return _parsed(before, words)
    except UsageError:
        if meant or any("=" in word for word in words):
            raise
        return Locator(text)


def _parsed(path: str, words: list[str]) -> Locator:
    kind: Modality | None = None
    options: dict[str, str] = {}
    for place, word in enumerate(words):
        key, equals, value = word.partition("=")
        if equals:
            if key in options:
                raise UsageError(f"{key}= is given twice", where=path)
            options[key] = option(key, value)
        elif place == 0:
            kind = _modality(word, path)
        else:
            raise UsageError(
                f"{word!r} is not of the form key=value",
                where=path,
                hint="the modality comes first, as in PATH:CT,volume=0",
            )
    return Locator(path, kind, options)


def _modality(word: str, path: str) -> Modality:
    try:
        return modality(word)
    except UsageError as error:
        near = difflib.get_close_matches(word.upper(), [*MODALITIES], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else error.hint
        raise UsageError(error.what, where=path, hint=hint) from None
