"""A held weight starts where it was, moves by its pace, and decays to its start."""

from __future__ import annotations

import torch
from torch import nn

from medfuse.nets.blocks import seeded
from medfuse.nets.near import held_near


def test_an_optimisers_step_is_shortened_and_decay_leads_back() -> None:
    with seeded(0, "test"):
        free = nn.Linear(3, 2)
    held = held_near(nn.Linear(3, 2), 0.01)
    start = held.weight.detach().clone()
    x = torch.ones(4, 3)
    assert torch.equal(held(x), nn.functional.linear(x, start, held.bias))
    for module in (free, held):
        before = module.weight.detach().clone()
        optimiser = torch.optim.Adam(module.parameters(), lr=0.1)
        module(x).square().sum().backward()
        optimiser.step()
        moved = (module.weight - before).abs()
        expected = 0.1 if module is free else 0.001  # Adam's first step is the rate itself
        torch.testing.assert_close(moved, torch.full_like(moved, expected), atol=1e-5, rtol=1e-3)
    decay = torch.optim.AdamW(held.parameters(), lr=0.5, weight_decay=1.0)
    for parameter in held.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(40):
        decay.step()
    torch.testing.assert_close(held.weight, start, atol=1e-6, rtol=0)
