"""The U-Net in two parts: sizes follow from the strides, and no voxel is lost on the way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from medfuse.errors import UsageError
from medfuse.nets.blocks import Step, generator, seeded
from medfuse.nets.unet import Decoder, Encoder, Shape

HALF: Step = (2, 2, 2)


def parts(shape: Shape, inputs: int = 1, **more: int) -> tuple[Encoder, Decoder]:
    with seeded(0, "test"):
        return Encoder(inputs, shape, **more), Decoder(3, shape)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(0, "test"))


@pytest.mark.parametrize("stem", [(1, 1, 1), HALF, (1, 2, 2)])
@pytest.mark.parametrize("size", [(16, 16, 16), (9, 14, 11)])
def test_sizes_follow_from_strides_rounded_up(stem: Step, size: tuple[int, int, int]) -> None:
    shape = Shape((4, 6, 8), strides=((1, 2, 2), (2, 2, 2)), stem=stem)
    encoder, decoder = parts(shape)
    x = drawn(2, 1, *size)
    features = encoder(x)
    expected, here = [], list(size)
    for step in (stem, *shape.strides):
        here = [-(-n // s) for n, s in zip(here, step, strict=True)]
        expected.append(tuple(here))
    halved = stem != (1, 1, 1)
    whole = [tuple(size)] if halved else []  # the detail beside a coarser stem
    assert [tuple(f.shape[2:]) for f in features] == whole + expected
    assert [f.shape[1] for f in features] == ([8] if halved else []) + [4, 6, 8]
    logits, *deep = decoder(features, deep=True)
    assert logits.shape == (2, 3, *size)
    assert [tuple(d.shape[2:]) for d in deep] == expected[0 if halved else 1 : 2]
    assert len(decoder(features)) == 1


def test_every_voxel_counts_with_a_half_resolution_stem() -> None:
    encoder, decoder = parts(Shape((8, 16), stem=HALF))
    x = drawn(1, 1, 8, 8, 8).requires_grad_()
    decoder(encoder(x))[0].square().sum().backward()
    assert x.grad is not None
    assert bool((x.grad != 0).all())


def test_a_single_voxel_is_seen_at_its_own_place_beside_a_half_resolution_stem() -> None:
    """With the coarse path held, what is left depends on the voxel alone, but for the norms."""
    encoder, decoder = parts(Shape((8, 16), stem=HALF))
    x = drawn(1, 1, 8, 8, 8)
    features = [f.detach() for f in encoder(x)]
    features[0].requires_grad_()
    held = [features[0], *(torch.zeros_like(f) for f in features[1:])]
    decoder(held)[0][0, 0, 3, 4, 5].backward()
    slope = features[0].grad.abs().sum(dim=1)[0]
    assert slope[3, 4, 5] > 20 * slope[3, 4, 4]


def test_a_condition_is_heard_behind_the_norm() -> None:
    """A constant plane among the inputs would vanish in the instance norm; the shift does not."""
    encoder, _ = parts(Shape((8, 16)), conditions=2)
    x = drawn(1, 1, 8, 8, 8)
    one, other = (encoder(x, torch.tensor([flags]))[-1] for flags in ([1.0, 0.0], [0.0, 1.0]))
    assert (one - other).abs().max() > 0.05


def test_reduction_is_the_product_of_all_steps() -> None:
    assert Shape((4, 4, 4), strides=((1, 2, 2), (2, 2, 2)), stem=(1, 2, 2)).reduction == (2, 8, 8)


def test_a_patch_that_shrinks_to_one_voxel_is_refused() -> None:
    encoder, _ = parts(Shape((4, 4, 4)))
    with pytest.raises(UsageError, match="one voxel"):
        encoder(drawn(1, 1, 4, 4, 4))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"widths": (8,)}, "widths"),
        ({"widths": (8, 0)}, "widths"),
        ({"widths": (8, 8), "blocks": (1,)}, "blocks"),
        ({"widths": (8, 8), "strides": ((2, 2, 2), (2, 2, 2))}, "strides"),
        ({"widths": (8, 8), "strides": ((2, 0, 2),)}, "stride"),
    ],
)
def test_a_shape_that_contradicts_itself_is_refused(fields: dict, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Shape(**fields)


def test_a_decoder_without_deep_heads_gives_none() -> None:
    shape = Shape((4, 6, 8))
    decoder = Decoder(2, shape, deep=False)
    features = Encoder(1, shape)(drawn(1, 1, 8, 8, 8))
    assert len(decoder(features, deep=True)) == 1


@pytest.mark.parametrize("stem", [(1, 1, 1), HALF])
def test_an_input_that_is_gone_leaves_the_share_of_the_others_as_it_was(stem: Step) -> None:
    """Before its first bend the stem is a sum over inputs: no norm rescales what is left."""
    encoder, _ = parts(Shape((8, 16), stem=stem), inputs=2)
    seen: list[Tensor] = []
    encoder.stem.register_forward_hook(lambda *args: seen.append(args[2].detach()))
    both, nothing = drawn(1, 2, 8, 8, 8), torch.zeros(1, 2, 8, 8, 8)
    first, second = both.clone(), both.clone()
    first[:, 1], second[:, 0] = 0, 0
    for x in (both, first, second, nothing):
        encoder(x)
    together, one, other, none = seen
    assert torch.allclose(together - none, (one - none) + (other - none), atol=1e-4)


@pytest.mark.parametrize("stem", [(1, 1, 1), HALF])
def test_one_of_several_levels_can_be_picked_before_the_first_bend(stem: Step) -> None:
    """No sum over values is 1 at 2.8 and 0 at the other levels; one over their ranges is."""
    encoder, _ = parts(Shape((8, 16), stem=stem))
    seen: list[Tensor] = []
    for layer in (encoder.stem, *([encoder.detail.first] if encoder.detail else [])):
        layer.register_forward_pre_hook(lambda *args: seen.append(args[1][0]))
    levels = torch.tensor([0.0, 1.6, 2.8, 4.0, 5.2])
    encoder(levels.reshape(5, 1, 1, 1, 1).expand(5, 1, 8, 8, 8))
    wanted = torch.tensor([[0.0], [0.0], [1.0], [0.0], [0.0]])
    assert len(seen) == (1 if stem == (1, 1, 1) else 2)
    for entered in seen:
        values = entered[:, :, 2, 2, 2]  # (5, channels)
        found = torch.linalg.lstsq(values, wanted, driver="gelsd").solution
        assert torch.allclose(values @ found, wanted, atol=1e-3)
