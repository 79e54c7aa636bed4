"""Which lesions were found: connected components of two masks, matched one to one.

Components touch by face, edge or corner (26 neighbours). Pairs are taken greedily by falling
overlap (intersection over union); a pair counts from a least overlap on, and no lesion is used
twice. So a lesion that was predicted in two pieces is one found and one false alarm, and two that
were predicted as one are one found and one missed. (Kirillov et al. 2019, panoptic quality, doi
10.1109/CVPR.2019.00963; nnDetection takes 0.1 as the least overlap for small lesions in 3-D.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
_TOUCHING = np.ones((3, 3, 3), dtype=bool)
LEAST_OVERLAP = 0.1  # intersection over union


@dataclass(frozen=True)
class LesionScores:
    """How many lesions there are, how many were predicted, and the Dice of each one found."""

    truth: int
    prediction: int
    dice: tuple[float, ...]

    @property
    def found(self) -> int:
        """Lesions of the truth that have a partner."""
        return len(self.dice)

    @property
    def missed(self) -> int:
        """Lesions of the truth that have none."""
        return self.truth - self.found

    @property
    def false_alarms(self) -> int:
        """Predicted lesions that have no partner."""
        return self.prediction - self.found

    @property
    def sensitivity(self) -> float:
        """Part of the true lesions that was found; 1 where there are none."""
        return self.found / self.truth if self.truth else 1.0

    @property
    def precision(self) -> float:
        """Part of the predicted lesions that is true; 1 where none was predicted."""
        return self.found / self.prediction if self.prediction else 1.0

    @property
    def f1(self) -> float:
        """Found over found and half of what went wrong (recognition quality); 1 where all empty."""
        whole = self.truth + self.prediction
        return 2 * self.found / whole if whole else 1.0

    @property
    def lesion_dice(self) -> float:
        """Sum of the Dice of lesions found over found + missed + false alarms; 1 where all empty.

        BraTS 2023's lesion-wise Dice, without its dilation.
        """
        whole = self.truth + self.prediction - self.found
        return sum(self.dice) / whole if whole else 1.0


def match_lesions(prediction: Mask, truth: Mask, *, overlap: float = LEAST_OVERLAP) -> LesionScores:
    """Match the components of two masks (D, H, W); ``overlap`` is the least that counts, 0 to 1.

    A pair needs an intersection over union of at least ``overlap``, and one voxel in common.
    """
    made, predicted = ndimage.label(prediction, _TOUCHING)
    true, there = ndimage.label(truth, _TOUCHING)
    both = prediction & truth
    sizes = np.bincount(made.ravel(), minlength=1), np.bincount(true.ravel(), minlength=1)
    pairs, shared = np.unique(
        np.stack([made[both], true[both]], axis=1), axis=0, return_counts=True
    )  # (N, 2), (N,)
    each = sizes[0][pairs[:, 0]], sizes[1][pairs[:, 1]]
    union = each[0] + each[1] - shared
    found = []
    used: tuple[set[int], set[int]] = (set(), set())
    for n in np.argsort(-shared / union, kind="stable"):
        one, other = int(pairs[n, 0]), int(pairs[n, 1])
        if shared[n] / union[n] < overlap or one in used[0] or other in used[1]:
            continue
        used[0].add(one)
        used[1].add(other)
        found.append(float(2 * shared[n] / (each[0][n] + each[1][n])))
    return LesionScores(int(there), int(predicted), tuple(found))
