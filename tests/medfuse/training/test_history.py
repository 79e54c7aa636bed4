"""The history on paper: a table, a picture, and events that TensorBoard itself reads."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medfuse.training.history import EVENTS, Epoch, events, picture, read_history, write_history

HISTORY = [
    Epoch(1, 4, 2.0, 1e-3, (), 1.0),
    Epoch(2, 8, 1.5, 2e-3, (0.5, 0.7), 2.0, judged=0.4, better=True),
    Epoch(3, 12, 1.0, 1e-3, (0.4, 0.6), 3.0, judged=0.45, better=True),
    Epoch(4, 16, 0.9, 1e-3, (0.9, 0.9), 4.0, judged=0.45),
]
LABELS = ("a", "=b")


def test_the_table_is_read_back(tmp_path: Path) -> None:
    write_history(HISTORY, LABELS, tmp_path)
    with (tmp_path / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["dice"] for row in rows] == ["", "0.600000", "0.500000", "0.900000"]
    assert [row["dice a"] for row in rows] == ["", "0.500000", "0.400000", "0.900000"]
    assert [row["judged"] for row in rows] == ["", "0.400000", "0.450000", "0.450000"]


def test_the_dice_is_that_of_the_weights_which_were_kept(tmp_path: Path) -> None:
    """Not the highest of any epoch: weights are judged by half of the scans, too."""
    write_history(HISTORY, LABELS, tmp_path)
    with (tmp_path / "history.csv").open(newline="") as stream:
        assert [row["kept"] for row in csv.DictReader(stream)] == ["", "", "kept", ""]
    assert read_history(tmp_path) == (4, {"mean": 0.5, "a": 0.4, "=b": 0.6})


def test_nobody_held_out_has_no_dice(tmp_path: Path) -> None:
    write_history(HISTORY[:1], LABELS, tmp_path)
    assert read_history(tmp_path) == (1, {})


def test_tensorboard_reads_the_events(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    write_history(HISTORY, LABELS, tmp_path)
    found: dict[str, list[tuple[int, float]]] = {}
    for event in EventFileLoader(str(tmp_path / EVENTS)).Load():
        for value in event.summary.value:
            number = value.simple_value or value.tensor.float_val[0]
            found.setdefault(value.tag, []).append((event.step, float(number)))
    assert found["loss"] == [(4, 2.0), (8, 1.5), (12, 1.0), (16, pytest.approx(0.9))]
    means = [(8, pytest.approx(0.6)), (12, pytest.approx(0.5)), (16, pytest.approx(0.9))]
    assert found["dice/mean"] == means
    assert set(found) == {"loss", "rate", "dice/mean", "dice/a", "dice/=b"}


def test_the_same_history_gives_the_same_bytes() -> None:
    assert events(HISTORY, LABELS) == events(HISTORY, LABELS)
    assert picture(HISTORY) == picture(HISTORY)


def test_the_picture_shows_both_curves() -> None:
    seen = np.asarray(Image.open(io.BytesIO(picture(HISTORY))).convert("RGB")).astype(int)
    orange = (abs(seen - (200, 90, 40)) < 20).all(axis=2)
    blue = (abs(seen - (30, 100, 180)) < 20).all(axis=2)
    # the loss falls: its curve begins higher (smaller row) than it ends
    inner = orange[35:370, 50:850]
    columns = np.flatnonzero(inner.any(axis=0))
    first, last = (np.flatnonzero(inner[:, c]).mean() for c in (columns[0], columns[-1]))
    assert first < last
    assert blue[35:370, 50:850].sum() > 50


def test_a_loss_that_is_not_a_number_does_not_break_the_picture() -> None:
    picture([Epoch(1, 1, float("nan"), 1e-3)])
    picture([])


def test_a_ring_marks_the_weights_that_were_kept() -> None:
    """Epoch 3 of 4, at .45 by what they are judged by, not at the .5 of all scans."""
    seen = np.asarray(Image.open(io.BytesIO(picture(HISTORY))).convert("RGB")).astype(int)
    ink = (abs(seen - (40, 40, 40)) < 20).all(axis=2)[31:373]
    rows, columns = np.nonzero(ink)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(46 + 808 * 2 / 3, abs=2)
    assert 31 + (rows.min() + rows.max()) / 2 == pytest.approx(374 - 344 * 0.45, abs=2)
