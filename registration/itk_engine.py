"""The second linear engine: SimpleITK's ImageRegistrationMethod, from the same start.

Mattes mutual information (Mattes et al., IEEE TMI 22 (2003) 120) with regular step gradient
descent over three levels; a check of the first engine by another library's code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import SimpleITK as sitk

from medfuse import itk
from medfuse.transform import Affine, Transform
from medfuse.volume import Array32
from registration.levels import Level, Mask, Prepared
from registration.pair import Pair
from registration.settings import Refined, RegisterSettings

_SAMPLES = 60_000
_BINS = 50
_FEWEST = 8  # voxels on an axis that a coarse level keeps
NOTHING_SHOWN = 0.02  # overlap below which there is nothing to climb


def refine(
    pair: Pair, start: Affine, settings: RegisterSettings, rng: np.random.Generator
) -> Refined:
    """Refine ``start`` rigidly, then affinely where it is asked for.

    A start that leaves next to nothing to compare is returned as it is: ITK raises there.
    """
    if pair.overlap(start) < NOTHING_SHOWN:
        return Refined(start, 0.0)
    fixed, moving = pair.inner, pair.outer
    centre = fixed.mass_centre.tolist()
    euler = sitk.Euler3DTransform()
    euler.SetCenter(centre)
    start = Affine(pair.turned(start.moving_from_fixed))
    value, found = _run(fixed, moving, start, euler, settings, rng)
    if settings.transform != "rigid":
        affine = sitk.AffineTransform(3)
        affine.SetCenter(centre)
        value, found = _run(fixed, moving, found, affine, settings, rng)
    return Refined(Affine(pair.turned(found.moving_from_fixed)), -value)


def _run(
    fixed: Prepared,
    moving: Prepared,
    start: Affine,
    free: sitk.Transform,
    settings: RegisterSettings,
    rng: np.random.Generator,
) -> tuple[float, Affine]:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    still = level_image(fixed.fine)
    share = min(1.0, _SAMPLES / still.GetNumberOfPixels())
    draw = int(rng.integers(1, 2**31 - 1))
    method.SetMetricSamplingPercentagePerLevel(
        [min(1.0, 8 * share), min(1.0, 2 * share), share], draw
    )
    mask_metric(method, fixed, moving)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.005, 120, 0.6, 1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    most = max(1, min(fixed.fine.geometry.shape) // _FEWEST)
    method.SetShrinkFactorsPerLevel([min(4, most), min(2, most), 1])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    # a fixed point passes through the free transform first, then through the start
    method.SetMovingInitialTransform(itk.transform(start))
    method.SetInitialTransform(free, inPlace=True)
    with threads(settings.threads):
        method.Execute(still, level_image(moving.fine))
    step: Transform = itk.from_transform(free)
    found = step.then(start)
    assert isinstance(found, Affine)
    return float(method.GetMetricValue()), found


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let ITK compute with ``count`` threads: with one, the same bytes every time.

    A method's own setting does not reach its metric, which asks for the global one.
    """
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def mask_metric(method: sitk.ImageRegistrationMethod, fixed: Prepared, moving: Prepared) -> None:
    """Let samples count on the rim of the fixed foreground, and inside a moving mask, alone."""
    method.SetMetricFixedMask(mask_image(fixed.middle, fixed.rim))
    if moving.mask is not None:
        method.SetMetricMovingMask(mask_image(moving.middle, moving.mask))


def level_image(level: Level) -> sitk.Image:
    """Return a level as a SimpleITK image."""
    return _image(level.array, level)


def mask_image(level: Level, mask: Mask) -> sitk.Image:
    """Return a mask on the grid of a level as a SimpleITK image of zeros and ones."""
    return _image(mask.astype(np.uint8), level)


def _image(array: Array32 | np.ndarray, level: Level) -> sitk.Image:
    made = sitk.GetImageFromArray(array)
    itk.place(made, level.geometry)
    return made
