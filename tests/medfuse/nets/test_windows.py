"""Windows: no seam, no gap, bounded memory; MONAI's sliding window is the oracle."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from medfuse.errors import InputError, UsageError
from medfuse.nets.blocks import generator
from medfuse.nets.windows import Windows, gaussian, sweep


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(0, "test"))


def joined(x: Tensor, predict: Any, windows: Windows) -> Tensor:
    slabs = list(sweep(x, predict, windows))
    starts = [start for start, _ in slabs]
    lengths = [slab.shape[1] for _, slab in slabs]
    assert starts == [sum(lengths[:k]) for k in range(len(slabs))]
    return torch.cat([slab for _, slab in slabs], dim=1)


def pointwise(x: Tensor) -> Tensor:
    return torch.cat([2 * x[:, 0], 1 - x[:, 1]], dim=1)


@pytest.mark.parametrize("size", [(8, 8, 8), (5, 7, 9), (30, 8, 8)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.7])
def test_what_needs_no_neighbours_comes_back_exactly(
    size: tuple[int, int, int], overlap: float
) -> None:
    x = drawn(2, 1, 21, 10, 8)
    made = joined(x, pointwise, Windows(size, overlap, batch=3))
    assert torch.allclose(made, pointwise(x[None])[0], atol=1e-5)


def test_windows_are_weighted_as_monai_weights_them() -> None:
    """A prediction that depends on the place in the window: only equal weights agree."""
    ramp = drawn(1, 1, 9, 9, 9)
    x = drawn(1, 1, 21, 13, 9)
    ours = joined(x, lambda cut: cut[:, 0] * ramp, Windows((9, 9, 9), 0.5))
    theirs = sliding_window_inference(
        x[:, 0][None], (9, 9, 9), 1, lambda cut: cut * ramp, overlap=0.5, mode="gaussian"
    )
    assert torch.allclose(ours, theirs[0], atol=1e-5)


def test_windows_lie_evenly_from_end_to_end() -> None:
    starts = Windows((8, 8, 8), 0.5).starts((21, 8, 3))
    assert starts == ([0, 3, 6, 10, 13], [0], [0])  # steps of at most half a window
    assert Windows((8, 8, 8), 0.5).count((21, 8, 3)) == 5


def test_weights_fall_from_the_centre_and_never_to_nothing() -> None:
    weights = gaussian((9, 9, 9))
    assert weights[4, 4, 4] == 1
    assert weights.min() == pytest.approx(1e-3)
    assert weights[4, 4, 5] == pytest.approx(torch.exp(torch.tensor(-0.5 / 1.125**2)).item())


class Largest(TorchDispatchMode):
    """Note the size of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.voxels = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):
            self.voxels = max(self.voxels, made.numel())
        return made


def test_memory_does_not_hold_all_classes_of_the_volume() -> None:
    classes, x = 40, drawn(1, 1, 64, 8, 8)
    windows = Windows((8, 8, 8), 0.5)
    with Largest() as noted:
        for _ in sweep(x, lambda cut: cut[:, 0].expand(-1, classes, -1, -1, -1), windows):
            pass
    assert noted.voxels == classes * 8 * 8 * 8  # one window's depth, of 64
    assert 4 * noted.voxels <= windows.held((64, 8, 8), classes)


def test_the_prediction_and_the_volume_are_left_as_they_were() -> None:
    x = drawn(1, 1, 12, 8, 8)
    before = x.clone()
    made = joined(x, lambda cut: cut[:, 0], Windows((8, 8, 8), 0.5))
    assert torch.equal(x, before)
    assert torch.allclose(made, x[0], atol=1e-6)


def test_a_small_volume_is_filled_up_with_its_edge() -> None:
    seen = []

    def note(cut: Tensor) -> Tensor:
        seen.append(cut)
        return cut[:, 0]

    x = drawn(1, 1, 3, 8, 8)
    assert joined(x, note, Windows((8, 8, 8))).shape == (1, 3, 8, 8)
    assert torch.equal(seen[0][0, 0, 0, 3:], x[0, 0, 2:].expand(5, 8, 8))


def test_M10_an_answer_that_is_not_finite_is_refused() -> None:
    x = drawn(1, 1, 8, 8, 8)
    with pytest.raises(InputError, match="not finite") as caught:
        joined(x, lambda cut: cut[:, 0] / 0 * 0, Windows((8, 8, 8)))
    assert caught.value.id == "M10"


def test_progress_counts_all_windows() -> None:
    said = []
    x = drawn(1, 1, 20, 12, 8)
    windows = Windows((8, 8, 8), 0.5, batch=2)
    for _ in sweep(x, lambda cut: cut[:, 0], windows, progress=lambda *words: said.append(words)):
        pass
    assert said[-1] == ("segmenting", windows.count((20, 12, 8)), windows.count((20, 12, 8)))


@pytest.mark.parametrize("fields", [{"overlap": 1.0}, {"batch": 0}, {"size": (8, 0, 8)}])
def test_windows_with_gaps_are_refused(fields: dict) -> None:
    with pytest.raises(UsageError):
        Windows(**{"size": (8, 8, 8), **fields})
