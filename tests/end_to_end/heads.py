"""Tiny heads for the command line: an ellipsoid with a skull and a texture, seen as T1, CT, PET."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter

SHAPE = (36, 44, 40)
SPACING = 4.5  # mm
SHIFT = (5.0, -8.0, 3.0)  # where CT and PET say that the head lies, RAS mm


def affine(shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Return the RAS affine of the grid, moved by ``shift``."""
    made = np.diag([SPACING, SPACING, SPACING, 1.0])
    made[:3, 3] = -(np.array(SHAPE) - 1) / 2 * SPACING + np.array(shift)
    return made


@cache
def appearance(name: str) -> np.ndarray:
    """Return the head as scanner ``name`` sees it, (I, J, K)."""
    rng = np.random.default_rng(3)
    place = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2
    place[0] += 0.02 * place[1] ** 2  # bent: no two directions look alike
    radius = ((place / np.array([14.0, 18.0, 16.0])[:, None, None, None]) ** 2).sum(axis=0)
    texture = gaussian_filter(rng.normal(size=SHAPE), 2.0)
    texture /= texture.std()
    inside, skull = radius < 1, (radius > 0.82) & (radius < 1)
    noise = np.random.default_rng(len(name)).normal(size=SHAPE)
    if name == "CT":
        seen = np.where(inside, 30 + 10 * texture, -1000.0) + 900 * skull + 4 * noise
    elif name == "PET":
        seen = np.where(inside & ~skull, 3 + texture, 0.1) + 0.1 * noise
    else:
        seen = np.where(inside, 300 + 120 * texture, 0.0) + 300 * skull + 5 * noise
    seen = seen.astype(np.float32)
    seen.setflags(write=False)
    return seen


def write(folder: Path, name: str, file: str | None = None) -> Path:
    """Write ``NAME.nii.gz`` (or ``file``) into ``folder``; CT and PET are shifted."""
    path = folder / (file or f"{name}.nii.gz")
    shift = SHIFT if name in {"CT", "PET"} else (0.0, 0.0, 0.0)
    nib.save(nib.Nifti1Image(appearance(name), affine(shift)), path)
    return path
