"""One head, made of shapes: its skin, skull and neck here, its brain and face in their own files.

Standard space is LPS mm with the origin between the thalami. A head is painted once on a 1-mm
lattice, from outside to inside; what a scanner sees of it is the business of ``appearance``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medfuse import seeds
from medfuse.geometry import Array64, Geometry
from medfuse.phantom import brain, face
from medfuse.phantom.canvas import Box, Canvas, Field, finer, knots, merge, spline
from medfuse.phantom.tissues import BRAIN, Tissue

_LOW = (-97.0, -134.0, -186.0)
_SHAPE = (292, 252, 195)
_MOTTLE_MM = 7.0


@dataclass(frozen=True, eq=False)
class Anatomy:
    """One head on its 1-mm lattice, in a frame of its own.

    ``top`` and ``under`` (D, H, W) uint8 are the two tissues of each voxel (see ``Tissue``),
    ``part`` float32 the fraction of the upper one. ``lesion`` says what was put into the brain.
    """

    seed: int
    geometry: Geometry
    top: npt.NDArray[np.uint8]
    under: npt.NDArray[np.uint8]
    part: Field
    mottle: npt.NDArray[np.float64]
    lesion: brain.Lesion

    def value(self, table: npt.NDArray[np.float32], *, mottled: float = 0.0) -> Field:
        """Return the lattice of a property, (D, H, W), from its value in each tissue, (T,).

        No tissue is alike everywhere: ``mottled`` is the spread of a smooth factor about 1.
        """
        mixed = np.take(table, self.top)
        under = np.take(table, self.under)
        mixed -= under
        mixed *= self.part
        mixed += under
        if mottled:
            factor = spline(self.mottle, self.geometry.shape, _MOTTLE_MM)
            factor *= np.float32(mottled)
            factor += 1
            mixed *= factor
        return mixed

    def brain_points(self, count: int, rng: np.random.Generator) -> Array64:
        """Return ``count`` random points of the brain, (N, 3) LPS mm in the head's own frame."""
        wanted = np.zeros(256, bool)
        wanted[list(BRAIN)] = True
        inside = np.flatnonzero(wanted[self.top] & (self.part > 0.5))
        chosen = rng.choice(inside, size=count, replace=False)
        return self.geometry.world(np.stack(np.unravel_index(chosen, self.top.shape), axis=1))


def head(seed: int) -> Anatomy:
    """Return the head of ``seed``: same seed, same head, to the bit.

    About 2 CPU-seconds and 300 MB.
    """
    rng = seeds.rng(seed, "phantom", "anatomy")
    w, length, h = 1 + np.clip(rng.normal(0, 0.025, 3), -0.05, 0.05)
    canvas = Canvas(_SHAPE, _LOW, stretch=(float(w), float(length), float(h)), rng=rng, bend_mm=1.6)
    coarse = canvas.everywhere(2)
    cavity_coarse = _cavity(coarse, _asymmetry(rng))
    cavity = finer(cavity_coarse, _SHAPE)
    _soft_parts(canvas, coarse, cavity_coarse, rng)
    _skull(canvas, cavity, cavity_coarse, coarse, rng)
    face.paint(canvas, rng)
    lesion = brain.paint(canvas, cavity, rng)
    matrix = np.eye(4)[:, [2, 1, 0, 3]].copy()
    matrix[:3, 3] = _LOW
    return Anatomy(
        seed=seed,
        geometry=Geometry(_SHAPE, matrix),
        top=canvas.top,
        under=canvas.under,
        part=canvas.part,
        mottle=knots(_SHAPE, rng, _MOTTLE_MM),
        lesion=lesion,
    )


@dataclass(frozen=True)
class _Asymmetry:
    front: float  # how much further the right frontal pole reaches, mm
    back: float  # how much further the left occipital pole reaches, mm


def _asymmetry(rng: np.random.Generator) -> _Asymmetry:
    return _Asymmetry(rng.uniform(2, 5), rng.uniform(2, 6))


def _cavity(box: Box, asymmetry: _Asymmetry) -> Field:
    """Return the distance to the inside of the skull."""
    turn = np.tanh(box.x / np.float32(20))
    ahead = np.clip(-box.y / 70, 0, 1) * turn * np.float32(asymmetry.front / 2)
    behind = np.clip(box.y / 70, 0, 1) * turn * np.float32(asymmetry.back / 2)
    bent = Box(box.slices, box.x, box.y - ahead - behind, box.z)
    inside = merge(
        bent.ellipsoid((0, 2, 17), (66, 82, 61)), bent.ellipsoid((0, -38, 2), (48, 44, 26)), 6
    )
    for side in (-1, 1):
        inside = merge(inside, bent.ellipsoid((side * 40, -14, -20), (25, 37, 21)), 8)
        inside = merge(inside, bent.ellipsoid((side * 22, 47, -27), (31, 31, 26)), 8)
    return merge(inside, bent.ellipsoid((0, 18, -34), (15, 20, 22)), 8)


def _soft_parts(canvas: Canvas, box: Box, cavity: Field, rng: np.random.Generator) -> None:
    """Paint skin, fat and muscle: everything under the surface of the head and neck."""
    surface = _surface(box, cavity, rng.uniform(4.5, 7.5))
    padding = canvas.wave(box, rng, 26.0)
    canvas.fill(finer(surface, canvas.shape), Tissue.SKIN, over=(Tissue.AIR,))
    canvas.fill(finer(surface + np.float32(2), canvas.shape), Tissue.FAT)
    face_fat = np.clip((-40 - box.z) / 40, 0, 1) * np.clip((20 - box.y) / 60, 0, 1)
    thickness = 3.6 + 0.8 * padding + 2.5 * face_fat
    canvas.fill(finer((surface + thickness).astype(np.float32), canvas.shape), Tissue.MUSCLE)


def _surface(box: Box, cavity: Field, scalp: float) -> Field:
    """Return the distance to the skin."""
    surface = cavity - np.float32(7.0 + scalp)
    surface = merge(surface, box.ellipsoid((0, -50, -44), (58, 47, 56)), 10)
    surface = merge(surface, box.ellipsoid((0, -88, -12), (34, 9, 13)), 8)
    surface = merge(surface, box.ellipsoid((0, -70, -82), (36, 31, 26)), 12)
    surface = merge(surface, box.ellipsoid((0, -76, -100), (24, 25, 14)), 10)
    for side in (-1, 1):
        surface = merge(surface, box.ellipsoid((side * 44, -32, -80), (19, 36, 26)), 14)
    surface = merge(surface, box.rod((0, 20, -50), (0, 24, -230), (54, 60)), 16)
    surface = merge(surface, box.rod((0, -94, -32), (0, -112, -56), (5, 10)), 7)
    for side in (-1, 1):
        surface = merge(surface, box.rod((0, -104, -59), (side * 10, -102, -59), (7, 6)), 5)
        surface = merge(surface, box.rod((side * 66, 16, -34), (side * 80, 22, -34), (13, 9)), 6)
        surface = merge(surface, box.ellipsoid((side * 80, 24, -32), (5, 16, 30)), 5)
        surface = np.maximum(surface, -box.ellipsoid((side * 89, 16, -33), (8, 8, 14)))
    for z in (-78, -85):
        surface = merge(surface, box.ellipsoid((0, -99, z), (21, 6, 4)), 3)
    return surface


def _skull(
    canvas: Canvas, cavity: Field, coarse_cavity: Field, box: Box, rng: np.random.Generator
) -> None:
    """Paint the brain case: two tables with diploe between, and the fluid inside."""
    base = np.clip((-18 - box.z) / 20, 0, 1)
    thick = 6.4 + 0.9 * canvas.wave(box, rng, 24.0) + 1.4 * np.clip(box.y / 80, -0.4, 1)
    thick = thick * (1 - 0.35 * base)
    outer = finer((coarse_cavity - thick).astype(np.float32), canvas.shape)
    canvas.fill(outer, Tissue.BONE)
    spongy = canvas.wave(box, rng, 6.0)
    inner_table = 1.7 + 0.35 * spongy + 3 * base
    diploe = np.maximum(inner_table - coarse_cavity, coarse_cavity - thick + 1.9 + 0.3 * spongy)
    canvas.fill(finer(diploe.astype(np.float32), canvas.shape), Tissue.MARROW, over=(Tissue.BONE,))
    canvas.fill(cavity, Tissue.DURA)
    canvas.fill(cavity + np.float32(0.8), Tissue.CSF)
