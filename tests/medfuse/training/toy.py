"""A cohort of tiny heads on disk: a ball with a bright and a dark lesion, seen by T1 and CT."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from medfuse.fusion.settings import FusionSettings
from medfuse.intensity import scheme_for
from medfuse.io.manifest import read_manifest
from medfuse.study import Cohort
from medfuse.training.job import Job, Machine, prepare
from medfuse.training.plan import ModalityPlan, Plan
from medfuse.training.settings import AugmentSettings, Target, TrainSettings

SHAPE = (18, 20, 16)
TARGETS = (Target("left lesion", (7,)), Target("right lesion", (3,)))
SMALL = FusionSettings(level="data", widths=(4, 8))
STILL = AugmentSettings(mirror=False, turn=0, contrast=0, bias=0, noise=0, misalign=0, corrupt=0)


def arrays(seed: int) -> dict[str, np.ndarray]:
    """Return T1, CT and labels (I, J, K): lesion 7 lies at small i, lesion 3 at large i."""
    rng = np.random.default_rng(seed)
    place = np.indices(SHAPE)
    centre = (np.array(SHAPE) - 1) / 2
    radius = np.sqrt(((place - centre[:, None, None, None]) ** 2).sum(axis=0))
    head = radius < 7.5
    labels = np.zeros(SHAPE, np.int16)
    for value, i in ((7, 5), (3, 12)):
        where = np.array([i, *rng.integers(8, 11, 2)])
        gap = np.sqrt(((place - where[:, None, None, None]) ** 2).sum(axis=0))
        labels[gap < 2.6] = value
    t1 = np.where(head, 100 + 5 * rng.normal(size=SHAPE), 0) + 80 * (labels == 7)
    ct = np.where(head, 40 + 3 * rng.normal(size=SHAPE), -1000) + 60 * (labels == 3)
    return {"T1": t1.astype(np.float32), "CT": ct.astype(np.float32), "labels": labels}


def write(root: Path, count: int = 4, *, affine: np.ndarray | None = None) -> Path:
    """Write ``sub-1`` to ``sub-count``; return the folder."""
    for number in range(1, count + 1):
        folder = root / f"sub-{number}"
        folder.mkdir(parents=True)
        for name, array in arrays(number).items():
            matrix = np.diag([1.0, 1, 1, 1]) if affine is None else affine
            image = nib.Nifti1Image(array, matrix)
            image.header["descrip"] = folder.name  # labels of two heads may be alike by chance
            nib.save(image, folder / f"{name}.nii")
    return root


def cohort(root: Path, count: int = 4) -> Cohort:
    """Return the cohort of ``count`` written heads."""
    return read_manifest(write(root, count))


def settings(**changes: object) -> TrainSettings:
    """Return a recipe that takes a second."""
    fields: dict[str, object] = {
        "labels": TARGETS,
        "patch": (16, 16, 16),
        "batch": 1,
        "fusion": SMALL,
        "augment": STILL,
        "epochs": 2,
        "steps": 2,
        "validate_every": 1,
        "folds": 2,
    }
    return TrainSettings(**{**fields, **changes})  # type: ignore[arg-type]


def settle(cohort: Cohort, out: Path, *, seed: int = 0, **changes: object) -> Job:
    """Return the prepared training of a cohort, its folder made."""
    out.mkdir(exist_ok=True)
    machine = Machine(device="cpu")
    return prepare(cohort, settings(**changes), out, seed=seed, machine=machine)


def run(cohort: Cohort, out: Path, *, seed: int = 0, **changes: object) -> Path:
    """Train into ``out`` and return the model; ``resume`` and ``progress`` are no settings."""
    from medfuse.training.loop import train  # not all who use toys need Lightning

    out.mkdir(exist_ok=True)
    extra = {name: changes.pop(name) for name in ("resume", "progress") if name in changes}
    return train(cohort, settings(**changes), out, seed=seed, **extra)  # type: ignore[arg-type]


def plan(**changes: object) -> Plan:
    """Return the plan of the tiny heads at their own spacing."""
    fields: dict[str, object] = {
        "spacing": (1.0, 1.0, 1.0),
        "patch": (16, 16, 16),
        "batch": 2,
        "finer": (1, 1, 1),
        "modalities": tuple(ModalityPlan(name, scheme_for(name)) for name in ("T1", "CT")),
        "labels": TARGETS,
        "fusion": SMALL,
    }
    return Plan(**{**fields, **changes})  # type: ignore[arg-type]
