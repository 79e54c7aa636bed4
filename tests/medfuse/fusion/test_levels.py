"""The four levels: one interface, any subset, and a cost that falls with what is missing."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from medfuse.errors import UsageError
from medfuse.fusion.combiners import COMBINERS
from medfuse.fusion.levels import FusionNetwork, build
from medfuse.fusion.operators import OPERATORS
from medfuse.fusion.settings import FusionSettings
from medfuse.nets.blocks import generator

M, K, SIZE = 3, 2, (10, 8, 9)
SMALL = FusionSettings(widths=(8, 12, 16), blocks=(1, 1, 1), stem="full")
PRESENT = torch.tensor([[True, False, True], [False, True, True]])
CHOICES = {
    "data": replace(SMALL, level="data"),
    "data, half": replace(SMALL, level="data", stem="half", widths=(8, 16), blocks=()),
    "data, offset": replace(SMALL, level="data", operator="offset", reach=4),
    "data, monai": replace(SMALL, level="data", network="monai:DynUNet"),
    **{f"feature, {name}": replace(SMALL, operator=name) for name in OPERATORS},
    "feature, shared": replace(SMALL, shared=True),
    "feature, thin": replace(SMALL, dense=False, auxiliary=False),
    "feature, rounds": replace(SMALL, rounds=2),
    **{
        f"model, {name}": replace(SMALL, level="model", combiner=name)
        for name in (*COMBINERS, "cascade")
    },
    "model, shared": replace(SMALL, level="model", shared=True),
    "hybrid": replace(SMALL, level="hybrid"),
    "hybrid, gated": replace(SMALL, level="hybrid", operator="gated", combiner="learned"),
}


def network(name: str, seed: int = 0) -> FusionNetwork:
    made = build(CHOICES[name], modalities=M, classes=K, seed=seed)
    fresh = generator(1, "levels")
    with torch.no_grad():  # nothing stays at the zero that some parts start from
        for weight in made.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=fresh))
    return made


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(0, "x"))


@pytest.mark.parametrize("name", CHOICES)
def test_an_absent_modality_has_no_influence_on_any_logit(name: str) -> None:
    made, x = network(name), drawn(2, M, 1, *SIZE)
    foul = torch.where(PRESENT[..., None, None, None, None], x, torch.nan)
    clean = torch.where(PRESENT[..., None, None, None, None], x, 7.0)
    logits = made(foul, PRESENT)
    assert logits.shape == (2, K, *SIZE)
    assert logits.isfinite().all()
    assert torch.equal(logits, made(clean, PRESENT))
    heads, others = made.heads(foul, PRESENT), made.heads(clean, PRESENT)
    assert torch.equal(heads.logits, logits)
    assert all(torch.equal(a, b) for a, b in zip(heads.deep, others.deep, strict=True))
    if heads.unimodal is not None:
        assert heads.unimodal.shape == (2, M, K, *SIZE)
        assert heads.unimodal[~PRESENT].abs().max() == 0
        assert heads.unimodal[PRESENT].abs().amax(dim=(1, 2, 3, 4)).min() > 0


@pytest.mark.parametrize("name", CHOICES)
def test_all_that_is_present_is_heard_and_all_weights_learn(name: str) -> None:
    made, x = network(name), drawn(2, M, 1, *SIZE)
    x = torch.where(PRESENT[..., None, None, None, None], x, torch.nan).requires_grad_()
    heads = made.heads(x, PRESENT)
    (heads.logits.square().sum() + sum(deep.square().sum() for deep in heads.deep)).backward(
        retain_graph=True
    )
    assert x.grad is not None
    assert torch.equal(x.grad.abs().amax(dim=(2, 3, 4, 5)) > 0, PRESENT)
    if heads.unimodal is not None:
        heads.unimodal.square().sum().backward()
    idle = [key for key, weight in made.named_parameters() if weight.grad is None]
    assert idle == []


@pytest.mark.parametrize("name", ["data", "feature, concat", "feature, shared", "model, mean"])
def test_a_row_does_not_see_the_others(name: str) -> None:
    made, x = network(name), drawn(2, M, 1, *SIZE)
    together = made(x, PRESENT)
    alone = torch.cat([made(x[n : n + 1], PRESENT[n : n + 1]) for n in range(2)])
    assert torch.allclose(alone, together, atol=1e-4)


@pytest.mark.parametrize("name", ["feature, concat", "feature, shared", "model, mean", "hybrid"])
def test_cost_falls_with_the_number_of_modalities(name: str) -> None:
    made, x = network(name), drawn(1, M, 1, *SIZE)
    spent = []
    for count in range(1, M + 1):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            made(x, torch.tensor([[n < count for n in range(M)]]))
        spent.append(counter.get_total_flops())
    assert spent[0] < spent[1] < spent[2]
    if name.startswith("model"):
        assert spent[0] * 3 == spent[2]


def test_all_subsets_work_in_one_batch() -> None:
    subsets = torch.tensor([s for s in product([False, True], repeat=M) if any(s)])
    logits = network("feature, concat")(drawn(len(subsets), M, 1, *SIZE), subsets)
    assert logits.shape == (7, K, *SIZE)
    assert len({tuple(row.flatten().tolist()) for row in logits}) == 7


@pytest.mark.parametrize("name", ["data", "feature, concat", "model, learned", "hybrid"])
def test_weights_come_from_the_seed(name: str) -> None:
    before = torch.get_rng_state()
    one, same, other = (
        build(CHOICES[name], modalities=M, classes=K, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_the_second_round_starts_as_the_first_and_then_differs() -> None:
    x = drawn(2, M, 1, *SIZE)
    one = build(SMALL, modalities=M, classes=K, seed=0)
    two = build(replace(SMALL, rounds=2), modalities=M, classes=K, seed=0)
    two.load_state_dict(one.state_dict(), strict=False)
    assert torch.allclose(one(x, PRESENT), two(x, PRESENT), atol=1e-5)
    torch.nn.init.ones_(two.feedback.weight)
    assert (one(x, PRESENT) - two(x, PRESENT)).abs().max() > 1e-3


def test_a_hybrid_starts_as_the_mean_of_its_levels() -> None:
    made, x = build(CHOICES["hybrid"], modalities=M, classes=K, seed=0), drawn(2, M, 1, *SIZE)
    parts = [level(x, PRESENT) for level in (made.data, made.feature, made.model)]
    assert torch.allclose(made(x, PRESENT), torch.stack(parts).mean(dim=0), atol=1e-5)


def test_a_cascade_hands_on_what_was_said_before() -> None:
    made, x = network("model, cascade"), drawn(1, M, 1, *SIZE)
    first = made(x, torch.tensor([[True, False, False]]))
    seen = torch.cat([x[:, 2], first], dim=1)
    expected = first + made.networks[2](seen)[0]
    assert torch.allclose(made(x, torch.tensor([[True, False, True]])), expected, atol=1e-5)


def test_thick_slices_have_strides_of_their_own() -> None:
    chosen = FusionSettings(widths=(8, 8, 8), strides=((1, 2, 2), (1, 2, 2)), stem_stride=(1, 2, 2))
    made = build(chosen, modalities=2, classes=2, seed=0)
    x = drawn(1, 2, 1, 3, 16, 16)
    assert made(x, torch.ones(1, 2).bool()).shape == (1, 2, 3, 16, 16)


@pytest.mark.parametrize(
    ("shape", "flags"),
    [
        ((2, M, 1, *SIZE), [[True] * M, [False] * M]),
        ((2, M, 1, *SIZE), [[1.0] * M] * 2),
        ((2, M + 1, 1, *SIZE), [[True] * (M + 1)] * 2),
        ((2, M, *SIZE), [[True] * M] * 2),
    ],
)
def test_a_wrong_input_is_refused(shape: tuple[int, ...], flags: list[list[bool]]) -> None:
    with pytest.raises(UsageError, match="present"):
        network("data")(drawn(*shape), torch.tensor(flags))


def test_nothing_to_segment_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one"):
        build(SMALL, modalities=0, classes=2, seed=0)


@pytest.mark.parametrize(
    "name",
    [
        "data, offset",
        *(f"feature, {name}" for name in ("concat", "low_rank", "cross_attention", "graph")),
        "feature, rounds",
        *(f"model, {name}" for name in ("inverse_variance", "vote", "cascade", "stacking")),
        "hybrid",
    ],
)
def test_half_precision_gives_nearly_the_same(name: str) -> None:
    made, x = network(name), drawn(2, M, 1, *SIZE)
    plain = made(x, PRESENT)
    with torch.autocast("cpu", torch.bfloat16):
        heads = made.heads(x, PRESENT)
    heads.logits.float().square().mean().backward()
    assert heads.logits.isfinite().all()
    if "vote" not in name:  # it may turn over by a rounding
        assert (heads.logits.float() - plain).abs().mean() < 0.1 * plain.abs().mean() + 0.02
