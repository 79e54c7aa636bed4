"""Register one pair: look near the header's pose and everywhere, judge, refine, assess."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
from threadpoolctl import threadpool_limits

from medfuse import seeds
from medfuse.errors import UsageError
from medfuse.geometry import Array64
from medfuse.progress import Progress, silent
from medfuse.transform import Affine, Transform
from medfuse.volume import Volume
from registration.initialize import FIRST, SECOND, Candidate, search
from registration.pair import Pair
from registration.quality import judge
from registration.settings import Refined, RegisterSettings, Registration

ENGINES = {"mi": "registration.linear:refine", "itk": "registration.itk_engine:refine"}

_DEFAULTS = RegisterSettings()
_HEADER_RULE = 1.2  # a pose far from the header's must hold so many times its information
_ROUNDING = 1e-3  # stretch that a text file's digits may bring into a rotation
_SECOND_ROUND = 1.12  # a margin below this is looked at again with more effort

Engine = Callable[[Pair, Affine, RegisterSettings, np.random.Generator], Refined]


def register(
    fixed: Volume,
    moving: Volume,
    *,
    masks: tuple[Volume | None, Volume | None] = (None, None),
    start: Transform | None = None,
    settings: RegisterSettings = _DEFAULTS,
    seed: int = 0,
    progress: Progress = silent,
) -> Registration:
    """Find the transform from ``fixed`` to ``moving`` points (LPS mm) and say how far to trust it.

    ``masks`` (fixed, moving) say where samples count; ``start`` replaces the search. The result
    comes back also where its verdict is *fail*. Raises ``InputError`` for volumes that cannot be
    registered (see ``Pair.of``) and ``UsageError`` for an unknown engine, a start that is not
    linear, or one that stretches or mirrors where the result must not.
    """
    refine = _engine(settings.engine)
    pair = Pair.of(fixed, moving, masks, spacing=settings.spacing)
    # idle BLAS threads spin: on small matrices they cost more than the work, and change the bits
    with threadpool_limits(settings.threads):
        progress("search", 0, 4)
        pose, rivals = _pose(pair, start, settings, seed)
        progress("refine", 1, 4)
        where = Affine(pair.turned(pose))
        linear = refine(pair, where, settings, seeds.rng(seed, "refine")).transform
        transform: Transform = linear
        if settings.transform == "deformable":
            progress("deform", 2, 4)
            transform = _bent(pair, linear, settings, seed)
        progress("assess", 3, 4)
        quality = judge(pair, transform, linear, rivals, seed)
    progress("done", 4, 4)
    return Registration(transform, quality, settings)


def _engine(name: str) -> Engine:
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}", hint=f"use one of {', '.join(ENGINES)}")
    module, function = ENGINES[name].split(":")
    found: Engine = getattr(import_module(module), function)
    return found


def _pose(
    pair: Pair, start: Transform | None, settings: RegisterSettings, seed: int
) -> tuple[Array64, tuple[Array64, ...]]:
    """Return the pose to refine and its rivals, ``outer_from_inner`` (4, 4)."""
    if start is not None:
        begun = pair.turned(_started(start, settings))
        return begun, tuple(other.climbed.matrix for other in search(pair, "auto", FIRST, seed))
    found = search(pair, settings.start, FIRST, seed)
    chosen = _chosen(found)
    if settings.start != "header" and _margin(found, chosen) < _SECOND_ROUND:
        # what tied in the first round stays a rival of whatever the second one finds
        found = [*found, *search(pair, settings.start, SECOND, seed + 1)]
        chosen = _chosen(sorted(found, key=lambda candidate: -candidate.weight))
    rivals = list(found)  # the chosen one too: refinement may walk away from it
    if settings.start == "header":
        # a wrong header has no rival near it: whoever judges must have looked everywhere
        rivals += search(pair, "search", FIRST, seed)
    return chosen.climbed.matrix, tuple(rival.climbed.matrix for rival in rivals)


def _started(start: Transform, settings: RegisterSettings) -> Array64:
    """Return the matrix of a start that can be kept to what was asked for, (4, 4)."""
    if not isinstance(start, Affine):
        raise UsageError("the start must be one linear transform", hint="give a .tfm file")
    matrix = start.moving_from_fixed.copy()
    if settings.transform == "rigid":
        left, stretch, right = np.linalg.svd(matrix[:3, :3])
        if np.abs(stretch - 1).max() > _ROUNDING or np.linalg.det(matrix[:3, :3]) < 0:
            raise UsageError(
                "the start stretches or mirrors, a rigid transform may not",
                hint="use --transform affine, or give a rigid start",
            )
        matrix[:3, :3] = left @ right
    return matrix


def _chosen(found: list[Candidate]) -> Candidate:
    """Return the best candidate; one near the header unless another holds 1.2 times as much."""
    best = found[0]
    near = next((candidate for candidate in found if candidate.near_header), best)
    return best if best.weight >= _HEADER_RULE * near.weight else near


def _margin(found: list[Candidate], chosen: Candidate) -> float:
    others = [candidate.weight for candidate in found if candidate is not chosen]
    return chosen.weight / max(max(others, default=0.0), 1e-9)


def _bent(pair: Pair, linear: Affine, settings: RegisterSettings, seed: int) -> Transform:
    # heavy and rarely asked for: only a deformable run pays for it
    from registration.deformable import bend

    bent: Transform = bend(pair, linear, settings, seed)
    return bent
