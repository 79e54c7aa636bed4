"""The deformable stage after either engine: a cubic B-spline by mutual information.

Rueckert et al., IEEE TMI 18 (1999) 712, with SimpleITK's optimiser. The result is a displacement
field on a grid of 3 mm or more that acts before the linear transform, made free of folds.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from medfuse import itk, seeds
from medfuse.geometry import Array64, Geometry
from medfuse.metrics import folding
from medfuse.transform import Affine, Displacement, Transform
from registration.itk_engine import NOTHING_SHOWN, level_image, mask_image, threads
from registration.pair import Pair
from registration.settings import RegisterSettings

_FIELD_MM = 3.0
_SAMPLES = 30_000
_ITERATIONS = 20
_BINS = 40


def bend(pair: Pair, linear: Affine, settings: RegisterSettings, seed: int) -> Transform:
    """Return the chain of a fold-free displacement (fixed space) and ``linear``.

    ``linear`` alone comes back where it leaves next to nothing to compare.
    """
    if pair.overlap(linear) < NOTHING_SHOWN:
        return linear
    fixed, moving = pair.prepared_fixed, pair.prepared_moving
    still = level_image(fixed.fine)
    extent = np.asarray(fixed.fine.geometry.shape) * fixed.fine.geometry.spacing
    mesh = [int(n) for n in np.maximum(1, np.round(extent / settings.grid_mm))[::-1]]
    spline = sitk.BSplineTransformInitializer(still, mesh, 3)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    share = min(1.0, _SAMPLES / still.GetNumberOfPixels())
    method.SetMetricSamplingPercentagePerLevel(
        [min(1.0, 4 * share), share], 1 + seeds.integer(seed, "deform") % (2**31 - 2)
    )
    method.SetMetricFixedMask(mask_image(fixed.middle, fixed.rim))
    if moving.mask is not None:
        inside = mask_image(moving.middle, moving.mask)
        method.SetMetricMovingMask(_carried(inside, still, linear, 0, sitk.sitkNearestNeighbor))
    method.SetInterpolator(sitk.sitkLinear)
    # evaluations are bounded: on sampled mutual information a line search may look for ever
    method.SetOptimizerAsLBFGSB(
        gradientConvergenceTolerance=1e-5,
        numberOfIterations=_ITERATIONS,
        maximumNumberOfCorrections=5,
        maximumNumberOfFunctionEvaluations=_ITERATIONS,
        costFunctionConvergenceFactor=1e8,
    )
    most = max(1, min(fixed.fine.geometry.shape) // 8)
    method.SetShrinkFactorsPerLevel([min(2, most), 1])
    method.SetSmoothingSigmasPerLevel([3.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(spline, inPlace=True)
    with threads(settings.threads):
        method.Execute(still, _carried(level_image(moving.fine), still, linear, moving.air))
    return _unfolded(_sampled(spline, fixed.fine.geometry)).then(linear)


def _carried(
    image: sitk.Image,
    onto: sitk.Image,
    linear: Affine,
    outside: float,
    interpolator: int = sitk.sitkLinear,
) -> sitk.Image:
    """Carry the moving image over first: beside another transform a spline is slow by far.

    (ITK then takes every sample to depend on every control point.)
    """
    return sitk.Resample(image, onto, itk.transform(linear), interpolator, outside)


def _sampled(spline: sitk.Transform, geometry: Geometry) -> Displacement:
    step = np.maximum(geometry.spacing, _FIELD_MM)
    grid = geometry.respace((float(step[0]), float(step[1]), float(step[2])))
    field = sitk.TransformToDisplacementField(
        spline,
        sitk.sitkVectorFloat32,
        [int(n) for n in grid.shape[::-1]],
        grid.origin.tolist(),
        grid.spacing[::-1],
        grid.direction[:, ::-1].ravel().tolist(),
    )
    return Displacement(np.moveaxis(sitk.GetArrayFromImage(field), -1, 0), grid)


def _unfolded(bent: Displacement) -> Displacement:
    """Smooth the field a little more each time until no voxel of it folds."""
    width = 1.0
    while folding(bent) > 0 and width < 32:
        smooth: Array64 = np.stack(
            [ndimage.gaussian_filter(part, width) for part in bent.field.astype(np.float64)]
        )
        bent = Displacement(smooth.astype(np.float32), bent.geometry)
        width *= 1.5
    return bent
