"""The bricks: torch's own pixel unshuffle, and sums written out by hand, are the judges."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from medfuse.nets import blocks


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=blocks.generator(seed, "test"))


def by_hand(x: Tensor, layer: blocks.ConvBlock | nn.Sequential, stride: int = 1) -> Tensor:
    """Convolve and normalise each channel by its own mean and variance."""
    made = F.conv3d(x, layer[0].weight, stride=stride, padding=layer[0].padding)
    mean = made.mean(dim=(2, 3, 4), keepdim=True)
    variance = (made - mean).square().mean(dim=(2, 3, 4), keepdim=True)
    return (made - mean) / (variance + 1e-5).sqrt() + layer[1].bias[:, None, None, None]


def test_a_generator_depends_on_seed_and_purpose_alone() -> None:
    first = torch.rand(3, generator=blocks.generator(1, "a"))
    assert torch.equal(first, torch.rand(3, generator=blocks.generator(1, "a")))
    for other in (blocks.generator(2, "a"), blocks.generator(1, "b")):
        assert not torch.equal(first, torch.rand(3, generator=other))


def test_norms_start_with_shifts_as_wide_as_asked() -> None:
    with blocks.seeded(0, "test"):
        wide, none = blocks.norm(4096), blocks.norm(4, spread=0.0)
    assert abs(float(wide.bias.detach().std()) - 2) < 0.1
    assert bool((none.bias == 0).all())
    assert bool((wide.weight == 1).all())


def test_weights_come_from_the_seed_and_leave_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    made = []
    for seed in (3, 3, 4):
        with blocks.seeded(seed, "weights"):
            made.append(blocks.ResidualBlock(2, 4).first[0].weight)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


@pytest.mark.parametrize(("inputs", "outputs", "step"), [(3, 3, 1), (3, 5, 2)])
def test_a_residual_block_is_two_convolutions_beside_a_shortcut(
    inputs: int, outputs: int, step: int
) -> None:
    block = blocks.ResidualBlock(inputs, outputs, (step, step, step))
    x = drawn(2, inputs, 6, 8, 4)
    bent = F.leaky_relu(by_hand(x, block.first, step), 0.01)
    short = x if step == 1 else by_hand(F.avg_pool3d(x, step), block.shortcut[1:])
    expected = F.leaky_relu(by_hand(bent, block.second) + short, 0.01)
    assert torch.allclose(block(x), expected, atol=1e-4)


def test_unshuffle_is_that_of_torch_in_a_plane() -> None:
    x = drawn(2, 3, 1, 4, 6)
    ours = blocks.unshuffle(x, (1, 2, 2))
    assert torch.equal(ours[:, :, 0], F.pixel_unshuffle(x[:, :, 0], 2))


def test_unshuffle_fills_up_with_zeros_and_loses_nothing() -> None:
    x = drawn(1, 2, 5, 7, 3)
    made = blocks.unshuffle(x, (2, 2, 1))
    assert made.shape == (1, 8, 3, 4, 3)
    assert torch.equal(
        made.flatten().sort().values[made.flatten().sort().values != 0], x.flatten().sort().values
    )


def test_up_reaches_the_size_that_a_stride_rounded_up_from() -> None:
    up = blocks.Up(4, 2, (2, 1, 2))
    assert up(drawn(1, 4, 3, 5, 4), (5, 5, 8)).shape == (1, 2, 5, 5, 8)


def test_silence_takes_nan_away_and_its_slope_too() -> None:
    x = drawn(2, 3, 1, 2, 2, 2)
    x[0, 1] = torch.nan
    x.requires_grad_()
    present = torch.tensor([[True, False, True], [True, True, True]])
    made = blocks.silence(x, present)
    made.square().sum().backward()
    assert x.grad is not None
    assert made[0, 1].abs().max() == 0
    assert x.grad[0, 1].abs().max() == 0
    assert torch.equal(made[1], x[1])


def test_a_sample_alone_gives_what_plain_torch_gives_and_the_same_slopes() -> None:
    layer = blocks.conv(3, 4)
    x = drawn(1, 3, 6, 7, 8).requires_grad_()
    plain = F.conv3d(x, layer.weight, layer.bias, padding=1)
    wanted = torch.autograd.grad(plain.square().sum(), [x, layer.weight, layer.bias])
    made = layer(x)
    found = torch.autograd.grad(made.square().sum(), [x, layer.weight, layer.bias])
    assert made.shape == plain.shape
    torch.testing.assert_close(made, plain, rtol=1e-4, atol=1e-5)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_a_small_sample_alone_is_sent_through_the_fast_path() -> None:
    layer = blocks.conv(16, 16)
    with profile(activities=[ProfilerActivity.CPU]) as found, torch.inference_mode():
        layer(torch.ones(1, 16, 8, 8, 8))
    seen = [event.key for event in found.key_averages()]
    assert "aten::mkldnn_convolution" in seen
    assert "aten::slow_conv3d" not in seen


@pytest.mark.parametrize("samples", [1, 3])
def test_channels_stay_last_through_convolution_and_norm_and_values_are_torchs(
    samples: int,
) -> None:
    layer, norm = blocks.conv(3, 4, bias=False), blocks.norm(4)
    x = drawn(samples, 3, 6, 20, 21).contiguous(memory_format=torch.channels_last_3d)
    x.requires_grad_()
    made = norm(layer(x))
    if samples > 1:
        assert made.is_contiguous(memory_format=torch.channels_last_3d)
    plain = x.detach().contiguous().requires_grad_()
    wanted = F.instance_norm(
        F.conv3d(plain, layer.weight, padding=1), weight=norm.weight, bias=norm.bias
    )
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-5)
    weight = drawn(*made.shape, seed=1)
    (made * weight).sum().backward()
    (wanted * weight).sum().backward()
    torch.testing.assert_close(x.grad, plain.grad, rtol=1e-4, atol=1e-5)
