"""The bricks of all networks: residual blocks, steps down and up, and where their weights start.

Residual blocks as in nnU-Net's residual encoder (He et al., CVPR 2016; Isensee et al., MICCAI
2024): convolution, instance norm, leaky ReLU. Sizes need not divide by the strides: what is
strided rounds up, what goes back up is cut to size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from medfuse import seeds

Step = tuple[int, int, int]  # a stride along d, h, w

_SLOPE = 0.01
_SPREAD = 2.0  # of the shifts that norms start with
_SLOW = 20481  # B * C * D * H below which torch keeps one sample from oneDNN


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Return the CPU generator of ``seed`` for the purpose that ``names`` say."""
    return torch.Generator().manual_seed(seeds.integer(seed, *names))


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Draw the weights of layers made inside from ``seed``; the global stream stays as it was.

    Layers of torch and MONAI know no generator of their own: they are lent ours.
    """
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator(seed, *names).get_state())
        yield


class Conv(nn.Conv3d):
    """A convolution that goes the fast way on a CPU.

    With channels last in memory its slope takes half the time. And torch sends one small sample
    through a path that is five times slower than oneDNN's, so it goes in twice; the second copy's
    result, and with it its slope, is left out.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of (B, inputs, D, H, W)."""
        if x.device.type != "cpu" or max(self.kernel_size) == 1:
            return super().forward(x)
        x = x.contiguous(memory_format=torch.channels_last_3d)
        if x.shape[0] == 1 and max(self.stride) == 1 and prod(x.shape[:4]) < _SLOW:
            return super().forward(x.expand(2, -1, -1, -1, -1))[:1]
        return super().forward(x)


class Norm(nn.InstanceNorm3d):
    """An instance norm that keeps channels last where they are: torch's puts them first again."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, D, H, W), each sample and channel by itself of mean and deviation."""
        if x.is_contiguous() or not x.is_contiguous(memory_format=torch.channels_last_3d):
            return super().forward(x)
        rest = (None, None, self.weight, self.bias, True, 0.0, self.eps)
        return torch.cat([F.batch_norm(x[row : row + 1], *rest) for row in range(len(x))])


def conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int | Step = 1, *, bias: bool = True
) -> nn.Conv3d:
    """Return a convolution that keeps (or divides) the size, weights after He et al. 2015."""
    layer = Conv(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def norm(channels: int, spread: float = _SPREAD) -> nn.InstanceNorm3d:
    """Return the norm that all networks use: each sample and channel by itself.

    Its shifts start spread out by ``spread`` standard deviations: else all units bend at the mean,
    and what lies far from it (a lesion, bone) is told from its like only once they have moved.
    """
    layer = Norm(channels, affine=True)
    if spread > 0:
        nn.init.normal_(layer.bias, std=spread)
    return layer


def bend(x: Tensor) -> Tensor:
    """Return the leaky ReLU that all networks use."""
    return F.leaky_relu(x, _SLOPE)


class ConvBlock(nn.Sequential):
    """Convolution, norm, leaky ReLU: (B, inputs, D, H, W) to (B, outputs, D', H', W')."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int | Step = 1,
        *,
        spread: float = _SPREAD,
    ) -> None:
        super().__init__(
            conv(inputs, outputs, kernel, stride, bias=False),  # the norm takes a bias away
            norm(outputs, spread),
            nn.LeakyReLU(_SLOPE, inplace=True),
        )


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut: (B, inputs, D, H, W) to (B, outputs, D/s, H/s, W/s)."""

    def __init__(self, inputs: int, outputs: int, stride: Step = (1, 1, 1)) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, outputs, stride=stride)
        self.second = nn.Sequential(conv(outputs, outputs, bias=False), norm(outputs))
        shortcut: list[nn.Module] = []
        if prod(stride) > 1:
            shortcut.append(nn.AvgPool3d(stride, ceil_mode=True))
        if inputs != outputs:
            shortcut += [conv(inputs, outputs, 1, bias=False), norm(outputs)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features."""
        bent: Tensor = self.second(self.first(x))
        return F.leaky_relu(bent + self.shortcut(x), _SLOPE, inplace=True)


class Up(nn.Module):
    """A step up: features at a coarse scale to the size of a finer one."""

    def __init__(self, inputs: int, outputs: int, stride: Step) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(inputs, outputs, stride, stride)
        nn.init.kaiming_normal_(self.conv.weight, a=_SLOPE, mode="fan_out")
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """Return (B, outputs, *size) for (B, inputs, ...) that is smaller by the stride."""
        return cut(self.conv(x), size)


def unshuffle(x: Tensor, step: Step) -> Tensor:
    """Move ``step`` neighbours into channels, nothing lost; sizes are filled up with zeros."""
    missing = [-n % s for n, s in zip(x.shape[-3:], step, strict=True)]
    if any(missing):
        x = F.pad(x, (0, missing[2], 0, missing[1], 0, missing[0]))
    d, h, w = step
    return rearrange(x, "b c (d r) (h s) (w t) -> b (c r s t) d h w", r=d, s=h, t=w)


def cut(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return the first ``size`` voxels of each axis, (..., *size)."""
    d, h, w = size
    return x[..., :d, :h, :w]


def spread(flags: Tensor, like: Tensor) -> Tensor:
    """Return ``flags`` (B, M) with axes of size 1 behind, to broadcast against ``like``."""
    return flags.reshape(*flags.shape, *[1] * (like.ndim - flags.ndim))


def silence(x: Tensor, present: Tensor) -> Tensor:
    """Return ``x`` (B, M, ...) with absent rows zero, whatever they held (NaN too)."""
    return torch.where(spread(present, x), x, x.new_zeros(()))
