"""The plan of a training: what the data, the recipe and the memory at hand make of it.

It is a TOML file that a person can read and change: where it lies in the output folder already,
it is taken as it is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medfuse import settings as settings_
from medfuse.errors import UsageError
from medfuse.fusion.settings import FusionSettings
from medfuse.fusion.sides import partners
from medfuse.intensity import Scheme, scheme_for
from medfuse.io import files
from medfuse.training.settings import Target, TrainSettings, Triple, check_inputs, check_values
from medfuse.training.survey import Coding, Seen

_CPU_VOXELS, _GPU_VOXELS = 1.3e6, 16e6  # of a median visit: more takes too long to look at
_CPU_PATCH, _GPU_PATCH = 64, 112  # voxels along an axis
_FINE_ENOUGH = 400  # voxels that the median of the smallest label must keep
_STEPS_MM = 0.25
_HEADER = """\
# The plan of a training, made from the data, the recipe and the memory at hand.
# Change what you like and run the same command again: this file is taken as it is.
# Sizes are along (d, h, w): towards the head, the back and the left.
"""
_NOTES = {
    "spacing": "mm; scans are resampled to it",
    "patch": "voxels a training patch has; the same in the sliding window",
    "batch": "patches a step",
    "finer": "label voxels a voxel, along each axis: a target is the part of a voxel it covers",
    "others": "values that no label names: refuse, background or ignore",
    "ignore": "values whose voxels are neither learned nor counted",
    "widths": "channels of each scale, finest first",
    "strides": "step into each coarser scale",
}


@dataclass(frozen=True)
class ModalityPlan:
    """One modality by name, and how its values are brought to a range (``intensity.Scheme``)."""

    name: str
    scheme: Scheme = field(default_factory=Scheme)


@dataclass(frozen=True)
class Plan:
    """All that is settled before the first step."""

    spacing: tuple[float, float, float]
    patch: Triple
    batch: int
    finer: Triple
    modalities: tuple[ModalityPlan, ...]
    labels: tuple[Target, ...]
    required: tuple[str, ...] = ()
    others: Literal["refuse", "background", "ignore"] = "refuse"
    ignore: tuple[int, ...] = ()
    fusion: FusionSettings = field(default_factory=FusionSettings)

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, by the names in the file."""
        check_inputs(self.names, self.required, self.spacing)
        check_values(self.ignore, "it lists", where="ignore")
        if min(self.patch) < 8:
            raise UsageError("patch must be at least 8", where="plan")
        if self.batch < 1 or not 1 <= min(self.finer) <= max(self.finer) <= 4:
            raise UsageError("batch must be at least 1, finer from 1 to 4", where="plan")
        if not self.modalities or not self.labels:
            raise UsageError("needs a modality and a label", where="plan")
        unknown = set(self.required) - set(self.names)
        if unknown:
            raise UsageError(f"required names {min(unknown)!r}, modalities does not", where="plan")

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities, in the order of the network's input."""
        return tuple(entry.name for entry in self.modalities)

    @property
    def coding(self) -> Coding:
        """Which values are learned as what."""
        values = tuple(sorted({value for label in self.labels for value in label.values}))
        return Coding(self.labels, values, self.ignore, self.others)

    def swapped(self) -> list[int]:
        """Return, for each channel of the network, the one it becomes in a mirror."""
        names = [label.name for label in self.labels]
        first = self.coding.classes - len(names)
        return [*range(first), *(first + other for other in partners(names))]


def make_plan(
    seen: Sequence[Seen],
    coding: Coding,
    names: Sequence[str],
    settings: TrainSettings,
    *,
    gpu: bool,
) -> Plan:
    """Return the plan for a cohort: what the recipe leaves open comes from the label maps.

    The spacing is the cohort's median, made coarser until a median visit has at most 1.3 million
    voxels (16 million on a GPU), but not so coarse that the smallest label's median falls below
    400 voxels. The patch is as large as the visits, up to 64 voxels an axis (112 on a GPU).
    """
    grids = [one.grid.upright() for one in seen]
    spacing = settings.spacing or _spacing(seen, coding, gpu=gpu)
    steps = np.median([grid.spacing for grid in grids], axis=0)
    d, h, w = (2 if coarse > 1.3 * step else 1 for coarse, step in zip(spacing, steps, strict=True))
    sizes = [grid.respace(spacing).shape for grid in grids]
    fusion = settings.fusion
    if not fusion.strides:
        fusion = _for_spacing(fusion, spacing)
    patch = settings.patch or _patch(np.median(sizes, axis=0), fusion.shape.reduction, gpu=gpu)
    return Plan(
        spacing=spacing,
        patch=patch,
        batch=settings.batch or 2,
        finer=(d, h, w),
        modalities=tuple(ModalityPlan(name, scheme_for(name)) for name in names),
        labels=coding.targets,
        required=settings.required,
        others=settings.others,
        ignore=settings.ignore,
        fusion=fusion,
    )


def write_plan(plan: Plan, path: Path) -> Path:
    """Write the plan as TOML that says what each line means."""
    return files.write_text(path, _HEADER + "\n".join(_lines(settings_.dump(plan), "")) + "\n")


def read_plan(path: Path) -> Plan:
    """Read a plan, changed by hand perhaps; raises ``UsageError`` for what is none."""
    try:
        values = tomllib.loads(files.stored(files.readable(path)).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"is no TOML ({error})", where=path) from None
    return settings_.load(Plan, values, where=path.name)


def _spacing(seen: Sequence[Seen], coding: Coding, *, gpu: bool) -> tuple[float, float, float]:
    """Return the spacing (d, h, w) mm that fits the budget and the smallest label."""
    grids = [one.grid.upright() for one in seen]
    steps = np.median([grid.spacing for grid in grids], axis=0)
    extent = np.median([np.prod(np.multiply(g.shape, g.spacing)) for g in grids])
    most = _GPU_VOXELS if gpu else _CPU_VOXELS
    wanted = float((extent / most) ** (1 / 3))  # mm an axis, were it a cube
    small = _smallest(seen, coding)
    wanted = min(wanted, (small / _FINE_ENOUGH) ** (1 / 3)) if small else wanted
    coarse = np.maximum(steps, np.floor(wanted / _STEPS_MM) * _STEPS_MM)
    d, h, w = (round(float(step), 3) for step in coarse)
    return d, h, w


def _smallest(seen: Sequence[Seen], coding: Coding) -> float | None:
    """Return the volume, mm3, of the label whose median visit is the smallest."""
    medians = []
    for target in coding.targets:
        sizes = [
            sum(one.counts.get(value, 0) for value in target.values) * one.grid.voxel_volume
            for one in seen
        ]
        there = [size for size in sizes if size > 0]
        medians += [float(np.median(there))] if there else []
    return min(medians, default=None)


def _for_spacing(fusion: FusionSettings, spacing: tuple[float, float, float]) -> FusionSettings:
    """Return the settings with strides that leave thick slices alone until the rest is as thick."""
    from dataclasses import replace

    steps = np.array(spacing)
    if steps.max() / steps.min() < 2:
        return fusion
    stem = _stride(steps)
    steps = steps * stem if fusion.stem == "half" else steps
    strides = []
    for _ in fusion.widths[1:]:
        stride = _stride(steps)
        strides.append(stride)
        steps = steps * stride
    return replace(fusion, strides=tuple(strides), stem_stride=stem)


def _stride(steps: np.ndarray) -> Triple:
    d, h, w = (1 if step > 1.5 * steps.min() else 2 for step in steps)
    return d, h, w


def _patch(sizes: np.ndarray, reduction: Triple, *, gpu: bool) -> Triple:
    """Return the patch: multiples of the network's reduction, no larger than a visit needs."""
    most = _GPU_PATCH if gpu else _CPU_PATCH
    rounded = [
        max(1, min(most // step, int(np.ceil(size / step)))) * step
        for size, step in zip(sizes, reduction, strict=True)
    ]
    d, h, w = (max(8, n) for n in rounded)
    return d, h, w


def _lines(values: Mapping[str, Any], table: str) -> list[str]:
    """Return a table of plain values as TOML lines: simple ones first, then the tables in it."""
    simple = {k: v for k, v in values.items() if v is not None and not _is_table(v)}
    lines = []
    for key, value in simple.items():
        note = f"  # {_NOTES[key]}" if key in _NOTES else ""
        lines.append(f"{key} = {_toml(value)}{note}")
    for key, value in values.items():
        name = f"{table}{key}"
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *_lines(value, f"{name}.")]
        elif value is not None and _is_table(value):
            for entry in value:
                lines += ["", f"[[{name}]]", *_lines(entry, f"{name}.")]
    return lines


def _is_table(value: Any) -> bool:
    listed = isinstance(value, (list, tuple)) and bool(value)
    return isinstance(value, Mapping) or (listed and isinstance(value[0], Mapping))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        import json

        return json.dumps(value, ensure_ascii=False)
    return repr(value)
