"""How much one set of samples tells about another: mutual information on joint histograms.

Values are given in units of bins: a whole number for the fixed samples, a real one for the moving
samples, so that the measure has a slope. Viola & Wells, IJCV 24 (1997) 137; Maes et al., IEEE TMI
16 (1997) 187; Studholme et al., Pattern Recognition 32 (1999) 71 for the normalised form.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from medfuse.geometry import Array64

Indices = npt.NDArray[np.intp]

_TINY = 1e-12


def joint_histogram(
    fixed: Indices, moving: npt.NDArray[np.floating], bins: int, weights: Array64
) -> tuple[Array64, Indices]:
    """Return the weighted joint histogram (bins, bins) and each sample's lower cell, (N,).

    ``fixed`` (N,) are bin numbers, ``moving`` (N,) real numbers in [0, bins - 1], split linearly
    between their two neighbouring bins.
    """
    lower = np.minimum(moving.astype(np.intp), bins - 2)
    part = (moving - lower) * weights
    cell = fixed * bins + lower
    counts = np.bincount(cell, weights - part, bins * bins + 1)
    counts += np.bincount(cell + 1, part, bins * bins + 1)
    joint: Array64 = counts[: bins * bins].reshape(bins, bins).astype(np.float64)
    return joint, cell


def mutual_information(joint: Array64) -> float:
    """Return the mutual information of a joint histogram, nats (0 for an empty one)."""
    total = joint.sum()
    if total <= 0:
        return 0.0
    shares = joint / total
    product = np.outer(shares.sum(1), shares.sum(0))
    return float((shares * np.log((shares + _TINY) / (product + _TINY))).sum())


def smooth_mutual_information(
    fixed: Indices,
    moving: npt.NDArray[np.floating],
    weights: Array64,
    *,
    bins: int,
    sigma: float = 1.0,
) -> tuple[float, Array64]:
    """Return the mutual information (nats) of smoothed samples and its slope per sample.

    The joint histogram is smoothed by a Gaussian of ``sigma`` bins; the slope (N,) is exact for
    the smoothed measure, per unit (bin) of each moving value, at fixed ``weights`` (N,).
    """
    joint, cell = joint_histogram(fixed, moving, bins, weights)
    total = joint.sum()
    if total <= 0:
        return 0.0, np.zeros(len(fixed))
    blur = _blur(bins, sigma)
    shares = blur @ joint @ blur.T / total
    product = np.outer(shares.sum(1), shares.sum(0))
    table = np.log((shares + _TINY) / (product + _TINY))
    slopes = blur.T @ table @ blur / total
    step = np.zeros_like(slopes)
    step[:, :-1] = np.diff(slopes, axis=1)
    return float((shares * table).sum()), step.ravel()[cell] * weights


def normalised_mutual_information(joints: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return (H(f) + H(m)) / H(f, m) for a batch of joint histograms (P, bins, bins), (P,).

    Lies between 1 (independent) and 2; an empty histogram counts as 1.
    """
    total = joints.sum(axis=(1, 2))
    safe = np.maximum(total, 1)
    both = _entropies(joints.reshape(len(joints), -1), safe)
    single = _entropies(joints.sum(2), safe) + _entropies(joints.sum(1), safe)
    found: npt.NDArray[np.floating] = np.where(both > 1e-9, single / np.maximum(both, 1e-9), 1.0)
    return found


def _entropies(
    counts: npt.NDArray[np.floating], total: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    # H = log n - sum(c log c) / n: one logarithm per count
    inner = np.einsum("pk,pk->p", counts, np.log(np.maximum(counts, 1)))
    found: npt.NDArray[np.floating] = np.log(total) - inner / total
    return found


@lru_cache(maxsize=8)
def _blur(bins: int, sigma: float) -> Array64:
    distance = np.subtract.outer(np.arange(bins), np.arange(bins))
    kernel = np.exp(-0.5 * (distance / max(sigma, 1e-6)) ** 2)
    matrix: Array64 = kernel / kernel.sum(axis=0)
    return matrix
