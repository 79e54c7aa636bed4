"""How far apart the surfaces of two masks lie, in mm, on any grid.

The surface of a mask is its voxels with a face towards the outside (a voxel at the border of the
grid has one). Distances are between voxel centres in the world, so spacing, and even a sheared
grid, are taken as they are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from medfuse.geometry import Array64, Geometry

Mask = npt.NDArray[np.bool_]
Distances = tuple[Array64, Array64]

# a tree is asked for each point, a map of all distances is made by the voxel: so many in that time
_A_POINT = 25
_ROUNDED_MM = 1e-6  # a surface at the tolerance is near, wherever the grid lies in the world
_MOST_VOXELS = 30_000_000  # of a map: 50 bytes each


def surface_points(mask: Mask, geometry: Geometry) -> Array64:
    """Return where the surface voxels of a mask (D, H, W) lie, (N, 3) LPS mm."""
    found = ndimage.find_objects(mask.view(np.uint8), max_label=1)
    if found[0] is None:
        return np.zeros((0, 3))
    part = mask[found[0]]
    border = _shell(part)  # outside of the box counts as outside
    corner = [side.start for side in found[0]]
    return geometry.world(np.argwhere(border) + corner)


def surface_distances(prediction: Mask, truth: Mask, geometry: Geometry) -> Distances:
    """Return how far each surface voxel lies from the other surface, mm.

    Two arrays: from each of the prediction (N,) and from each of the truth (M,). Where one mask is
    empty the other's distances are infinite.
    """
    points = [surface_points(mask, geometry) for mask in (prediction, truth)]
    return (
        _nearest(points[0], points[1], truth, geometry),
        _nearest(points[1], points[0], prediction, geometry),
    )


def _nearest(points: Array64, others: Array64, other: Mask, geometry: Geometry) -> Array64:
    """Return how far ``points`` lie from ``others``, the surface of ``other``, mm."""
    if not len(others) or not len(points):
        return np.full(len(points), np.inf)
    mapped = other.size < _A_POINT * len(points) and other.size < _MOST_VOXELS
    if mapped and geometry.is_orthonormal:
        far = ndimage.distance_transform_edt(~_shell(other), sampling=geometry.spacing)
        d, h, w = np.rint(geometry.voxel(points)).astype(int).T
        found: Array64 = far[d, h, w]
        return found
    distances: Array64 = KDTree(others).query(points)[0]
    return distances


def _shell(mask: Mask) -> Mask:
    inside: Mask = mask & ~ndimage.binary_erosion(mask)
    return inside


def hausdorff95(distances: Distances) -> float:
    """Return the 95th percentile of the surface distance, mm: the larger of both directions.

    0 where both masks are empty, infinite where one is. (Huttenlocher et al. 1993, doi
    10.1109/34.232073, with the percentile that BraTS introduced.)
    """
    there = [part for part in distances if part.size]
    if not there:
        return 0.0
    if np.isinf(there[0][0]):  # one empty surface: each distance of the other is infinite
        return float("inf")
    return max(float(np.percentile(part, 95)) for part in there)


def surface_dice(distances: Distances, tolerance_mm: float) -> float:
    """Return the share of both surfaces that lies within ``tolerance_mm`` of the other, 0 to 1.

    Counted in surface voxels. 1 where both masks are empty, 0 where one is. (Nikolov et al. 2021,
    doi 10.2196/26151; theirs weighs by area, ours, like MONAI's default, counts voxels.)
    """
    total = sum(part.size for part in distances)
    near = sum(int((part <= tolerance_mm + _ROUNDED_MM).sum()) for part in distances)
    return near / total if total else 1.0
