"""The brain: a folded cortex, its white matter and nuclei, ventricles, cerebellum, a lesion.

Gyri come from the zero sheets of a smooth noise that is constant along the depth of the cortex:
close to a sheet, and not too deep, lies a sulcus; the grey matter follows that surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medfuse.phantom.canvas import Box, Canvas, Field, Noise, Vector, merge
from medfuse.phantom.tissues import Tissue

_FLUID = (Tissue.CSF, Tissue.DURA)
_CORTEX_MM = 2.7


@dataclass(frozen=True)
class Lesion:
    """What was put into the brain: where and how large (diameters, mm)."""

    side: str  # "left" or "right"
    region: str  # "frontal", "parietal", "temporal", "occipital"
    centre: Vector  # standard space, LPS mm
    size_mm: float
    oedema_mm: float


def paint(canvas: Canvas, cavity: Field, rng: np.random.Generator) -> Lesion:
    """Paint the brain into the fluid inside the skull, and return its lesion.

    ``cavity`` (D, H, W) is the distance to the inside of the skull.
    """
    box = canvas.within(cavity, 1.0)
    inside = cavity[box.slices]
    hull, tent = _hulls(box, inside, rng)
    _cerebrum(canvas, box, hull, rng)
    _membranes(canvas, box, inside, tent)
    _callosum(canvas, box)
    _inner(canvas, rng)
    _cerebellum(canvas, cavity, rng)
    _stem(canvas)
    _vessels(canvas, box, inside)
    return _lesion(canvas, rng)


def _tentorium(box: Box) -> Field:
    """Return the height above the tentorium (mm, negative in the posterior fossa)."""
    sheet = 3 - 0.42 * np.abs(box.x) - 0.22 * (box.y - 20)
    front = 4 + 0.5 * np.abs(box.x)
    above, ahead = (box.z - sheet).astype(np.float32), (front - box.y).astype(np.float32)
    return np.float32(-0.9) * merge(-above, -ahead, 4)


def _hulls(box: Box, inside: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Return the distance to the unfolded cerebrum, and the height above the tentorium."""
    tent = _tentorium(box)
    gap = rng.uniform(1.4, 3.0)
    hull = np.maximum(inside + np.float32(gap), np.float32(1.4) - tent)
    cisterns = box.ellipsoid((0, 2, -22), (16, 25, 20))
    hull = np.maximum(hull, -cisterns)
    # the fissure between the hemispheres reaches down to the corpus callosum
    sway = 1.2 * np.sin((box.y + 20 * rng.normal()) / 35)
    callosum = np.sqrt(((box.y - 4) / 44) ** 2 + ((box.z - 0) / 29) ** 2)
    outside = (1 - callosum) * 32
    fissure = np.maximum(np.abs(box.x - sway) - np.float32(1.1), outside)
    hull = np.maximum(hull, -fissure)
    return hull.astype(np.float32), tent


def _cerebrum(canvas: Canvas, box: Box, hull: Field, rng: np.random.Generator) -> None:
    depth = -hull
    pial = np.minimum(depth, _sulci(canvas, box, depth, rng))
    pial = np.minimum(pial, _sylvian(box, rng)).astype(np.float32)
    canvas.paint(box, -pial, Tissue.GREY, over=_FLUID)
    ripple = 0.35 * canvas.wave(box, rng, 10.0)
    canvas.paint(box, _CORTEX_MM + ripple - pial, Tissue.WHITE, over=(Tissue.GREY,))


def _sulci(canvas: Canvas, box: Box, depth: Field, rng: np.random.Generator) -> Field:
    """Return the distance to the nearest sulcus, where the depth allows one."""
    folds = Noise(rng, 21.0)
    near = (depth > -3) & (depth < 26)
    x, y, z = box.x[near], box.y[near], box.z[near]  # (N,)
    side = np.where(x < 0, np.float32(-1), np.float32(1))
    px, py, pz = x - side * 26, y - np.float32(2), z - np.float32(10)
    radius = np.sqrt((px / 34) ** 2 + (py / 74) ** 2 + (pz / 52) ** 2) + np.float32(0.05)
    onto = radius**-0.8
    # the two sides read other places of the same noise: alike in kind, never mirrored
    qx, qy, qz = px * onto + side * 61, py * onto, pz * onto + side * 23
    qx = qx + 4 * canvas.wave(box, rng, 18.0)[near]
    value = np.zeros(depth.shape, np.float32)
    value[near] = folds(qx, qy, qz)
    slope = np.sqrt(sum(g[near] ** 2 for g in np.gradient(value)))
    sheet = np.abs(value[near]) / np.sqrt(slope**2 + np.float32(0.1) ** 2)
    limit = 17 + 4 * canvas.wave(box, rng, 20.0)[near]
    deep = depth[near]
    width = 0.9 * np.sqrt(np.clip(1 - deep / np.maximum(limit, 4), 0, 1)) + 0.1
    found = np.full(depth.shape, 50, np.float32)
    # towards the nuclei all sheets meet: no sulci there
    centre = (0.55 - radius) * 60
    found[near] = np.maximum(np.maximum(sheet - width, deep - limit), centre)
    return found


def _sylvian(box: Box, rng: np.random.Generator) -> Field:
    """Return the distance to the lateral fissures and the fluid over the insulae."""
    found = np.full(box.x.shape, 50, np.float32)
    for side in (-1, 1):
        rise = rng.uniform(0.25, 0.45)
        away = side * box.x
        middle = -6 + rise * (box.y + 30) + 2 * np.sin(box.y / 11 + rng.uniform(0, 6))
        cleft = np.maximum(np.abs(box.z - middle) - 1.3, 36 - away)
        cleft = np.maximum(cleft, np.abs(box.y + 2) - 30)
        island = np.abs(np.hypot(away - 15, (box.y + 4) / 2.2) - 24) - 0.9
        island = np.maximum(island, np.abs(box.z - middle - 1) - 13)
        island = np.maximum(island, np.maximum(30 - away, np.abs(box.y + 3) - 22))
        found = np.minimum(found, np.minimum(cleft, island))
    return found.astype(np.float32)


def _membranes(canvas: Canvas, box: Box, inside: Field, tent: Field) -> None:
    """Paint falx and tentorium."""
    callosum = np.sqrt(((box.y - 4) / 52) ** 2 + ((box.z + 2) / 40) ** 2)
    sway = np.abs(box.x)
    falx = np.maximum(sway - 0.7, np.maximum((1 - callosum) * 40, 1.0 - tent))
    canvas.paint(box, np.maximum(falx, inside).astype(np.float32), Tissue.DURA, over=_FLUID)
    sheet = np.maximum(np.abs(tent) - 0.7, inside)
    opening = box.ellipsoid((0, 16, -8), (19, 26, 24))
    canvas.paint(box, np.maximum(sheet, -opening).astype(np.float32), Tissue.DURA, over=_FLUID)


def _callosum(canvas: Canvas, box: Box) -> None:
    """Paint the white bridge between the hemispheres, and the wall between the ventricles."""
    ring = np.sqrt(((box.y - 4) / 44) ** 2 + ((box.z - 0) / 29) ** 2)
    arch = np.abs(ring - 0.89) * 34 - 3.6
    arch = np.maximum(arch, np.maximum(np.abs(box.x) - 14, -6 - box.z))
    canvas.paint(
        box, arch.astype(np.float32), Tissue.WHITE, over=(*_FLUID, Tissue.GREY, Tissue.WHITE)
    )


def _inner(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint the deep nuclei and the ventricles, the left one larger."""
    white = (Tissue.WHITE, Tissue.GREY)
    size = rng.uniform(0.8, 1.25)
    larger = rng.uniform(1.15, 1.4)
    for side in (-1, 1):
        wide = size * (larger if side > 0 else 1.0)
        canvas.blob((side * 11.5, 9, 4), (9.5, 15, 9.5), Tissue.THALAMUS, over=(*white, *_FLUID))
        canvas.blob((side * 26, -2, 3), (6, 18, 11), Tissue.STRIATUM, over=white)
        canvas.blob((side * 20, 1, 1), (4.2, 11, 7.5), Tissue.PALLIDUM, over=(*white, 9))
        canvas.rods(
            [(side * 14, -22, 7), (side * 17, -6, 19), (side * 22, 16, 20), (side * 27, 26, 8)],
            [7.0, 4.6, 3.0, 2.0],
            Tissue.STRIATUM,
            over=white,
        )
        over = (*white, Tissue.STRIATUM, Tissue.THALAMUS)
        horn: list[Vector] = [
            (side * 9.5, -30, 10),
            (side * 9, -12, 19),
            (side * 11, 12, 22),
            (side * 21, 32, 14),
        ]
        canvas.rods(
            horn, [2.6 * wide, 4.2 * wide, 4.6 * wide, 6.4 * wide], Tissue.VENTRICLE, over=over
        )
        canvas.rods([horn[0], horn[1]], [3.4 * wide, 3.0 * wide], Tissue.VENTRICLE, over=over)
        canvas.rods(
            [horn[3], (side * 27, 52, 8)], [5.4 * wide, 1.6 * wide], Tissue.VENTRICLE, over=over
        )
        canvas.rods(
            [horn[3], (side * 31, 20, -8), (side * 34, -6, -18)],
            [5.2 * wide, 3.0 * wide, 2.0 * wide],
            Tissue.VENTRICLE,
            over=over,
        )
        canvas.blob((side * 21, 31, 12), (2.6, 5.5, 2.6), Tissue.BLOOD, over=(Tissue.VENTRICLE,))
        canvas.blob((side * 21, 33, 12), (1.5, 2.0, 1.5), Tissue.CALCIUM, over=(Tissue.BLOOD,))
        canvas.rods(
            [(side * 25, 4, -20), (side * 25, -10, -22)],
            [4.5, 6.5],
            Tissue.GREY,
            over=(Tissue.WHITE,),
        )
    canvas.blob(
        (0, 4, 1), (2.0 * size, 13, 11), Tissue.VENTRICLE, over=(*white, Tissue.THALAMUS, *_FLUID)
    )
    canvas.blob((0, 27, 3), (2.6, 3.6, 2.4), Tissue.CALCIUM)


def _cerebellum(canvas: Canvas, cavity: Field, rng: np.random.Generator) -> None:
    box = canvas.around((-58, 14, -66), (58, 84, 4))
    inner = cavity[box.slices]
    left = box.ellipsoid((24, 50, -31), (27, 28, 21))
    hull = np.minimum(left, box.ellipsoid((-24, 50, -31), (27, 28, 21)))
    hull = merge(hull, box.ellipsoid((0, 47, -24), (12, 27, 22)), 3)
    hull = np.maximum(hull, np.maximum(inner + 1.8, _tentorium(box) + 1.6))
    ventricle = box.ellipsoid((0, 32, -30), (7, 8, 13))
    depth = np.minimum(-hull, ventricle).astype(np.float32)
    angle = np.arctan2(box.z + 28 + 0.12 * np.abs(box.x), box.y - 30 - 0.25 * np.abs(box.x))
    angle = angle + 0.04 * canvas.wave(box, rng, 14.0)
    waves = np.sin(angle * 24)
    fine = np.abs(waves) * 1.15
    big = np.abs(np.sin(angle * 6)) * 4.5
    folded = np.minimum(np.maximum(fine - 0.4, depth - 6), np.maximum(big - 0.7, depth - 14))
    pial = np.minimum(depth, folded).astype(np.float32)
    canvas.paint(box, -pial, Tissue.CEREBELLAR_GREY, over=_FLUID)
    canvas.paint(
        box,
        (2.2 - np.minimum(depth - 4.5, big + 0.2 * depth - 1.2)).astype(np.float32),
        Tissue.CEREBELLAR_WHITE,
        over=(Tissue.CEREBELLAR_GREY,),
    )
    for side in (-1, 1):
        canvas.blob((side * 14, 41, -30), (6, 6, 4), Tissue.CEREBELLAR_GREY)
        canvas.rods(
            [(side * 8, 12, -27), (side * 16, 26, -29), (side * 17, 42, -31)],
            [6, 6, 5],
            Tissue.CEREBELLAR_WHITE,
        )


def _stem(canvas: Canvas) -> None:
    for side in (-1, 1):
        canvas.rods(
            [(side * 14, 3, -4), (side * 6, 10, -18)],
            [6, 7],
            Tissue.BRAIN_STEM,
            over=(*_FLUID, Tissue.GREY, Tissue.WHITE),
        )
    canvas.rods([(0, 16, -4), (0, 15, -18)], [8, 10], Tissue.BRAIN_STEM)
    canvas.blob((0, 11, -27), (15, 13, 13.5), Tissue.BRAIN_STEM)
    canvas.rods([(0, 15, -36), (0, 25, -56)], [9.5, 6.5], Tissue.BRAIN_STEM)
    canvas.rods([(0, 25, -58), (0, 33, -76), (0, 31, -196)], [6.3, 5.5, 5.0], Tissue.CORD)
    canvas.rods([(0, 22, -10), (0, 25, -20)], [1.0, 1.4], Tissue.VENTRICLE)
    canvas.blob((0, 28, -30), (5.5, 5, 9), Tissue.VENTRICLE)
    canvas.rods([(0, -13, -18), (0, -14, -26)], [1.5, 4.5], Tissue.GLAND, over=(*_FLUID, 4))


def _vessels(canvas: Canvas, box: Box, inside: Field) -> None:
    """Paint the sinuses of the dura and the larger arteries."""
    near = np.hypot(box.x, (inside + 2.5) * 0.9) - 3.2
    sagittal = np.maximum(near, np.maximum(-4 - box.z, -70 - box.y))
    canvas.paint(box, sagittal.astype(np.float32), Tissue.BLOOD, over=_FLUID)
    canvas.rods(
        [(0, 8, -58), (0, -3, -38), (0, -3, -20)], [1.6, 1.6, 1.4], Tissue.BLOOD, over=_FLUID
    )
    for side in (-1, 1):
        canvas.rods(
            [
                (side * 11, -14, -22),
                (side * 12, -12, -14),
                (side * 34, -12, -10),
                (side * 40, 4, -2),
            ],
            [2.0, 1.8, 1.4, 1.0],
            Tissue.BLOOD,
            over=_FLUID,
        )
        canvas.rods(
            [(side * 12, -12, -14), (side * 1.5, -26, -10), (side * 1.5, -46, 8)],
            [1.5, 1.2, 1.0],
            Tissue.BLOOD,
            over=_FLUID,
        )
        canvas.rods(
            [(side * 4, 84, -10), (side * 40, 66, -20), (side * 54, 34, -26)],
            [3.4, 3.2, 3.0],
            Tissue.BLOOD,
            over=(*_FLUID, Tissue.BONE),
        )


_PLACES: dict[str, Vector] = {
    "frontal": (30, -42, 26),
    "parietal": (34, 36, 40),
    "temporal": (46, 0, -14),
    "occipital": (26, 62, 16),
}


def _lesion(canvas: Canvas, rng: np.random.Generator) -> Lesion:
    """Paint a tumour: necrotic core, enhancing rim, oedema along the white matter."""
    side = 1 if rng.random() < 0.5 else -1
    region = str(rng.choice(list(_PLACES)))
    x, y, z = _PLACES[region]
    centre = (side * (x + rng.normal(0, 3)), y + rng.normal(0, 5), z + rng.normal(0, 4))
    radius, spread = rng.uniform(8, 16), rng.uniform(8, 18)
    box = canvas.around(centre, reach=radius + spread + 8)
    rough = Noise(rng, 22.0)(box.x, box.y, box.z)
    fine = Noise(rng, 9.0)(box.x, box.y, box.z)
    shape = box.ellipsoid(centre, (radius, radius * rng.uniform(0.8, 1.2), radius)) + (
        1.8 * rough + 0.5 * fine
    )
    swollen = shape - np.float32(spread) + 4 * rough
    canvas.paint(box, swollen, Tissue.OEDEMA, over=(Tissue.WHITE,))
    parts = (*_FLUID, Tissue.WHITE, Tissue.GREY, Tissue.OEDEMA, Tissue.STRIATUM)
    inside = canvas.top[box.slices] == Tissue.CSF
    canvas.paint(box, np.where(inside, shape + 4, shape), Tissue.RIM, over=parts)
    canvas.paint(box, shape + rng.uniform(2.2, 4.0) + rough, Tissue.CORE, over=(Tissue.RIM,))
    name = "left" if side > 0 else "right"
    return Lesion(name, region, centre, float(2 * radius), float(2 * (radius + spread)))
