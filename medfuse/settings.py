"""Settings are frozen dataclasses; ``load`` is the only way in from TOML, JSON or options.

Unknown keys are refused with a suggestion, values are checked against the field's type.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from medfuse.errors import UsageError

S = TypeVar("S")


def load(kind: type[S], values: Mapping[str, Any], *, where: str = "settings") -> S:
    """Return a ``kind`` made from ``values``.

    Raises ``UsageError`` for an unknown key (with the nearest known one), a value of the wrong
    type, or a contradiction that ``kind`` itself refuses.
    """
    hints = get_type_hints(kind)
    known = [entry.name for entry in dataclasses.fields(kind) if entry.init]  # type: ignore[arg-type]
    made = {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
            raise UsageError(f"unknown setting {key!r}", where=where, hint=hint)
        made[key] = _converted(hints[key], value, f"{where}.{key}")
    return kind(**made)


def dump(settings: object) -> dict[str, Any]:
    """Return the complete settings as plain values, for a record."""
    return dataclasses.asdict(settings)  # type: ignore[call-overload, no-any-return]


def _converted(hint: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        rest = [part for part in inner if part is not type(None)]
        return _converted(rest[0], value, where)
    if origin is Literal:
        if value not in inner:
            raise UsageError(
                f"is {value!r}", where=where, hint=f"use one of {', '.join(map(str, inner))}"
            )
        return value
    if origin is tuple:
        return _tuple(inner, value, where)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return load(hint, value, where=where)  # type: ignore[arg-type]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise UsageError(f"is {value!r}, not of type {hint.__name__}", where=where)
    return value


def _tuple(inner: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise UsageError(f"is {value!r}, not a list", where=where)
    if len(inner) == 2 and inner[1] is Ellipsis:
        return tuple(_converted(inner[0], entry, where) for entry in value)
    if len(value) != len(inner):
        raise UsageError(f"needs {len(inner)} values, got {len(value)}", where=where)
    return tuple(_converted(kind, entry, where) for kind, entry in zip(inner, value, strict=True))
