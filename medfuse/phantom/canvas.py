"""A lattice to paint tissues on, and the few shapes that a head is made of.

Shapes are signed distances in mm (negative inside), evaluated in the head's *standard* space; the
canvas bends that space per seed, so every structure follows the same variation. A voxel keeps two
tissues and the part of the upper one, so that surfaces lie between voxels and not in steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

Field = npt.NDArray[np.float32]
Vector = tuple[float, float, float]

_MARGIN_MM = 10.0  # the bending of space moves a structure by less than this
_KNOTS_MM = 36.0


@dataclass(frozen=True)
class Box:
    """A part of the lattice: its ``slices`` and the standard coordinates of its voxels."""

    slices: tuple[slice, slice, slice]
    x: Field
    y: Field
    z: Field
    step: int = 1  # every step-th voxel of the slices

    def ellipsoid(self, centre: Vector, radii: Vector) -> Field:
        """Return the distance to an ellipsoid (first order, exact near its surface)."""
        u, v, w = (
            (axis - np.float32(c)) / np.float32(r)
            for axis, c, r in zip((self.x, self.y, self.z), centre, radii, strict=True)
        )
        near = u * u + v * v + w * w
        u, v, w = (f / np.float32(r) for f, r in zip((u, v, w), radii, strict=True))
        slope = np.sqrt(u * u + v * v + w * w) + np.float32(1e-6)
        length = np.sqrt(near)
        distance: Field = length * (length - 1) / slope
        return distance

    def rod(self, start: Vector, end: Vector, radii: tuple[float, float]) -> Field:
        """Return the distance to a round rod whose radius changes from one end to the other."""
        a, b = np.asarray(start, np.float32), np.asarray(end, np.float32)
        along = b - a
        px, py, pz = self.x - a[0], self.y - a[1], self.z - a[2]
        t = (px * along[0] + py * along[1] + pz * along[2]) / np.float32(along @ along)
        t = np.clip(t, 0, 1)
        px, py, pz = px - t * along[0], py - t * along[1], pz - t * along[2]
        radius = np.float32(radii[0]) + t * np.float32(radii[1] - radii[0])
        distance: Field = np.sqrt(px * px + py * py + pz * pz) - radius
        return distance


class Canvas:
    """The lattice being painted: ``top`` tissue, ``under`` tissue, ``part`` of the top one.

    ``low`` is the position of voxel (0, 0, 0), LPS mm; voxels are 1 mm, arrays (D, H, W) run along
    z, y, x. ``bend`` (3, a, b, c) are the shifts of standard space in mm at cubic B-spline knots,
    ``stretch`` its scale along x, y, z.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        low: Vector,
        *,
        stretch: Vector,
        rng: np.random.Generator,
        bend_mm: float,
    ) -> None:
        """Make an empty (all air) canvas whose space is bent at random by about ``bend_mm``."""
        self.shape, self.low, self.stretch = shape, low, stretch
        self.top = np.zeros(shape, np.uint8)
        self.under = np.zeros(shape, np.uint8)
        self.part = np.ones(shape, np.float32)
        self.bend = np.stack([bend_mm * knots(shape, rng, _KNOTS_MM) for _ in range(3)])

    def everywhere(self, step: int = 1) -> Box:
        """Return the whole lattice, or every ``step``-th voxel of it."""
        return self._box((slice(None), slice(None), slice(None)), step)

    def within(self, distance: Field, reach: float) -> Box:
        """Return the box around where ``distance`` (D, H, W) is below ``reach`` mm."""
        near = distance < reach
        found = []
        for axis in range(3):
            seen = np.flatnonzero(near.any(axis=tuple(k for k in range(3) if k != axis)))
            found.append(slice(int(seen[0]), int(seen[-1]) + 1))
        return self._box((found[0], found[1], found[2]), 1)

    def around(self, *corners: Vector, reach: float = 0.0) -> Box:
        """Return the box that holds standard-space ``corners`` and ``reach`` mm more."""
        points = np.asarray(corners, np.float64) * np.asarray(self.stretch)
        low = (points.min(axis=0) - reach - _MARGIN_MM - np.asarray(self.low))[::-1]
        high = (points.max(axis=0) + reach + _MARGIN_MM - np.asarray(self.low))[::-1]
        first = np.clip(np.floor(low), 0, np.asarray(self.shape) - 2).astype(int)
        last = np.clip(np.ceil(high), first + 2, self.shape).astype(int)
        d, h, w = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        return self._box((d, h, w), 1)

    def paint(
        self,
        box: Box,
        distance: Field,
        tissue: int,
        *,
        over: tuple[int, ...] | None = None,
    ) -> None:
        """Put ``tissue`` where ``distance`` is negative: ``over`` those, or all but air."""
        cover = np.float32(0.5) - distance
        wanted = cover > np.float32(0.03)
        top = self.top[box.slices]
        if over is None:
            wanted &= top > 0
        else:
            table = np.zeros(256, bool)
            table[list(over)] = True
            wanted &= table[top]
        self.under[box.slices][wanted] = top[wanted]
        top[wanted] = tissue
        self.part[box.slices][wanted] = np.minimum(cover[wanted], 1)

    def fill(self, distance: Field, tissue: int, *, over: tuple[int, ...] | None = None) -> None:
        """Paint a shape whose ``distance`` is given on the whole lattice, (D, H, W)."""
        whole = (slice(None), slice(None), slice(None))
        nothing = np.empty(0, np.float32)
        self.paint(Box(whole, nothing, nothing, nothing), distance, tissue, over=over)

    def rods(
        self,
        points: list[Vector],
        radii: list[float],
        tissue: int,
        *,
        over: tuple[int, ...] | None = None,
    ) -> None:
        """Paint a chain of rods through ``points`` with a radius at each."""
        for a, b, ra, rb in zip(points, points[1:], radii, radii[1:], strict=False):
            box = self.around(a, b, reach=max(ra, rb))
            self.paint(box, box.rod(a, b, (ra, rb)), tissue, over=over)

    def blob(
        self,
        centre: Vector,
        radii: Vector,
        tissue: int,
        *,
        over: tuple[int, ...] | None = None,
    ) -> None:
        """Paint an ellipsoid."""
        box = self.around(centre, reach=max(radii))
        self.paint(box, box.ellipsoid(centre, radii), tissue, over=over)

    def wave(self, box: Box, rng: np.random.Generator, knots_mm: float) -> Field:
        """Return smooth noise of spread about 1 on a box: a cubic B-spline through white knots."""
        coefficients = knots(self.shape, rng, knots_mm)
        axes = [
            np.arange(n, dtype=np.float64)[part][:: box.step]
            for n, part in zip(self.shape, box.slices, strict=True)
        ]
        return _spread(
            coefficients,
            [_bspline(a, knots_mm, k) for a, k in zip(axes, coefficients.shape, strict=True)],
        )

    def _box(self, slices: tuple[slice, slice, slice], step: int) -> Box:
        axes = [
            np.arange(n, dtype=np.float64)[part][::step]
            for n, part in zip(self.shape, slices, strict=True)
        ]
        bases = [_bspline(axis, _KNOTS_MM, self.bend.shape[k + 1]) for k, axis in enumerate(axes)]
        made = []
        for k in range(3):
            shift = _spread(self.bend[k], bases)
            plain = (axes[2 - k] + self.low[k]) / self.stretch[k]
            ends = [1, 1, 1]
            ends[2 - k] = -1
            shift += plain.astype(np.float32).reshape(ends)
            made.append(shift)
        return Box(slices, made[0], made[1], made[2], step)


def knots(
    shape: tuple[int, int, int], rng: np.random.Generator, knots_mm: float
) -> npt.NDArray[np.float64]:
    """Return white knots for a spline over a lattice of ``shape`` whose spread is about 1."""
    counts = tuple(int(np.ceil(n / knots_mm)) + 3 for n in shape)
    # B-splines flatten white knots to about a third of their spread; far outliers would tear
    made: npt.NDArray[np.float64] = np.clip(rng.normal(0, 3.1, counts), -8, 8)
    return made


def spline(
    coefficients: npt.NDArray[np.float64], shape: tuple[int, int, int], knots_mm: float
) -> Field:
    """Return the cubic B-spline of ``knots`` on a whole lattice of 1-mm voxels, (D, H, W)."""
    bases = [
        _bspline(np.arange(n, dtype=np.float64), knots_mm, k)
        for n, k in zip(shape, coefficients.shape, strict=True)
    ]
    return _spread(coefficients, bases)


def _spread(coefficients: npt.NDArray[np.float64], bases: list[npt.NDArray[np.float64]]) -> Field:
    """Return the tensor-product spline of ``coefficients`` (a, b, c) with a basis an axis."""
    rows = np.tensordot(coefficients, bases[2], axes=(2, 1))  # (a, b, W)
    planes = np.tensordot(rows, bases[1], axes=(1, 1)).transpose(0, 2, 1)  # (a, H, W)
    whole: Field = np.tensordot(  # (D, H, W)
        bases[0].astype(np.float32), planes.astype(np.float32), axes=(1, 0)
    )
    return whole


def _bspline(at: npt.NDArray[np.float64], knots_mm: float, count: int) -> npt.NDArray[np.float64]:
    """Return the cubic B-spline basis at positions ``at``, (N, count)."""
    u = np.abs(at[:, None] / knots_mm + 1 - np.arange(count)[None, :])
    inner, outer = 2 / 3 - u**2 + u**3 / 2, np.clip(2 - u, 0, None) ** 3 / 6
    basis: npt.NDArray[np.float64] = np.where(u < 1, inner, outer)
    return basis


def merge(a: Field, b: Field, soft: float) -> Field:
    """Return the distance to the union of two shapes, its corner rounded over ``soft`` mm."""
    h = np.clip(np.float32(0.5) + (b - a) / np.float32(2 * soft), 0, 1)
    joined: Field = b + (a - b) * h - np.float32(soft) * h * (1 - h)
    return joined


def finer(coarse: Field, shape: tuple[int, int, int]) -> Field:
    """Return a smooth field sampled at every second voxel, linearly filled in to ``shape``."""
    for axis in (2, 1, 0):  # the largest step last, along whole planes
        before = (slice(None),) * axis
        size = list(coarse.shape)
        size[axis] = shape[axis]
        fine = np.empty(size, np.float32)
        fine[(*before, slice(None, None, 2))] = coarse
        between = fine[(*before, slice(1, None, 2))]
        count, last = between.shape[axis], coarse.shape[axis] - 1
        upper = coarse[(*before, slice(1, count + 1))]
        np.add(
            coarse[(*before, slice(0, upper.shape[axis]))],
            upper,
            out=between[(*before, slice(0, upper.shape[axis]))],
        )
        if count > upper.shape[axis]:
            between[(*before, slice(count - 1, None))] = 2 * coarse[(*before, slice(last, None))]
        between *= np.float32(0.5)
        coarse = fine
    return coarse


class Noise:
    """Smooth periodic noise of one wavelength, spread 1, to be looked up anywhere."""

    def __init__(
        self, rng: np.random.Generator, wavelength_mm: float, *, band: float = 0.3
    ) -> None:
        """Draw the noise; ``band`` is the relative width of its spectrum."""
        size = 48
        self.step = wavelength_mm / 8.0
        f = np.fft.fftfreq(size)
        k = np.sqrt(f[:, None, None] ** 2 + f[None, :, None] ** 2 + f[None, None, :] ** 2)
        shape = np.exp(-((k * 8 - 1) ** 2) / (2 * band**2))
        white = rng.normal(size=(size, size, size))
        values = np.fft.ifftn(np.fft.fftn(white) * shape).real
        self.values = (values / values.std()).astype(np.float32)

    def __call__(self, x: Field, y: Field, z: Field) -> Field:
        """Return the noise at standard positions (mm)."""
        at = np.stack([np.asarray(axis, np.float32) / np.float32(self.step) for axis in (z, y, x)])
        values: Field = map_coordinates(
            self.values, at.reshape(3, -1), order=1, mode="grid-wrap", output=np.float32
        ).reshape(at.shape[1:])
        return values
