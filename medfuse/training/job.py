"""What a training is going to do, settled and said before it starts: plan, split, and needs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

import torch

from medfuse import settings as settings_
from medfuse.errors import InputError, Repair, ResourceError, UsageError
from medfuse.fusion.sides import one_sided
from medfuse.io import files
from medfuse.io.memory import free_memory
from medfuse.nets import modelfile
from medfuse.nets.ramps import RAMPS
from medfuse.progress import Progress, silent
from medfuse.record import versions
from medfuse.study import Cohort, Split, StudyEntry
from medfuse.training.plan import Plan, make_plan, read_plan, write_plan
from medfuse.training.settings import TrainSettings
from medfuse.training.survey import Seen, coding_for, listed, survey, unheld
from medfuse.training.visits import settled_split, usable_visits, write_split

PLAN, SETTINGS = "plan.toml", "settings.json"
# what MONAI's networks keep for a step, measured, beside ours at full resolution
_BESIDE_OURS = {"monai:DynUNet": 1.5, "monai:SegResNet": 1.75, "monai:SwinUNETR": 4.0}
_SEARCH = 75  # floats a voxel and modality that the search for shifts keeps for a step
_MAY_CHANGE = {"epochs", "minutes", "patience", "data", "licence", "precision"}  # on a resume


@dataclass(frozen=True)
class Machine:
    """What a training runs on; none of it belongs to the recipe.

    ``threads`` of the CPU; ``processes`` of which this is number ``rank`` (torchrun starts them).
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 1
    processes: int = 1
    rank: int = 0
    resample_labels: bool = False

    @property
    def gpu(self) -> bool:
        """Whether a CUDA device is used; raises ``UsageError`` where one is asked for in vain."""
        there = torch.cuda.is_available()
        if self.device == "cuda" and not there:
            raise UsageError("there is no CUDA device", hint="use --device cpu")
        return there and self.device != "cpu"


@dataclass(frozen=True)
class Job:
    """A training that is ready to run: all that was decided, and what it will take."""

    plan: Plan
    settings: TrainSettings
    split: Split
    learned: tuple[StudyEntry, ...]
    watched: tuple[StudyEntry, ...]
    unlabelled: int
    memory: int  # bytes
    disk: int

    def summary(self) -> str:
        """Return one line that says what is going to happen and what it needs."""
        plan = self.plan
        visits = f"{len(self.learned)} visits to learn from, {len(self.watched)} held out"
        sizes = "x".join(map(str, plan.patch))
        spacing = " x ".join(f"{step:g}" for step in plan.spacing)
        return (
            f"{visits}; {', '.join(plan.names)}; {len(plan.labels)} labels; {spacing} mm, patches "
            f"of {sizes}; needs about {_size(self.memory)} of memory, {_size(self.disk)} of disk"
        )


def prepare(
    cohort: Cohort,
    settings: TrainSettings,
    out: Path,
    *,
    seed: int,
    machine: Machine,
    progress: Progress = silent,
) -> Job:
    """Settle a training: who is held out, the plan, what it needs; write both down.

    ``plan.toml`` and ``splits.json`` in ``out`` are taken as they are where they lie there
    already. Raises ``InputError`` where there is nothing to learn from (C4, C7, M11),
    ``UsageError`` where the recipe and what lies in ``out`` contradict each other,
    ``ResourceError`` where the memory does not do. Warns (``Repair``) of visits that are left out:
    without a label map (C4), without a required scan (M11).
    """
    names = _names(cohort, settings)
    usable, unlabelled = usable_visits(cohort, _required(settings, out))
    split = settled_split(Cohort(usable), settings, out, seed)
    seen = survey(usable, progress=progress)
    plan = _plan(seen, names, settings, out, gpu=machine.gpu)
    for entry, one in zip(usable, seen, strict=True):
        plan.coding.check(one.counts, entry.labels)
    by_id = {entry.id: entry for entry in usable}
    learned, watched = (tuple(by_id[id] for id in ids) for ids in (split.train, split.validate))
    if not learned:
        raise UsageError("nobody is left to learn from", hint="check split and folds")
    _check_held(plan, seen, learned, watched)
    memory, disk = _needs(seen, plan)
    _check_memory(memory)
    if machine.rank == 0:
        _write_settings(settings, out, seed)
        write_plan(plan, out / PLAN)
        write_split(split, out)
    settings = _unmirrored(plan, settings)
    return Job(plan, settings, split, learned, watched, unlabelled, memory, disk)


def card_for(job: Job, seed: int) -> modelfile.ModelCard:
    """Return the card of what a job trains: counts of visits, never their names."""
    plan = job.plan
    return modelfile.ModelCard(
        modalities=plan.names,
        required=plan.required,
        labels=tuple(modelfile.Region(label.name, label.values) for label in plan.labels),
        activation="sigmoid" if plan.coding.overlapping else "softmax",
        spacing=plan.spacing,
        patch=plan.patch,
        intensity={entry.name: settings_.dump(entry.scheme) for entry in plan.modalities},
        fusion=settings_.dump(plan.fusion),
        network=plan.fusion.network,
        seed=seed,
        versions={**versions(), "torch": torch.__version__},
        licence=job.settings.licence,
        trained_on={
            "visits": len(job.learned),
            "subjects": len({entry.subject for entry in job.learned}),
            "held_out": len(job.watched),
        },
    )


def _names(cohort: Cohort, settings: TrainSettings) -> tuple[str, ...]:
    there = cohort.modalities
    for name in (*settings.modalities, *settings.required):
        if name not in there:
            raise UsageError(
                f"no visit has the modality {name!r}",
                where="modalities",
                hint=f"there are {', '.join(there)}",
            )
    return settings.modalities or there


def _required(settings: TrainSettings, out: Path) -> tuple[str, ...]:
    """Return the scans that every visit must have: those of the plan, if one lies there."""
    return read_plan(out / PLAN).required if (out / PLAN).is_file() else settings.required


def _plan(
    seen: Sequence[Seen], names: Sequence[str], settings: TrainSettings, out: Path, *, gpu: bool
) -> Plan:
    path = out / PLAN
    if path.is_file():
        return read_plan(path)
    return make_plan(seen, coding_for(seen, settings), names, settings, gpu=gpu)


def _check_held(
    plan: Plan, seen: Sequence[Seen], learned: Sequence[StudyEntry], watched: Sequence[StudyEntry]
) -> None:
    """Warn of labels that nobody to learn from has, and refuse those that nobody has (C7).

    Empty in every held-out visit, they would score 1 in each and raise the mean; where nobody is
    held out nothing is scored, and the visits may be a part of more.
    """
    ids = {entry.id for entry in learned}
    nowhere = unheld(plan.labels, seen)
    if nowhere and watched:
        there = sorted({value for one in seen for value in one.counts})
        raise InputError(
            f"no label map holds the label {nowhere[0].name!r} ({listed(nowhere[0].values)})",
            hint=f"they hold {listed(there)}; check its values, or leave it out",
            id="C7",
        )
    for target in unheld(plan.labels, [one for one in seen if one.id in ids]):
        what = f"no visit to learn from holds the label {target.name!r}: it cannot be learned"
        warnings.warn(Repair(what, id="C7"), stacklevel=3)


def _unmirrored(plan: Plan, settings: TrainSettings) -> TrainSettings:
    """Return the recipe without a mirror, and warn, where a label has a side and no partner.

    Mirrored, the other side's tissue would be learned under its name.
    """
    lone = one_sided([label.name for label in plan.labels])
    if not lone or not settings.augment.mirror:
        return settings
    what = (
        f"the label {lone[0]!r} has a side, and no label is surely its partner: trained "
        "without mirrored patients (augment.mirror = false)"
    )
    warnings.warn(Repair(what, id="sides"), stacklevel=3)
    return replace(settings, augment=replace(settings.augment, mirror=False))


def _write_settings(settings: TrainSettings, out: Path, seed: int) -> None:
    """Write the recipe down; where one lies there, refuse a change that no resume could mean."""
    path = out / SETTINGS
    document = {"seed": seed, **json.loads(json.dumps(settings_.dump(settings)))}
    document.pop("data")
    if path.is_file():
        earlier: dict[str, Any] = json.loads(files.stored(path).decode("utf-8"))
        for name in sorted(set(document) - _MAY_CHANGE):
            if earlier.get(name) != document[name]:
                raise UsageError(
                    f"{name} is not what this folder was begun with",
                    where=path.name,
                    hint="go on with the same recipe, or name another folder",
                )
    files.write_text(path, json.dumps(document, indent=2) + "\n")


def _needs(seen: Sequence[Seen], plan: Plan) -> tuple[int, int]:
    """Return about how many bytes of memory and of disk a training takes."""
    voxels = [grid_voxels(one, plan) for one in seen]
    modalities = len(plan.modalities)
    cases = sum(voxels) * (2 * modalities + prod(plan.finer))
    native = max(prod(one.grid.shape) for one in seen)
    reading = native * 4 * (modalities + 2)
    work = max(reading, step_bytes(plan), look_bytes(plan, max(voxels)))
    # parameters, gradients, two moments and the running mean
    weights = 27 * 4 * sum(4 * width**2 for width in plan.fusion.widths) * _networks(plan) * 5
    return int(5e8 + cases + work + weights), int(2 * weights + 1e6)


def _networks(plan: Plan) -> int:
    """Return how many encoders with a decoder there are, about."""
    modalities = len(plan.modalities)
    return {"data": 1, "hybrid": 2 * modalities + 1}.get(plan.fusion.level, modalities)


def step_bytes(plan: Plan) -> float:
    """Return about how many bytes the maps of one training step take, without the weights."""
    fusion, modalities, voxels = plan.fusion, len(plan.modalities), prod(plan.patch)
    ours, towers = fusion.network == "medfuse", float(_networks(plan))
    finest = voxels / prod(fusion.shape.stem) if ours else voxels
    # about twelve maps of each scale are alive at once, and each scale has an eighth of the last
    scales: float = 12 * sum(width * finest / 8**scale for scale, width in enumerate(fusion.widths))
    detail = 12 * voxels * (sum(fusion.shape.channels) - sum(fusion.widths)) if ours else 0
    if fusion.level == "feature" and fusion.auxiliary:
        towers += modalities / 2  # a decoder alone, but it reads each modality
    maps = (scales + detail) * towers
    maps += scales * modalities * (fusion.rounds - 1)  # encoders run again, but for their detail
    maps *= _BESIDE_OURS.get(fusion.network, 1)
    values = voxels * 3 * RAMPS * modalities if ours else 0  # with their ranges
    answers = voxels * plan.coding.classes * (8 + towers)
    found = fusion.operator == "offset" and fusion.level != "model"  # at full resolution, measured
    search = _SEARCH * voxels * modalities if found else 0
    return 4 * plan.batch * (maps + values + answers + search)


def look_bytes(plan: Plan, voxels: int) -> int:
    """Return about how many bytes a look at a held-out visit of so many voxels takes.

    Its scans; of each class the target, what is claimed, its slabs, and what both have in common,
    all as float32; its codes as whole numbers and one channel of them, as fine as labels are.
    """
    arrays = len(plan.modalities) + 6 * plan.coding.classes
    return voxels * (4 * arrays + 20 * prod(plan.finer))


def grid_voxels(one: Seen, plan: Plan) -> int:
    """Return how many voxels a visit has at the plan's spacing."""
    return prod(one.grid.respace(plan.spacing).shape)


def _check_memory(needed: int) -> None:
    available = free_memory()
    if available is not None and needed > available:
        raise ResourceError(
            f"needs about {_size(needed)} of memory, {_size(available)} are free",
            hint="use a coarser spacing, a smaller patch or fewer visits (plan.toml)",
            id="S9",
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"
