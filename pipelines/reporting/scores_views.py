"""Pictures of a prediction against its truth: what both hold, what was missed, what is too much.

Planes go through the middle of the largest error, along the patient's own axes, close around the
structure. The scan beside the truth is the ground; where there is none, the truth's other labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from medfuse.errors import InputError
from medfuse.geometry import Array64
from medfuse.io.volumes import read_volume, stem
from medfuse.modality import MODALITIES, modality_from_name
from medfuse.volume import LabelMap, Volume
from pipelines.hearing import heard
from pipelines.reporting import figures
from pipelines.reporting.planes import Content, cut, cut_labels, planes_through, window
from pipelines.reporting.views import Picture, finished

FOUND, MISSED, EXTRA = 5, 6, 2  # labels whose colours are green, vermillion and sky blue
MEANINGS = (
    (FOUND, "in both"),
    (MISSED, "missed: in the truth alone"),
    (EXTRA, "too much: in the prediction alone"),
)
_SHOWS_LESIONS = ("FLAIR", "T1CE", "T2", "PET", "CT", "T1")
_MARGIN_MM = 18.0


def pictures(
    prediction: LabelMap, truth: LabelMap, values: Sequence[int], ground: Volume
) -> tuple[list[Picture], list[Picture]]:
    """Return three planes with prediction against truth drawn in, and the same planes bare.

    ``values`` are the labels of the structure; the maps and ``ground`` lie on one grid.
    """
    masks = [np.isin(one.array, list(values)) for one in (prediction, truth)]
    compared = LabelMap(_compared(masks[0], masks[1]), truth.geometry)
    around = _around(masks[0], masks[1], truth)
    laid = planes_through(around, finest=min(truth.geometry.spacing), sagittal=0.0)
    look = window(ground)
    drawn: list[Picture] = []
    bare: list[Picture] = []
    for plane in laid:
        under = figures.grey(cut(ground, plane), look, plane)
        over = figures.labelled(under, cut_labels(compared, plane), plane)
        drawn.append(finished(over, plane, "prediction against truth"))
        bare.append(finished(under, plane, "the scan alone"))
    return drawn, bare


def ground_of(truth: LabelMap, scans: Sequence[Path]) -> tuple[Volume, str]:
    """Return a scan on the truth's grid that shows lesions well, and its name.

    Where there is none that can be read, a grey picture of the truth's labels stands in for it.
    """

    def rank(path: Path) -> tuple[int, str]:
        name = modality_from_name(stem(path)).name
        known = _SHOWS_LESIONS.index(name) if name in _SHOWS_LESIONS else len(_SHOWS_LESIONS)
        return known, path.name

    for path in sorted(scans, key=rank):
        try:
            with heard():  # what had to be repaired was said when the case was segmented
                volume = read_volume(str(path))  # options may ride on it
        except InputError:
            continue
        if volume.geometry.same_grid(truth.geometry):
            return volume, volume.modality.name if volume.modality.name != "OTHER" else "scan"
    labels = truth.array.astype(np.float32)
    shade = np.where(labels > 0, 300 + 500 * labels / max(float(labels.max()), 1.0), 0.0)
    return Volume(shade, truth.geometry, MODALITIES["OTHER"]), "labels of the truth (no scan)"


def _compared(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.select(
        [prediction & truth, truth, prediction], [FOUND, MISSED, EXTRA], default=0
    ).astype(np.uint16)


def _around(prediction: np.ndarray, truth: np.ndarray, grid: LabelMap) -> Content:
    """Return a cube around the structure, with its centre in the middle of the largest error.

    It is cut where the grid ends. Of a cube the three planes are squares of one scale.
    """
    either = prediction | truth
    wrong = prediction ^ truth
    inside = np.argwhere(either if either.any() else np.ones_like(either))
    corners = grid.geometry.world(inside)
    centre = grid.geometry.world(_middle(wrong if wrong.any() else either))
    low, high = corners.min(axis=0), corners.max(axis=0)
    longest = float((high - low).max())
    side = longest + 2 * max(_MARGIN_MM, 0.25 * longest)
    limits = grid.geometry.corners()
    first, last = limits.min(axis=0), limits.max(axis=0)
    # moved rather than cut, where the grid has room on the other side
    start = np.clip((low + high - side) / 2, first, np.maximum(first, last - side))
    box = (start, np.minimum(start + side, last))
    return Content(corners, centre, *_at_least_one_step(box, min(grid.geometry.spacing)))


def _at_least_one_step(box: tuple[Array64, Array64], step: float) -> tuple[Array64, Array64]:
    """Widen a box of a single slice, which has no thickness."""
    low, high = box
    thin = np.where(high - low < 2 * step, step, 0.0)
    return low - thin, high + thin


def _middle(mask: np.ndarray) -> Array64:
    """Return the voxel of the largest piece of a mask that lies deepest inside it, (3,)."""
    if not mask.any():
        return (np.asarray(mask.shape, dtype=np.float64) - 1) / 2
    pieces, count = ndimage.label(mask)
    sizes = np.bincount(pieces.ravel())[1:]
    largest = pieces == 1 + int(np.argmax(sizes)) if count > 1 else mask
    box = ndimage.find_objects(largest.astype(np.uint8))[0]
    depth = ndimage.distance_transform_edt(np.pad(largest[box], 1))
    deepest = np.unravel_index(int(np.argmax(depth)), depth.shape)
    middle: Array64 = np.asarray(deepest, dtype=np.float64) - 1 + [side.start for side in box]
    return middle
