"""Distances of surfaces: MONAI on straight grids, all pairs on sheared ones, plates by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import HausdorffDistanceMetric, SurfaceDiceMetric
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from medfuse.geometry import Geometry
from medfuse.metrics import hausdorff95, surface_dice, surface_distances
from tests.medfuse.metrics.masks import SPACING, blobs, sheared, straight

# MONAI warns of its own deprecated argument
quiet = pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges:FutureWarning")


def tensors(*masks: np.ndarray) -> list[torch.Tensor]:
    """Return masks as MONAI wants them, (1, 1, D, H, W)."""
    return [torch.tensor(mask)[None, None].float() for mask in masks]


@quiet
@pytest.mark.parametrize("seed", range(4))
def test_hd95_with_spacing_is_monais(seed: int) -> None:
    masks = blobs(seed)
    measure = HausdorffDistanceMetric(percentile=95)
    oracle = float(measure(*tensors(*masks), spacing=SPACING))
    ours = hausdorff95(surface_distances(*masks, straight(masks[0].shape)))
    assert ours == pytest.approx(oracle, abs=1e-4)


@quiet
@pytest.mark.parametrize("tolerance", [0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("seed", range(2))
def test_surface_dice_is_monais(seed: int, tolerance: float) -> None:
    masks = blobs(seed)
    oracle = float(SurfaceDiceMetric([tolerance])(*tensors(*masks), spacing=SPACING))
    ours = surface_dice(surface_distances(*masks, straight(masks[0].shape)), tolerance)
    assert ours == pytest.approx(oracle, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_sheared_grid_is_measured_in_the_world(seed: int) -> None:
    masks = blobs(seed)
    grid = sheared(seed, masks[0].shape)
    shells = [mask & ~ndimage.binary_erosion(mask) for mask in masks]
    one, other = (grid.world(np.argwhere(shell)) for shell in shells)
    apart = cdist(one, other)
    found = surface_distances(*masks, grid)
    np.testing.assert_allclose(np.sort(found[0]), np.sort(apart.min(axis=1)), atol=1e-9)
    np.testing.assert_allclose(np.sort(found[1]), np.sort(apart.min(axis=0)), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_map_of_distances_says_what_a_tree_says(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways are taken, by how many points there are for the size of the box."""
    masks = blobs(seed)
    grid = straight(masks[0].shape)
    found = []
    for voxels in (0, 10**9):
        monkeypatch.setattr("medfuse.metrics.surfaces._A_POINT", voxels)
        tree = voxels == 0
        monkeypatch.setattr("medfuse.metrics.surfaces.KDTree", KDTree if tree else None)
        found.append(surface_distances(*masks, grid))
    for by_tree, by_map in zip(*found, strict=True):
        np.testing.assert_allclose(by_map, by_tree, atol=1e-9)


@pytest.mark.parametrize("voxels", [0, 10**9])  # by a tree, on a map
def test_a_surface_at_the_tolerance_is_near(voxels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where 0.7 mm steps from -123.4 mm are not quite 0.7 mm apart in the computer."""
    monkeypatch.setattr("medfuse.metrics.surfaces._A_POINT", voxels)
    matrix = np.diag([0.7, 0.7, 0.7, 1.0])
    matrix[:3, 3] = -123.4
    cube = np.zeros((16, 16, 16), bool)
    cube[2:14, 2:14, 2:14] = True
    moved = surface_distances(np.roll(cube, 1, axis=0), cube, Geometry(cube.shape, matrix))
    assert surface_dice(moved, 0.7) == 1
    assert surface_dice(moved, 0.69) < 1


def test_a_plate_moved_by_two_slices_is_two_slices_off() -> None:
    truth = np.zeros((9, 8, 8), bool)
    truth[2] = True
    distances = surface_distances(np.roll(truth, 2, axis=0), truth, straight(truth.shape))
    assert hausdorff95(distances) == pytest.approx(2 * SPACING[0])
    assert surface_dice(distances, 5.9) == 0
    assert surface_dice(distances, 6.1) == 1


def test_the_border_of_the_grid_is_a_surface() -> None:
    full = np.ones((3, 3, 3), bool)
    assert surface_distances(full, full, Geometry((3, 3, 3), np.eye(4)))[0].size == 26


@pytest.mark.parametrize("swapped", [False, True])
def test_one_empty_mask_is_infinitely_far(swapped: bool) -> None:
    some = np.zeros((4, 4, 4), bool)
    none = some.copy()
    some[1, 2, 3] = True
    pair = (none, some) if swapped else (some, none)
    distances = surface_distances(*pair, straight(some.shape))
    assert hausdorff95(distances) == np.inf
    assert surface_dice(distances, 1e9) == 0


def test_two_empty_masks_are_one() -> None:
    none = np.zeros((4, 4, 4), bool)
    distances = surface_distances(none, none, straight(none.shape))
    assert hausdorff95(distances) == 0
    assert surface_dice(distances, 0) == 1
