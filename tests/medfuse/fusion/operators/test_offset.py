"""Attention over shifts: a known shift is found and undone, whatever the contrast."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from medfuse.fusion.operators.offset import Aligner, correlation, shifted, slope
from medfuse.nets.blocks import generator, seeded

SHIFT = (2, -4, 4)
BOTH = torch.ones(1, 2, dtype=torch.bool)


def bumps(size: int = 20) -> Tensor:
    """Return a smooth body with structure, away from the border, (1, 1, n, n, n)."""
    noise = torch.randn(1, 1, size, size, size, generator=generator(0, "bumps"))
    smooth = F.avg_pool3d(noise, 5, 1, padding=2)
    place = torch.linspace(-1, 1, size)
    d, h, w = torch.meshgrid(place, place, place, indexing="ij")
    return (smooth * 20 + 3) * ((d**2 + h**2 + w**2) < 0.3)


def test_correlation_is_that_of_the_sum_written_out() -> None:
    fixed, moving = (torch.randn(2, 5, 4, 6, generator=generator(n, "c")) for n in (0, 1))
    seen = torch.stack([moving, fixed])[None]
    found = correlation(seen, torch.tensor([1]), [2, 1, 3])[0, 0]
    assert found.shape == (5, 3, 7)
    one, other = (x - x.mean((1, 2, 3), keepdim=True) for x in (fixed, moving))
    length = one.norm() * other.norm()
    for shift in ((0, 0, 0), (1, -1, 3), (-2, 1, 0)):
        padded = F.pad(other, (3, 3, 1, 1, 2, 2))
        d, h, w = (s + r for s, r in zip(shift, (2, 1, 3), strict=True))
        expected = (one * padded[:, d : d + 5, h : h + 4, w : w + 6]).sum() / length
        assert found[d, h, w].item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_shift_is_found_before_any_training_whatever_the_contrast(sign: float) -> None:
    with seeded(0, "test"):
        aligner = Aligner(1, 2, reach=6)
    body = bumps()
    moved = torch.roll(sign * body, SHIFT, dims=(2, 3, 4))
    found = aligner.shifts(torch.stack([body, moved], dim=1), BOTH)
    assert found[0, 0].abs().max() == 0
    assert (found[0, 1] - torch.tensor(SHIFT)).norm() < 0.1


def test_all_encoders_start_from_the_same_weights() -> None:
    first, *others = Aligner(1, 3, reach=4).encoders
    for other in others:
        for one, two in zip(first.parameters(), other.parameters(), strict=True):
            assert torch.equal(one, two)
            assert one is not two


def test_a_step_that_knows_nothing_does_not_undo_what_the_start_finds() -> None:
    """Adam's first steps move every weight by the rate, whatever the slope is worth."""
    with seeded(0, "test"):
        aligner = Aligner(1, 2, reach=6)
    body = bumps()
    pair = torch.stack([body, torch.roll(body, SHIFT, dims=(2, 3, 4))], dim=1)
    before = aligner.shifts(pair, BOTH)[0, 1].detach()
    start = aligner.encoders[1][1].weight.detach().clone()
    optimiser = torch.optim.Adam(aligner.parameters(), lr=0.01)
    for _ in range(5):
        optimiser.zero_grad()
        aligner.align(pair.flip(0), BOTH).square().mean().backward()
        optimiser.step()
    after = aligner.shifts(pair, BOTH)[0, 1].detach()
    assert (after - before).norm() < 0.5
    assert not torch.equal(aligner.encoders[1][1].weight, start)  # but it does learn


def test_the_first_present_modality_is_the_frame() -> None:
    with seeded(0, "test"):
        aligner = Aligner(1, 3, reach=4)
    x = torch.randn(1, 3, 1, 12, 12, 12, generator=generator(0, "x"))
    present = torch.tensor([[False, True, True]])
    moves = aligner.shifts(x, present)
    assert moves[0, :2].abs().max() == 0
    assert moves[0, 2].abs().max() > 0
    assert torch.equal(aligner.align(x, present)[:, 1], x[:, 1])


def test_shifted_reads_at_the_shifted_place() -> None:
    x = torch.randn(2, 1, 8, 9, 10, generator=generator(0, "x"))
    moved = shifted(x, torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, 0.0]]))
    assert torch.allclose(moved[0, :, 2:5, 3:6, 2:5], x[0, :, 3:6, 1:4, 5:8])
    assert torch.allclose(moved[1, :, :-1], (x[1, :, :-1] + x[1, :, 1:]) / 2)
    assert torch.allclose(moved[0, :, -1], shifted(x[:1], torch.tensor([[1.0, -2, 3]]))[0, :, -2])


def test_a_shift_has_a_slope() -> None:
    x = torch.linspace(0, 1, 10).reshape(1, 1, 10, 1, 1).expand(1, 1, 10, 2, 2)
    shift = torch.tensor([[0.3, 0.0, 0.0]], requires_grad=True)
    shifted(x, shift)[:, :, 2:7].mean().backward()
    assert shift.grad is not None
    assert shift.grad[0, 0].item() == pytest.approx(1 / 9, abs=1e-5)


def test_slope_does_not_care_which_side_is_bright() -> None:
    x = bumps(10)
    assert torch.allclose(slope(x), slope(-x))
