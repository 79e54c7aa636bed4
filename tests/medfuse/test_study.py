"""A study and its aligned form: frozen, on one grid, stacked in the order that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from medfuse.errors import GeometryError, UsageError
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.study import AlignedStudy, Quality, Study
from medfuse.transform import IDENTITY
from medfuse.volume import LabelMap, Volume

GRID = Geometry((2, 3, 4), np.eye(4))
OTHER = Geometry((2, 3, 4), np.diag([1.0, 1, 1.1, 1]))


def volume(name: str, value: float, grid: Geometry = GRID) -> Volume:
    return Volume(np.full(grid.shape, value, np.float32), grid, MODALITIES[name])


def aligned(**changes: object) -> AlignedStudy:
    volumes = {"T1": volume("T1", 1), "CT": volume("CT", 2)}
    fields: dict[str, object] = {
        "study": Study("case", volumes),
        "fixed": "T1",
        "geometry": GRID,
        "volumes": volumes,
        "transforms": {"CT": IDENTITY},
        "quality": {"CT": Quality("pass", {"overlap": 1.0})},
    }
    return AlignedStudy(**{**fields, **changes})  # type: ignore[arg-type]


def test_volumes_are_stacked_in_the_order_asked_for() -> None:
    array, present = aligned().stack(["CT", "PET", "T1"])
    assert array.shape == (3, 2, 3, 4)
    assert array.dtype == np.float32
    assert array[:, 0, 0, 0].tolist() == [2, 0, 1]
    assert present.tolist() == [True, False, True]
    assert present.dtype == np.bool_


def test_a_stack_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError):
        aligned().stack([])


def test_a_stack_is_a_copy() -> None:
    study = aligned()
    study.stack(["CT"])[0][:] = 9
    assert float(study.volumes["CT"].array.max()) == 2


def test_another_grid_is_refused_by_name() -> None:
    with pytest.raises(GeometryError, match=r"^CT: "):
        aligned(volumes={"CT": volume("CT", 1, OTHER)})
    with pytest.raises(GeometryError, match="label map"):
        aligned(labels=LabelMap(np.zeros(OTHER.shape), OTHER))


def test_mappings_cannot_be_changed_from_either_side() -> None:
    volumes = {"T1": volume("T1", 1)}
    study = Study("case", volumes)
    volumes["CT"] = volume("CT", 2)
    assert list(study.volumes) == ["T1"]
    with pytest.raises(TypeError):
        study.volumes["CT"] = volume("CT", 2)  # type: ignore[index]
    for mapping in (aligned().volumes, aligned().transforms, aligned().quality, aligned().dropped):
        with pytest.raises(TypeError):
            mapping["x"] = None  # type: ignore[index]


def test_the_report_is_not_shown() -> None:
    assert "lesion" not in repr(Study("case", {}, "a lesion of Jane Doe"))
