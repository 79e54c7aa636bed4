"""The door: help, versions, and how every kind of error leaves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medfuse import __version__
from medfuse.errors import (
    DicomError,
    InputError,
    MedfuseError,
    OutputError,
    QualityRefused,
    ResourceError,
    UsageError,
)
from pipelines.cli import app
from tests.end_to_end.conftest import Run

COMMANDS = ("inspect", "convert", "register", "apply", "phantom", "doctor", "demo")


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Let ``medfuse doctor`` raise something."""

    def prepare(problem: BaseException) -> None:
        def examine() -> Any:
            raise problem

        monkeypatch.setattr("pipelines.doctor.examine", examine)

    return prepare


def typed(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``medfuse`` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli.app", *words],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


@pytest.mark.parametrize("words", [("--help",), ("-h",), ()])
def test_help_lists_every_command(medfuse: Run, words: tuple[str, ...]) -> None:
    said = medfuse(*words)
    assert (said.code, said.err) == (0, [])
    for command in COMMANDS:
        assert f"  {command} " in said.out
    assert "not a medical device" in said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_how_it_is_used_and_how_it_ends(medfuse: Run, command: str) -> None:
    said = medfuse(command, "--help")
    assert said.code == 0
    assert "Example:\n" in said.out
    assert f"medfuse {command}" in said.out
    assert "Exit codes: 0 " in said.out
    assert "Research software, not a medical device." in said.out
    assert max(map(len, said.out.splitlines())) <= 100


def test_help_lists_every_exit_code_of_the_docs(medfuse: Run) -> None:
    told = medfuse("--help").out.partition("Exit codes: ")[2].partition(".")[0]
    docs = Path(app.__file__).parents[2] / "docs" / "cli.md"
    table = docs.read_text("utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE):
        for code in set(row.split(", ")) - {"141"}:  # nobody is there to read it
            assert re.search(rf"\b{code}\b", told), code


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("train", "lesion"), "epochs that were finished are kept, if any: go on with --resume"),
        (("segment", "a"), "cases that were finished are kept"),
        (("compare-fusion", "a"), "the same command goes on"),
        (("phantom", "a"), "heads that were finished are kept"),
        (("register", "train"), "what was not finished is removed"),
    ],
)
def test_S8_who_stops_a_command_reads_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], kept: str
) -> None:
    told: list[str] = []
    monkeypatch.setattr(app.terminal, "prepare", lambda: None)
    monkeypatch.setattr(app.worker, "supervise", lambda *_, stopped: told.append(stopped) or 130)
    monkeypatch.setattr(sys, "argv", ["medfuse", *words])
    assert app.main() == 130
    assert kept in told[0]


def test_a_word_that_is_no_choice_is_told_plainly(medfuse: Run) -> None:
    said = medfuse("segment", "a", "--model", "m", "--out", "o", "--split", "testing")
    assert said.err == [
        "medfuse: error: Invalid value for '--split': 'testing' is not one of 'train', "
        "'validate', 'test'; see medfuse --help"
    ]


def test_apply_says_which_way_points_go(medfuse: Run) -> None:
    said = " ".join(medfuse("apply", "--help").out.split())
    assert "Transforms are listed in the order in which a fixed point passes through them" in said
    assert "points are x,y,z in LPS mm, mapped fixed to moving" in said
    assert "--inverse inverts the whole chain" in said


def test_version(medfuse: Run) -> None:
    assert medfuse("--version").out == f"medfuse {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("regster",),
        ("register",),
        ("register", "a.nii"),
        ("register", "a.nii", "b.nii", "--out", "o", "--transform", "elastic"),
        ("register", "a.nii", "b.nii", "--out", "o", "--seed", "-1"),
        ("register", "a.nii", "b.nii", "--out", "o", "--nonsense"),
        ("convert", "a.nii"),
        ("phantom", "out", "--subjects", "0"),
        ("phantom", ""),
        ("register", "a.nii", "b.nii", "--out", ""),
        ("demo", "--out", ""),
    ],
)
def test_wrong_usage_is_one_line_and_two(medfuse: Run, words: tuple[str, ...]) -> None:
    said = medfuse(*words)
    assert said.code == 2
    assert said.out == ""
    assert len(said.err) == 1
    assert said.err[0].startswith("medfuse: error: ")


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (MedfuseError("a"), 1),
        (UsageError("a"), 2),
        (InputError("a"), 3),
        (DicomError("a"), 3),
        (QualityRefused("a"), 4),
        (OutputError("a"), 5),
        (ResourceError("a"), 6),
        (MemoryError(), 6),
        (RuntimeError("Failed to allocate memory for image."), 6),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_error_has_its_exit_code(
    medfuse: Run, raising: Callable[[BaseException], None], problem: BaseException, code: int
) -> None:
    raising(problem)
    said = medfuse("doctor")
    assert said.code == code
    assert len(said.err) == (0 if code == 130 else 1)


def test_an_error_says_where_what_and_what_to_do_on_one_line(
    medfuse: Run, raising: Callable[[BaseException], None]
) -> None:
    raising(InputError("is cut", where="a\nb‮.nii", hint="copy it again", id="N1"))
    said = medfuse("doctor")
    assert said.err == ["medfuse: error[N1]: a\\nb\\u202e.nii: is cut; copy it again"]


def test_a_bug_is_one_line_that_quotes_nothing(
    medfuse: Run, raising: Callable[[BaseException], None]
) -> None:
    raising(ValueError("Invalid value for PatientName: ZZPHI^NAME"))
    said = medfuse("doctor")
    assert said.code == 1
    assert said.err == ["medfuse: error: internal: ValueError; run again with --debug"]


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path) -> None:
    wrong = str(tmp_path / "none.nii")
    for words in (("--debug", "inspect", wrong), ("inspect", wrong, "--debug")):
        said = typed(*words)
        assert said.returncode == 3
        assert "Traceback" in said.stderr
    assert "Traceback" not in typed("inspect", wrong).stderr
    assert app._without_debug(["inspect", "--", "--debug"]) == (["inspect", "--", "--debug"], False)


def test_S10_a_reader_that_leaves_is_no_error() -> None:
    shell = f"{sys.executable} -m pipelines.cli.app doctor | head -n 1"
    said = subprocess.run(shell, shell=True, capture_output=True, text=True, timeout=120)
    assert said.stderr == ""
    assert said.stdout.startswith("medfuse ")


IMPORTING = """
import signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from pipelines.cli import app
app._main = lambda: signal.raise_signal(signal.SIGINT)
sys.exit(app.main())
"""


@pytest.mark.parametrize(("name", "code"), [("typer", -signal.SIGINT), ("nothing", 130)])
def test_S8_an_interrupt_while_the_command_loads_is_quiet(name: str, code: int) -> None:
    said = subprocess.run(
        [sys.executable, "-c", IMPORTING.format(name=name)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (said.returncode, said.stdout, said.stderr) == (code, "", "")


def test_S12_any_text_can_be_said_on_any_terminal(tmp_path: Path) -> None:
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = typed("inspect", str(tmp_path / "头.nii"), env=plain)
    assert said.returncode == 3
    assert said.stderr.count("\n") == 1
    assert said.stderr.isascii()
    assert ".nii: there is no such file" in said.stderr


def test_streams_that_are_closed_do_no_harm() -> None:
    shell = f"{sys.executable} -m pipelines.cli.app --version >&- 2>&-"
    assert subprocess.run(shell, shell=True, timeout=60).returncode == 0
