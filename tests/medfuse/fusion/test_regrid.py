"""Onto the scans' grid: SimpleITK's linear interpolation, and numpy's index laws, are judges."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from medfuse.fusion.regrid import planes, turned
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.resampling import resample
from medfuse.volume import Volume

MR = MODALITIES["MR"]


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Geometry:
    matrix = np.eye(4)
    axes = np.diag([1.0, 1.0, 1.0])[:, ::-1]
    matrix[:3, :3] = Rotation.from_rotvec([0.1, -0.2, 0.15]).as_matrix() @ axes * spacing
    return Geometry(shape, matrix)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.0, 3.1, 0.7), (1.5, 1.5, 1.5)])
@pytest.mark.parametrize("cuts", [[9], [1, 2, 3], [4, 5]])
def test_planes_are_those_of_one_linear_interpolation(
    spacing: tuple[float, float, float], cuts: list[int]
) -> None:
    high = grid((11, 12, 9), (1.5, 1.5, 1.5))
    low = high.respace(spacing)
    values = np.random.default_rng(0).normal(size=(2, *low.shape)).astype(np.float32)
    stops = [*np.cumsum(cuts)[np.cumsum(cuts) < low.shape[0]], low.shape[0]]
    starts = [0, *stops[:-1]]
    slabs = ((int(a), torch.from_numpy(values[:, a:b])) for a, b in zip(starts, stops, strict=True))
    found = list(planes(slabs, low, high))
    assert [d for d, _ in found] == list(range(high.shape[0]))
    made = torch.cat([plane for _, plane in found], dim=1).numpy()
    for channel in range(2):
        expected = resample(Volume(values[channel], low, MR), high).array
        inside = expected != 0  # beyond the outermost centres ITK has air, we have the edge
        assert inside.mean() > 0.4
        assert np.allclose(made[channel][inside], expected[inside], atol=1e-4)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product([1, -1], repeat=3)))
def test_turned_puts_each_voxel_where_it_lies_in_the_world(
    order: tuple[int, int, int], signs: tuple[int, int, int]
) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) * signs * np.array([1.0, 1.2, 2.0]))[:, order]
    onto = Geometry((3, 4, 5), matrix)
    upright = onto.upright()
    world = upright.world(np.moveaxis(np.indices(upright.shape), 0, -1))  # (D, H, W, 3)
    moved = turned(np.moveaxis(world, -1, 0), upright, onto)
    expected = onto.world(np.moveaxis(np.indices(onto.shape), 0, -1))
    assert np.allclose(np.moveaxis(moved, 0, -1), expected)
