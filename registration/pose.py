"""Rigid poses as matrices: rotations spread over a sphere, steps around a centre, distances."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medfuse.geometry import Array64


def even_rotations(count: int) -> Array64:
    """Return ``count`` rotations that cover all orientations evenly, (count, 3, 3).

    Super-Fibonacci spirals: Alexa, CVPR 2022.
    """
    phi, psi = np.sqrt(2.0), 1.533751168755204288118041
    s = np.arange(count) + 0.5
    r, q = np.sqrt(s / count), np.sqrt(1 - s / count)
    alpha, beta = 2 * np.pi * s / phi, 2 * np.pi * s / psi
    x, y, z, w = r * np.sin(alpha), r * np.cos(alpha), q * np.sin(beta), q * np.cos(beta)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    made: Array64 = np.asarray(rows)
    return np.moveaxis(made, -1, 0)


def rotations(vectors: npt.ArrayLike) -> Array64:
    """Return the rotations of rotation vectors (N, 3) in radians, (N, 3, 3) (Rodrigues)."""
    axes = np.atleast_2d(np.asarray(vectors, dtype=np.float64))
    angle = np.linalg.norm(axes, axis=1)[:, None, None]
    skew = _skew(axes / np.maximum(angle[:, :, 0], 1e-12))
    found: Array64 = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * (skew @ skew)
    return found


def left_jacobian(vector: Array64) -> Array64:
    """Return d(rotation)/d(rotation vector) as a (3, 3) matrix acting on left perturbations."""
    angle = float(np.linalg.norm(vector))
    skew = _skew(vector[None])[0]
    if angle < 1e-6:
        small: Array64 = np.eye(3) + skew / 2
        return small
    found: Array64 = (
        np.eye(3)
        + (1 - np.cos(angle)) / angle**2 * skew
        + (angle - np.sin(angle)) / angle**3 * (skew @ skew)
    )
    return found


def _skew(vectors: Array64) -> Array64:
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    made: Array64 = np.asarray([[zero, -z, y], [z, zero, -x], [-y, x, zero]])
    return np.moveaxis(made, -1, 0)


def about(centre: npt.ArrayLike, rotation: Array64, shift: npt.ArrayLike) -> Array64:
    """Return the matrices (N, 4, 4) that turn (N, 3, 3) about ``centre`` and then shift.

    ``centre`` and ``shift`` are (3,) or (N, 3), mm.
    """
    middle = np.broadcast_to(np.asarray(centre, dtype=np.float64), (len(rotation), 3))
    made = np.zeros((len(rotation), 4, 4))
    made[:, :3, :3] = rotation
    made[:, :3, 3] = middle + np.asarray(shift) - np.einsum("nij,nj->ni", rotation, middle)
    made[:, 3, 3] = 1
    return made


def steps(degrees: float, millimetres: float) -> tuple[Array64, Array64]:
    """Return the twelve single steps: rotations (12, 3, 3) and shifts (12, 3), one of them idle."""
    turn, shift = np.zeros((12, 3)), np.zeros((12, 3))
    for axis in range(3):
        turn[2 * axis, axis], turn[2 * axis + 1, axis] = 1, -1
        shift[6 + 2 * axis, axis], shift[7 + 2 * axis, axis] = 1, -1
    return rotations(turn * np.radians(degrees)), shift * millimetres


def landmarks(centre: Array64, radius: float) -> Array64:
    """Return ``centre`` and six points ``radius`` mm from it, to tell poses apart, (7, 3)."""
    return centre + radius * np.vstack([np.zeros(3), np.eye(3), -np.eye(3)])


def moved(poses: Array64, points: Array64) -> Array64:
    """Return ``points`` (N, 3) under each of ``poses`` (P, 4, 4), (P, N, 3)."""
    places: Array64 = points @ poses[:, :3, :3].transpose(0, 2, 1) + poses[:, None, :3, 3]
    return places


def distinct(poses: Array64, points: Array64, apart: float) -> list[int]:
    """Return the indices of poses that move ``points`` to other places than any before, in order.

    Two poses are one where the root mean square distance of the moved ``points`` is under
    ``apart`` mm.
    """
    places = moved(poses, points)
    kept: list[int] = []
    for index, place in enumerate(places):
        gaps = np.sqrt(((places[kept] - place) ** 2).sum(-1).mean(-1))
        if not len(kept) or gaps.min() >= apart:
            kept.append(index)
    return kept
