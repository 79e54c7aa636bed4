"""What is said, how often, and to whom."""

from __future__ import annotations

import sys
import warnings

import pytest

from medfuse.errors import Repair
from pipelines.cli import terminal


def test_repairs_are_collected_once_and_other_warnings_stay_what_they_are() -> None:
    with terminal.repairs() as found:
        for _ in range(2):
            warnings.warn(Repair("unit was metre", id="N13"), stacklevel=1)
        warnings.warn(Repair("unit was micron", id="N13"), stacklevel=1)
    with pytest.warns(UserWarning, match="other"):
        warnings.warn("other", stacklevel=1)
    assert [(repair.id, repair.what) for repair in found] == [
        ("N13", "unit was metre"),
        ("N13", "unit was micron"),
    ]


def test_a_repair_is_one_escaped_line(capsys: pytest.CaptureFixture[str]) -> None:
    repair = Repair("unit was\nmetre", id="N13")
    terminal.tell("a\tb.nii", [repair, repair])
    assert capsys.readouterr().err == "medfuse: warning[N13]: a\\tb.nii: unit was\\nmetre\n"


def test_S11_progress_is_plain_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with terminal.listener() as progress:
        for done, what in enumerate(("CT: search", "CT: refine", "PET: search")):
            progress(what, done, 4)
    assert capsys.readouterr() == ("CT: search\nPET: search\n", "")


def told(*calls: tuple[float, str, int, int]) -> None:
    """Report each call at its second."""
    now = [0.0]
    with terminal.listener(clock=lambda: now[0]) as progress:
        for second, *words in calls:
            now[0] = second
            progress(*words)


def test_S11_a_line_for_each_epoch_of_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    told(
        (0, "training: epoch 1 of 2", 1, 4),
        (9, "training: epoch 1 of 2", 2, 4),
        (10, "training: epoch 2 of 2, loss 0.500, Dice 0.200", 3, 4),
        (19, "training: epoch 2 of 2, loss 0.500, Dice 0.200", 4, 4),
    )
    assert capsys.readouterr().out.splitlines() == [
        "training: epoch 1 of 2",
        "training: epoch 2 of 2, loss 0.500, Dice 0.200",
    ]


def test_S11_a_long_work_says_how_far_it_is_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told(*((10 * step, "scoring", step, 8) for step in range(9)))
    assert capsys.readouterr().out.splitlines() == [
        "scoring",
        "scoring (3 of 8)",
        "scoring (6 of 8)",
    ]


def test_S11_a_comparison_has_a_line_for_each_case_and_not_for_each_epoch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "data, fold 1 of 3"
    told(
        *(
            (step, f"{name}: training: epoch {step} of 60, loss 0.1", step, 60)
            for step in range(59)
        ),
        (59, f"{name}: sub-1: segmenting", 1, 2),
        (60, f"{name}: sub-1: segmenting", 2, 2),
        (61, f"{name}: sub-2: segmenting", 1, 2),
    )
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: training: epoch 0 of 60, loss 0.1",
        f"{name}: training: epoch 30 of 60, loss 0.1 (30 of 60)",
        f"{name}: sub-1: segmenting",
        f"{name}: sub-2: segmenting",
    ]


def test_S10_a_reader_that_leaves_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise ``medfuse register ... | true`` would lose the result."""

    def gone(text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(terminal, "say", gone)
    with terminal.listener() as progress:
        progress("CT: search", 0, 4)


def test_progress_can_be_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.listener(quiet=True) as progress:
        progress("CT: search", 0, 1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("term", "expected"), [("xterm", True), ("dumb", False), ("", False)])
def test_a_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch, term: str, expected: bool) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", term)
    assert terminal._is_terminal() is expected


def test_the_bar_keeps_one_line_for_each_thing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "_is_terminal", lambda: True)
    with terminal.listener() as progress:
        progress("CT: search", 0, 4)
        progress("CT: refine", 1, 4)
        progress("PET: search", 0, 4)
        assert isinstance(progress, terminal._Bar)
        assert sorted(progress.tasks) == ["CT", "PET"]
    assert capsys.readouterr().out == ""
