"""The face: every name in its table resolves, is documented, and has its type in the stub."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import medfuse as mf

FACE = Path(mf.__file__).parent
TABLE: dict[str, str] = {**mf._NOUNS, **mf.VERBS}


def submodules() -> list[str]:
    """Return the dotted names of all modules of ``medfuse``."""
    return [found.name for found in pkgutil.walk_packages([str(FACE)], "medfuse.")]


@pytest.fixture(scope="module")
def everything_loaded() -> None:
    """Import every module, so that one that bears the name of a verb would hide it."""
    for name in [*submodules(), *(home for home in TABLE.values())]:
        importlib.import_module(name)


@pytest.mark.usefixtures("everything_loaded")
@pytest.mark.parametrize("name", mf.VERBS)
def test_a_verb_resolves_to_a_documented_function(name: str) -> None:
    verb = getattr(mf, name)
    assert inspect.isfunction(verb), f"mf.{name} is a {type(verb).__name__}"
    text = inspect.getdoc(verb)
    assert text
    assert text.splitlines()[0].endswith("."), "the first line is one sentence"


@pytest.mark.parametrize("name", mf.VERBS)
def test_a_verb_takes_data_first_and_the_rest_by_keyword(name: str) -> None:
    signature = inspect.signature(getattr(mf, name))
    by_position = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(by_position) <= 3
    kinds = {p.annotation is p.empty for p in signature.parameters.values()}
    assert True not in kinds, "a parameter without a type"
    assert signature.return_annotation is not signature.empty


@pytest.mark.usefixtures("everything_loaded")
@pytest.mark.parametrize("name", mf._NOUNS)
def test_a_noun_resolves_and_is_documented(name: str) -> None:
    noun = getattr(mf, name)
    assert inspect.getdoc(noun if inspect.isclass(noun) else type(noun))


def test_the_face_lists_its_table_and_nothing_else() -> None:
    assert set(mf.__all__) == {*TABLE, "VERBS", "__version__"}
    assert dir(mf) == sorted(mf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'rigister'"):
        _ = mf.rigister


def test_the_stub_says_the_same_as_the_table() -> None:
    """Each name is re-exported from its home, so its signature is that of the code itself."""
    stub = ast.parse((FACE / "__init__.pyi").read_text("utf-8"))
    shown = {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert shown == TABLE
    named = {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    assert named == {"__version__", "VERBS", "__all__"}


def test_nothing_of_medfuse_is_named_like_a_verb() -> None:
    names = {name.rsplit(".", 1)[1] for name in submodules() if name.count(".") == 1}
    assert names & set(mf.VERBS) == set()
