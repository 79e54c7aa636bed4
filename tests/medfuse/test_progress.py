"""Progress is a plain call: anything callable listens, and nobody need."""

from __future__ import annotations

import pytest

from medfuse.progress import Progress, silent


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    silent("search", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_function_can_listen() -> None:
    heard: list[tuple[str, int, int]] = []

    def listen(what: str, done: int, total: int) -> None:
        heard.append((what, done, total))

    listener: Progress = listen
    listener("search", 1, 2)
    assert heard == [("search", 1, 2)]
