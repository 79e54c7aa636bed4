"""What lies below and before the brain: eyes, sinuses, jaws, airway, spine, vessels, ears."""

from __future__ import annotations

import numpy as np

from medfuse.phantom.canvas import Canvas, Noise, Vector
from medfuse.phantom.tissues import Tissue

_FLESH = (Tissue.SKIN, Tissue.FAT, Tissue.MUSCLE)
_SOFT = (*_FLESH, Tissue.GLAND, Tissue.MUCOSA)
_AROUND_AIR = (*_SOFT, Tissue.BONE, Tissue.MARROW, Tissue.FACE_MARROW, Tissue.CARTILAGE)


def paint(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint everything of the head but the brain into a canvas that has skin and skull."""
    _neck(canvas, rng)
    _base(canvas, rng)
    _jaws(canvas, rng)
    _nose(canvas, rng)
    for side in (-1, 1):
        _orbit(canvas, side, rng)
        _ear(canvas, side)


def _neck(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint spine, cord, vessels, glands and the layers of neck muscle."""
    flesh = canvas.around((-62, -60, -196), (62, 90, -44))
    planes = Noise(rng, 26.0)
    value = planes(flesh.x, flesh.y, flesh.z * np.float32(0.25))
    slope = np.hypot(*np.gradient(value, axis=(1, 2)))
    sheet = np.abs(value) / np.maximum(slope, np.float32(0.06)) - np.float32(0.35)
    canvas.paint(flesh, sheet, Tissue.FAT, over=(Tissue.MUSCLE,))
    spacing = rng.uniform(15.5, 18)
    for level in range(8):
        z = -66.0 - spacing * level
        y = 17.0 - 5 * np.sin((level + 0.5) / 7 * np.pi)
        canvas.blob((0, y, z), (11, 8.5, spacing * 0.45), Tissue.BONE)
        canvas.blob((0, y, z), (9, 6.5, spacing * 0.36), Tissue.FACE_MARROW)
        canvas.blob((0, y, z - spacing / 2), (9.5, 7.5, 2.2), Tissue.CARTILAGE)
        for side in (-1, 1):
            canvas.rods(
                [(side * 11, y + 6, z), (side * 17, y + 14, z), (side * 3, y + 33, z - 3)],
                [4.5, 5.5, 2.8],
                Tissue.BONE,
            )
            canvas.blob((side * 16, y + 13, z), (3.2, 3.2, 4.5), Tissue.FACE_MARROW)
        canvas.rods([(0, y + 33, z - 3), (0, y + 46, z - 7)], [3.2, 3.0], Tissue.BONE)
    canvas.rods([(0, 26, -52), (0, 33, -76), (0, 31, -196)], [13, 9.5, 9], Tissue.CSF)
    for side in (-1, 1):
        canvas.rods(
            [(side * 22, -4, -196), (side * 27, -2, -100), (side * 26, -2, -52)],
            [3.6, 3.4, 2.8],
            Tissue.BLOOD,
            over=(*_SOFT, Tissue.BONE),
        )
        canvas.rods(
            [(side * 29, 4, -196), (side * 34, 6, -100), (side * 31, 12, -50)],
            [5.0, 4.5, 4.0],
            Tissue.BLOOD,
            over=(*_SOFT, Tissue.BONE),
        )
        canvas.blob((side * 60, 0, -62), (9, 15, 21), Tissue.GLAND, over=_FLESH)
        canvas.blob((side * 32, -42, -104), (10, 14, 10), Tissue.GLAND, over=_FLESH)
        canvas.blob((side * 15, -22, -168), (9, 9, 22), Tissue.GLAND, over=_FLESH)


def _base(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint the bones under the brain with their air cells."""
    canvas.blob((0, -20, -35), (20, 20, 15), Tissue.BONE, over=(*_FLESH, Tissue.CSF, Tissue.DURA))
    canvas.rods([(0, -6, -36), (0, 12, -58)], [8, 6], Tissue.BONE, over=_FLESH)
    canvas.rods([(0, -5, -36), (0, 10, -56)], [5, 3.5], Tissue.FACE_MARROW, over=(Tissue.BONE,))
    cells = Noise(rng, 7.0)
    for side in (-1, 1):
        ridge = (side * 16.0, 0.0, -31.0), (side * 50.0, 22.0, -32.0)
        canvas.rods([*ridge], [6, 10], Tissue.BONE)
        mastoid = canvas.around((side * 56, 26, -46), reach=18)
        shape = mastoid.ellipsoid((side * 56, 26, -46), (13, 14, 18))
        canvas.paint(mastoid, shape, Tissue.BONE, over=(*_SOFT, Tissue.BONE))
        room = np.maximum(
            shape + 3, -2.2 * cells(mastoid.x, mastoid.y, mastoid.z) - rng.uniform(0, 1.2)
        )
        canvas.paint(mastoid, room, Tissue.AIR, over=(Tissue.BONE,))
        canvas.rods(
            [(side * 40, 12, -34), (side * 31, 8, -32)], [3.5, 2], Tissue.CSF, over=(Tissue.BONE,)
        )
    for side in (-1, 1):
        _hollow(canvas, (side * rng.uniform(5, 7.5), -22, -34), (7.5, 11, 8.5), thick=1.0)


def _hollow(canvas: Canvas, centre: Vector, radii: Vector, *, thick: float = 1.4) -> None:
    """Paint a sinus: thin bone, its lining, air."""
    for more, tissue in ((thick + 1.3, Tissue.BONE), (thick, Tissue.MUCOSA), (0.0, Tissue.AIR)):
        grown = (radii[0] + more, radii[1] + more, radii[2] + more)
        canvas.blob(centre, grown, tissue, over=_AROUND_AIR)


def _nose(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint the nasal cavity, its sinuses and the airway down to the windpipe."""
    for side in (-1, 1):
        _hollow(
            canvas,
            (side * 28, -62, -56 + rng.normal(0, 1.5)),
            (rng.uniform(11, 14), rng.uniform(14, 17), rng.uniform(13, 17)),
        )
        _hollow(
            canvas,
            (side * rng.uniform(8, 12), -87, rng.uniform(-8, -2)),
            (rng.uniform(6, 9), rng.uniform(2.5, 4), rng.uniform(6, 10)),
        )
        for y in (-52, -62, -72):
            _hollow(canvas, (side * 8, y, -27 + rng.normal(0, 1)), (4.5, 5, 8), thick=0.7)
    cavity = canvas.around((-14, -100, -70), (14, -38, -34))
    shape = cavity.ellipsoid((0, -70, -51), (13, 31, 18))
    canvas.paint(cavity, shape - 1.5, Tissue.MUCOSA)
    canvas.paint(cavity, shape, Tissue.AIR)
    sway = rng.normal(0, 1.5) * np.sin((cavity.y + 100) / 12)
    canvas.paint(
        cavity,
        np.maximum(np.abs(cavity.x - sway) - 1.6, shape - 1),
        Tissue.CARTILAGE,
        over=(Tissue.AIR,),
    )
    canvas.rods([(0, -94, -36), (0, -109, -57)], [3, 5], Tissue.CARTILAGE, over=_FLESH)
    for side in (-1, 1):
        for z, r in ((-62, 4.6), (-52, 3.8), (-43, 2.6)):
            canvas.rods(
                [(side * 8.0, -92, z), (side * 8.0, -48, z)],
                [r, r],
                Tissue.MUCOSA,
                over=(Tissue.AIR,),
            )
        canvas.rods(
            [(side * 6, -90, -58), (side * 6, -104, -66)],
            [3.5, 3.2],
            Tissue.AIR,
            over=(*_SOFT, Tissue.CARTILAGE),
        )
    canvas.rods(
        [(0, -44, -54), (0, -30, -66), (0, -24, -88), (0, -22, -118)],
        [8.5, 9, 6.5, 6],
        Tissue.MUCOSA,
        over=(*_SOFT, Tissue.BONE),
    )
    canvas.rods(
        [(0, -44, -54), (0, -30, -66), (0, -24, -88), (0, -22, -118)],
        [7.5, 7.5, 5, 5],
        Tissue.AIR,
        over=(*_SOFT, Tissue.BONE),
    )
    canvas.rods([(0, -22, -118), (0, -20, -200)], [11, 11], Tissue.CARTILAGE)
    canvas.rods([(0, -22, -116), (0, -20, -200)], [8, 8.5], Tissue.AIR)


def _jaws(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint upper jaw, palate, tongue, lower jaw and the teeth (some are filled)."""
    canvas.blob((0, -68, -66), (29, 27, 13), Tissue.BONE, over=_FLESH)
    canvas.blob((0, -68, -66), (26, 24, 10), Tissue.FACE_MARROW, over=(Tissue.BONE,))
    mouth = (23.0, 30.0, 14.0)
    canvas.blob((0, -60, -84), mouth, Tissue.MUCOSA)
    canvas.blob((0, -60, -82.5), (22, 30, 14), Tissue.AIR)
    canvas.blob((0, -55, -89), (21, 31, 17.5), Tissue.MUSCLE, over=(*_SOFT, Tissue.AIR))
    canvas.rods([(0, -48, -92), (0, -66, -100)], [5, 3], Tissue.FAT, over=(Tissue.MUSCLE,))
    for side in (-1, 1):
        chain: list[Vector] = [
            (side * 50, -4, -44),
            (side * 49, -12, -70),
            (side * 45, -26, -96),
            (side * 30, -62, -104),
            (side * 12, -86, -106),
            (0, -90, -107),
        ]
        canvas.rods(chain, [5, 5.5, 6, 6, 7, 7], Tissue.BONE, over=_SOFT)
        canvas.rods(chain, [2, 3, 3.4, 3.6, 4, 4], Tissue.FACE_MARROW, over=(Tissue.BONE,))
        cheek: list[Vector] = [
            (side * 66, -4, -36),
            (side * 66, -34, -42),
            (side * 54, -64, -44),
            (side * 36, -82, -50),
        ]
        canvas.rods(cheek, [3, 3, 5.5, 6], Tissue.BONE, over=_SOFT)
        canvas.rods(
            [(side * 56, -36, -58), (side * 50, -20, -90)], [9, 8], Tissue.MUSCLE, over=_FLESH
        )
    for row, (z, height) in enumerate(((-75.0, 7.0), (-93.0, -7.0))):
        for number in range(14):
            angle = (number - 6.5) / 6.5 * 1.35
            x, y = 25 * np.sin(angle), -56 - 33 * np.cos(angle) + 2.5 * row
            r = 2.5 + 1.3 * abs(number - 6.5) / 6.5
            if rng.random() < 0.08:
                continue
            canvas.rods([(x, y, z + height), (x, y, z)], [r * 0.6, r], Tissue.BONE)
            canvas.rods([(x, y, z + height * 0.2), (x, y, z - height * 0.5)], [r, r], Tissue.TOOTH)


def _orbit(canvas: Canvas, side: int, rng: np.random.Generator) -> None:
    """Paint one eye with its fat, muscles and nerve."""
    look = (side * 31 + rng.normal(0, 1), -77.0, -29 + rng.normal(0, 0.8))
    room = canvas.around((side * 31, -60, -29), reach=34)
    cone = room.rod((side * 32, -74, -29), (side * 13, -38, -26), (17, 6))
    canvas.paint(room, cone - 1.5, Tissue.BONE, over=(*_FLESH, Tissue.MUCOSA, Tissue.FACE_MARROW))
    front = np.minimum(
        room.ellipsoid((side * 32, -98, -29), (20, 15, 16)),
        room.ellipsoid((side * 32, -97, -12), (18, 16, 8)),
    )
    canvas.paint(room, cone, Tissue.FAT, over=(*_FLESH, Tissue.BONE, Tissue.MUCOSA))
    canvas.paint(room, front, Tissue.SKIN, over=(Tissue.BONE, Tissue.FAT))
    apex = (side * 13.0, -42.0, -26.0)
    for dx, dz in ((10.5, 0.0), (-10.5, 0.0), (0.0, 10.5), (0.0, -10.5)):
        canvas.rods(
            [
                (look[0] + dx, look[1] + 4, look[2] + dz),
                (look[0] - side * 9 + dx * 0.7, -58.0, -28 + dz * 0.7),
                apex,
            ],
            [1.2, 2.1, 1.2],
            Tissue.MUSCLE,
        )
    canvas.rods(
        [(look[0], look[1] + 10, look[2]), apex, (side * 4.0, -24.0, -15.0)],
        [2.0, 2.0, 2.0],
        Tissue.CORD,
    )
    canvas.blob(look, (12.6, 12.6, 12.4), Tissue.MUSCLE)
    canvas.blob(look, (11.6, 11.6, 11.4), Tissue.VITREOUS)
    canvas.blob((look[0], look[1] - 8.5, look[2]), (4.6, 2.2, 4.6), Tissue.LENS)


def _ear(canvas: Canvas, side: int) -> None:
    """Paint the outer ear's cartilage and canal, the middle and the inner ear."""
    canvas.rods(
        [(side * 88, 16, -34), (side * 66, 14, -37), (side * 50, 13, -39)],
        [4, 3.2, 2.8],
        Tissue.AIR,
        over=(*_SOFT, Tissue.BONE, Tissue.CARTILAGE),
    )
    flap = canvas.around((side * 80, 24, -32), reach=32)
    inner = flap.ellipsoid((side * 80, 24, -32), (2.4, 13, 25))
    canvas.paint(flap, inner, Tissue.CARTILAGE, over=(Tissue.SKIN, Tissue.FAT))
    canvas.blob((side * 48, 13, -38), (3, 4, 4.5), Tissue.AIR, over=(Tissue.BONE,))
    for turn in range(3):
        at = (side * (36.0 + 2 * turn), 6.0 + 4 * turn, -32.0)
        canvas.blob(at, (1.8, 1.8, 2.6), Tissue.CSF, over=(Tissue.BONE,))
