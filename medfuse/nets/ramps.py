"""Take values apart into ranges before a network sees them.

What lies far from most of an image (a lesion, bone, uptake) falls on the outermost pieces of a
network's piecewise lines, where neighbouring levels are told apart only after long training. So
each value enters beside six copies of itself, each held inside one range, as a reader of CT
changes windows. The ranges are fixed: learned window settings (Lee et al., J Digit Imaging 2018)
begin where these are.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LOWEST, _WIDE, _COUNT = -4.0, 1.5, 6  # in spreads, see ``medfuse.intensity``: -4 to 5
RAMPS = 1 + _COUNT  # channels for each one that came in


def ramps(x: Tensor) -> Tensor:
    """Return (B, C * RAMPS, D, H, W) for (B, C, D, H, W): each channel, then its ranges.

    All of them are 0 where the value is 0, so a modality that is silenced stays silent.
    """
    low = _LOWEST + _WIDE * torch.arange(_COUNT, dtype=x.dtype, device=x.device)
    low = low[:, None, None, None]
    high = low + _WIDE
    parts = torch.clamp(x[:, :, None], low, high) - torch.clamp(low.new_zeros(()), low, high)
    return torch.cat([x[:, :, None], parts], dim=2).flatten(1, 2)
