"""Minimise a smooth function of a few parameters from its value and slope: BFGS.

Broyden, Fletcher, Goldfarb and Shanno, with a line search for the weak Wolfe conditions (Nocedal &
Wright, Numerical Optimization, 2nd ed., algorithms 6.1 and 3.5). With six or twelve parameters the
whole inverse Hessian is kept. scipy's optimisers do the same, but to import them costs as many
CPU-seconds as two climbs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medfuse.geometry import Array64

Cost = Callable[[Array64], tuple[float, Array64]]

_DECREASE, _CURVATURE = 1e-4, 0.9  # of the Wolfe conditions
_TRIES = 8  # evaluations of one line search
_SMALLEST_GAIN = 1e-7  # of the value: less is an end
_SMALLEST_SLOPE = 1e-6


@dataclass(frozen=True, eq=False)
class Spot:
    """A place that was evaluated: parameters (N,), value, slope (N,)."""

    at: Array64
    value: float
    slope: Array64

    @classmethod
    def of(cls, cost: Cost, at: Array64) -> Spot:
        """Evaluate ``cost`` there."""
        value, slope = cost(at)
        return cls(at, float(value), np.asarray(slope, dtype=np.float64))


def descend(cost: Cost, start: Array64, *, iterations: int) -> Spot:
    """Return the lowest place found near ``start`` (N,) after at most so many ``iterations``.

    ``cost`` returns the value and its slope (N,). Ends where a whole step gains less than 1e-7 of
    the value, or no slope above 1e-6 is left.
    """
    here = Spot.of(cost, np.asarray(start, dtype=np.float64))
    inverse = np.eye(len(here.at))
    for round_ in range(iterations):
        steepest = float(np.abs(here.slope).max())
        if steepest <= _SMALLEST_SLOPE:
            break
        way = -inverse @ here.slope
        if way @ here.slope >= 0:  # rounding has spoilt the matrix
            inverse, way = np.eye(len(way)), -here.slope
        first = min(1.0, 1 / float(np.linalg.norm(here.slope))) if round_ == 0 else 1.0
        there = _along(cost, here, way, first)
        if there.value >= here.value:
            break
        gain = here.value - there.value
        inverse = _updated(inverse, here, there, scaled=round_ == 0)
        here = there
        if gain <= _SMALLEST_GAIN * max(abs(here.value), 1e-12):
            break
    return here


def _along(cost: Cost, here: Spot, way: Array64, length: float) -> Spot:
    """Return a place along ``way`` that is low enough and flat enough, or the lowest tried."""
    fall = float(here.slope @ way)
    near, far = 0.0, np.inf  # the length sought lies between
    low, low_fall = here, fall
    best = here
    for _ in range(_TRIES):
        there = Spot.of(cost, here.at + length * way)
        there_fall = float(there.slope @ way)
        if there.value < best.value:
            best = there
        if there.value > here.value + _DECREASE * length * fall or there.value > low.value:
            far = length
            share = _lowest((low.value, low_fall), (there.value, there_fall), far - near)
            length = near + share * (far - near)
        elif there_fall < _CURVATURE * fall:
            near, low, low_fall = length, there, there_fall
            length = 2.5 * length if np.isinf(far) else (near + far) / 2
        else:
            return there
    return best


def _lowest(first: tuple[float, float], last: tuple[float, float], width: float) -> float:
    """Return where the cubic through two (value, slope) is lowest, as a share .1 to .9 of width."""
    turn = first[1] + last[1] - 3 * (last[0] - first[0]) / width
    inside = turn * turn - first[1] * last[1]
    if inside < 0:
        return 0.5
    root = np.sqrt(inside)
    span = last[1] - first[1] + 2 * root
    share = 1 - (last[1] + root - turn) / span if span else 0.5
    return float(np.clip(share, 0.1, 0.9))


def _updated(inverse: Array64, here: Spot, there: Spot, *, scaled: bool) -> Array64:
    """Return the inverse Hessian after one step (Nocedal & Wright, equation 6.17)."""
    step, change = there.at - here.at, there.slope - here.slope
    bend = float(step @ change)
    if bend <= 1e-12:
        return inverse
    if scaled:  # the first step tells the size of the curvature
        inverse = np.eye(len(step)) * bend / float(change @ change)
    left = np.eye(len(step)) - np.outer(step, change) / bend
    made: Array64 = left @ inverse @ left.T + np.outer(step, step) / bend
    return made
