"""Rigid and affine refinement: climb mutual information with its analytic gradient.

BFGS needs ten to thirty evaluations, for the measure is smooth in the pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from medfuse.geometry import Array64
from medfuse.transform import Affine
from registration.descent import descend
from registration.levels import Mask
from registration.measure import Measure
from registration.pair import Pair
from registration.pose import left_jacobian, rotations
from registration.scoring import FULL_OVERLAP
from registration.settings import Refined, RegisterSettings

_POINTS = 40_000
_SETTLING_POINTS = 12_000
_BINS = 64


@dataclass(frozen=True)
class Climbed:
    """Where a climb ended: the (4, 4) matrix, its mutual information (nats), the overlap."""

    matrix: Array64
    information: float
    overlap: float

    @property
    def weight(self) -> float:
        """Its mutual information, less where little of the fixed foreground is inside."""
        return self.information * min(1.0, self.overlap / FULL_OVERLAP)


def climb(
    measure: Measure,
    start: Array64,
    *,
    freedom: Literal["rigid", "affine"] = "rigid",
    iterations: int = 20,
    radius: float = 70.0,
) -> Climbed:
    """Return the pose of highest mutual information near ``start`` (4, 4).

    ``radius`` mm turns angles and stretches into mm, so that all parameters weigh alike.
    """
    centre = (measure.points @ start[:3, :3].T + start[:3, 3]).mean(axis=0)
    best = Climbed(start, -np.inf, 0.0)

    def cost(parameters: Array64) -> tuple[float, Array64]:
        nonlocal best
        step = _step(parameters, centre, radius, freedom)
        matrix = step @ start
        information, slope, places, overlap = measure.at(matrix)
        if information > best.information:
            best = Climbed(matrix, information, overlap)
        if freedom == "affine":
            before = (measure.points @ start[:3, :3].T + start[:3, 3]) - centre
            turned = slope.T @ before / radius
            return -information, -np.concatenate([turned.ravel(), slope.sum(axis=0)])
        # the moment of all slopes about the centre: the antisymmetric part of one small product
        pulls = (places - (centre + parameters[3:])).T @ slope
        moment = np.array(
            [pulls[1, 2] - pulls[2, 1], pulls[2, 0] - pulls[0, 2], pulls[0, 1] - pulls[1, 0]]
        )
        turned = left_jacobian(parameters[:3] / radius).T @ moment / radius
        return -information, -np.concatenate([turned, np.ones(len(slope)) @ slope])

    count = 6 if freedom == "rigid" else 12
    descend(cost, np.zeros(count), iterations=iterations)
    return best


def _step(parameters: Array64, centre: Array64, radius: float, freedom: str) -> Array64:
    matrix = np.eye(4)
    if freedom == "affine":
        matrix[:3, :3] += parameters[:9].reshape(3, 3) / radius
    else:
        matrix[:3, :3] = rotations(parameters[:3] / radius)[0]
    matrix[:3, 3] = centre + parameters[-3:] - matrix[:3, :3] @ centre
    return matrix


def refine(
    pair: Pair, start: Affine, settings: RegisterSettings, rng: np.random.Generator
) -> Refined:
    """Refine ``start`` at 4 mm, then at the finest level; affine last, where it is asked for."""
    fixed, moving = pair.inner, pair.outer
    # the blurred levels first: on a limb the fine ones have more than one top within a few mm
    blurred = Measure.between(
        (fixed, fixed.middle), (moving, moving.middle), fixed.points(_SETTLING_POINTS, rng)
    )
    settled = climb(
        blurred, pair.turned(start.moving_from_fixed), iterations=10, radius=fixed.radius
    )
    pose, swapped = pair.turned(settled.matrix), pair.swapped
    names = (pair.fixed.modality.name, pair.moving.modality.name)
    if "PET" in names:
        swapped = names[0] == "PET" != names[1]
        measure = _beside_pet(pair, pair.turned(pose, swapped=swapped), swapped, rng)
    else:
        measure = Measure.between(
            (fixed, fixed.fine), (moving, moving.fine), fixed.points(_POINTS, rng), bins=_BINS
        )
    begun = pair.turned(pose, swapped=swapped)
    found = climb(measure, begun, iterations=15, radius=fixed.radius)
    if settings.transform != "rigid":
        found = climb(measure, found.matrix, freedom="affine", iterations=40, radius=fixed.radius)
    return Refined(Affine(pair.turned(found.matrix, swapped=swapped)), found.information)


def _beside_pet(pair: Pair, pose: Array64, swapped: bool, rng: np.random.Generator) -> Measure:
    """Return the finest measure of a pair with a PET, which is blurred and proportional.

    Plain values and a broad histogram serve uptake better than ranks; the points are drawn from
    the sharper volume (the moving one if ``swapped``), where the PET shows it, and that volume's
    noise is averaged away. ``pose`` (4, 4) maps sharp to PET points.
    """
    both = (pair.prepared_fixed, pair.prepared_moving)
    sharp, uptake = both[::-1] if swapped else both

    def seen(places: Array64) -> Mask:
        voxels = uptake.middle.geometry.voxel(Affine(pose).map(places))
        shape = np.asarray(uptake.middle.geometry.shape)
        return np.asarray(((voxels > -1) & (voxels < shape)).all(axis=1))

    return Measure.between(
        (sharp, sharp.fine.smoothed()),
        (uptake, uptake.fine),
        sharp.points(_POINTS, rng, within=seen),
        bins=_BINS,
        sigma=2.0,
        ranks=0.0,
    )
