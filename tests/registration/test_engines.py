"""What every engine of the table promises: one contract, walked for each of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from importlib import import_module

import numpy as np
import pytest

from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.transform import Affine
from medfuse.volume import Volume
from registration import ENGINES, linear
from registration.pair import Pair
from registration.pairwise import Engine, register
from registration.settings import Refined, RegisterSettings
from tests.registration import toy

TRUTH = toy.motion((2, -1, 2), 25, (5, 17, -9))
START = toy.motion((1, 1, -1), 2, (1.5, -1, 1)).then(TRUTH)  # as near as a search ends
RNG = np.random.default_rng
Once = Callable[[str, str], Refined]


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> str:
    """Return the name of each engine in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def pairs() -> dict[str, Pair]:
    """Return a T1 with what other scanners saw of the moved head."""
    moving = {
        name: toy.scan(name, TRUTH, grid=toy.around(TRUTH), seed=1) for name in ("T2", "CT", "PET")
    }
    return {name: Pair.of(toy.still("T1"), volume) for name, volume in moving.items()}


def function(name: str) -> Engine:
    module, verb = ENGINES[name].split(":")
    return getattr(import_module(module), verb)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def once(pairs: dict[str, Pair]) -> Once:
    """Return what an engine makes of a pair, computed once for all tests that only look."""
    return cache(lambda engine, name: refined(engine, pairs[name]))


def refined(name: str, pair: Pair, *, seed: int = 1, **options: object) -> Refined:
    assert isinstance(START, Affine)
    wanted = RegisterSettings(engine=name, **options)  # type: ignore[arg-type]
    return function(name)(pair, START, wanted, RNG(seed))


def test_the_table_names_functions_of_one_shape(engine: str) -> None:
    wanted = list(inspect.signature(linear.refine).parameters)
    assert list(inspect.signature(function(engine)).parameters) == wanted
    assert inspect.getdoc(function(engine))


@pytest.mark.parametrize("name", ["T2", "CT", "PET"])
def test_a_known_motion_is_found(engine: str, once: Once, name: str) -> None:
    assert toy.errors(START, TRUTH).mean() > 1.5
    found = once(engine, name)
    assert toy.errors(found.transform, TRUTH).max() < 1
    assert found.transform.is_rigid
    assert np.isfinite(found.similarity)


def test_points_go_from_fixed_to_moving(engine: str, once: Once) -> None:
    found = once(engine, "T2").transform
    lesion = np.array([toy.PARTS[10][0]], dtype=float)  # in the fixed head
    assert np.linalg.norm(found.map(lesion) - TRUTH.map(lesion)) < 1
    assert np.linalg.norm(found.inverse().map(lesion) - TRUTH.map(lesion)) > 20


def test_the_seed_decides_every_byte(engine: str, pairs: dict[str, Pair], once: Once) -> None:
    one, two = once(engine, "T2").transform, refined(engine, pairs["T2"]).transform
    assert one.moving_from_fixed.tobytes() == two.moving_from_fixed.tobytes()
    other = refined(engine, pairs["T2"], seed=6).transform
    assert toy.errors(one, other).mean() < 0.5


def test_threads_change_next_to_nothing(engine: str, pairs: dict[str, Pair], once: Once) -> None:
    one = once(engine, "T2").transform
    two = refined(engine, pairs["T2"], threads=2).transform
    assert toy.errors(one, two).max() < 0.01


def test_stretch_is_found_where_it_is_asked_for(engine: str) -> None:
    change = np.eye(4)
    change[:3, :3] = [[1.05, 0.02, 0], [0, 0.96, 0.03], [0.01, 0, 1.03]]
    truth = Affine(TRUTH.moving_from_fixed @ change)
    pair = Pair.of(toy.still("T1"), toy.scan("T2", truth, grid=toy.around(truth)))
    found = refined(engine, pair, transform="affine").transform
    assert toy.errors(found, truth).mean() < 0.6


def test_the_smaller_volume_may_be_either(engine: str) -> None:
    slab = toy.around(TRUTH, toy.HEAD.crop((22, 0, 0), (43, 64, 64)))
    pair = Pair.of(toy.still("T1"), toy.scan("CT", TRUTH, grid=slab))
    assert pair.swapped
    assert toy.errors(refined(engine, pair).transform, TRUTH).mean() < 1


def test_what_lies_outside_a_mask_does_not_matter(engine: str) -> None:
    scan = toy.scan("T2", TRUTH, grid=toy.around(TRUTH))
    places = scan.geometry.world(np.moveaxis(np.indices(scan.geometry.shape), 0, -1))
    head = TRUTH.inverse().map(places.reshape(-1, 3)).reshape(places.shape)
    beside = head[..., 0] < -10  # the right side is covered by something bright
    spoilt = np.where(beside, 150 + 90 * np.sin(places[..., 1] / 9), scan.array)
    mask = Volume(1.0 * ~beside, scan.geometry, MODALITIES["OTHER"])
    moving = scan.with_array(spoilt)
    found = refined(engine, Pair.of(toy.still("T1"), moving, (None, mask))).transform
    assert toy.errors(found, TRUTH).mean() < 1
    # and the same, seen from the other side, by a fixed mask
    back = Pair.of(moving, toy.still("T1"), (mask, None))
    wanted = RegisterSettings(engine=engine)
    other = function(engine)(back, START.inverse(), wanted, RNG(1)).transform
    assert toy.errors(other.inverse(), TRUTH).mean() < 1


FAR = Affine(np.array([[1.0, 0, 0, 2000], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))


@pytest.mark.parametrize("kind", ["rigid", "deformable"])
def test_a_start_out_of_sight_is_a_verdict_and_no_crash(
    engine: str, pairs: dict[str, Pair], kind: str
) -> None:
    pair = pairs["T2"]
    asked = RegisterSettings(engine=engine, transform=kind)  # type: ignore[arg-type]
    found = register(pair.fixed, pair.moving, start=FAR, settings=asked)
    assert found.quality.verdict == "fail"
    assert found.quality.figures["overlap"] == 0
    assert isinstance(found.transform, Affine)


def test_eight_voxels_on_an_axis_are_enough(engine: str) -> None:
    corner = np.eye(4)
    corner[:3, :3] = toy.HEAD.world_from_voxel[:3, :3] / 3 * 24
    corner[:3, 3] = -corner[:3, :3] @ [3.5, 3.5, 3.5]
    grid = Geometry((8, 8, 8), corner)
    asked = RegisterSettings(engine=engine, transform="affine")
    found = register(toy.scan("T1", grid=grid), toy.scan("CT", grid=grid), settings=asked)
    assert found.quality.verdict in {"review", "fail", "pass"}
