"""Numbers that compare: alignments in mm, and label maps in overlap, distance and lesions.

``alignment`` holds errors of transforms and folding of fields, ``overlap``, ``surfaces`` and
``lesions`` what two masks have in common, ``scores`` the verb that asks all of it of two label
maps. numpy and scipy only; what an empty mask means is defined in each.
"""

from medfuse.metrics.alignment import folding, jacobian_determinant, target_registration_error
from medfuse.metrics.lesions import LesionScores, match_lesions
from medfuse.metrics.overlap import Empty, dice, emptiness
from medfuse.metrics.scores import LabelScores, Scores, score
from medfuse.metrics.surfaces import hausdorff95, surface_dice, surface_distances

__all__ = [
    "Empty",
    "LabelScores",
    "LesionScores",
    "Scores",
    "dice",
    "emptiness",
    "folding",
    "hausdorff95",
    "jacobian_determinant",
    "match_lesions",
    "score",
    "surface_dice",
    "surface_distances",
    "target_registration_error",
]
