"""Signals, crashes and dead parents, with work that answers to no signal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")

REMOVED = "stopped on request; what was not finished is removed"
START = """
import itertools, os, signal, sys, time
from pathlib import Path
from pipelines.cli import worker

signal.signal(signal.SIGINT, signal.default_int_handler)  # heard, however the tests were started
{before}

def work():
    {work}
    return 0

def report(text):
    sys.stderr.write(text + "\\n")

sys.exit(worker.supervise(work, report, {options}))
"""
STUCK = """
    Path("new").mkdir()
    worker.announce("new", made=True)
    worker.announce(".")
    Path(f".{os.getpid()}-1.part.nii.gz").write_text("half")
    Path(f".partial-{os.getpid()}-ab12/CT").mkdir(parents=True)
    Path(f".partial-{os.getpid()}4-ab12").mkdir()  # of another run
    Path(".medfuse.lock").write_text(f"{os.getpid()}\\n")
    Path("ready").touch()
    sum(itertools.repeat(1, 10**13))  # in C, with the interpreter locked: no handler runs
"""
POLITE = """
    Path("ready").touch()
    try:
        time.sleep(60)
    finally:
        Path("tidied").touch()
"""

LATE = """
fork = os.fork

def late():
    child = fork()
    if child:
        time.sleep(1)  # the parent gets its turn long after the child has begun
    return child

os.fork = late
sys.exit(worker.supervise("""


def started(
    folder: Path, work: str, *, late: bool = False, before: str = "", options: str = ""
) -> subprocess.Popen[str]:
    """Start supervised work in ``folder`` and wait until it is in the middle of it."""
    script = START.format(work=work, before=before, options=options)
    running = subprocess.Popen(
        [
            sys.executable,
            "-c",
            script.replace("sys.exit(worker.supervise(", LATE) if late else script,
        ],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not (folder / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return running


def ended(folder: Path, work: str) -> tuple[int, str]:
    """Run supervised work to its end; return exit code and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", START.format(work=work, before="", options="")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_S8_a_signal_is_answered_within_two_seconds_inside_compiled_code(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    running = started(tmp_path, STUCK)
    sent = time.monotonic()
    running.send_signal(number)
    _, said = running.communicate(timeout=20)
    assert running.returncode == code
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert time.monotonic() - sent < 2 * busy
    assert len(said.splitlines()) == 1
    other, ready = sorted(path.name for path in tmp_path.iterdir())
    assert ready == "ready"
    assert re.fullmatch(r"\.partial-\d+4-ab12", other)


def test_S8_work_that_can_answer_tidies_up_itself(tmp_path: Path) -> None:
    running = started(tmp_path, POLITE)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert (running.returncode, said.splitlines()) == (130, [REMOVED])
    assert (tmp_path / "tidied").exists()


def test_S8_who_is_stopped_reads_what_is_kept(tmp_path: Path) -> None:
    running = started(tmp_path, POLITE, options="stopped='all is kept'")
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=20)
    assert said.splitlines() == ["stopped on request; all is kept"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_S8_a_signal_between_the_two_processes_is_not_lost(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    running = started(tmp_path, POLITE, late=True)
    running.send_signal(number)
    _, said = running.communicate(timeout=20)
    assert running.returncode == code
    assert len(said.splitlines()) == 1
    assert (tmp_path / "tidied").exists()


REAPED = """
waitpid = os.waitpid

def interrupted(child, options):
    answer = waitpid(child, options)
    os.kill(os.getpid(), signal.SIGINT)  # just as the child has ended
    return answer

os.waitpid = interrupted
"""


def test_S8_a_signal_just_as_the_work_has_ended_is_no_traceback(tmp_path: Path) -> None:
    running = started(tmp_path, "Path('ready').touch()", before=REAPED)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert len(said.splitlines()) == 1


def test_S8_signals_one_after_the_other_are_no_traceback(tmp_path: Path) -> None:
    running = started(tmp_path, STUCK)
    while running.poll() is None:
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    _, said = running.communicate(timeout=20)
    assert running.returncode in (130, 143)
    assert len(said.splitlines()) == 1


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    ignored = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    work = "Path('ready').touch(); time.sleep(1); Path('finished').touch()"
    running = started(tmp_path, work, before=ignored)
    running.send_signal(signal.SIGHUP)  # as after nohup, when the terminal is closed
    _, said = running.communicate(timeout=20)
    assert (running.returncode, said) == (0, "")
    assert (tmp_path / "finished").exists()


@pytest.mark.parametrize("work", [POLITE, STUCK])
def test_work_ends_with_its_parent(tmp_path: Path, work: str) -> None:
    if work == STUCK and sys.platform != "linux":
        pytest.skip("only the Linux kernel does this")
    running = started(tmp_path, work + "    Path('finished').touch()")
    running.kill()
    running.communicate(timeout=20)  # the pipe closes when the child is gone too
    assert not (tmp_path / "finished").exists()


@pytest.mark.parametrize("code", [0, 4, 7])
def test_the_exit_code_of_the_work_is_passed_on(tmp_path: Path, code: int) -> None:
    assert ended(tmp_path, f"return {code}") == (code, "")


def test_a_process_that_the_system_killed_ran_out_of_memory(tmp_path: Path) -> None:
    code, said = ended(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert code == 6
    assert "memory" in said


def test_a_crash_is_one_line(tmp_path: Path) -> None:
    code, said = ended(tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)")
    assert code == 1
    assert said.splitlines() == [
        f"internal: the work ended with signal {int(signal.SIGSEGV)}; run again with --debug"
    ]


def test_announcing_without_a_parent_does_nothing(tmp_path: Path) -> None:
    from pipelines.cli import worker

    worker.announce(tmp_path)
