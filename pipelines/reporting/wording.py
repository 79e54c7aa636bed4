"""What the page says: verdicts, motions, figures and methods, in words that a clinician reads.

Nothing here draws; every function returns plain text, which the template escapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from medfuse.geometry import Array64, Geometry
from medfuse.transform import Affine, Transform
from medfuse.volume import Volume

NOTICE = "Research software, not a medical device. Not for diagnosis or treatment."

# what stands beside each verdict: its headline and what to do with it
VERDICTS: dict[str, tuple[str, str]] = {
    "pass": (
        "Pass",
        "Nothing that was measured speaks against this alignment. Look at the pictures all the "
        "same: the verdict is a rule of thumb, not a measurement of the error.",
    ),
    "review": (
        "Review",
        "Something is doubtful. Look at the pictures before you use the result.",
    ),
    "fail": (
        "Fail",
        "Do not use the result. It was written only so that you can see what went wrong.",
    ),
    "dropped": ("Dropped", "This volume was refused and takes no part in what follows."),
    "imputed": ("Imputed", "This volume was made by medfuse from the others; no scanner saw it."),
    "unjudged": ("Not judged", "No registration was run here, so there is no verdict."),
}

# figure: (what it is called, unit, what a good one looks like); the rest is shown by its own name
FIGURES: dict[str, tuple[str, str, str]] = {
    "overlap": (
        "Overlap: part of the fixed body that the moving scan covers",
        "%",
        "above 35 %; a small one means that the scans show different parts",
    ),
    "compared": (
        "Compared: part of the smaller body that lies inside the other scan",
        "%",
        "above 10 %; less is next to nothing",
    ),
    "compared_cm3": (
        "Compared tissue",
        "cm³",
        "above 300; a small piece fits in many places",
    ),
    "margin": (
        "Margin: how much better this pose is than the best other one",
        "×",
        "above 1.2; near 1, another pose explains the scans as well",
    ),
    "information_nats": (
        "Mutual information: how much one scan tells about the other",
        "nats",
        "above 0.25; less is next to nothing",
    ),
    "sharpness": (
        "Sharpness: how much better this pose is than poses 8 mm or 8° beside it",
        "×",
        "above 1.08: the answer sits on a peak",
    ),
    "stability_mm": (
        "Stability: how far apart two halves of the samples place the scan",
        "mm",
        "below 3 mm",
    ),
    "inverse_consistency_mm": ("Consistency: forward and back again", "mm", "below 1 mm"),
    "folding_percent": ("Folding: voxels that the bending turns inside out", "%", "0"),
}
_SEARCHED = " after a global search of orientations"
_PERCENT = {"overlap", "compared"}  # kept as a part of 1
_NO_RIVAL = 10.0  # the margin where no other pose was found at all


@dataclass(frozen=True)
class Motion:
    """How the moving scan lay in relation to the fixed one: the numbers behind ``told``.

    ``degrees`` and ``turns`` (about the left-right, front-back and head-foot axes), ``shift``
    (3,) LPS mm at the centre of what both show, ``scales`` (3,) along the principal axes,
    ``bend``: median and largest shift beyond the linear part, mm.
    """

    degrees: float
    turns: Array64
    shift: Array64
    scales: Array64
    mirrored: bool
    bend: tuple[float, float]


def motion(transform: Transform, centre: Array64, points: Array64) -> Motion:
    """Measure a transform over ``points`` (N, 3) LPS mm around ``centre`` (3,)."""
    some = points[:: max(1, len(points) // 4000)]
    mapped = transform.map(some)
    if isinstance(transform, Affine):
        linear = transform.moving_from_fixed[:3, :3]
        bend = (0.0, 0.0)
    else:
        around = np.column_stack([some - centre, np.ones(len(some))])
        fitted, *_ = np.linalg.lstsq(around, mapped, rcond=None)
        linear = fitted[:3].T.astype(np.float64)
        rest = np.linalg.norm(mapped - around @ fitted, axis=1)
        bend = (float(np.median(rest)), float(rest.max()))
    left, scales, right = np.linalg.svd(linear)
    mirrored = bool(np.linalg.det(linear) < 0)
    proper = left @ np.diag([1, 1, -1 if mirrored else 1]) @ right
    turns = np.degrees(Rotation.from_matrix(proper).as_rotvec())
    shift = transform.map(centre[None])[0] - centre
    return Motion(float(np.linalg.norm(turns)), turns, shift, scales, mirrored, bend)


def told(found: Motion, moving: str, fixed: str) -> list[str]:
    """Return sentences that say how the moving scan lay, and what was done about it."""
    distance = float(np.linalg.norm(found.shift))
    turned, shifted = found.degrees >= 0.05, distance >= 0.05
    if not turned and not shifted:
        said = [f"The {moving} lay in place already: it was neither turned nor shifted."]
    else:
        parts = []
        if turned:
            parts.append(f"was turned by {found.degrees:.1f}° {_axes(found.turns)}")
        if shifted:
            parts.append(f"was shifted by {distance:.1f} mm {_ways(found.shift)}")
        said = [
            f"As it came, the {moving} {' and '.join(parts)} against the {fixed}, measured at the "
            "centre of what both show. This was undone."
        ]
    if np.abs(found.scales - 1).max() > 1e-3:
        factors = " × ".join(f"{scale:.3f}" for scale in found.scales)
        said.append(f"Its size differed by the factors {factors} along three axes.")
    if found.bend[1] > 0.05:
        said.append(
            f"It was also bent: by {found.bend[0]:.1f} mm in the median and "
            f"{found.bend[1]:.1f} mm at most beyond turning, shifting and scaling."
        )
    if found.mirrored:
        said.append("It was mirrored: left and right differ between the two headers.")
    return said


def _axes(turns: Array64) -> str:
    names = ("left–right (nodding)", "front–back (tilting)", "head–foot (turning)")
    order = [int(axis) for axis in np.argsort(-np.abs(turns)) if abs(turns[axis]) >= 0.05]
    parts = [f"{abs(turns[axis]):.1f}° about {names[axis]}" for axis in order]
    return f"({', '.join(parts)})"


def _ways(shift: Array64) -> str:
    toward = (("right", "left"), ("front", "back"), ("feet", "head"))
    order = [int(axis) for axis in np.argsort(-np.abs(shift)) if abs(shift[axis]) >= 0.05]
    parts = [
        f"{abs(shift[axis]):.1f} mm to the {toward[axis][int(shift[axis] > 0)]}" for axis in order
    ]
    return f"({', '.join(parts)})"


def figure_rows(figures: Mapping[str, float]) -> list[dict[str, str]]:
    """Return one row per measured figure: its name, its value with unit, what good looks like."""
    rows = []
    for key, value in figures.items():
        unit = "mm" if key.endswith("_mm") else ""
        name, unit, good = FIGURES.get(key, (_spelled(key), unit, ""))
        rows.append({"name": name, "value": _figure(key, value, unit), "good": good})
    return rows


def _figure(key: str, value: float, unit: str) -> str:
    if not np.isfinite(value):
        return "not measured"
    if key == "margin" and value >= _NO_RIVAL:
        return "no other pose found"
    if key in _PERCENT:
        return f"{100 * value:.0f} %"
    return f"{_digits(value)} {unit}".rstrip()


def _digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _spelled(key: str) -> str:
    words = key.removesuffix("_mm").replace("_", " ")
    return words[:1].upper() + words[1:]


def grid(geometry: Geometry) -> str:
    """Return a grid in words: spacing and size, in the order of columns, rows, slices."""
    spacing = " × ".join(f"{step:.3g}" for step in geometry.spacing[::-1])
    size = " × ".join(str(n) for n in geometry.shape[::-1])
    return f"{spacing} mm, {size} voxels"


def window_text(volume: Volume, shown: tuple[float, float]) -> str:
    """Return a display window in words, such as ``"-100 to 200 HU"``."""
    low, high = shown
    fixed = volume.modality.window == shown
    how = "" if fixed else " (by percentiles)"
    return f"{_number(low)} to {_number(high)} {volume.unit}{how}"


def _number(value: float) -> str:
    return _digits(value).replace("-", "−")


def methods(moving: str, fixed: str, *, facts: Mapping[str, Any]) -> str:
    """Return the sentence for a methods section.

    ``facts``: ``kind`` (rigid, affine, deformable), ``version``, ``engine``, ``start``, ``seed``,
    ``interpolation`` (each None where unknown), ``grid`` and ``verdict``.
    """
    engines = {
        "mi": f"maximising mutual information coarse to fine{_SEARCHED}",
        "itk": f"maximising Mattes mutual information with SimpleITK{_SEARCHED}",
    }
    how = engines.get(str(facts["engine"]), "maximising mutual information")
    if facts["start"] not in ("auto", "search", None):
        known = facts["start"] == "header"
        start = "the pose in the headers" if known else "a given transform"
        how = how.replace(_SEARCHED, "") + f", starting from {start}"
    seed = "" if facts["seed"] is None else f"; seed {facts['seed']}"
    if facts["kind"] == "deformable":
        how += ", then bending a B-spline grid"
    kind = {"linear": "linear", "nearest": "nearest-neighbour", "bspline": "cubic B-spline"}
    by = kind.get(str(facts["interpolation"]))
    by = f" by {by} interpolation" if by else ""
    return (
        f"The {moving} was registered to the {fixed} with a {facts['kind']} transform, {how} "
        f"(medfuse {facts['version']}{seed}), and resampled once{by} onto the grid of the {fixed} "
        f"({facts['grid']}). Automatic quality verdict: {facts['verdict']}."
    )
