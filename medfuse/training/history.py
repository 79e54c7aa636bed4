"""What happened in each epoch, on paper: a table, a picture, and TensorBoard's events.

All three are made anew from the whole history after each epoch, so after a resume they are what
they would have been without it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from medfuse.io import files
from medfuse.io.tables import read_table, table_text

TABLE, PICTURE, EVENTS = "history.csv", "curves.png", "events.out.tfevents.0.medfuse"
_SIZE, _EDGE = (900, 420), 46  # pixels
_LOSS, _DICE, _INK, _RULE = (200, 90, 40), (30, 100, 180), (40, 40, 40), (225, 225, 225)
_JUDGED = (130, 130, 130)


@dataclass(frozen=True)
class Epoch:
    """One epoch: its number from 1, the steps done so far, mean loss, rate, and Dice if looked at.

    ``dice`` holds the mean over held-out visits for each label, in the plan's order; ``seconds``
    is the time since the start. ``judged`` is what weights are chosen by, where somebody looked;
    ``better`` whether that was more than ever before.
    """

    number: int
    steps: int
    loss: float
    rate: float
    dice: tuple[float, ...] = ()
    seconds: float = 0.0
    judged: float | None = None
    better: bool = False

    @property
    def mean_dice(self) -> float | None:
        """The mean over labels, None where nobody looked."""
        return float(np.mean(self.dice)) if self.dice else None


def write_history(history: Sequence[Epoch], labels: Sequence[str], folder: Path) -> None:
    """Write the table, the picture and the events into ``folder``."""
    dices = ("dice", *(f"dice {name}" for name in labels))
    columns = ("epoch", "steps", "loss", "rate", *dices, "judged", "kept", "seconds")
    kept = max([one.number for one in history if one.better], default=0)
    rows = [
        (
            one.number,
            one.steps,
            f"{one.loss:.6f}",
            f"{one.rate:.3e}",
            _figure(one.mean_dice),
            *([_figure(value) for value in one.dice] or [""] * len(labels)),
            _figure(one.judged),
            "kept" if one.number == kept else "",
            f"{one.seconds:.1f}",
        )
        for one in history
    ]
    files.write_text(folder / TABLE, table_text(columns, rows))
    files.write_content(folder / PICTURE, picture(history))
    files.write_content(folder / EVENTS, events(history, labels))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def read_history(folder: Path) -> tuple[int, dict[str, float]]:
    """Return how many epochs a training took, and the Dice of the weights it kept, by label.

    The mean over labels is called ``mean``; empty where nobody looked.
    """
    columns, rows = read_table(folder / TABLE, key="epoch")
    found: dict[str, float] = {}
    for row in rows:
        if row.cells.get("kept"):
            named = [name for name in columns if name.startswith("dice ")]
            found = {name.removeprefix("dice "): float(row.cells[name]) for name in named}
            found = {"mean": float(row.cells["dice"]), **found}
    return len(rows), found


def read_steps(folder: Path) -> int:
    """Return how many steps a training took."""
    _, rows = read_table(folder / TABLE, key="epoch")
    return int(rows[-1].cells["steps"])


def picture(history: Sequence[Epoch]) -> bytes:
    """Return the curves as a PNG: loss (orange, left scale), Dice (blue, right scale, 0 to 1).

    And what weights are kept by (grey), where subsets count too; a ring marks those of the model.
    """
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = _EDGE, 30, _SIZE[0] - _EDGE, _SIZE[1] - _EDGE
    last = max([one.number for one in history], default=1)
    most = max([one.loss for one in history if np.isfinite(one.loss)], default=1.0) or 1.0

    def place(epoch: float, share: float) -> tuple[float, float]:
        x = left + (right - left) * (epoch - 1) / max(1, last - 1)
        return x, bottom - (bottom - top) * min(1.0, max(0.0, share))

    for tenth in range(0, 11, 2):
        y = place(1, tenth / 10)[1]
        draw.line([(left, y), (right, y)], fill=_RULE)
        draw.text((right + 12, y - 6), f"{tenth / 10:.1f}", fill=_DICE)
        draw.text((6, y - 6), f"{most * tenth / 10:.2f}", fill=_LOSS)
    _curve(draw, [place(one.number, one.loss / most) for one in history], _LOSS)
    looked = [one for one in history if one.mean_dice is not None]
    judged = [(one.number, one.judged) for one in looked if one.judged is not None]
    _curve(draw, [place(*one) for one in judged], _JUDGED)
    _curve(draw, [place(one.number, one.mean_dice or 0.0) for one in looked], _DICE)
    kept = max((one.number for one in history if one.better), default=0)
    for x, y in (place(*one) for one in judged if one[0] == kept):
        draw.ellipse([x - 7, y - 7, x + 7, y + 7], outline=_INK, width=2)
    for number in _ticks(last):
        x = place(number, 0)[0]
        draw.line([(x, bottom), (x, bottom + 5)], fill=_INK)
        draw.text((x, bottom + 8), str(number), fill=_INK, anchor="ma")
    draw.text(((left + right) / 2, bottom + 22), "epoch", fill=_INK, anchor="ma")
    draw.text((left, 8), "loss", fill=_LOSS)
    draw.text((left + 50, 8), "Dice of whole held-out visits, mean over labels", fill=_DICE)
    if judged:
        draw.text((left + 360, 8), "what weights are kept by, ring: the model's", fill=_JUDGED)
    made = io.BytesIO()
    image.save(made, format="PNG")
    return made.getvalue()


def _ticks(last: int) -> list[int]:
    """Return about six epochs to name, round ones after the first."""
    step = next(n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, last) if last <= 7 * n)
    return [1, *(n for n in range(step, last + 1, step) if n > 1)]


def _curve(
    draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], colour: tuple[int, int, int]
) -> None:
    if len(points) > 1:
        draw.line(points, fill=colour, width=2)
    for x, y in points:
        draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=colour)


def events(history: Sequence[Epoch], labels: Sequence[str]) -> bytes:
    """Return the history as TensorBoard reads it: a file of TFRecords of ``Event`` messages.

    Written here, since TensorBoard's own writer puts the host's name into that of the file.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    made = [Event(wall_time=0.0, file_version="brain.Event:2")]
    for one in history:
        values = {"loss": one.loss, "rate": one.rate}
        if one.mean_dice is not None:
            values["dice/mean"] = one.mean_dice
            values |= {f"dice/{name}": value for name, value in zip(labels, one.dice, strict=True)}
        summary = Summary(
            value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        )
        made.append(Event(wall_time=one.seconds, step=one.steps, summary=summary))
    return b"".join(_framed(event.SerializeToString()) for event in made)


def _framed(payload: bytes) -> bytes:
    """Return one TFRecord: length, its checksum, payload, its checksum."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    length = struct.pack("<Q", len(payload))
    return b"".join(
        [
            length,
            struct.pack("<I", masked_crc32c(length)),
            payload,
            struct.pack("<I", masked_crc32c(payload)),
        ]
    )
