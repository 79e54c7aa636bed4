"""What of ours SimpleITK gets to see; how well it does with it, ``test_engines`` says."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.modality import MODALITIES
from medfuse.transform import Affine
from medfuse.volume import Volume
from registration.itk_engine import level_image, mask_metric, refine, threads
from registration.levels import Prepared
from registration.pair import Pair
from registration.settings import RegisterSettings
from tests.registration import toy


def test_a_level_lies_in_itk_where_it_lies_here() -> None:
    level = Prepared.of(
        toy.scan("CT", grid=toy.HEAD.moved(toy.motion((1, 2, 3), 33).moving_from_fixed))
    ).middle
    made = level_image(level)
    rng = np.random.default_rng(1)
    for voxel in rng.integers(0, level.geometry.shape, (20, 3)):
        index = [int(n) for n in voxel[::-1]]
        assert made.GetPixel(index) == pytest.approx(float(level.array[tuple(voxel)]))
        place = made.TransformIndexToPhysicalPoint(index)
        assert place == pytest.approx(tuple(level.geometry.world(voxel)), abs=1e-6)


def masked_value(pair: Pair) -> float:
    """Return ITK's mean square difference of a pair at rest, under its masks."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetNumberOfThreads(1)
    mask_metric(method, pair.prepared_fixed, pair.prepared_moving)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(sitk.TranslationTransform(3))
    fixed, moving = (
        level_image(pair.prepared_fixed.middle),
        level_image(pair.prepared_moving.middle),
    )
    return float(method.MetricEvaluate(fixed, moving))


def test_itk_counts_only_the_rim_and_what_masks_leave() -> None:
    still = toy.still("T1")
    places = toy.HEAD.world(np.moveaxis(np.indices(toy.HEAD.shape), 0, -1))
    far_air = np.abs(places[..., [0, 2]]).max(axis=-1) > 88
    right = places[..., 0] < -8
    assert masked_value(Pair.of(still, still.with_array(still.array + 40 * far_air))) < 1
    changed = still.with_array(still.array + 40 * right)
    assert masked_value(Pair.of(still, changed)) > 300
    left = Volume(1.0 * (places[..., 0] > 0), toy.HEAD, MODALITIES["OTHER"])
    assert masked_value(Pair.of(still, changed, (None, left))) < 1
    assert masked_value(Pair.of(still, changed, (left, None))) < 1


def test_from_the_truth_it_stays_there() -> None:
    truth = toy.motion((0, 1, 2), 100, (20, -30, 5))
    pair = Pair.of(toy.still("T1"), toy.scan("T2", truth, grid=toy.around(truth)))
    found = refine(pair, truth, RegisterSettings(engine="itk"), np.random.default_rng(1))
    assert toy.errors(found.transform, truth).mean() < 0.6
    assert isinstance(found.transform, Affine)
    # Mattes' measure is mutual information, in nats: more than nothing, less than its bins can hold
    assert 0.3 < found.similarity < np.log(50)


def test_the_global_number_of_threads_is_given_back() -> None:
    now = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads
    before = now()
    with threads(1):
        assert now() == 1
    assert now() == before
    with pytest.raises(KeyError), threads(1):
        {}["an error inside"]
    assert now() == before
