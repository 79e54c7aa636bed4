"""Sliding windows: a network's answer for a volume of any size, slab by slab.

Windows overlap and are averaged with Gaussian weights, so that no seam shows (Isensee et al.,
Nature Methods 2021). What comes back are slabs along the first axis, each finished as soon as no
further window touches it: at no time do all classes of the whole volume lie in memory, but those
of one window's depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from medfuse.errors import InputError, UsageError
from medfuse.progress import Progress, silent

Size = tuple[int, int, int]
Predict = Callable[[Tensor], Tensor]

_SIGMA = 0.125  # of a window's side
_LEAST = 1e-3  # of the largest weight: even a corner that one window alone sees counts


@dataclass(frozen=True)
class Windows:
    """How windows lie: ``size`` (d, h, w) voxels, the share of a side by which they overlap."""

    size: Size
    overlap: float = 0.25
    batch: int = 1

    def __post_init__(self) -> None:
        """Refuse what leaves gaps."""
        if not 0 <= self.overlap < 1 or min(self.size) < 1 or self.batch < 1:
            raise UsageError("windows need sizes of at least 1 and an overlap of 0 to below 1")

    def starts(self, shape: Size) -> tuple[list[int], list[int], list[int]]:
        """Return where windows begin along each axis, evenly spread, first and last at the ends."""
        found = []
        for length, side in zip(shape, self.size, strict=True):
            room = max(0, length - side)
            step = max(1, int(side * (1 - self.overlap)))
            count = -(-room // step) + 1
            found.append([round(k * room / max(1, count - 1)) for k in range(count)])
        return found[0], found[1], found[2]

    def count(self, shape: Size) -> int:
        """Return how many windows a volume of ``shape`` takes."""
        d, h, w = self.starts(shape)
        return len(d) * len(h) * len(w)

    def held(self, shape: Size, classes: int) -> int:
        """Return the bytes that a sweep holds beside its input, but for the network's own."""
        depth = min(shape[0], self.size[0]) if shape[0] > self.size[0] else self.size[0]
        plane = max(shape[1], self.size[1]) * max(shape[2], self.size[2])
        # sums, their finished part on its way out, and one batch of windows
        return 4 * classes * (2 * depth * plane + self.batch * _voxels(self.size))


def sweep(
    x: Tensor, predict: Predict, windows: Windows, *, progress: Progress = silent
) -> Iterator[tuple[int, Tensor]]:
    """Yield ``(start, part)``: finished slabs (K, d, H, W) from voxel ``start`` of axis d on.

    ``x`` (M, C, D, H, W) is float; a volume smaller than a window is filled up with its edge
    values. ``predict`` maps (B, M, C, d, h, w) to (B, K, d, h, w), and its result is left
    untouched. The slabs follow each other without gaps. Raises ``InputError`` (M10) where a
    prediction is not finite: the largest of NaNs would be the background, an empty and plausible
    answer.
    """
    shape = (int(x.shape[-3]), int(x.shape[-2]), int(x.shape[-1]))
    x = _filled(x, windows.size)
    full = (int(x.shape[-3]), int(x.shape[-2]), int(x.shape[-1]))
    rows, *others = windows.starts(full)
    places = list(product(*others))
    weights = gaussian(windows.size).to(x.device)
    total, done = len(rows) * len(places), 0
    sums: Tensor | None = None  # (K, d, H, W) from voxel `first` of axis d on
    norms = x.new_zeros(windows.size[0], *full[1:])
    first = 0
    for number, row in enumerate(rows):
        for group in _groups(places, windows.batch):
            cuts = torch.stack([_window(x, (row, *place), windows.size) for place in group])
            made = _finite(predict(cuts)).to(x.dtype)
            if sums is None:
                sums = made.new_zeros(made.shape[1], windows.size[0], *full[1:])
            for place, part in zip(group, made, strict=True):
                _window(sums, (0, *place), windows.size).add_(part * weights)
                _window(norms, (0, *place), windows.size).add_(weights)
            done += len(group)
            progress("segmenting", done, total)
        assert sums is not None
        ready = (rows[number + 1] if number + 1 < len(rows) else full[0]) - row
        finished = sums[:, :ready] / norms[:ready]
        stop = min(first + ready, shape[0])
        yield first, finished[:, : stop - first, : shape[1], : shape[2]]
        sums, norms = _moved(sums, ready), _moved(norms[None], ready)[0]
        first += ready


def gaussian(size: Size) -> Tensor:
    """Return the weights of one window, (d, h, w), 1 at the centre."""
    sides = []
    for side in size:
        place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
        sides.append(torch.exp(-0.5 * (place / (_SIGMA * side)) ** 2))
    weights = torch.einsum("d,h,w->dhw", *sides)
    return (weights / weights.max()).clamp_min(_LEAST).float()


def _groups(places: list[tuple[int, ...]], size: int) -> Iterator[list[tuple[int, ...]]]:
    for start in range(0, len(places), size):
        yield places[start : start + size]


def _window(x: Tensor, place: tuple[int, ...], size: Size) -> Tensor:
    """Return the view of a window, (..., d, h, w)."""
    d, h, w = place
    return x[..., d : d + size[0], h : h + size[1], w : w + size[2]]


def _moved(sums: Tensor, ready: int) -> Tensor:
    """Move what is not finished to the front, the rest back to zero."""
    left = sums.shape[1] - ready
    if left > 0:
        sums[:, :left] = sums[:, ready:].clone()
    sums[:, max(0, left) :] = 0
    return sums


def _filled(x: Tensor, size: Size) -> Tensor:
    """Fill up behind to the size of a window, with the values of the last voxels."""
    missing = [max(0, s - n) for n, s in zip(x.shape[-3:], size, strict=True)]
    if not any(missing):
        return x
    return F.pad(x, (0, missing[2], 0, missing[1], 0, missing[0]), mode="replicate")


def _finite(made: Tensor) -> Tensor:
    if not bool(torch.isfinite(made).all()):
        raise InputError(
            "the network's answer is not finite",
            hint="check the scans' values, or train the model again",
            id="M10",
        )
    return made


def _voxels(size: Size) -> int:
    return size[0] * size[1] * size[2]
