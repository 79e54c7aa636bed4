"""medfuse: one patient's MRI, CT and PET in one space, with an honest verdict.

Research software, not a medical device. The nouns are ready at once; the verbs, and the packages
behind them, are loaded on first use. Start with ``mf.read_study`` and ``mf.align``.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

# what the face shows: its name and the module that holds it, loaded on first use
_NOUNS = {
    "Geometry": "medfuse.geometry",
    "Modality": "medfuse.modality",
    "MODALITIES": "medfuse.modality",
    "Volume": "medfuse.volume",
    "LabelMap": "medfuse.volume",
    "Source": "medfuse.volume",
    "Transform": "medfuse.transform",
    "Affine": "medfuse.transform",
    "Displacement": "medfuse.transform",
    "Chain": "medfuse.transform",
    "IDENTITY": "medfuse.transform",
    "Study": "medfuse.study",
    "AlignedStudy": "medfuse.study",
    "Quality": "medfuse.study",
    "Cohort": "medfuse.study",
    "Record": "medfuse.record",
    "Scores": "medfuse.metrics.scores",
    "Registration": "registration.settings",
    "RegisterSettings": "registration.settings",
    "TrainSettings": "medfuse.training.settings",
    "Segmenter": "medfuse.fusion.segmenter",
    "MedfuseError": "medfuse.errors",
    "UsageError": "medfuse.errors",
    "InputError": "medfuse.errors",
    "DicomError": "medfuse.errors",
    "GeometryError": "medfuse.errors",
    "ModelError": "medfuse.errors",
    "QualityRefused": "medfuse.errors",
    "OutputError": "medfuse.errors",
    "ResourceError": "medfuse.errors",
    "SomeFailed": "medfuse.errors",
    "Repair": "medfuse.errors",
}
VERBS = {
    "read_volume": "medfuse.io.volumes",
    "read_labels": "medfuse.io.volumes",
    "write_volume": "medfuse.io.volumes",
    "write_labels": "medfuse.io.volumes",
    "write_segmentation": "medfuse.io.segmentations",
    "read_study": "medfuse.io.studies",
    "read_aligned": "medfuse.io.studies",
    "read_transform": "medfuse.io.transforms",
    "write_transform": "medfuse.io.transforms",
    "inspect": "medfuse.io.inspection",
    "resample": "medfuse.resampling",
    "apply": "medfuse.resampling",
    "score": "medfuse.metrics.scores",
    "read_manifest": "medfuse.io.manifest",
    "train": "medfuse.training.loop",
    "load_segmenter": "medfuse.fusion.segmenter",
    "segment": "medfuse.fusion.segmenter",
    "write_phantom": "medfuse.phantom.cohort",
    "register": "registration.pairwise",
    "assess": "registration.quality",
    "gate": "registration.quality",
    "align": "registration.groupwise",
    "write_page": "pipelines.reporting.page",
    "show": "pipelines.reporting.display",
    "compare": "pipelines.reporting.display",
}

__all__ = ["VERBS", "__version__", *_NOUNS, *VERBS]


def __getattr__(name: str) -> Any:
    """Load what the face shows from the package beside this one, and from nowhere else."""
    home = _NOUNS.get(name) or VERBS.get(name)
    if home is None:
        raise AttributeError(f"module 'medfuse' has no attribute {name!r}")
    _refuse_a_stranger(home.split(".")[0])
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def _refuse_a_stranger(package: str) -> None:
    """Raise ``ImportError`` where another ``registration`` or ``pipelines`` hides ours."""
    ours = Path(__file__).resolve().parent.parent / package / "__init__.py"
    loaded = import_module(package).__file__
    if loaded is None or Path(loaded).resolve() != ours:
        raise ImportError(
            f"{package!r} was loaded from {loaded or 'a folder without __init__.py'}, which hides "
            f"the one that belongs to medfuse in {ours.parent}; rename it, leave its folder, or "
            f"uninstall the distribution that brought it"
        )


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
