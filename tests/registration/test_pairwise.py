"""From two volumes to one transform: any orientation, either engine, the same answer every time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import UsageError
from medfuse.geometry import Geometry
from medfuse.metrics import target_registration_error
from medfuse.modality import MODALITIES
from medfuse.phantom.anatomy import Anatomy, head
from medfuse.phantom.cohort import Motion
from medfuse.phantom.cohort import pair as phantom_pair
from medfuse.transform import IDENTITY, Affine, Chain, Displacement
from medfuse.volume import Volume
from registration import RegisterSettings, Registration, register
from tests.registration import toy

ROOT = Path(__file__).resolve().parents[2]
FAR = toy.motion((1, -2, 2), 170, (40, 10, -5))
NEAR = toy.motion((1, 2, 3), 15, (8, -6, 10))


@pytest.fixture(scope="module")
def far() -> Volume:
    """Return the CT of a head that lies the other way up, 40 mm away."""
    return toy.scan("CT", FAR, grid=toy.around(FAR), seed=1)


@pytest.fixture(scope="module")
def near() -> Volume:
    """Return the T2 of a head that moved a little."""
    return toy.scan("T2", NEAR, grid=toy.around(NEAR), seed=1)


@pytest.fixture(scope="module")
def found(far: Volume) -> Registration:
    """Return what the default makes of the far one."""
    return register(toy.still("T1"), far, seed=2)


def error(made: Registration, truth: Affine) -> float:
    return float(toy.errors(made.transform, truth).max())


def matrix(made: Registration) -> np.ndarray:
    assert isinstance(made.transform, Affine)
    return made.transform.moving_from_fixed


def test_the_other_way_up_is_found_and_passes(found: Registration) -> None:
    assert error(found, FAR) < 1
    assert found.transform.is_rigid  # type: ignore[attr-defined]
    assert found.quality.verdict == "pass"
    assert found.quality.reasons == ()
    assert found.settings == RegisterSettings()


def test_the_transform_maps_fixed_points_to_moving_points(found: Registration) -> None:
    lesion = np.array([toy.PARTS[10][0]], dtype=float)
    assert np.linalg.norm(found.transform.map(lesion) - FAR.map(lesion)) < 1
    assert np.linalg.norm(found.transform.inverse().map(lesion) - FAR.map(lesion)) > 5


def test_the_second_engine_finds_it_too() -> None:
    moving = toy.scan("PET", FAR, grid=toy.around(FAR), seed=1)
    made = register(toy.still("T1"), moving, settings=RegisterSettings(engine="itk"))
    assert error(made, FAR) < 1
    assert made.quality.verdict == "pass"


def test_the_same_seed_gives_the_same_bytes(far: Volume, found: Registration) -> None:
    again = register(toy.still("T1"), far, seed=2)
    assert matrix(again).tobytes() == matrix(found).tobytes()
    assert again.quality == found.quality


def test_how_the_arrays_are_stored_changes_nothing(far: Volume, found: Registration) -> None:
    def stored(volume: Volume, order: tuple[int, ...], flips: tuple[int, ...]) -> Volume:
        array = np.flip(volume.array.transpose(order), flips)
        last = [volume.array.shape[axis] - 1 for axis in order]
        turn = np.zeros((4, 4))
        for new, old in enumerate(order):
            turn[old, new] = -1 if new in flips else 1
            turn[old, 3] = last[new] if new in flips else 0
        turn[3, 3] = 1
        grid = Geometry(array.shape, volume.geometry.world_from_voxel @ turn)
        return Volume(array, grid, volume.modality)

    fixed, moving = stored(toy.still("T1"), (2, 0, 1), (0,)), stored(far, (1, 0, 2), (1, 2))
    point = np.array([[20.0, 5, -8]])
    for kept, turned in ((toy.still("T1"), fixed), (far, moving)):
        one, two = kept.geometry.voxel(point), turned.geometry.voxel(point)
        inside = [tuple(np.clip(np.rint(at[0]).astype(int), 0, 63)) for at in (one, two)]
        assert kept.array[inside[0]] == turned.array[inside[1]]
    made = register(fixed, moving, seed=2)
    assert toy.errors(made.transform, found.transform).max() < 0.3


def test_from_moving_to_fixed_is_the_inverse(far: Volume, found: Registration) -> None:
    back = register(far, toy.still("T1"))
    assert toy.errors(back.transform.inverse(), found.transform).max() < 0.6


@pytest.mark.parametrize("start", ["header", "search"])
def test_each_way_finds_a_small_motion(near: Volume, start: str) -> None:
    wanted = RegisterSettings(start=start)  # type: ignore[arg-type]
    made = register(toy.still("T1"), near, settings=wanted)
    assert error(made, NEAR) < 1
    assert made.quality.verdict == "pass"


def test_a_start_is_taken_for_what_it_is(far: Volume) -> None:
    about = toy.motion((0, 0, 1), 3, (2, -2, 1)).then(FAR)
    made = register(toy.still("T1"), far, start=about)
    assert error(made, FAR) < 1
    assert made.quality.verdict == "pass"
    lost = register(toy.still("T1"), far, start=IDENTITY)
    assert error(lost, FAR) > 20  # it was told where to look
    assert lost.quality.verdict != "pass"  # and says that another pose is better


def test_a_mask_takes_an_artefact_out_of_sight(near: Volume) -> None:
    places = near.geometry.world(np.moveaxis(np.indices(near.geometry.shape), 0, -1))
    beside = NEAR.inverse().map(places)[..., 2] < -25
    bright = near.with_array(np.where(beside, 300 + 90 * np.sin(places[..., 1] / 9), near.array))
    mask = Volume(1.0 * ~beside, near.geometry, MODALITIES["OTHER"])
    made = register(toy.still("T1"), bright, masks=(None, mask))
    assert error(made, NEAR) < 1.5


def test_steps_are_reported_in_order(near: Volume) -> None:
    said: list[tuple[str, int, int]] = []
    register(
        toy.still("T1"),
        near,
        start=NEAR,
        settings=RegisterSettings(transform="affine"),
        progress=lambda *step: said.append(step),
    )
    assert said[0][0] == "search"
    done = [step[1] for step in said]
    assert done == sorted(done)
    assert said[-1][1] == said[-1][2]


def test_what_cannot_be_asked_for_is_refused_before_any_work(near: Volume) -> None:
    with pytest.raises(UsageError, match=r"unknown engine 'elastix'.*mi, itk"):
        register(toy.still("T1"), near, settings=RegisterSettings(engine="elastix"))
    field = Displacement(np.zeros((3, 2, 2, 2)), Geometry((2, 2, 2), np.eye(4)))
    for start in (field, Chain((field, IDENTITY))):
        with pytest.raises(UsageError, match="linear"):
            register(toy.still("T1"), near, start=start)


def test_volumes_of_a_few_mm_and_single_voxels_get_a_verdict() -> None:
    rng = np.random.default_rng(1)
    grid = Geometry((16, 16, 16), np.eye(4)[[2, 1, 0, 3]] * [0.3, 0.3, 0.3, 1])
    tiny = Volume(rng.normal(size=grid.shape), grid, MODALITIES["MR"])
    dot = np.full(toy.HEAD.shape, 1000.0)
    dot[30, 30, 30] += 1
    for odd in (tiny, Volume(dot, toy.HEAD, MODALITIES["MR"])):
        made = register(odd, toy.still("T1"), start=IDENTITY)
        assert made.quality.verdict != "pass"
        assert np.isfinite(matrix(made)).all()


@pytest.mark.slow
def test_nothing_that_learns_is_loaded() -> None:
    code = (
        "import sys\n"
        "from registration import ENGINES, RegisterSettings, register\n"
        "from tests.registration import toy\n"
        "grid = toy.HEAD.respace((6, 6, 6))\n"
        "fixed, moving = (toy.scan(name, grid=grid) for name in ('T1', 'T2'))\n"
        "for engine in ENGINES:\n"
        "    wanted = RegisterSettings(engine=engine, transform='affine', start='header')\n"
        "    register(fixed, moving, settings=wanted)\n"
        "import registration.deformable\n"
        "learns = {'torch', 'monai', 'lightning', 'pytorch_lightning', 'matplotlib', 'pandas'}\n"
        "sys.exit(str(learns & set(sys.modules)) if learns & set(sys.modules) else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def body() -> Anatomy:
    """Return one believable head."""
    return head(11)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "motion"), [("CT", "any"), ("PET", "60")])
def test_a_believable_head_is_found(body: Anatomy, name: str, motion: Motion) -> None:
    fixed, moving, truth, points = phantom_pair(11, name, motion=motion, t1_mm=2.0, anatomy=body)
    made = register(fixed, moving)
    assert target_registration_error(made.transform, truth, points).mean() < 1
    assert made.quality.verdict != "fail"


def test_a_wrong_header_never_passes(far: Volume) -> None:
    # the truth lies half a turn away: near the header there is nothing to compare with
    made = register(toy.still("T1"), far, settings=RegisterSettings(start="header"))
    assert error(made, FAR) > 5
    assert made.quality.verdict != "pass"
    assert made.quality.figures["margin"] < 1


@pytest.mark.parametrize("engine", ["mi", "itk"])
def test_a_rigid_result_stays_rigid_from_a_rounded_start(near: Volume, engine: str) -> None:
    rounded = Affine(np.round(NEAR.moving_from_fixed, 4))
    made = register(
        toy.still("T1"), near, start=rounded, settings=RegisterSettings(engine=engine)
    ).transform
    assert isinstance(made, Affine)
    turn = made.moving_from_fixed[:3, :3]
    assert np.allclose(turn.T @ turn, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("change", [(1.1, 1.1, 1.1), (-1.0, 1.0, 1.0)])
def test_a_start_that_stretches_or_mirrors_is_refused(
    near: Volume, change: tuple[float, ...]
) -> None:
    start = Affine(NEAR.moving_from_fixed @ np.diag([*change, 1.0]))
    with pytest.raises(UsageError, match="stretches or mirrors"):
        register(toy.still("T1"), near, start=start)
