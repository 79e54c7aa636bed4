"""The intermediate between a format and its meaning keeps the type of the file."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from medfuse.geometry import Geometry
from medfuse.io.image import Image


def test_it_is_frozen_and_keeps_the_type() -> None:
    image = Image(np.zeros((2, 3, 4), "i8"), Geometry((2, 3, 4), np.eye(4)), "00")
    assert image.array.dtype == "i8"
    assert (image.repairs, image.modality, image.unit, image.names) == ((), None, None, ())
    with pytest.raises(dataclasses.FrozenInstanceError):
        image.sha256 = "11"  # type: ignore[misc]
