"""Take values apart into ranges before a network sees them.

What lies far from most of an image (a lesion, bone, uptake) falls on the outermost pieces of a
network's piecewise lines, where neighbouring levels are told apart only after long training. So
each value enters beside six copies of itself, each held inside one range, as a reader of CT
changes windows. The ranges are fixed; Lee et al. (arXiv 1812.00572) learn the settings of such
windows for CT, from a start like this one.
"""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

_EDGES = (-4.0, -2.5, -1.0, 0.5, 2.0, 3.5, 5.0)  # in spreads, see ``medfuse.intensity``
RAMPS = len(_EDGES)  # channels for each one that came in


def ramps(x: Tensor) -> Tensor:
    """Return (B, C * RAMPS, D, H, W) for (B, C, D, H, W): each channel, then its ranges.

    All of them are 0 where the value is 0, so a modality that is silenced stays silent.
    """
    low = torch.tensor([-inf, *_EDGES[:-1]], dtype=x.dtype, device=x.device)[:, None, None, None]
    high = torch.tensor([inf, *_EDGES[1:]], dtype=x.dtype, device=x.device)[:, None, None, None]
    parts = torch.clamp(x[:, :, None], low, high)
    return parts.sub_(torch.clamp(low.new_zeros(()), low, high)).flatten(1, 2)
