"""What a scanner sees of a head: contrast, slice profile, noise, and the scanner's own traces.

A scan is made in the scanner's frame. Magnetic resonance: a smooth receive field, Rician noise.
CT: HU, a head holder that does not move with the head. PET: SUV, a 6.5-mm point spread, noise of
the grain that a reconstruction leaves.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import gaussian_filter

from medfuse.geometry import Array64, Geometry
from medfuse.modality import MODALITIES
from medfuse.phantom.anatomy import Anatomy
from medfuse.phantom.canvas import Field
from medfuse.phantom.tissues import Tissue as T
from medfuse.resampling import resample
from medfuse.transform import Affine
from medfuse.volume import Volume

# signal of each tissue: arbitrary units (white matter of T1 is 1), HU, SUV
_T1 = {
    T.SKIN: 0.55, T.FAT: 1.3, T.MUSCLE: 0.48, T.BONE: 0.07, T.MARROW: 0.72, T.CSF: 0.2,
    T.GREY: 0.66, T.WHITE: 1.0, T.STRIATUM: 0.74, T.THALAMUS: 0.82, T.PALLIDUM: 0.88,
    T.CEREBELLAR_GREY: 0.66, T.CEREBELLAR_WHITE: 0.98, T.BRAIN_STEM: 0.93, T.DURA: 0.32,
    T.VITREOUS: 0.16, T.LENS: 0.4, T.MUCOSA: 0.52, T.TOOTH: 0.05, T.CARTILAGE: 0.42,
    T.BLOOD: 0.3, T.GLAND: 0.68, T.OEDEMA: 0.74, T.RIM: 0.6, T.CORE: 0.36, T.CALCIUM: 0.2,
    T.VENTRICLE: 0.19, T.FACE_MARROW: 1.0,
    T.CORD: 0.93,
}  # fmt: skip
_ENHANCED = {
    T.BLOOD: 1.5, T.RIM: 1.45, T.MUCOSA: 1.05, T.GLAND: 0.95, T.DURA: 0.6, T.MUSCLE: 0.56,
    T.CORE: 0.4, T.SKIN: 0.65,
}  # fmt: skip
_T2 = {
    T.SKIN: 0.3, T.FAT: 0.62, T.MUSCLE: 0.2, T.BONE: 0.04, T.MARROW: 0.42, T.CSF: 1.0,
    T.GREY: 0.5, T.WHITE: 0.36, T.STRIATUM: 0.44, T.THALAMUS: 0.42, T.PALLIDUM: 0.3,
    T.CEREBELLAR_GREY: 0.5, T.CEREBELLAR_WHITE: 0.38, T.BRAIN_STEM: 0.38, T.DURA: 0.22,
    T.VITREOUS: 1.05, T.LENS: 0.2, T.MUCOSA: 0.75, T.TOOTH: 0.03, T.CARTILAGE: 0.3,
    T.BLOOD: 0.1, T.GLAND: 0.5, T.OEDEMA: 0.78, T.RIM: 0.6, T.CORE: 0.9, T.CALCIUM: 0.08,
    T.VENTRICLE: 1.0, T.FACE_MARROW: 0.5,
    T.CORD: 0.38,
}  # fmt: skip
_FLAIR = {
    T.SKIN: 0.4, T.FAT: 0.75, T.MUSCLE: 0.3, T.BONE: 0.04, T.MARROW: 0.5, T.CSF: 0.1,
    T.GREY: 0.62, T.WHITE: 0.5, T.STRIATUM: 0.58, T.THALAMUS: 0.55, T.PALLIDUM: 0.45,
    T.CEREBELLAR_GREY: 0.6, T.CEREBELLAR_WHITE: 0.5, T.BRAIN_STEM: 0.5, T.DURA: 0.3,
    T.VITREOUS: 0.15, T.LENS: 0.3, T.MUCOSA: 0.8, T.TOOTH: 0.03, T.CARTILAGE: 0.35,
    T.BLOOD: 0.12, T.GLAND: 0.6, T.OEDEMA: 1.0, T.RIM: 0.85, T.CORE: 0.45, T.CALCIUM: 0.1,
    T.VENTRICLE: 0.09, T.FACE_MARROW: 0.6,
    T.CORD: 0.5,
}  # fmt: skip
_CT = {
    T.AIR: -1000, T.SKIN: 20, T.FAT: -95, T.MUSCLE: 55, T.BONE: 1150, T.MARROW: 480, T.CSF: 8,
    T.GREY: 38, T.WHITE: 29, T.STRIATUM: 38, T.THALAMUS: 36, T.PALLIDUM: 41,
    T.CEREBELLAR_GREY: 38, T.CEREBELLAR_WHITE: 30, T.BRAIN_STEM: 31, T.DURA: 60,
    T.VITREOUS: 8, T.LENS: 85, T.MUCOSA: 40, T.TOOTH: 2300, T.CARTILAGE: 110, T.BLOOD: 50,
    T.GLAND: 25, T.OEDEMA: 19, T.RIM: 42, T.CORE: 22, T.CALCIUM: 280, T.VENTRICLE: 6,
    T.FACE_MARROW: 260,
    T.CORD: 31,
}  # fmt: skip
_PET = {
    T.SKIN: 0.5, T.FAT: 0.3, T.MUSCLE: 0.9, T.BONE: 0.5, T.MARROW: 1.0, T.CSF: 0.4,
    T.GREY: 9.0, T.WHITE: 2.9, T.STRIATUM: 9.8, T.THALAMUS: 8.6, T.PALLIDUM: 6.0,
    T.CEREBELLAR_GREY: 7.0, T.CEREBELLAR_WHITE: 3.2, T.BRAIN_STEM: 4.6, T.DURA: 0.9,
    T.VITREOUS: 0.5, T.LENS: 0.5, T.MUCOSA: 2.4, T.TOOTH: 0.2, T.CARTILAGE: 0.8,
    T.BLOOD: 1.6, T.GLAND: 2.2, T.OEDEMA: 2.0, T.RIM: 10.0, T.CORE: 1.4, T.CALCIUM: 0.5,
    T.VENTRICLE: 0.4, T.FACE_MARROW: 1.2,
    T.CORD: 2.2,
}  # fmt: skip
_SIGNALS: dict[str, Mapping[T, float]] = {
    "T1": _T1,
    "T1CE": {**_T1, **_ENHANCED},
    "T2": _T2,
    "FLAIR": _FLAIR,
    "CT": _CT,
    "PET": _PET,
}
_MOTTLED = {"T1": 0.03, "T1CE": 0.03, "T2": -0.04, "FLAIR": -0.03, "CT": 0.0, "PET": 0.1}
_BIAS = 0.25
_PET_FWHM_MM = 6.5
_FWHM = 2.3548  # of a Gaussian, in standard deviations


def scan(
    anatomy: Anatomy,
    name: str,
    *,
    geometry: Geometry,
    rng: np.random.Generator,
    moving_from_anatomy: Array64 | None = None,
    noise: float = 1.0,
) -> Volume:
    """Return what scanner ``name`` (T1, T1CE, T2, FLAIR, CT, PET) sees of a head on a grid.

    ``geometry`` lies in the scanner's frame (the table below the head is at +y), and
    ``moving_from_anatomy`` (4, 4) carries the head into it. ``noise`` scales the noise.
    """
    pose = np.eye(4) if moving_from_anatomy is None else moving_from_anatomy
    steps = (2, 2, 2) if name == "PET" else _substeps(geometry)
    fine = geometry.respace(
        tuple(s / k for s, k in zip(geometry.spacing, steps, strict=True))  # type: ignore[arg-type]
    )
    signal = Volume(
        anatomy.value(_table(name, rng), mottled=_MOTTLED[name]),
        anatomy.geometry,
        MODALITIES["CT" if name == "CT" else "T1"],
    )
    seen = resample(signal, fine, Affine(pose).inverse())
    array = seen.array.copy()
    del signal, seen
    if name == "PET":
        array = _pet(array, fine, rng, noise)
    array = _average(array, steps)
    if name == "CT":
        array = _ct(array, geometry, rng, noise)
    elif name != "PET":
        array = _mr(array, rng, noise)
    return Volume(array, geometry, MODALITIES[name])


def _table(name: str, rng: np.random.Generator) -> Field:
    """Return the signal of each tissue, a little different in every scan, (256,)."""
    table = np.zeros(256, np.float32)
    spread = 12.0 if name == "CT" else 0.0
    for tissue, value in _SIGNALS[name].items():
        factor = 1 if name == "CT" else 1 + 0.03 * rng.normal()
        table[tissue] = value * factor
    if name == "CT":
        table[T.BONE] += 6 * spread * rng.normal()
        table[T.MARROW] += 5 * spread * rng.normal()
    if name == "PET":
        table *= np.float32(rng.uniform(0.75, 1.2))  # uptake differs from patient to patient
    return table


def _substeps(geometry: Geometry) -> tuple[int, int, int]:
    """Return into how many parts each voxel is cut to integrate over it."""
    d, h, w = (max(1, int(np.ceil(s / 1.05))) for s in geometry.spacing)
    return d, h, w


def _average(array: Field, steps: tuple[int, int, int]) -> Field:
    """Return the means of blocks of ``steps`` samples, (D, H, W)."""
    for axis, count in enumerate(steps):
        if count > 1:
            shape = list(array.shape)
            shape[axis : axis + 1] = [shape[axis] // count, count]
            array = array.reshape(shape).mean(axis=axis + 1)
    return array


def _mr(array: Field, rng: np.random.Generator, noise: float) -> Field:
    """Return the signal under a smooth receive field with Rician noise, in arbitrary units."""
    array *= _receive_field(array.shape, rng)
    sigma = np.float32(0.03 * noise)
    shape = array.shape
    array += sigma * rng.standard_normal(shape, np.float32)
    other = sigma * rng.standard_normal(shape, np.float32)
    magnitude: Field = np.hypot(array, other) * np.float32(rng.uniform(250, 1200))
    return magnitude


def _receive_field(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    """Return a smooth field from about 1 - 25 % to 1 + 25 %, (D, H, W)."""
    parts = []
    for size in shape:
        u = np.linspace(-1, 1, size)
        parts.append(np.stack([u**0, u, u**2 - 1 / 3]).astype(np.float32))  # (3, size)
    weights = rng.normal(size=(3, 3, 3)).astype(np.float32)
    weights[0, 0, 0] = 0
    a, b, c = np.indices((3, 3, 3))
    weights /= 1 + (a + b + c) ** 2
    field = np.einsum("abc,cw->abw", weights, parts[2])
    field = np.einsum("abw,bh->ahw", field, parts[1])
    whole = np.tensordot(parts[0].T, field, axes=(1, 0))
    whole *= np.float32(_BIAS / max(float(np.abs(whole).max()), 1e-6))
    whole += 1
    made: Field = whole
    return made


def _ct(array: Field, geometry: Geometry, rng: np.random.Generator, noise: float) -> Field:
    """Add head holder and noise to HU, slice by slice."""
    sideways, centre, radius = rng.normal(0, 3), rng.uniform(-14, -4), 112.0
    rows, columns = np.indices(array.shape[1:], dtype=np.float32)
    matrix = geometry.world_from_voxel.astype(np.float32)
    for d, plane in enumerate(array):
        x, y, z = (
            matrix[k, 0] * d + matrix[k, 1] * rows + matrix[k, 2] * columns + matrix[k, 3]
            for k in range(3)
        )
        reach = np.hypot(x - np.float32(sideways), y - np.float32(centre)) - np.float32(radius)
        below = (y > centre + 28) & (z < 95)
        shell = np.clip(1.9 - np.abs(reach), 0, 1) * below
        foam = np.clip(np.minimum(-1.5 - reach, reach + 10), 0, 1) * below
        empty = np.clip((-700 - plane) / 200, 0, 1)  # the holder does not reach into the head
        plane += empty * (foam * np.float32(45) + shell * np.float32(930))
        grain = gaussian_filter(rng.standard_normal(plane.shape, np.float32), 0.7, truncate=3)
        plane += grain * np.float32(9 * noise / max(float(grain.std()), 1e-6))
    return np.maximum(array, np.float32(-1024))


def _pet(array: Field, fine: Geometry, rng: np.random.Generator, noise: float) -> Field:
    """Blur by the scanner's point spread and add noise of its grain."""
    sigma = [_PET_FWHM_MM / _FWHM / s for s in fine.spacing]
    array = gaussian_filter(array, sigma, truncate=3)
    grain = gaussian_filter(
        rng.standard_normal(array.shape, np.float32), [0.75 * s for s in sigma], truncate=3
    )
    grain *= np.float32(1 / grain.std())
    strength = np.sqrt(np.maximum(array, 0) * np.float32(0.05) + np.float32(0.0025))
    array += np.float32(noise) * grain * strength
    return np.maximum(array, 0)
