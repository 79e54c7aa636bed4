"""One registration by another tool: ``call_peer.py TOOL FIXED MOVING [FIELD]``, in its own Python.

Knows nothing of medfuse. Prints one line of JSON: the matrix (LPS, fixed to moving points),
CPU-seconds of the call with both volumes in memory, peak RSS in MB. The settings are those of
the tools' own defaults or manuals and are listed in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
GREEDY = "-d 3 -a -dof 6 -n 100x50x10 -m NMI -threads 1 -i fixed moving -o matrix"


def cpu() -> float:
    """Return user and system seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """Return the peak memory of this process, MB: ``ru_maxrss`` would count its parent's, too."""
    words = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()
    return int(words[0]) / 1000


def greedy(fixed: str, moving: str, start: str) -> tuple[np.ndarray, float]:
    """Run greedy; its matrix maps fixed to moving points in RAS."""
    import SimpleITK as sitk
    from picsl_greedy import Greedy3D

    volumes = {
        "fixed": sitk.ReadImage(fixed, sitk.sitkFloat32),
        "moving": sitk.ReadImage(moving, sitk.sitkFloat32),
    }
    tool = Greedy3D()
    before = cpu()
    tool.execute(f"{GREEDY} {start}", **volumes, matrix=None)
    spent = cpu() - before
    return RAS_FROM_LPS @ np.asarray(tool["matrix"]) @ RAS_FROM_LPS, spent


def elastix(fixed: str, moving: str, centred: bool) -> tuple[np.ndarray, float]:
    """Run elastix' default rigid map; ITK's Euler transform is read from its parameters."""
    import itk
    import SimpleITK as sitk

    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(1)
    first, second = itk.imread(fixed, itk.F), itk.imread(moving, itk.F)
    parameters = itk.ParameterObject.New()
    plan = parameters.GetDefaultParameterMap("rigid", 4)
    plan["AutomaticTransformInitialization"] = ["true" if centred else "false"]
    parameters.AddParameterMap(plan)
    before = cpu()
    _, found = itk.elastix_registration_method(
        first, second, parameter_object=parameters, log_to_console=False, number_of_threads=1
    )
    spent = cpu() - before
    said = found.GetParameterMap(0)
    numbers = [float(value) for value in said["TransformParameters"]]
    transform = sitk.Euler3DTransform()
    transform.SetCenter([float(value) for value in said["CenterOfRotationPoint"]])
    transform.SetComputeZYX("ComputeZYX" in said and said["ComputeZYX"][0] == "true")
    transform.SetRotation(*numbers[:3])
    transform.SetTranslation(numbers[3:])
    return matrix_of(transform.TransformPoint), spent


def ants(fixed: str, moving: str) -> tuple[np.ndarray, float]:
    """Run ANTs' Rigid; its forward transform maps fixed to moving points in LPS."""
    import ants as tool

    first, second = tool.image_read(fixed), tool.image_read(moving)
    before = cpu()
    found = tool.registration(first, second, type_of_transform="Rigid", random_seed=1)
    spent = cpu() - before
    transform = tool.read_transform(found["fwdtransforms"][0])
    return matrix_of(lambda point: transform.apply_to_point(tuple(point))), spent


def deform(fixed: str, moving: str, field: str) -> tuple[None, float]:
    """Run elastix' B-spline (12 mm, 4 levels of 500) and save its displacement, fixed grid."""
    import itk

    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(1)
    first, second = itk.imread(fixed, itk.F), itk.imread(moving, itk.F)
    parameters = itk.ParameterObject.New()
    plan = parameters.GetDefaultParameterMap("bspline", 4, 12.0)
    plan["MaximumNumberOfIterations"] = ["500"]
    plan["Metric"] = ["AdvancedMattesMutualInformation"]
    plan.pop("Metric0Weight", None)
    plan.pop("Metric1Weight", None)
    parameters.AddParameterMap(plan)
    before = cpu()
    _, found = itk.elastix_registration_method(
        first, second, parameter_object=parameters, log_to_console=False, number_of_threads=1
    )
    spent = cpu() - before
    shifts = itk.transformix_deformation_field(first, found)
    np.save(field, itk.array_from_image(shifts).reshape(-1, 3).astype(np.float32))
    return None, spent


def matrix_of(mapped: Callable[[list[float]], tuple[float, ...]]) -> np.ndarray:
    """Return the matrix of a linear map of points."""
    matrix = np.eye(4)
    matrix[:3, 3] = mapped([0.0, 0.0, 0.0])
    for axis in range(3):
        unit = [0.0, 0.0, 0.0]
        unit[axis] = 1000.0
        matrix[:3, axis] = (np.asarray(mapped(unit)) - matrix[:3, 3]) / 1000
    return matrix


def main() -> None:
    """Run the tool that is named and print what came of it."""
    tool, fixed, moving, *rest = sys.argv[1:]
    calls: dict[str, Callable[[], tuple[np.ndarray | None, float]]] = {
        "greedy": lambda: greedy(fixed, moving, "-ia-image-centers"),
        "greedy-header": lambda: greedy(fixed, moving, "-ia-identity"),
        "greedy-search": lambda: greedy(fixed, moving, "-ia-image-centers -search 1000 any 30"),
        "elastix": lambda: elastix(fixed, moving, True),
        "elastix-header": lambda: elastix(fixed, moving, False),
        "ants": lambda: ants(fixed, moving),
        "elastix-bspline": lambda: deform(fixed, moving, rest[0]),
    }
    matrix, spent = calls[tool]()
    answer = {
        "matrix": None if matrix is None else matrix.tolist(),
        "cpu": spent,
        "rss": peak_mb(),
    }
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
