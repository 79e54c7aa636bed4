"""The door of the command line: which commands there are, and how an error leaves.

Commands import what they need inside; ``medfuse --help`` loads neither numpy nor SimpleITK.
Exit codes stand in ``docs/cli.md``, the ids of errors in ``docs/errors.md``.
"""

from __future__ import annotations

import contextlib
import signal

if (_python := signal.getsignal(signal.SIGINT)) is signal.default_int_handler:
    with contextlib.suppress(ValueError):  # not in the main thread
        # until the imports are done Ctrl-C ends the process at once, without a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)

import errno
import os
import sys
from typing import Annotated

import typer

from medfuse.errors import MedfuseError, escaped
from pipelines.cli import (
    apply,
    compare_fusion,
    convert,
    dataset,
    demo,
    doctor,
    evaluate,
    inspect,
    phantom,
    register,
    segment,
    terminal,
    train,
    worker,
)

_REMOVED = "what was not finished is removed"
_STOPPED = {  # what becomes of the results of a command that is stopped
    "train": "the epochs that were finished are kept, if any: go on with --resume",
    "segment": f"the cases that were finished are kept, {_REMOVED}",
    "compare-fusion": "what was finished is kept, the same command goes on",
    "phantom": f"the heads that were finished are kept, {_REMOVED}",
}

app = typer.Typer(
    name="medfuse",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)
app.command("inspect")(inspect.command)
app.command("convert")(convert.command)
app.command("register")(register.command)
app.command("apply")(apply.command)
app.add_typer(dataset.app, name="dataset")
app.command("train")(train.command)
app.command("segment")(segment.command)
app.command("evaluate")(evaluate.command)
app.command("compare-fusion")(compare_fusion.command)
app.command("phantom")(phantom.command)
app.command("doctor")(doctor.command)
app.command("demo")(demo.command)


@app.callback(invoke_without_command=True)
def door(
    context: typer.Context,
    debug: Annotated[  # noqa: ARG001 - for the help: main() takes it out, wherever it stands
        bool, typer.Option("--debug", help="Show a traceback where something goes wrong.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Bring one patient's MRI, CT and PET into one space, with an honest verdict.

    Start with `medfuse demo`, or with
    `medfuse register T1.nii.gz CT.nii.gz PET.nii.gz --out aligned`.

    \b
    Exit codes: 0 done, 1 a bug, 2 wrong usage, 3 bad input, 4 refused by the quality gate,
    5 output cannot be written, 6 out of memory, disk or time, 7 some of several cases failed,
    130 Ctrl-C, 143 stopped.

    Research software, not a medical device.
    """
    if version:
        from medfuse import __version__

        terminal.say(f"medfuse {__version__}")
    elif context.invoked_subcommand is None:
        terminal.say(context.get_help())


def main() -> int:
    """Run the command line and return its exit code (the console script)."""
    try:
        return _main()
    except KeyboardInterrupt:  # before anything was begun
        return 130


def _main() -> int:
    arguments, debug = _without_debug(sys.argv[1:])
    terminal.prepare()
    light = not arguments or not {"--help", "-h", "--version"}.isdisjoint(arguments)
    if debug or light or not hasattr(os, "fork"):
        return run(arguments, debug=debug)

    def work() -> int:
        terminal.quiet_libraries()
        return run(arguments)

    return worker.supervise(work, _report, stopped=_stopped(arguments))


def _report(text: str) -> None:
    terminal.show_cursor()
    terminal.complain(f"error: {text}")


def _stopped(arguments: list[str]) -> str:
    """Say what becomes of the results where a signal ends the command."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    return _STOPPED.get(command, _REMOVED)


def _without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """Take ``--debug`` out, wherever it stands before ``--``."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [word for word in arguments[:end] if word != "--debug"]
    return kept + arguments[end:], len(kept) < end


def run(arguments: list[str], *, debug: bool = False) -> int:
    """Run one command and return its exit code; every error leaves as one line on stderr."""
    try:
        code = app(args=arguments, prog_name="medfuse", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except SystemExit as leave:  # a signal, or a closed pipe where typer meets it
        _drop_stdout()
        return leave.code if isinstance(leave.code, int) and leave.code > 1 else 141
    except BrokenPipeError:
        _drop_stdout()
        return 141
    except Exception as problem:  # noqa: BLE001 - the last door: nothing may leave as a traceback
        if debug:
            import traceback

            traceback.print_exc()
        return _told(problem)
    return code if isinstance(code, int) else 0


def _told(problem: Exception) -> int:
    """Say what went wrong on one line and return the exit code for it."""
    if isinstance(problem, MedfuseError):
        terminal.error(problem)
        return problem.exit_code
    if hasattr(problem, "format_message"):  # Click's own: a wrong option or argument
        what = problem.format_message().replace("Value error, ", "").rstrip(".")
        terminal.complain(f"error: {escaped(what)}; see medfuse --help")
        return 2
    if isinstance(problem, MemoryError) or "allocate" in str(problem):
        terminal.complain(
            "error: there is not enough memory; close other programs or use smaller volumes"
        )
        return 6
    if isinstance(problem, OSError) and problem.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        terminal.complain("error[S1]: the disk is full; free some space or write elsewhere")
        return 5
    # the text of a foreign error may quote a header, which is the patient's: only its kind is told
    terminal.complain(f"error: internal: {type(problem).__name__}; run again with --debug")
    return 1


def _drop_stdout() -> None:
    """Let the interpreter's last flush go nowhere instead of into the closed pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if _python is signal.default_int_handler:
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, _python)

if __name__ == "__main__":
    sys.exit(main())
