"""Combiners: each rule written out for two or three networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from medfuse.fusion.combiners import COMBINERS, Combiner, weighted
from medfuse.nets.blocks import generator, seeded

PRESENT = torch.tensor([[True, False, True], [True, True, True]])


def answers(extra: int = 0) -> Tensor:
    return 2 * torch.randn(2, 3, 2 + extra, 3, 3, 3, generator=generator(0, "x"))


def made(name: str, activation: str = "softmax") -> Combiner:
    with seeded(0, "test"):
        return COMBINERS[name](3, 2, activation)  # type: ignore[arg-type]


def test_the_mean_is_that_of_the_present() -> None:
    x = answers()
    fused = made("mean")(x, PRESENT)
    assert torch.allclose(fused[0], x[0, [0, 2]].mean(dim=0), atol=1e-6)
    assert torch.allclose(fused[1], x[1].mean(dim=0), atol=1e-6)


def test_learned_weights_sum_to_one_over_the_present() -> None:
    combiner, x = made("learned"), answers()
    with torch.no_grad():
        combiner.scores.copy_(torch.tensor([[1.0, 0.0], [5.0, 5.0], [0.0, 2.0]]))
    weights = torch.tensor([[1.0, 0.0], [0.0, 2.0]]).softmax(dim=0)[..., None, None, None]
    assert torch.allclose(combiner(x, PRESENT)[0], (weights * x[0, [0, 2]]).sum(dim=0), atol=1e-5)


def test_variances_of_four_to_one_weigh_one_to_four() -> None:
    x = answers(extra=1)
    x[:, :, 2] = torch.log(torch.tensor([1.0, 4.0, 4.0]))[None, :, None, None, None]
    fused = made("inverse_variance")(x, PRESENT)
    assert torch.allclose(fused[0], 0.8 * x[0, 0, :2] + 0.2 * x[0, 2, :2], atol=1e-5)


def test_inverse_variance_lies_nearer_to_the_truth_than_the_best_alone() -> None:
    """The law of the weighted mean: variance 1 / (1 + 1/4) for variances 1 and 4."""
    noise = torch.randn(1, 2, 1, 30, 30, 30, generator=generator(1, "noise"))
    x = torch.cat([noise, torch.zeros_like(noise)], dim=2)
    x[:, 1, 0] *= 2
    x[:, 1, 1] = torch.log(torch.tensor(4.0))
    fused = COMBINERS["inverse_variance"](2, 1, "sigmoid")(x, torch.ones(1, 2).bool())
    assert fused.var().item() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_network_that_does_not_know_has_no_weight(activation: str) -> None:
    x = answers()
    x[0, 0] = 0  # all classes equal: full entropy
    fused = made("entropy", activation)(x, PRESENT)
    assert torch.allclose(fused[0], x[0, 2], atol=1e-2)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_vote_is_that_of_the_majority(activation: str) -> None:
    x = torch.full((1, 3, 2, 1, 1, 1), -0.2)
    x[0, :2, 1] = 0.1  # two are a little for class 1, one is very much for class 0
    x[0, 2, 0], x[0, 2, 1] = 50.0, -50.0
    everyone = torch.ones(1, 3).bool()
    fused = made("vote", activation)(x, everyone)
    assert fused[0, 1] > fused[0, 0]
    assert made("mean")(x, everyone)[0, 0] > made("mean")(x, everyone)[0, 1]


def test_equal_votes_are_decided_by_the_mean() -> None:
    x = torch.tensor([[3.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 2, 1, 1, 1)
    fused = COMBINERS["vote"](2, 2, "softmax")(x, torch.ones(1, 2).bool())
    assert fused[0, 0] > fused[0, 1]


def test_stacking_starts_as_the_mean_and_may_learn_what_no_monotone_rule_can() -> None:
    """Exclusive or: positive where the two networks disagree."""
    combiner = COMBINERS["stacking"](2, 2, "softmax")
    cases = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    x = 4.0 * torch.nn.functional.one_hot(cases, 2).float()[..., None, None, None]  # (4, 2, 2,...)
    everyone = torch.ones(4, 2).bool()
    assert torch.allclose(combiner(x, everyone), x.mean(dim=1), atol=1e-6)
    truth = (cases[:, 0] != cases[:, 1]).long()
    with seeded(0, "stack"):
        combiner = COMBINERS["stacking"](2, 2, "softmax")
    steps = torch.optim.Adam(combiner.parameters(), lr=0.05)
    for _ in range(150):
        steps.zero_grad()
        logits = combiner(x, everyone)[..., 0, 0, 0]
        torch.nn.functional.cross_entropy(logits, truth).backward()
        steps.step()
    assert torch.equal(combiner(x, everyone)[..., 0, 0, 0].argmax(dim=1), truth)


@pytest.mark.parametrize("name", COMBINERS)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_an_absent_network_has_no_influence_and_the_rest_a_slope(
    name: str, activation: str
) -> None:
    combiner = made(name, activation)
    x = answers(combiner.extra)
    x[0, 1] = torch.nan
    x.requires_grad_()
    fused = combiner(x, PRESENT)
    fused.square().sum().backward()
    assert fused.shape == (2, 2, 3, 3, 3)
    assert fused.isfinite().all()
    assert x.grad is not None
    assert torch.equal(x.grad.abs().amax(dim=(2, 3, 4, 5)) > 0, PRESENT)


def test_weights_are_a_softmax_over_the_present() -> None:
    x = torch.tensor([2.0, torch.nan, 4.0]).reshape(1, 3, 1)
    scores = torch.tensor([0.0, 9.0, torch.log(torch.tensor(3.0))]).reshape(1, 3, 1)
    assert weighted(x, scores, torch.tensor([[True, False, True]])).item() == pytest.approx(3.5)
