"""One volume prepared for registration: mean-binned levels, foreground, points drawn from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from medfuse.errors import InputError
from medfuse.geometry import Array64, Geometry
from medfuse.volume import Array32, Volume

Mask = npt.NDArray[np.bool_]
Within = Callable[[Array64], Mask]

_SMALL_VOXELS = 200


@dataclass(frozen=True, eq=False)
class Level:
    """A volume at one resolution: ``array`` (D, H, W) float32 on ``geometry``."""

    array: Array32
    geometry: Geometry

    def binned(self, spacing: float) -> Level:
        """Return the level averaged over whole voxels to about ``spacing`` mm on each axis.

        Where two counts come near, the finer one: from 1 mm to 1.5 mm nothing is averaged, for
        half the error on a PET is lost in 2 mm.
        """
        factors = [max(1, int(spacing / step + 0.4)) for step in self.geometry.spacing]
        array, matrix = self.array, self.geometry.world_from_voxel.copy()
        for axis, factor in enumerate(factors):
            factor = min(factor, array.shape[axis])
            array = _binned(array, axis, factor)
            matrix[:3, 3] += matrix[:3, axis] * (factor - 1) / 2
            matrix[:3, axis] *= factor
        return Level(array, Geometry(array.shape, matrix))

    def smoothed(self) -> Level:
        """Return the level with each voxel averaged with its neighbours, 1 2 1, on fine axes.

        At 1.5 mm that is a blur of 2.5 mm (full width at half maximum); axes with steps of 2.5 mm
        or more are left as they are.
        """
        array = self.array
        for axis, step in enumerate(self.geometry.spacing):
            if step < 2.5 and array.shape[axis] > 1:
                array = _smoothed(array, axis)
        return Level(array, self.geometry)


def _smoothed(array: Array32, axis: int) -> Array32:
    first, last = np.take(array, [0], axis), np.take(array, [-1], axis)
    pairs = np.concatenate([first, array, last], axis=axis)
    pairs = _ahead(pairs, axis) + _behind(pairs, axis)  # twice the mean of neighbours
    made: Array32 = (_ahead(pairs, axis) + _behind(pairs, axis)) * np.float32(0.25)
    return made


def _ahead(array: Array32, axis: int) -> Array32:
    return array[(slice(None),) * axis + (slice(1, None),)]


def _behind(array: Array32, axis: int) -> Array32:
    return array[(slice(None),) * axis + (slice(None, -1),)]


def _binned(array: Array32, axis: int, factor: int) -> Array32:
    if factor == 1:
        return array
    count = array.shape[axis] // factor
    parts = [
        array[(slice(None),) * axis + (slice(first, count * factor, factor),)]
        for first in range(factor)
    ]
    total = parts[0] + parts[1]
    for part in parts[2:]:
        total += part
    total *= np.float32(1 / factor)
    return total


@dataclass(frozen=True, eq=False)
class Prepared:
    """A volume at 2, 4 and 8 mm with its foreground: what every stage of a search looks at.

    ``mask`` (4-mm level, or None) says where points may lie and where samples count.
    """

    fine: Level
    middle: Level
    coarse: Level
    foreground: Mask  # on the middle level
    mask: Mask | None
    air: float

    @classmethod
    def of(cls, volume: Volume, mask: Volume | None = None, *, spacing: float = 1.5) -> Prepared:
        """Bin a right-angled ``volume`` and find its foreground (inside ``mask``, if given)."""
        fine = Level(volume.array, volume.geometry).binned(spacing)
        middle = fine.binned(4.0)
        inside = None if mask is None else _on(middle.geometry, mask)
        if inside is not None and not inside.any():
            raise InputError("the mask covers nothing of its volume", hint="give one that does")
        shown = middle.array
        if volume.modality.name == "PET":
            # a hot tumour must not count as the whole foreground: uptake spans decades
            scale = max(float(np.quantile(shown, 0.95)), 1e-6)
            shown = np.log(np.maximum(shown, 0) / np.float32(scale) + np.float32(0.05))
        foreground = _foreground(shown, inside)
        return cls(fine, middle, middle.binned(8.0), foreground, inside, volume.modality.air)

    @cached_property
    def rim(self) -> Mask:
        """The foreground and about 8 mm around it: the head and its edge against air."""
        steps = [max(1, round(8 / step)) for step in self.middle.geometry.spacing]
        grown = _mask(sitk.BinaryDilate(_image(self.foreground), steps[::-1], sitk.sitkBox))
        return grown if self.mask is None else grown & self.mask

    @property
    def extent_mm3(self) -> float:
        """Volume of the foreground, mm3."""
        return float(self.foreground.sum()) * self.middle.geometry.voxel_volume

    @cached_property
    def mass_centre(self) -> Array64:
        """Centre of the foreground, LPS mm, (3,)."""
        return self.middle.geometry.world(np.argwhere(self.foreground).mean(axis=0))

    @cached_property
    def ball_centre(self) -> Array64:
        """Centre of the largest ball in the foreground (a head's cranium), LPS mm, (3,)."""
        outside = _image(~self.foreground)
        outside.SetSpacing(self.middle.geometry.spacing[::-1])
        depth = sitk.GetArrayFromImage(
            sitk.SignedMaurerDistanceMap(outside, squaredDistance=False, useImageSpacing=True)
        )
        deep = np.argwhere(depth >= depth.max() - 2.0)
        return self.middle.geometry.world(deep.mean(axis=0))

    @cached_property
    def radius(self) -> float:
        """Root mean square distance of the foreground from its centre, mm."""
        places = self.middle.geometry.world(np.argwhere(self.foreground))
        return max(1.0, float(np.sqrt(((places - self.mass_centre) ** 2).sum(axis=1).mean())))

    def points(
        self, count: int, rng: np.random.Generator, *, within: Within | None = None
    ) -> Array64:
        """Return ``count`` points spread evenly over the rim, LPS mm, (count, 3).

        Each lies at random inside its own 4-mm voxel, so that no grid is met twice. ``within``
        tells of points (N, 3) which ones are wanted; where it wants none, it is not heeded.
        """
        places = np.argwhere(self.rim)
        if within is not None:
            wanted = within(self.middle.geometry.world(places))
            places = places[wanted] if wanted.any() else places
        order = np.concatenate(
            [rng.permutation(len(places)) for _ in range(-(-count // len(places)))]
        )[:count]
        return self.middle.geometry.world(places[order] + rng.uniform(-0.5, 0.5, (count, 3)))

    @cached_property
    def quantiles(self) -> Array64:
        """Values at 256 even ranks of the rim, for scaling to bins, ascending."""
        values = self.middle.array[self.rim]
        return np.quantile(values, np.linspace(0, 1, 256)).astype(np.float64)

    def in_bins(self, array: Array32, bins: int, *, ranks: float = 0.25) -> Array32:
        """Return values of this volume as real bin numbers in [0, bins - 1], of any shape.

        A blend of rank (share ``ranks``) and of value between the 0.5 % and 99.5 % quantiles:
        ranks give each tissue its bins, values keep bone and lesions apart.
        """
        low, high = self.quantiles[1], self.quantiles[-2]
        span = max(float(high - low), float(np.finfo(np.float32).tiny))
        known, where = np.unique(self.quantiles, return_index=True)
        last = np.append(where[1:] - 1, 255)
        rank = (where + last) / 2 / 255
        linear = np.clip((known - low) / span, 0, 1)
        curve = (ranks * rank + (1 - ranks) * linear) * (bins - 1)
        if len(known) == 1:
            return np.zeros(array.shape, dtype=np.float32)
        # a table of 4,096 even steps stands for the curve: one look-up a voxel
        steps = np.linspace(known[0], known[-1], 4096)
        table = np.interp(steps, known, curve).astype(np.float32)
        scale = np.float32(4095 / (known[-1] - known[0]))
        at = (array - np.float32(known[0])) * scale
        np.clip(at, 0, 4095, out=at)
        made: Array32 = table[at.astype(np.int16)]
        return made


def _on(geometry: Geometry, mask: Volume) -> Mask:
    places = geometry.world(np.indices(geometry.shape).reshape(3, -1).T)
    voxels = np.rint(mask.geometry.voxel(places)).astype(int)
    inside = ((voxels >= 0) & (voxels < mask.geometry.shape)).all(axis=1)
    found = np.zeros(len(voxels), dtype=bool)
    found[inside] = mask.array[tuple(voxels[inside].T)] > 0
    return found.reshape(geometry.shape)


def _foreground(array: Array32, inside: Mask | None) -> Mask:
    """Half of Otsu's threshold, the largest piece, holes filled."""
    values = array if inside is None else array[inside]
    low, high = np.quantile(values, [0.001, 0.999])
    threshold = low + (_otsu(values, float(low), float(high)) - low) / 2
    above: Mask = array > threshold
    if inside is not None:
        above &= inside
    pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(_image(above)))
    sizes = np.bincount(pieces.ravel())
    if len(sizes) > 2:
        sizes[0] = 0
        above = pieces == sizes.argmax()
    filled = _mask(sitk.BinaryFillhole(_image(above)))
    if filled.sum() < _SMALL_VOXELS:
        filled = np.ones(array.shape, dtype=bool) if inside is None else inside.copy()
    return filled


def _image(mask: Mask) -> sitk.Image:
    return sitk.GetImageFromArray(mask.view(np.uint8))


def _mask(image: sitk.Image) -> Mask:
    found: Mask = sitk.GetArrayFromImage(image).astype(bool)
    return found


def _otsu(values: Array32, low: float, high: float) -> float:
    """Return the threshold that separates two classes best (Otsu, IEEE TSMC 9 (1979) 62)."""
    if high <= low:
        return low  # nearly constant: all but a few values are one
    counts, edges = np.histogram(values.astype(np.float64), bins=256, range=(low, high))
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts).astype(np.float64)
    above = below[-1] - below
    sums = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    between = np.nan_to_num(between)
    # between well separated classes many cuts are equally good: the middle of them is meant
    return float(middle[between >= between.max() * (1 - 1e-9)].mean())
