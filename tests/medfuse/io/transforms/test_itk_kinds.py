"""Composites, fields and counts: what stands between a file's numbers and a transform."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medfuse.errors import GeometryError, InputError
from medfuse.geometry import Geometry
from medfuse.io.transforms import itk_kinds
from medfuse.io.transforms.itk_kinds import Stored, stored, transform_of
from medfuse.transform import IDENTITY, Affine, Chain, Displacement

NOTHING = np.zeros(0)
COMPOSITE = Stored(itk_kinds.COMPOSITE, NOTHING, NOTHING)


def moved(x: float) -> Stored:
    return Stored("TranslationTransform_double_3_3", np.array([x, 0, 0]), NOTHING)


def scaled(factor: float) -> Stored:
    return Stored("ScaleTransform_double_3_3", np.full(3, factor), np.zeros(3))


def field(seed: int = 0, *, shear: float = 0.0) -> Displacement:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=rng).as_matrix() * [3, 4, 5]
    matrix[:3, 1] += shear * matrix[:3, 2]
    matrix[:3, 3] = rng.uniform(-50, 50, 3)
    vectors = rng.normal(size=(3, 4, 5, 6)).astype(np.float32)
    return Displacement(vectors, Geometry((4, 5, 6), matrix))


def test_the_part_stored_last_acts_first() -> None:
    point = [[1.0, 1, 1]]
    assert transform_of([COMPOSITE, moved(1), scaled(2)], "t").map(point).tolist() == [[3, 2, 2]]
    assert transform_of([COMPOSITE, scaled(2), moved(1)], "t").map(point).tolist() == [[4, 2, 2]]


def test_a_chain_is_stored_last_part_first() -> None:
    shift = field()
    turn = Affine(np.diag([2.0, 1, 1, 1]))
    items = stored(Chain((shift, turn)))
    assert [item.kind.split("Transform")[0] for item in items] == [
        "Composite",
        "Affine",
        "DisplacementField",
    ]
    again = transform_of(items, "t")
    points = shift.geometry.world(np.random.default_rng(1).uniform(0, 3, (30, 3)))
    assert np.allclose(again.map(points), turn.map(shift.map(points)))


def test_chains_of_chains_become_flat_and_matrices_one() -> None:
    turn, shift = Affine(np.diag([2.0, 1, 1, 1])), field()
    nested = Chain((turn, Chain((turn, Chain((shift,)))), turn, Chain(())))
    parts = itk_kinds.flat(nested)
    assert [type(part) for part in parts] == [Affine, Displacement, Affine]
    points = shift.geometry.world(np.random.default_rng(1).uniform(0, 3, (30, 3)))
    assert np.allclose(Chain(parts).map(points), nested.map(points))
    assert itk_kinds.flat(Chain(())) == (IDENTITY,)


def test_a_stranger_cannot_be_stored() -> None:
    class Stranger:
        """Not one of ours."""

    with pytest.raises(TypeError):
        stored(Stranger())  # type: ignore[arg-type]


def test_a_sheared_field_is_refused() -> None:
    with pytest.raises(GeometryError) as caught:
        stored(field(shear=0.1))
    assert caught.value.id == "N10"


def test_a_field_keeps_its_grid() -> None:
    shift = field(5)
    (item,) = stored(shift)
    shape, matrix = itk_kinds.field_grid(item.fixed, "t")
    assert Geometry(shape, matrix).same_grid(shift.geometry, tolerance=1e-9)
    again = transform_of([item], "t")
    assert isinstance(again, Displacement)
    assert np.array_equal(again.field, shift.field)


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0), (1, 2.5), (2, -4), (0, np.nan), (3, np.inf), (6, 0), (7, -1)]
)
def test_a_field_whose_grid_makes_no_sense(place: int, value: float) -> None:
    (item,) = stored(field())
    fixed = item.fixed.copy()
    fixed[place] = value
    with pytest.raises(InputError) as caught:
        transform_of([Stored(item.kind, item.parameters, fixed)], "t")
    assert caught.value.id == "X6"


def test_a_field_with_another_count_or_nan() -> None:
    (item,) = stored(field())
    with pytest.raises(InputError) as caught:
        transform_of([Stored(item.kind, item.parameters[:-3], item.fixed)], "t")
    assert caught.value.id == "X6"
    broken = item.parameters.copy()
    broken[7] = np.nan
    with pytest.raises(InputError) as caught:
        transform_of([Stored(item.kind, broken, item.fixed)], "t")
    assert caught.value.id == "X14"


@pytest.mark.parametrize(
    ("items", "id"),
    [
        ([], "X11"),
        ([COMPOSITE], "X11"),
        ([moved(1), moved(2)], "X7"),
        ([COMPOSITE, moved(1), COMPOSITE, moved(2)], "X7"),
        ([Stored("BSplineTransform_double_3_3", NOTHING, NOTHING)], "X4"),
        ([Stored("nonsense", NOTHING, NOTHING)], "X4"),
        ([Stored("TranslationTransform_double_2_2", np.zeros(2), NOTHING)], "X1"),
        ([Stored("TranslationTransform_double_3_3", np.zeros(2), NOTHING)], "X6"),
        ([Stored("ScaleTransform_double_3_3", np.ones(3), np.zeros(2))], "X6"),
    ],
)
def test_what_makes_no_transform(items: list[Stored], id: str) -> None:
    with pytest.raises(InputError) as caught:
        transform_of(items, "t")
    assert caught.value.id == id
