"""One test walks all operators: what the table promises of each entry."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medfuse.errors import UsageError
from medfuse.fusion.operators import OPERATORS, make
from medfuse.nets.blocks import generator, seeded

B, M, C, SIZE = 3, 4, 8, (6, 5, 7)
PRESENT = torch.tensor([[True] * 4, [False, True, False, True], [False, False, True, False]])


def operator(name: str) -> nn.Module:
    """Return an operator whose weights are all drawn: none is zero as at the start."""
    with seeded(0, "test", name):
        made = make(name, C, M)
    fresh = generator(1, "test", name)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=fresh))
    return made


def features(seed: int = 0) -> Tensor:
    return torch.randn(B, M, C, *SIZE, generator=generator(seed, "features"))


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_gives_one_feature_map(name: str) -> None:
    fused = operator(name)(features(), PRESENT)
    assert fused.shape == (B, C, *SIZE)
    assert fused.isfinite().all()
    assert fused.std() > 0.05


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("held", [float("nan"), float("inf"), 1e6])
def test_what_an_absent_modality_holds_does_not_matter(name: str, held: float) -> None:
    made, x = operator(name), features()
    foul = torch.where(PRESENT[:, :, None, None, None, None], x, torch.tensor(held))
    assert torch.equal(
        made(foul, PRESENT), made(x * PRESENT[:, :, None, None, None, None], PRESENT)
    )


@pytest.mark.parametrize("name", OPERATORS)
def test_every_present_modality_and_every_weight_gets_a_slope(name: str) -> None:
    made, x = operator(name), features()
    x[0, 0] = x[0, 1:].mean(dim=0)
    x = torch.where(PRESENT[:, :, None, None, None, None], x, torch.nan).requires_grad_()
    made(x, PRESENT).square().sum().backward()
    assert x.grad is not None
    moved = x.grad.abs().amax(dim=(2, 3, 4, 5))  # (B, M)
    assert torch.equal(moved > 0, PRESENT)
    assert moved.isfinite().all()
    assert [name for name, weight in made.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("name", OPERATORS)
def test_each_row_stands_for_itself(name: str) -> None:
    made, x = operator(name), features()
    together = made(x, PRESENT)
    for row in range(B):
        alone = made(x[row : row + 1], PRESENT[row : row + 1])
        assert torch.allclose(alone, together[row : row + 1], atol=1e-4)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_order_matters_only_where_it_is_said_to(name: str) -> None:
    made, x = operator(name), features()
    order = [2, 0, 3, 1]
    one, other = made(x, PRESENT), made(x[:, order], PRESENT[:, order])
    assert torch.allclose(one, other, atol=1e-4) is made.symmetric


@pytest.mark.parametrize("name", OPERATORS)
def test_a_modality_that_is_present_is_heard(name: str) -> None:
    made, x = operator(name), features()
    other = x.clone()
    other[0, 2] = features(5)[0, 2]
    assert (made(x, PRESENT)[0] - made(other, PRESENT)[0]).abs().max() > 1e-2


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(UsageError, match="concat"):
        make("conkat", 8, 2)
