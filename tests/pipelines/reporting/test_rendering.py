"""A page carries its own style and script, and lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
import re

import jinja2
import pytest

from pipelines.reporting import rendering
from pipelines.reporting.rendering import rendered


def test_a_page_needs_every_value() -> None:
    with pytest.raises(jinja2.UndefinedError):
        rendered("scores.html", {}, styles=("page.css",))


def test_values_are_escaped_and_the_style_is_let_in_by_its_hash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    from pathlib import Path

    home = Path(str(tmp_path))
    (home / "a.html").write_text("{{ text }}|{{ style | safe }}|{{ style_hash }}|{{ script_hash }}")
    (home / "a.css").write_text("p{}")
    (home / "b.css").write_text("q{}")
    (home / "a.js").write_text("1;")
    monkeypatch.setattr(rendering, "_HERE", home)
    text = rendered("a.html", {"text": "<b>"}, styles=("a.css", "b.css"), script="a.js")
    escaped, style, *hashes = text.split("|")
    assert escaped == "&lt;b&gt;"
    assert style == "p{}q{}"
    for given, found in zip(("p{}q{}", "1;"), hashes, strict=True):
        digest = base64.b64encode(hashlib.sha256(given.encode()).digest()).decode()
        assert re.sub("&#43;", "+", found) == digest
