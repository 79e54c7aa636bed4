"""Words and habits that the house keeps out, looked for in every product file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("medfuse", "registration", "pipelines")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TREES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"), str(path))
    for path in FILES
}
NO_ROOMS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
OPENERS = {  # who may call what opens or writes a file of scans
    "ReadImage": ("medfuse/io/",),
    "WriteImage": ("medfuse/io/",),
    "ReadTransform": ("medfuse/io/",),
    "WriteTransform": ("medfuse/io/",),
    "dcmread": ("medfuse/io/",),
    "save_as": ("medfuse/io/",),
    "write_text": ("medfuse/io/",),
    "write_bytes": ("medfuse/io/",),
    "nib.load": ("medfuse/io/",),
    "nib.save": ("medfuse/io/",),
    "nibabel.load": ("medfuse/io/",),
    "nibabel.save": ("medfuse/io/",),
    "h5py.File": ("medfuse/io/",),
    "open": ("medfuse/io/",),
    "torch.load": (),
    "pickle.load": (),
    "pickle.loads": (),
    "eval": (),
    "exec": (),
    "print": (),
}
OURS = {"files.write_text"}  # the one that writes whole or not at all


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for a name or attribute, and ``?.c`` for a method of something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def calls() -> Iterator[tuple[str, int, str]]:
    """Yield file, line and dotted name of each call in the product, but on the null device."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            nowhere = isinstance(node, ast.Call) and node.args and dotted(node.args[0])
            if isinstance(node, ast.Call) and nowhere != "os.devnull":
                yield name, node.lineno, dotted(node.func)


def strings() -> Iterator[tuple[str, int, str]]:
    """Yield file, line and text of each string in the product."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield name, node.lineno, node.value


def test_files_are_opened_in_one_room_only() -> None:
    found = []
    for name, line, called in calls():
        short = called if called.count(".") == 0 else called.rsplit(".", 1)[1]
        allowed = OPENERS.get(called)
        if allowed is None and "." in called and short not in {"load", "eval", "exec", "print"}:
            allowed = OPENERS.get(short)
        imported = called == "write_text"  # from medfuse.io.files import write_text
        if allowed is None or called in OURS or imported or name.startswith(allowed):
            continue
        found.append(f"{name}:{line} calls {called}")
    assert found == []


def test_randomness_is_an_argument() -> None:
    fine = {"default_rng", "Generator", "SeedSequence", "PCG64"}
    found = [
        f"{name}:{line} calls {called}"
        for name, line, called in calls()
        if (".random." in called and called.rsplit(".", 1)[1] not in fine and called[:2] == "np")
        or called.startswith("random.")
        or (called.endswith(".manual_seed") and called != "?.manual_seed")  # a Generator's own
    ]
    assert found == []


def test_only_the_command_line_reads_the_environment() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if not name.startswith("pipelines/cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.getenv"}
    ]
    assert found == []


def test_loggers_are_named_by_hand() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and dotted(node.func).endswith("getLogger")
        and any(dotted(argument) == "__name__" for argument in node.args)
    ]
    assert found == []


def test_no_room_is_called_after_nothing() -> None:
    found = [str(path.relative_to(ROOT)) for path in FILES if path.stem in NO_ROOMS]
    found += [
        f"{name}: class {node.name}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and re.search("Manager|Helper|Utils?$", node.name)
    ]
    assert found == []


def test_no_path_of_one_machine_and_no_promise() -> None:
    machine = re.compile(r"(?<![\w.])/(?:work|tmp|home|root|Users)/")
    found = [
        f"{name}:{line}: {text[:60]!r}" for name, line, text in strings() if machine.search(text)
    ]
    found += [
        f"{path.relative_to(ROOT)}: {word}"
        for path in FILES
        for word in ("TODO", "FIXME", "XXX", "HACK")
        if re.search(rf"\b{word}\b", path.read_text("utf-8"))
    ]
    assert found == []


def test_every_word_that_goes_out_is_portable() -> None:
    machine = re.compile(r"(?<![\w.])/(?:work|root|Users)/")
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    pages += [ROOT / "pyproject.toml", ROOT / "constraints.txt", ROOT / "Makefile"]
    pages += [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "benchmarks").glob("*.py")]
    assert [str(page) for page in pages if machine.search(page.read_text("utf-8"))] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 400
    tree = TREES[path.relative_to(ROOT).as_posix()]
    assert ast.get_docstring(tree), "no docstring at the top"
    silent = [
        f"{node.name} (line {node.lineno})"
        for node in [
            *tree.body,
            *(n for c in tree.body if isinstance(c, ast.ClassDef) for n in c.body),
        ]
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert silent == [], "public, but without a docstring"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(TREES[path.relative_to(ROOT).as_posix()])
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long == []
