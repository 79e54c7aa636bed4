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
from registration.itk_engine import level_image, mask_metric, threads
from registration.pair import Pair
from registration.settings import RegisterSettings

_FIELD_MM = 3.0
_SAMPLES = 80_000
_BINS = 40


def bend(pair: Pair, linear: Affine, settings: RegisterSettings, seed: int) -> Transform:
    """Return the chain of a fold-free displacement (fixed space) and ``linear``."""
    fixed, moving = pair.prepared_fixed, pair.prepared_moving
    still = level_image(fixed.fine)
    extent = np.asarray(fixed.fine.geometry.shape) * fixed.fine.geometry.spacing
    mesh = [int(n) for n in np.maximum(1, np.round(extent / (2 * settings.grid_mm)))[::-1]]
    spline = sitk.BSplineTransformInitializer(still, mesh, 3)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    share = min(1.0, _SAMPLES / still.GetNumberOfPixels())
    method.SetMetricSamplingPercentagePerLevel(
        [min(1.0, 8 * share), share], 1 + seeds.integer(seed, "deform") % (2**31 - 2)
    )
    mask_metric(method, fixed, moving)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsLBFGS2(
        solutionAccuracy=1e-4, numberOfIterations=60, deltaConvergenceTolerance=1e-4
    )
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([3.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetMovingInitialTransform(itk.transform(linear))
    method.SetInitialTransformAsBSpline(spline, inPlace=True, scaleFactors=[1, 2])
    with threads(settings.threads):
        method.Execute(still, level_image(moving.fine))
    return _unfolded(_sampled(spline, fixed.fine.geometry)).then(linear)


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
