"""How much two masks share: Dice, and which of them is empty.

Dice is 2 |P and T| / (|P| + |T|). Where both are empty it is 1 (nothing was there and nothing was
said), where one is, 0: a rule, not a measurement, so whoever averages also says how often it was
used. (Reinke et al. 2024, "Understanding metric-related pitfalls in image analysis validation",
doi 10.1038/s41592-023-02150-0.)
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Empty = Literal["no", "both", "truth", "prediction"]


def emptiness(prediction: Mask, truth: Mask) -> Empty:
    """Tell which of two masks holds no voxel."""
    some, true = bool(prediction.any()), bool(truth.any())
    if some and true:
        return "no"
    if not some and not true:
        return "both"
    return "truth" if some else "prediction"


def dice(shared: float, prediction: float, truth: float) -> float:
    """Return the Dice of two masks from their sizes (voxels, ml): in both, in each; 0 to 1.

    1 where both are empty. Counts of many cases may be added first: that is the *pooled* (micro)
    Dice, which large lesions dominate and which needs no rule for an empty case.
    """
    whole = prediction + truth
    return 2 * shared / whole if whole else 1.0
