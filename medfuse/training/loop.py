"""From a cohort to a model file: the loop, its budgets, and resuming as if nothing had happened.

After each epoch a checkpoint takes the place of the last one, whole or not at all. Batches and
rates follow from the number of the step, so a run that was killed and goes on ends with the same
weights, bit for bit on a CPU with the same number of threads.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from medfuse.errors import OutputError
from medfuse.fusion.levels import build
from medfuse.io import files
from medfuse.io.sums import visit_sum
from medfuse.nets.blocks import generator
from medfuse.progress import Progress, silent
from medfuse.study import Cohort
from medfuse.training.cases import load_cases
from medfuse.training.job import Job, Machine, prepare
from medfuse.training.keeper import CHECKPOINT, MODEL, Keeper
from medfuse.training.pace import Pace
from medfuse.training.settings import TrainSettings
from medfuse.training.tasks import Course, SegmentationTask

_CLIP = 5.0  # norm of the gradients


def train(
    cohort: Cohort,
    settings: TrainSettings,
    out: str | os.PathLike[str],
    *,
    seed: int,
    resume: bool = False,
    machine: Machine = Machine(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> Path:
    """Train a segmenter on a cohort and return the path of its model file, ``OUT/model.mfm``.

    ``out`` must be a folder; it gets the plan, the split, a checkpoint after each epoch, the
    history (CSV, PNG, TensorBoard), and at the end the model of the epoch that was best on
    held-out visits. ``resume`` goes on from the checkpoint there, or begins where there is none.
    Raises ``OutputError`` where a training lies there and ``resume`` is False, and what
    ``job.prepare`` and ``cases.load_cases`` raise.

    >>> cohort = read_manifest("heads/")  # doctest: +SKIP
    >>> train(cohort, TrainSettings(epochs=50), "run/", seed=0)  # doctest: +SKIP
    """
    folder = Path(os.path.abspath(out))  # noqa: PTH100
    check_folder(folder, resume=resume)
    job = prepare(cohort, settings, folder, seed=seed, machine=machine, progress=progress)
    return run(job, folder, seed=seed, machine=machine, progress=progress)


def check_folder(folder: Path, *, resume: bool) -> None:
    """Refuse a folder that cannot be written, or holds a training that nobody wants resumed."""
    files.check_target(folder / MODEL)
    if not resume and any((folder / name).exists() for name in (CHECKPOINT, MODEL)):
        raise OutputError(
            "holds a training already",
            where=folder,
            hint="add --resume to go on with it, or name another folder",
            id="S5",
        )


def run(
    job: Job, folder: Path, *, seed: int, machine: Machine, progress: Progress = silent
) -> Path:
    """Run a prepared training to its end, from the checkpoint in ``folder`` if there is one."""
    visits = [*job.learned, *job.watched]
    sums = {visit.id: visit_sum(visit, job.plan.names) for visit in visits}
    pace = Pace(job.settings.minutes, job.settings.epochs)
    options: dict[str, Any] = {
        "resample_labels": machine.resample_labels,
        "threads": machine.threads,
        "progress": progress,
    }
    cases = load_cases(visits, job.plan, **options)
    learned, watched = cases[: len(job.learned)], cases[len(job.learned) :]
    network = build(
        job.plan.fusion,
        modalities=len(job.plan.modalities),
        classes=job.plan.coding.classes,
        seed=seed,
        activation="sigmoid" if job.plan.coding.overlapping else "softmax",
    )
    course = Course(job.settings.epochs, job.settings.steps, seed)
    task = SegmentationTask(network, job.plan, job.settings, course, learned, watched)
    keeper = Keeper(job, folder, pace, sums, progress)
    with _quiet():
        trainer = _trainer(job.settings, keeper, machine)
        # a loader draws a seed for workers, of which there are none: not from the global stream
        steps: DataLoader[Tensor] = DataLoader(
            torch.arange(job.settings.steps),  # type: ignore[arg-type]
            batch_size=1,
            generator=generator(seed, "loader"),
        )
        start = folder / CHECKPOINT
        trainer.fit(
            task, steps, ckpt_path=str(start) if start.exists() else None, weights_only=True
        )
    return keeper.write_model(task, seed) if machine.rank == 0 else folder / MODEL


def _trainer(settings: TrainSettings, keeper: Keeper, machine: Machine) -> pl.Trainer:
    many = machine.processes > 1
    return pl.Trainer(
        accelerator="gpu" if machine.gpu else "cpu",
        devices=machine.processes,
        strategy="ddp_find_unused_parameters_true" if many else "auto",
        precision="bf16-mixed" if _bf16(settings, machine) else "32-true",
        max_epochs=-1,  # the keeper ends it: a resumed run may have more behind it than is asked
        gradient_clip_val=_CLIP,
        callbacks=[keeper],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _bf16(settings: TrainSettings, machine: Machine) -> bool:
    """Tell whether to compute in bfloat16: where it is asked for, or the hardware has it."""
    if settings.precision != "auto":
        return settings.precision == "bf16"
    if machine.gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bf16_on_cpu()


def bf16_on_cpu() -> bool:
    """Return whether this CPU multiplies bfloat16 by itself."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice off the streams: what matters is raised as an error of ours."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
