"""Rigid and affine refinement: climb mutual information with its analytic gradient.

L-BFGS (Byrd et al., SIAM J. Sci. Comput. 16 (1995) 1190) needs ten to thirty evaluations, for the
measure is smooth in the pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize

from medfuse.geometry import Array64
from medfuse.transform import Affine
from registration.measure import Measure
from registration.pair import Pair
from registration.pose import left_jacobian, rotations
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
        before = (measure.points @ start[:3, :3].T + start[:3, 3]) - centre
        if freedom == "affine":
            turned = slope.T @ before / radius
            return -information, -np.concatenate([turned.ravel(), slope.sum(axis=0)])
        lever = places - centre - parameters[3:]
        moment = np.cross(lever, slope).sum(axis=0)
        turned = left_jacobian(parameters[:3] / radius).T @ moment / radius
        return -information, -np.concatenate([turned, slope.sum(axis=0)])

    count = 6 if freedom == "rigid" else 12
    minimize(
        cost,
        np.zeros(count),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": iterations, "maxfun": 2 * iterations, "ftol": 1e-7, "gtol": 1e-6},
    )
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
    points = fixed.points(_POINTS, rng)
    # the blurred levels first: on a limb the fine ones have more than one top within a few mm
    blurred = Measure.between(
        (fixed, fixed.middle), (moving, moving.middle), points[:_SETTLING_POINTS]
    )
    settled = climb(
        blurred, pair.turned(start.moving_from_fixed), iterations=10, radius=fixed.radius
    )
    # uptake is blurred and proportional: plain values and a broader histogram serve PET better
    pet = "PET" in (pair.fixed.modality.name, pair.moving.modality.name)
    ranks, sigma = (0.0, 2.0) if pet else (0.25, 1.0)
    measure = Measure.between(
        (fixed, fixed.fine), (moving, moving.fine), points, bins=_BINS, sigma=sigma, ranks=ranks
    )
    found = climb(measure, settled.matrix, iterations=15, radius=fixed.radius)
    if settings.transform != "rigid":
        found = climb(measure, found.matrix, freedom="affine", iterations=40, radius=fixed.radius)
    return Refined(Affine(pair.turned(found.matrix)), found.information)
