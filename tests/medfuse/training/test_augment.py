"""Augmentation: labels follow, sides stay right, and every number comes from the generator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given as for_all
from hypothesis import strategies as st
from scipy import ndimage

from medfuse.nets.blocks import generator
from medfuse.training import augment as augment_
from medfuse.training.augment import appear, augment, corrupt, draw_flips, mirror, move
from medfuse.training.draw import Batch
from medfuse.training.settings import AugmentSettings
from tests.medfuse.training.toy import STILL

SIZE = (12, 14, 16)


def batch(seed: int = 0, *, count: int = 2, modalities: int = 2, finer: int = 1) -> Batch:
    stream = generator(seed, "batch")
    x = torch.randn((count, modalities, 1, *SIZE), generator=stream)
    fine = [n * finer for n in SIZE]
    codes = torch.randint(0, 3, (count, *fine), generator=stream).to(torch.uint8)
    present = torch.ones(count, modalities, dtype=torch.bool)
    return Batch(x, present, codes, present)


EVERYTHING = AugmentSettings(
    turn=1, contrast=1, bias=1, noise=1, misalign=1, corrupt=0.5, misalign_voxels=1
)


def test_the_same_generator_gives_the_same_batch() -> None:
    one, two = (augment(batch(), EVERYTHING, generator(3, "x")) for _ in range(2))
    assert torch.equal(one.x, two.x)
    assert torch.equal(one.codes, two.codes)
    other = augment(batch(), EVERYTHING, generator(4, "x"))
    assert not torch.equal(one.x, other.x)


def test_the_global_stream_is_not_touched() -> None:
    before = torch.random.get_rng_state()
    augment(batch(), EVERYTHING, generator(0, "x"))
    assert torch.equal(before, torch.random.get_rng_state())


def test_nothing_asked_nothing_done() -> None:
    given = batch()
    made = augment(given, STILL, generator(0, "x"))
    torch.testing.assert_close(made.x, given.x)
    assert torch.equal(made.codes, given.codes)


def test_the_given_batch_is_not_changed() -> None:
    given = batch()
    kept = given.x.clone(), given.codes.clone()
    augment(given, EVERYTHING, generator(0, "x"))
    assert torch.equal(kept[0], given.x)
    assert torch.equal(kept[1], given.codes)


def test_an_absent_modality_stays_zero() -> None:
    given = batch()
    present = torch.tensor([[True, False], [False, True]])
    x = torch.where(present[:, :, None, None, None, None], given.x, 0.0)
    made = augment(Batch(x, present, given.codes, present), EVERYTHING, generator(0, "x"))
    assert not made.x[0, 1].any()
    assert not made.x[1, 0].any()


def test_turning_is_what_scipy_makes_of_it() -> None:
    """The turn is read off a ramp along each axis; a smooth scan must have gone the same way."""
    place = np.indices(SIZE).astype(np.float32)
    smooth = np.sin(place[0] / 3) + np.cos(place[1] / 4) + np.sin(place[2] / 5)
    x = torch.from_numpy(np.stack([*place, smooth]))[None, :, None]
    present = torch.ones(1, 4, dtype=torch.bool)
    given = Batch(x, present, torch.zeros(1, *SIZE, dtype=torch.uint8), present)
    settings = replace(STILL, turn=1.0, degrees=20.0, zoom=0.1)
    made = move(given, settings, generator(5, "x")).x[0, :, 0].numpy()
    d, h, w = (n // 2 for n in SIZE)
    here = made[:3, d, h, w]
    ahead = [made[:3, d + 1, h, w], made[:3, d, h + 1, w], made[:3, d, h, w + 1]]
    matrix = np.stack(ahead, axis=1) - here[:, None]
    assert not np.allclose(matrix, np.eye(3), atol=0.05)
    gram = matrix.T @ matrix  # a turn and one zoom for all axes
    assert np.allclose(gram, gram[0, 0] * np.eye(3), atol=1e-3)
    centre = (np.array(SIZE) - 1) / 2
    wanted = ndimage.affine_transform(
        smooth, matrix, centre - matrix @ centre, order=1, mode="nearest"
    )
    inner = (slice(4, -4),) * 3
    assert abs(made[3] - wanted)[inner].max() < 0.01


_MM = st.floats(0.3, 8.0)


@for_all(
    spacing=st.tuples(_MM, _MM, _MM),
    angles=st.tuples(*[st.floats(-180.0, 180.0)] * 3),
    zoom=st.floats(-0.3, 0.3),
)
def test_a_body_is_turned_and_zoomed_and_never_sheared(
    spacing: tuple[float, float, float], angles: tuple[float, float, float], zoom: float
) -> None:
    """Whatever the spacing: the map in mm stretches all directions alike, by one plus the zoom."""
    made = augment_._matrices(torch.tensor([angles]), torch.tensor([[zoom]]), spacing)[0]
    steps = np.diag(spacing)
    physical = steps @ made.double().numpy() @ np.linalg.inv(steps)
    assert np.allclose(np.linalg.svd(physical)[1], 1 + zoom, atol=1e-5)
    assert np.linalg.det(physical) > 0


def test_thick_slices_turn_as_bodies_do() -> None:
    """The map is read off a ramp along each axis, in mm; slices are 5 mm thick, pixels 1 mm."""
    size, steps = (15, 31, 33), (5.0, 1.0, 1.0)
    place = np.indices(size).astype(np.float32) * np.array(steps)[:, None, None, None]
    x = torch.from_numpy(place.astype(np.float32))[None, :, None]
    present = torch.ones(1, 3, dtype=torch.bool)
    still = Batch(x, present, torch.zeros(1, *size, dtype=torch.uint8), present)
    settings = replace(STILL, turn=1.0, degrees=15.0, zoom=0.0)
    made = augment(still, settings, generator(5, "x"), spacing=steps).x[0, :, 0].numpy()
    d, h, w = (n // 2 for n in size)
    ahead = [made[:, d + 1, h, w], made[:, d, h + 1, w], made[:, d, h, w + 1]]
    physical = (np.stack(ahead, axis=1) - made[:, d, h, w][:, None]) / np.array(steps)
    assert not np.allclose(physical, np.eye(3), atol=0.05)
    assert np.allclose(np.linalg.svd(physical)[1], 1, atol=1e-4)


def test_labels_turn_with_the_scan() -> None:
    """A scan that is its own label map: both must agree after any move, fine codes too."""
    for finer in (1, 2):
        block = torch.zeros(1, *[n * finer for n in SIZE], dtype=torch.uint8)
        block[:, 3 * finer : 8 * finer, 4 * finer : 9 * finer, 5 * finer : 12 * finer] = 1
        x = torch.nn.functional.avg_pool3d(block[None].float(), finer)[:, :, None]
        whole = torch.ones(1, 1, dtype=torch.bool)
        given = Batch(x, whole, block, whole)
        settings = replace(STILL, turn=1.0, degrees=25.0, zoom=0.1)
        made = move(given, settings, generator(2, "x"))
        codes = torch.where(made.codes == 255, 0, made.codes)
        seen = torch.nn.functional.avg_pool3d(codes[None].float(), finer)[0, 0] > 0.5
        scan = made.x[0, 0, 0] > 0.5
        both = (seen & scan).sum() * 2 / (seen.sum() + scan.sum())
        assert not torch.equal(made.codes, given.codes)
        assert float(both) > 0.9


def test_what_lies_beyond_the_patch_does_not_count() -> None:
    settings = replace(STILL, turn=1.0, degrees=40.0, zoom=0.3)
    made = move(batch(count=4), settings, generator(1, "x"))
    assert bool((made.codes == 255).any())


def test_misalignment_moves_a_scan_and_not_the_labels_nor_the_first() -> None:
    settings = replace(STILL, misalign=1.0, misalign_voxels=3.0)
    given = batch()
    made = move(given, settings, generator(1, "x"))
    torch.testing.assert_close(made.x[:, 0], given.x[:, 0], atol=1e-5, rtol=0)
    assert not torch.allclose(made.x[:, 1], given.x[:, 1], atol=0.1)
    assert torch.equal(made.codes, given.codes)


def test_a_mirror_swaps_sides_and_their_labels() -> None:
    x = batch().x
    target = torch.zeros(2, 3, *SIZE)
    target[:, 1, 4, 4, 2] = 1  # something left
    counted = torch.ones(2, 1, *SIZE)
    counted[:, 0, 0, 0, 0] = 0
    flips = torch.tensor([True, False])
    made, goal, counts = mirror(x, target, counted, [0, 2, 1], flips)
    assert torch.equal(made[0], x[0].flip(-1))
    assert torch.equal(made[1], x[1])
    assert goal[0].nonzero().tolist() == [[2, 4, 4, SIZE[2] - 1 - 2]]
    assert torch.equal(goal[1], target[1])
    assert float(counts[0, 0, 0, 0, -1]) == 0
    twice = mirror(made, goal, counts, [0, 2, 1], flips)
    assert torch.equal(twice[0], x)
    assert torch.equal(twice[1], target)


def test_half_are_mirrored_and_none_where_it_is_not_allowed() -> None:
    drawn = draw_flips(2000, AugmentSettings(), generator(0, "x"))
    assert 900 < int(drawn.sum()) < 1100
    assert not draw_flips(100, replace(AugmentSettings(), mirror=False), generator(0, "x")).any()


def test_corruption_spoils_one_modality_and_leaves_one_alone() -> None:
    settings = replace(STILL, corrupt=1.0)
    given = batch(count=8, modalities=3)
    made = corrupt(given, settings, generator(0, "x"))
    changed = (made.x != given.x).flatten(2).any(dim=2)
    assert changed.sum(dim=1).tolist() == [1] * 8
    foreign = [
        any(torch.equal(made.x[s, m], given.x[(s + 1) % 8, m]) for m in range(3)) for s in range(8)
    ]
    assert 0 < sum(foreign) < 8
    one = torch.eye(3, dtype=torch.bool)[[0, 1, 2, 0, 1, 2, 0, 1]]
    single = Batch(given.x, one, given.codes, one)
    assert torch.equal(corrupt(single, settings, generator(0, "x")).x, given.x)


def test_corruption_spares_the_only_scan_that_is_shown() -> None:
    """A teacher may be given all three: the pupil's one scan must stay what the labels say."""
    given = batch(count=8, modalities=3)
    settings = replace(STILL, corrupt=1.0)
    one = torch.eye(3, dtype=torch.bool)[[0, 1, 2, 0, 1, 2, 0, 1]]
    for seed in range(5):
        made = corrupt(replace(given, shown=one), settings, generator(seed, "x"))
        assert torch.equal(made.x, given.x)
        made = corrupt(replace(given, shown=~one), settings, generator(seed, "x"))
        changed = (made.x != given.x).flatten(2).any(dim=2)
        assert changed.sum(dim=1).tolist() == [1] * 8
        assert not (changed & one).any()  # what nobody is shown is not spoilt


def test_looks_vary_and_places_do_not() -> None:
    x = batch(count=1, modalities=1).x
    settings = replace(STILL, contrast=1.0, bias=1.0)
    made = appear(x, settings, generator(0, "x"))
    assert not torch.allclose(made, x)
    order = np.corrcoef(made.flatten().numpy(), x.flatten().numpy())[0, 1]
    assert order > 0.9
