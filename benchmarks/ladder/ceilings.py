"""The best Dice that any method of a kind can reach on a task, in closed form.

Dice is micro: 2 TP / (P + G), summed over the whole set (the mean of cases has another optimum).
Lemma: Dice is linear-fractional, so a voxel is worth naming iff its chance exceeds half the Dice
that is reached. Hence the best rule is a threshold on the chance, and chance never helps.
"""

from __future__ import annotations

from itertools import pairwise, permutations, product

import numpy as np
import numpy.typing as npt


def dice(true: float, named: float, wanted: float) -> float:
    """Return 2 TP / (P + G); 1 where nothing is wanted and nothing named."""
    return 2 * true / (named + wanted) if named + wanted > 0 else 1.0


def blind(codes: int) -> float:
    """Return the ceiling of code-match for who sees one scan: name every lesion, or none.

    The chance of each lesion is 1/q whatever is seen, so TP = 1/q, P = 1, G = 1/q.
    """
    return 2 / (codes + 1)


def monotone(codes: int) -> float:
    """Return the ceiling of code-match for any monotone rule on one score a scan.

    Rows (codes of A) sorted by their score have nested sets of columns: a set that hits k cells
    of the diagonal has at least 1 + 2 + ... + k cells. Sum, mean, product, largest, vote and
    weights that are not negative are such rules; a learned head that may go down is not.
    """
    return max(2 * k / (codes + k * (k + 1) / 2) for k in range(1, codes + 1))


def staircase(codes: int) -> float:
    """Return the same by trying every staircase under every order of columns."""
    best = 0.0
    steps = [
        lengths
        for lengths in product(range(codes + 1), repeat=codes)
        if all(a >= b for a, b in pairwise(lengths))
    ]
    for order in permutations(range(codes)):
        for lengths in steps:
            hit = sum(order[row] < length for row, length in enumerate(lengths))
            best = max(best, dice(hit, sum(lengths), codes))
    return best


def subset(seen: int, modalities: int) -> float:
    """Return the ceiling with ``seen`` of ``modalities`` scans: exactly the lesions that show.

    Unseen ones leave no trace; naming a further voxel of the body is worth it only where they
    fill more than 1 / (N + 1) of it, which they do not.
    """
    return 2 * seen / (modalities + seen)


def believed(modalities: int) -> float:
    """Return what is left of the Dice where one scan is another patient's and believed."""
    share = (modalities - 1) / modalities
    return dice(share, 1.0, 1.0)


def micro(named: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_]) -> float:
    """Return the Dice of two masks of any shape, pooled."""
    true = np.count_nonzero(named & wanted)
    return dice(true, np.count_nonzero(named), np.count_nonzero(wanted))
