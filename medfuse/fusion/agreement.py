"""Do the scans of a study show the same anatomy? Names the one that does not, and drops it.

A network believes a foreign, moved or spoilt modality, however it was trained; comparing anatomy
by its edges does not. Edges of the same patient lie on each other in all MR contrasts, whichever
side is bright: their correlation has a sharp peak at no shift at all. Registered brains of two
patients agree in outline, and so broadly, but without that peak. Edges are cut at their spread:
else the steepest, those of lesions that one contrast alone shows, would speak for the whole scan.

Only scans of one kind are compared. Between MR, CT and PET the peak is there for sharp scans, but
not for real PET at 4 mm beside CT: its absence proves nothing, so nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medfuse.resampling import resample
from medfuse.study import AlignedStudy
from medfuse.volume import Array32, Volume

_VOXELS = 1_000_000  # of the grid on which is compared
_FINE, _BROAD = 0.7, 1.5  # voxels: edges between these two scales count
_BEND = 0.7  # power of the gradient: less weight on the steepest, not too much on noise
_RIMS = (4, 2)  # voxels inside the outline that do not: it may agree by itself; 2 for thin parts
_RING = (2.0, 3.0)  # voxels: shifts that a sharp peak does not reach
_STEEPEST = 1.0  # spreads of the edges above their mean that count: a lesion is no majority
_FEWEST = 200  # voxels that a comparison needs; a scan that shows fewer is not judged
_ALIKE = 0.4  # agreement that is as good as any
_SHARE = 0.45  # of what the others reach among themselves
_LEAST = 0.05  # below it there is no agreement at all
_DOUBT = 0.15  # scans of one patient reach more, if they are not very noisy


@dataclass(frozen=True)
class Agreement:
    """How well scans of one kind fit each other, and which do not.

    ``scores``: for each pair of names the height of the peak of their edges' correlation at no
    shift over that at a few voxels (0 none, 1 the same scan). ``odd``: scans that disagree with
    all others where at least two of those agree, and why, worst first. ``doubtful``: scans of a
    disagreement that no majority decides. Scans that are in no pair were not compared: they are
    alone of their kind, or show too little.
    """

    scores: Mapping[tuple[str, str], float]
    odd: Mapping[str, str]
    doubtful: Mapping[str, str]


def agreement(volumes: Mapping[str, Volume]) -> Agreement:
    """Compare all pairs of one kind (the MR contrasts, CTs, PETs) of volumes on one grid.

    Nothing is trained. A scan is odd where its best agreement is below .45 of the median of the
    others among themselves; that median counts as 0.4 at most: two that agree very well do not
    make a third one odd.
    """
    kinds: dict[str, list[str]] = {}
    for name, volume in volumes.items():
        kinds.setdefault(_kind(volume), []).append(name)
    scores: dict[tuple[str, str], float] = {}
    odd: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    for group in kinds.values():
        seen = {name: _structure(volumes[name]) for name in group if len(group) > 1}
        names = [name for name in seen if seen[name][1].sum() >= _FEWEST]
        for one, other in combinations(names, 2):
            scores[one, other] = scores[other, one] = _score(seen[one], seen[other])
        if len(names) > 1:
            _judge(names, scores, odd, doubtful)
    rank = {name: number for number, name in enumerate(volumes)}
    once = {pair: score for pair, score in scores.items() if rank[pair[0]] < rank[pair[1]]}
    return Agreement(once, odd, doubtful)


def _judge(
    names: list[str],
    scores: Mapping[tuple[str, str], float],
    odd: dict[str, str],
    doubtful: dict[str, str],
) -> None:
    """Take odd scans out one after the other, while two others are left that agree."""
    left = list(names)
    while len(left) > 2:
        margins = {name: _margin(name, left, scores) for name in left}
        worst = min(left, key=lambda name: margins[name])
        if margins[worst] >= 0:
            break
        best = max(scores[worst, other] for other in left if other != worst)
        left.remove(worst)
        if max(scores[pair] for pair in combinations(left, 2)) < _LEAST:
            left.append(worst)
            break  # nobody agrees with anybody
        odd[worst] = f"shows another anatomy than the other scans (agreement {best:.2f})"
    best = max(scores[pair] for pair in combinations(left, 2))
    if best < _DOUBT:
        for name in left:
            doubtful[name] = f"not the same anatomy in {', '.join(left)} (agreement {best:.2f})"


def _margin(name: str, left: list[str], scores: Mapping[tuple[str, str], float]) -> float:
    """Return by how much the best agreement of a scan exceeds what it must reach."""
    others = [other for other in left if other != name]
    among = float(np.median([scores[pair] for pair in combinations(others, 2)]))
    best = max(scores[name, other] for other in others)
    return best - max(_LEAST, _SHARE * min(among, _ALIKE))


def drop_odd(aligned: AlignedStudy) -> tuple[AlignedStudy, Agreement]:
    """Return the study without the scans that show another anatomy, and what was found.

    The reasons stand in ``dropped``. What is only ``doubtful`` stays, and what medfuse made itself
    is not judged.
    """
    real = {k: volume for k, volume in aligned.volumes.items() if k not in aligned.imputed}
    found = agreement(real)
    if not found.odd:
        return aligned, found
    kept = {name: volume for name, volume in aligned.volumes.items() if name not in found.odd}
    return replace(aligned, volumes=kept, dropped={**aligned.dropped, **found.odd}), found


def _kind(volume: Volume) -> str:
    return "MR" if volume.modality.is_mr else volume.modality.name


def _structure(volume: Volume) -> tuple[Array32, npt.NDArray[np.bool_]]:
    """Return fine edges of a scan and the voxels well inside its foreground, on a coarse grid."""
    grid = volume.geometry
    extent = np.array(grid.shape) * grid.spacing
    step = float((np.prod(extent) / _VOXELS) ** (1 / 3))
    d, h, w = (max(step, own) for own in grid.spacing)
    if step > min(grid.spacing):
        blur = [0.4 * max(0.0, step / own - 1) for own in grid.spacing]
        smooth = ndimage.gaussian_filter(volume.array, blur)
        volume = resample(volume.with_array(smooth), grid.respace((d, h, w)))
    low, high = np.percentile(volume.array, (1, 99))
    if not high > low:
        empty = volume.array.min() == volume.array.max()  # no anatomy at all, else too little
        return np.zeros_like(volume.array), np.full(volume.array.shape, empty)
    values = np.clip((volume.array - low) / (high - low), 0, 1)
    steep = ndimage.gaussian_gradient_magnitude(values, _FINE) ** _BEND
    edges = steep - ndimage.gaussian_filter(steep, _BROAD)
    smooth = ndimage.gaussian_filter(values, 1)  # noise must not make the air part of the body
    body = ndimage.binary_fill_holes(smooth > smooth.mean())
    for rim in _RIMS:
        inside = ndimage.binary_erosion(body, iterations=rim)
        if inside.sum() >= _FEWEST:
            break
    if inside.any():
        mean, spread = edges[inside].mean(), edges[inside].std()
        edges = np.clip(edges, mean - _STEEPEST * spread, mean + _STEEPEST * spread)
    return edges, inside


def _score(
    one: tuple[Array32, npt.NDArray[np.bool_]], other: tuple[Array32, npt.NDArray[np.bool_]]
) -> float:
    """Return the correlation of two scans' edges at no shift, less its mean a few voxels away."""
    inside = one[1] & other[1]
    if inside.sum() < _FEWEST:
        return 0.0
    a, b = (np.where(inside, edges - edges[inside].mean(), 0) for edges, _ in (one, other))
    length = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    if length <= 0:
        return 0.0
    here = float((a * b).sum())
    reach = int(_RING[1])
    around = [
        _shifted_product(a, b, shift)
        for shift in product(range(-reach, reach + 1), repeat=3)
        if _RING[0] <= np.linalg.norm(shift) < _RING[1]
    ]
    return (here - float(np.mean(around))) / length


def _shifted_product(a: Array32, b: Array32, shift: tuple[int, ...]) -> float:
    """Return the sum of a(p) * b(p + shift)."""
    front = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(shift, a.shape, strict=True))
    back = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(shift, a.shape, strict=True))
    return float(np.vdot(a[front], b[back]))
