"""Explicit alignment in space: from two volumes to one transform and an honest verdict on it.

``register`` a pair, ``align`` a study, ``assess`` a transform from elsewhere, ``gate`` what did not
fit. ``ENGINES`` lists the linear engines.
"""

from registration.groupwise import align, choose_fixed
from registration.pairwise import ENGINES, register
from registration.quality import assess, gate
from registration.settings import RegisterSettings, Registration

__all__ = [
    "ENGINES",
    "RegisterSettings",
    "Registration",
    "align",
    "assess",
    "choose_fixed",
    "gate",
    "register",
]
