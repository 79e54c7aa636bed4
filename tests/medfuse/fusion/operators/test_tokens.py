"""Tokens: one for each part of the patch and modality, and only those present are heard."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from medfuse.fusion.operators.tokens import PARTS, Cross, SelfAttention, Tokens, spread_out
from medfuse.nets.blocks import generator, seeded

PRESENT = torch.tensor([[True, False, True]])


def features(*size: int) -> torch.Tensor:
    return torch.randn(1, 3, 4, *size, generator=generator(0, "x"))


def test_a_token_is_the_mean_of_its_part() -> None:
    tokens = Tokens(4, 3)
    torch.nn.init.zeros_(tokens.places)
    made, there = tokens.tokens(features(8, 8, 8), PRESENT)
    assert made.shape == (1, 3 * PARTS**3, 4)
    assert torch.allclose(made[0, 0], features(8, 8, 8)[0, 0, :, :2, :2, :2].mean((1, 2, 3)))
    assert there.sum() == 2 * PARTS**3


def test_the_cost_does_not_grow_with_the_patch() -> None:
    assert Tokens(4, 3).tokens(features(20, 2, 9), PRESENT)[0].shape[1] == 3 * 4 * 2 * 4


@pytest.mark.parametrize("kind", [Cross, SelfAttention])
def test_far_places_are_heard(kind: type[Tokens]) -> None:
    with seeded(0, "test"):
        fuse = kind(4, 3)
    x = features(8, 8, 8)
    other = x.clone()
    other[:, 2, :, 6:] += 3
    moved = (fuse(other, PRESENT) - fuse(x, PRESENT)).abs()
    assert moved[:, :, 0].max() > 1e-4  # seven planes away from what changed


def test_attention_is_the_softmax_over_what_is_allowed() -> None:
    with seeded(0, "test"):
        tokens = Tokens(4, 3)
    made, there = tokens.tokens(features(2, 2, 2), PRESENT)
    keys, values = tokens.keys(made).chunk(2, dim=-1)
    scores = tokens.queries(made) @ keys.transpose(1, 2) / 2
    scores = scores.masked_fill(~there[:, None], float("-inf"))
    expected = tokens.out(scores.softmax(-1) @ values)
    assert torch.allclose(tokens.attend(made, made, there[:, None]), expected, atol=1e-5)


def test_tokens_spread_out_as_their_mean_over_the_present() -> None:
    x = features(8, 8, 8)
    tokens, _ = Tokens(4, 3).tokens(x, PRESENT)
    grid = tokens.reshape(1, 3, 4, 4, 4, 4)[:, [0, 2]].mean(1).permute(0, 4, 1, 2, 3)
    expected = F.interpolate(grid, size=(8, 8, 8), mode="trilinear")
    assert torch.allclose(spread_out(tokens, x, PRESENT), expected, atol=1e-6)
