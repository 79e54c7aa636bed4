"""A template and what it shows become one HTML text that carries everything and loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

_HERE = Path(__file__).parent


def rendered(
    template: str, context: Mapping[str, Any], *, styles: Sequence[str], script: str | None = None
) -> str:
    """Return the page: every value escaped, our own style and script let in by their hashes."""
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = "".join((_HERE / name).read_text("utf-8") for name in styles)
    own = (_HERE / script).read_text("utf-8") if script else ""
    return engine.get_template(template).render(
        **context, style=style, script=own, style_hash=_hash(style), script_hash=_hash(own)
    )


def _hash(text: str) -> str:
    """Return the name by which the page's own policy lets this one text run."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
