"""One whole network for one input: ours, and MONAI's in the same place."""

from __future__ import annotations

import pytest
import torch

from medfuse.errors import UsageError
from medfuse.fusion.settings import MONAI, FusionSettings
from medfuse.fusion.singles import MonaiSingle, Single, single
from medfuse.nets.blocks import generator, seeded


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(0, "x"))


def test_ours_gives_deep_logits_where_asked() -> None:
    network = single(FusionSettings(widths=(4, 8, 8), stem="full"), 2, 3)
    assert isinstance(network, Single)
    x = drawn(1, 2, 8, 8, 8)
    assert [tuple(part.shape[2:]) for part in network(x, deep=True)] == [(8, 8, 8), (4, 4, 4)]
    assert len(network(x)) == 1


@pytest.mark.parametrize("name", MONAI)
def test_a_network_of_monai_takes_any_size_and_hears_the_condition(name: str) -> None:
    chosen = FusionSettings(level="data", widths=(8, 12, 16), network=f"monai:{name}")
    with seeded(0, "test"):
        network = single(chosen, 2, 3, conditions=2)
    assert isinstance(network, MonaiSingle)
    x = drawn(1, 2, 18, 16, 17) if name != "SwinUNETR" else drawn(1, 2, 33, 32, 31)
    with torch.no_grad():
        one, other = (network(x, torch.tensor([flags]))[0] for flags in ([1.0, 0], [0, 1.0]))
    assert one.shape == (1, 3, *x.shape[2:])
    assert not torch.equal(one, other)


def test_a_patch_that_shrinks_to_one_voxel_is_refused() -> None:
    chosen = FusionSettings(level="data", widths=(8, 12, 16), network="monai:DynUNet")
    with pytest.raises(UsageError, match="one voxel"):
        single(chosen, 2, 3)(drawn(1, 2, 4, 4, 3))
