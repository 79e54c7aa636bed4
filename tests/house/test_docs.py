"""The docs: links lead somewhere, names exist, and the error tree is the one in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import medfuse as mf
from medfuse import errors

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#([\w-]+))?\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        there = page.parent / target
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_the_face_exist(page: Path) -> None:
    named = set(re.findall(r"\bmf\.(\w+)", page.read_text("utf-8")))
    assert named <= set(mf.__all__)


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    listed = {target for target, _ in LINK.findall(index)}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= listed


def test_every_verb_stands_in_the_concepts() -> None:
    text = (ROOT / "docs" / "concepts.md").read_text("utf-8")
    assert [verb for verb in mf.VERBS if f"`{verb}`" not in text] == []


def test_the_error_tree_is_that_of_the_code() -> None:
    tree = str(errors.__doc__).split("\n\n")[1]
    lines = [line.removeprefix("    ") for line in tree.splitlines()]
    assert "\n".join(lines) in (ROOT / "docs" / "concepts.md").read_text("utf-8")
