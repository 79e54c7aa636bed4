"""Multiple-kernel stacking: which candidate regions are real, judged by what each network says.

One kernel a modality on a table of regions, summed with weights that say how well each agrees
with the labels (centred kernel alignment, Cortes et al., JMLR 2012), and a support vector machine
on the sum (Gönen & Alpaydın, JMLR 2011, for the family). Different here: a region that a
modality does not see (not scanned) is compared by the other modalities alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medfuse.errors import UsageError
from medfuse.geometry import Array64

Table = npt.NDArray[np.floating]  # (R, F): one row a region, NaN in all of it where not scanned
_FLAT = 1e-9


@dataclass(frozen=True, eq=False)
class KernelStack:
    """A fitted stack: ``weights`` sum to 1 over modalities; the rest is what it compares with."""

    weights: Mapping[str, float]
    known: Mapping[str, Table]
    centres: Mapping[str, tuple[Array64, Array64]]
    machine: Any

    def decide(self, tables: Mapping[str, Table]) -> Array64:
        """Return the signed distance of each region from the border, (R,): above 0 is real."""
        kernel = _summed(self.weights, self.centres, tables, self.known)
        decided: Array64 = self.machine.decision_function(kernel)
        return decided


def fit(tables: Mapping[str, Table], labels: npt.ArrayLike, *, cost: float = 1.0) -> KernelStack:
    """Return a stack that tells regions with ``labels`` (R,) True from the others.

    ``tables``: (R, F) for each modality, the same regions in the same order. Raises
    ``UsageError`` where their lengths differ or only one kind of region is there.
    """
    from sklearn.svm import SVC  # slow to load, and a table is all it needs

    truth = np.asarray(labels, dtype=bool)
    if not tables or any(len(table) != len(truth) for table in tables.values()):
        raise UsageError("each modality's table needs one row a region, as labels do")
    if truth.all() or not truth.any():
        raise UsageError("stacking needs regions that are real and regions that are not")
    centres = {name: _centre(table) for name, table in tables.items()}
    aligned = {
        name: _alignment(_kernel(centres[name], table, table), truth)
        for name, table in tables.items()
    }
    total = sum(aligned.values())
    if total <= 0:
        aligned, total = dict.fromkeys(tables, 1.0), float(len(tables))
    weights = {name: value / total for name, value in aligned.items()}
    kernel = _summed(weights, centres, tables, tables)
    machine = SVC(C=cost, kernel="precomputed", class_weight="balanced").fit(kernel, truth)
    return KernelStack(weights, dict(tables), centres, machine)


def regions(
    probabilities: Mapping[str, npt.NDArray[np.floating]], *, least: float = 0.25
) -> tuple[npt.NDArray[np.intp], dict[str, Array64]]:
    """Return candidate regions (D, H, W) numbered from 1, and a table (R, 4) a modality.

    ``probabilities``: (D, H, W) of one structure as each modality's own network sees it. A
    candidate is a connected part where the largest of them is above ``least``; its row holds the
    mean, the largest and the spread of the probability in it, and the log of its voxels.
    """
    if not probabilities:
        raise UsageError("no modality was given to find regions in")
    stack = np.stack(list(probabilities.values()))
    numbered, count = ndimage.label(stack.max(axis=0) > least)
    index = np.arange(1, count + 1)
    tables = {}
    for name, values in probabilities.items():
        rows = [
            ndimage.mean(values, numbered, index),
            ndimage.maximum(values, numbered, index),
            ndimage.standard_deviation(values, numbered, index),
            np.log(np.bincount(numbered.ravel(), minlength=count + 1)[1:]),
        ]
        tables[name] = np.stack([np.asarray(row, np.float64) for row in rows], axis=1)
    return numbered, tables


def _centre(table: Table) -> tuple[Array64, Array64]:
    seen = table[_rows(table)].astype(np.float64)
    if not len(seen):
        raise UsageError("a modality has no region at all")
    return seen.mean(axis=0), np.maximum(seen.std(axis=0), _FLAT)


def _rows(table: Table) -> npt.NDArray[np.bool_]:
    seen: npt.NDArray[np.bool_] = np.asarray(np.isfinite(table).all(axis=1))
    return seen


def _kernel(centre: tuple[Array64, Array64], one: Table, other: Table) -> Array64:
    """Return the Gaussian kernel of standardised rows, (R, S); NaN where a row is not seen."""
    a, b = ((table - centre[0]) / centre[1] for table in (one, other))
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    kernel: Array64 = np.exp(-np.maximum(squared, 0) / (2 * one.shape[1]))
    return kernel


def _alignment(kernel: Array64, truth: npt.NDArray[np.bool_]) -> float:
    seen = np.isfinite(np.diag(kernel))
    inner, signs = kernel[np.ix_(seen, seen)], np.where(truth[seen], 1.0, -1.0)
    centred = inner - inner.mean(0) - inner.mean(1)[:, None] + inner.mean()
    signs = signs - signs.mean()
    length = np.linalg.norm(centred) * (signs @ signs)
    return max(0.0, float(signs @ centred @ signs / max(length, _FLAT)))


def _summed(
    weights: Mapping[str, float],
    centres: Mapping[str, tuple[Array64, Array64]],
    one: Mapping[str, Table],
    other: Mapping[str, Table],
) -> Array64:
    """Return the weighted mean of the kernels, over the modalities that both regions have."""
    total = share = np.zeros(())
    for name, weight in weights.items():
        kernel = _kernel(centres[name], one[name], other[name])
        seen = np.isfinite(kernel)
        total = total + weight * np.where(seen, kernel, 0)
        share = share + weight * seen
    summed: Array64 = total / np.maximum(share, _FLAT)
    return summed
