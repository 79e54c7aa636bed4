"""Which labels are each other's mirror image: ``left hippocampus`` and ``right hippocampus``."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORDS = {"left": "right", "l": "r", "lh": "rh", "lt": "rt"}
_OTHER = {**_WORDS, **{other: word for word, other in _WORDS.items()}}
# an L before a number is a vertebra (L4)
_SIDE = re.compile(r"(?<![A-Za-z])(?:(left|lh|lt|l(?!\d))|(right|rh|rt|r))(?![A-Za-z])")
_PARTS = re.compile(r"[A-Za-z]+|[^A-Za-z]+")
# where Left or Right ends or begins at a capital: LeftLung, leftLung, LungLeft; not BrightSpot;
# or L or R do: hippL, lHipp; not rCBV
_CHANGE = re.compile(
    r"(?<=[A-Za-z])(?=(?:Left|Right)(?![a-z]))"
    r"|(?:(?<=Left)|(?<=Right)|(?<=(?<![A-Za-z])left)|(?<=(?<![A-Za-z])right))(?=[A-Z])"
    r"|(?<=[a-z]{2})(?=[LR](?![A-Za-z]))"
    r"|(?<=(?<![A-Za-z])[lr])(?=[A-Z][a-z])"
)
# where no capital tells: leftlung, lungleft (three letters before it: not bright, nor cleft)
_JOINED = re.compile(r"(?<![a-z])(?:left|right)[a-z]+|(?<![a-z])[a-z]{3,}?(?:left|right)(?![a-z])")
_SIDE_WORD = re.compile("left|right")
# words of other meaning: a pair needs both names, but one of them alone has no side
_OTHER_WORDS = re.compile(
    r"(?<![a-z])(?:(?:left|right)(?:over|ful|ward|ness|ist|y)[a-z]*"
    r"|[a-z]*(?:b|up|out|down|copy|birth)right|[a-z]*cleft|copyleft)(?![a-z])"
)


def partners(names: Sequence[str]) -> tuple[int, ...]:
    """Return, for each name, the index of its mirror image: its own where it has no side.

    A name has a side where one of its words is left, right, L, R, LH, RH, LT or RT (any case), or
    begins or ends so (``LeftLung``, ``leftlung``, ``hippL``; a single letter only at a capital),
    and a partner where the name with the other side is there too, written the same way.
    """
    lowered = [_marked(_lowered(name)) for name in names]
    found = []
    for number, name in enumerate(lowered):
        other = "".join(_OTHER.get(part, part) for part in _PARTS.findall(name))
        found.append(lowered.index(other) if other in lowered else number)
    return tuple(found)


def one_sided(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that have a side and no partner: a mirror would give them the wrong one.

    A name of both sides (``left and right ventricle``) has none, nor has a vertebra (``L4``). Two
    names that differ by one letter, an L and an R (``LK`` and ``RK``), may be those of two sides.
    """
    found = []
    lowered = [name.lower() for name in names]
    for number, (name, other) in enumerate(zip(names, partners(names), strict=True)):
        sides = _SIDE.findall(_marked(_OTHER_WORDS.sub(" ", _lowered(name))))
        lefts = sum(bool(left) for left, _ in sides)
        sided = bool(sides) and lefts in (0, len(sides))
        sided |= any(_one_letter_apart(lowered[number], one) for one in lowered)
        if other == number and sided:
            found.append(name)
    return tuple(found)


def _one_letter_apart(name: str, other: str) -> bool:
    """Tell whether two names differ in one letter alone, an L in the one and an R in the other."""
    apart = [{*pair} for pair in zip(name, other, strict=False) if pair[0] != pair[1]]
    return len(name) == len(other) and apart == [{"l", "r"}]


def _lowered(name: str) -> str:
    """Return the name in lower case, with a mark that no name has where its capitals set words."""
    return _CHANGE.sub("\0", name).lower()


def _marked(lowered: str) -> str:
    """Return a name with such marks around the sides that are joined to other words."""
    return _JOINED.sub(lambda word: _SIDE_WORD.sub("\0\\g<0>\0", word[0]), lowered)
