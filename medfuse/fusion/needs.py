"""What an answer will take, said before it is begun."""

from __future__ import annotations

import numpy as np

from medfuse import settings
from medfuse.fusion.segmenter import Sweep
from medfuse.fusion.settings import FusionSettings
from medfuse.geometry import Geometry
from medfuse.nets.modelfile import ModelCard
from medfuse.nets.ramps import RAMPS
from medfuse.nets.windows import Windows


def memory_needed(
    geometry: Geometry,
    card: ModelCard,
    *,
    how: Sweep = Sweep(),  # noqa: B008 - frozen
    written: Geometry | None = None,
) -> int:
    """Return about how many bytes ``segment`` will hold for a study on ``geometry``.

    Where ``probabilities`` are ``written`` on a grid too, one after the other: with these.
    """
    grid = geometry.upright().respace(card.spacing)
    voxels, native = int(np.prod(grid.shape)), int(np.prod(geometry.shape))
    windows = Windows(card.patch, how.overlap, how.batch)
    inputs = 4 * len(card.modalities) * (2 * voxels + native)
    # a dozen feature maps of the finest scale for each modality are alive at once
    chosen = settings.load(FusionSettings, card.fusion, where="fusion")
    shape, full = chosen.shape, int(np.prod(card.patch))
    finest = full // int(np.prod(shape.stem)) * chosen.widths[0]
    finest += full * (sum(shape.channels) - sum(shape.widths))
    finest += full * RAMPS // 4  # the values and their ranges live for a shorter time
    if chosen.operator == "offset" and chosen.level != "model":
        finest += 3 * full  # edges, features and their spectra, all at full resolution
    features = 4 * 12 * finest * len(card.modalities) * how.batch
    sweeping = inputs + features + windows.held(grid.shape, card.classes) + 4 * native
    if written is None:
        return sweeping
    made, one = 4 * len(card.labels) * native, 4 * int(np.prod(written.shape))
    # turned to the study's axes all are there twice; then one is carried, written and read again
    return max(sweeping + made, inputs + 2 * made + 4 * native + 4 * one)
