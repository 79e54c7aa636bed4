"""Weights that leave their start slowly, whatever the rate and the optimiser.

For a module that does its work untrained: the first steps of all that stands behind it know
nothing yet, and Adam moves each weight by the rate whatever its slope is worth.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize


def held_near(module: nn.Module, pace: float) -> nn.Module:
    """Return ``module``, whose weights move by ``pace`` where others move by 1.

    Weight decay pulls them to their start instead of to 0.
    """
    for layer in list(module.modules()):
        for name, weight in list(layer.named_parameters(recurse=False)):
            parametrize.register_parametrization(layer, name, _Near(weight, pace))
    return module


class _Near(nn.Module):
    """A weight as its start plus a little of what is learned."""

    start: Tensor

    def __init__(self, start: Tensor, pace: float) -> None:
        super().__init__()
        self.register_buffer("start", start.detach().clone())
        self.pace = pace

    def forward(self, learned: Tensor) -> Tensor:
        """Return the weight."""
        return self.start + self.pace * learned

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return what must have been learned for ``weight``."""
        return (weight - self.start) / self.pace
