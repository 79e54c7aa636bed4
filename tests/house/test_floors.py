"""The floors of the house: imports go down only, and no module stands in a circle.

``FLOORS`` is the whole plan. A module may import from its own room and from lower floors; rooms on
one floor do not know each other. Imports inside functions count too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("medfuse", "registration", "pipelines")
FLOORS = (  # from the ground up; each entry lists the rooms of one floor
    ("medfuse.errors", "medfuse.progress", "medfuse.seeds"),
    ("medfuse.geometry", "medfuse.modality"),
    ("medfuse.volume", "medfuse.transform", "medfuse.report", "medfuse.settings"),
    ("medfuse.study", "medfuse.record"),
    ("medfuse.itk",),
    ("medfuse.resampling", "medfuse.similarity", "medfuse.intensity", "medfuse.metrics"),
    ("medfuse.io",),
    ("medfuse.phantom",),  # writes its cases through io
    ("medfuse.nets",),
    ("medfuse.text",),
    ("medfuse.fusion", "medfuse.translation", "medfuse.alignment"),
    ("registration", "medfuse.training"),
    ("pipelines",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
TORCH_FROM = FLOOR_OF["medfuse.nets"]
FACE = {"medfuse"}  # product code imports nouns and verbs from where they live
LEARNS = {"torch", "monai", "pytorch_lightning", "lightning"}


def name_of(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    name_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
}


def room_of(module: str) -> str | None:
    """Return the room that ``module`` lies in; None for the face itself."""
    parts = module.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((name for name in names if name in FLOOR_OF), None)


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything that is imported, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in SOURCES or node.module == "medfuse" else str(node.module)


KNOWN = {*SOURCES, "medfuse.__version__"}
IMPORTS = {
    module: sorted(set(imports(ast.parse(path.read_text("utf-8")))))
    for module, path in SOURCES.items()
}


def offences(imported: dict[str, list[str]]) -> Iterator[str]:
    """Yield a sentence for each import that goes up, sideways, or through the face."""
    for module, targets in imported.items():
        room = room_of(module)
        if module != "medfuse" and room is None:
            yield f"{module} stands in no room: add it to FLOORS"
            continue
        for target in targets:
            top, seen = target.split(".")[0], room_of(target)
            if top in LEARNS:
                if room is None or FLOOR_OF[room] < TORCH_FROM or _is_classic(module):
                    yield f"{module} imports {top}"
            elif target in FACE or (top == "medfuse" and target not in KNOWN):
                yield f"{module} imports {target} from the face"
            elif seen is not None and (room is None or _is_above(seen, room)):
                yield f"{module} imports {target}"


def _is_above(room: str, mine: str) -> bool:
    """Tell whether ``room`` is another one on the same floor as ``mine``, or higher up."""
    return room != mine and FLOOR_OF[room] >= FLOOR_OF[mine]


def _is_classic(module: str) -> bool:
    """Tell whether a module of registration must do without torch: all but its tensor engine."""
    return module.startswith("registration") and not module.startswith("registration.tensor")


def test_imports_go_down_only() -> None:
    assert list(offences(IMPORTS)) == []


def test_an_import_upwards_is_named() -> None:
    imported = {
        "medfuse.volume": ["registration", "numpy", "medfuse.geometry"],
        "medfuse.geometry": ["medfuse.modality"],
        "medfuse.study": ["torch", "medfuse.Volume"],
        "registration.linear": ["torch", "medfuse.resampling"],
        "registration.tensor.fields": ["torch"],
        "medfuse.misc": [],
    }
    assert list(offences(imported)) == [
        "medfuse.volume imports registration",
        "medfuse.geometry imports medfuse.modality",
        "medfuse.study imports torch",
        "medfuse.study imports medfuse.Volume from the face",
        "registration.linear imports torch",
        "medfuse.misc stands in no room: add it to FLOORS",
    ]


def test_no_module_stands_in_a_circle() -> None:
    finished: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in finished:
            for target in IMPORTS[module]:
                if target in SOURCES and target != module:
                    visit(target, (*path, module))
            finished.add(module)

    for module in SOURCES:
        visit(module, ())
