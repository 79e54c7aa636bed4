"""Ways to make one answer of several networks' answers: fusion at model level.

All but the stacked one are monotone: more belief of one network in a class never lowers the
belief of all. A monotone rule cannot find what only a pair of modalities shows together; that is
what the other levels are for.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from medfuse.nets.blocks import conv, silence, spread

Activation = Literal["softmax", "sigmoid"]

_TINY = 1e-6


def probabilities(logits: Tensor, activation: Activation, dim: int) -> Tensor:
    """Return the probability of each class (softmax) or each region by itself (sigmoid)."""
    return logits.softmax(dim) if activation == "softmax" else logits.sigmoid()


def weighted(logits: Tensor, scores: Tensor, present: Tensor) -> Tensor:
    """Return the mean over present modalities with weights softmax(``scores``).

    ``logits`` (B, M, K, ...) to (B, K, ...); ``scores`` broadcasts against them. An absent
    modality has no weight, whatever its score.
    """
    there = spread(present, logits)
    weights = scores.masked_fill(~there, float("-inf")).softmax(dim=1)
    return (silence(logits, present) * weights).sum(dim=1)


class Combiner(nn.Module):
    """(B, M, K + extra, ...) of single networks and ``present`` (B, M) to (B, K, ...)."""

    extra = 0  # channels that each network gives beyond its classes

    def __init__(self, modalities: int, classes: int, activation: Activation) -> None:
        super().__init__()
        self.modalities, self.classes, self.activation = modalities, classes, activation

    def forward(self, logits: Tensor, present: Tensor) -> Tensor:
        """Return the mean of the logits of those that are present."""
        return weighted(logits, torch.zeros_like(logits[:, :, :1]), present)


class Learned(Combiner):
    """A weight for each modality and class, softmax over those that are present."""

    def __init__(self, modalities: int, classes: int, activation: Activation) -> None:
        super().__init__(modalities, classes, activation)
        self.scores = nn.Parameter(torch.zeros(modalities, classes))

    def forward(self, logits: Tensor, present: Tensor) -> Tensor:
        """Return the weighted mean."""
        return weighted(logits, spread(self.scores[None], logits), present)


class InverseVariance(Combiner):
    """Each network says its own log-variance a voxel (Kendall & Gal, NeurIPS 2017)."""

    extra = 1

    def forward(self, logits: Tensor, present: Tensor) -> Tensor:
        """Return the mean weighted by the inverse of the variance."""
        logits = silence(logits, present)
        return weighted(logits[:, :, :-1], -logits[:, :, -1:], present)


class Entropy(Combiner):
    """Networks that are sure of a voxel count more there: weight 1 - entropy / its maximum."""

    def forward(self, logits: Tensor, present: Tensor) -> Tensor:
        """Return the weighted mean."""
        logits = silence(logits, present)
        share = probabilities(logits, self.activation, dim=2)
        parts = torch.special.entr(share)
        if self.activation == "sigmoid":
            doubt = (parts + torch.special.entr(1 - share)) / torch.log(share.new_tensor(2.0))
        else:
            doubt = parts.sum(dim=2, keepdim=True) / torch.log(share.new_tensor(self.classes))
        return weighted(logits, (1 - doubt + _TINY).clamp_min(_TINY).log(), present)


class Vote(Combiner):
    """A majority of voices, equal ones decided by the mean; trained through the mean."""

    def forward(self, logits: Tensor, present: Tensor) -> Tensor:
        """Return the log of the shares of votes, with the slope of the mean's."""
        share = probabilities(silence(logits, present), self.activation, dim=2)
        if self.activation == "softmax":
            voices = F.one_hot(share.argmax(dim=2), share.shape[2]).movedim(-1, 2).to(share.dtype)
        else:
            voices = (share > 0.5).to(share.dtype)
        count = spread(present.to(share.dtype), share)
        total = count.sum(dim=1)
        mean = (share * count).sum(dim=1) / total
        voted = (voices * count).sum(dim=1) / total
        # a tenth of a voice for the mean: breaks ties, overturns no majority of up to 9 networks
        mixed = (voted * total + 0.1 * mean) / (total + 0.1)
        straight = mean + (mixed - mean).detach()
        if self.activation == "softmax":
            return straight.clamp_min(_TINY).log()
        return torch.logit(straight.clamp(_TINY, 1 - _TINY))


class Stacking(Combiner):
    """A small network on all probabilities and presences (Wolpert, Neural Networks 1992).

    Not monotone: it may learn that two modalities must agree.
    """

    def __init__(self, modalities: int, classes: int, activation: Activation) -> None:
        super().__init__(modalities, classes, activation)
        inputs, hidden = modalities * classes, max(16, 2 * modalities * classes)
        self.inner = conv(inputs, hidden, 1)
        self.who = nn.Linear(modalities, hidden, bias=False)
        self.outer = conv(hidden, classes, 1)
        nn.init.zeros_(self.outer.weight)  # starts as the mean

    def forward(self, logits: Tensor, present: Tensor) -> Tensor:
        """Return the mean of the logits and what the small network adds."""
        mean = super().forward(logits, present)
        share = probabilities(silence(logits, present), self.activation, dim=2)
        flat = rearrange(silence(share, present), "b m k ... -> b (m k) ...")
        inner = self.inner(flat) + spread(self.who(present.to(flat.dtype)), flat)
        added: Tensor = self.outer(F.leaky_relu(inner, 0.01))
        return mean + added


COMBINERS: dict[str, type[Combiner]] = {
    "mean": Combiner,
    "learned": Learned,
    "inverse_variance": InverseVariance,
    "entropy": Entropy,
    "vote": Vote,
    "stacking": Stacking,
}
