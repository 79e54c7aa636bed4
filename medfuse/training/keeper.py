"""Who keeps a training: looks at held-out visits, keeps the best weights, ends it in time.

All that it knows goes into the checkpoint, so that a run that was killed goes on as if nothing
had happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from medfuse.errors import InputError, UsageError
from medfuse.io import files
from medfuse.nets import modelfile
from medfuse.progress import Progress
from medfuse.training.history import Epoch, write_history
from medfuse.training.job import Job, card_for
from medfuse.training.pace import Pace
from medfuse.training.tasks import SegmentationTask

CHECKPOINT, MODEL = "checkpoint.ckpt", "model.mfm"


class Keeper(pl.Callback):
    """Look at held-out visits, keep the best weights, write everything down, end in time."""

    def __init__(
        self, job: Job, folder: Path, pace: Pace, sums: Mapping[str, str], progress: Progress
    ) -> None:
        self.job, self.folder, self.progress = job, folder, progress
        self.pace = pace
        self.sums = sums  # of each visit's files
        self.epochs = job.settings.epochs
        self.settled = False  # whether ``epochs`` is what the minutes allow, for good
        self.history: list[Epoch] = []
        self.best: dict[str, Tensor] = {}
        self.best_dice = -1.0
        self.since = 0  # looks without a better Dice

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know; plain values and tensors alone."""
        return {
            "history": [asdict(one) for one in self.history],
            "best": self.best,
            "best_dice": self.best_dice,
            "since": self.since,
            "epochs": self.epochs,
            "limits": [self.job.settings.epochs, self.job.settings.minutes],
            "seconds": self.pace.seconds,
            "sums": dict(self.sums),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where a checkpoint left off; a new limit on the recipe is heeded.

        Raises ``UsageError`` where the visits, or a file of theirs, are not those so far.
        """
        self._check_data(state_dict["sums"])
        self.history = [
            Epoch(**{**one, "dice": tuple(one["dice"])}) for one in state_dict["history"]
        ]
        self.best, self.best_dice = state_dict["best"], state_dict["best_dice"]
        self.since, self.pace.before = state_dict["since"], state_dict["seconds"]
        limits = [self.job.settings.epochs, self.job.settings.minutes]
        self.settled = state_dict["limits"] == limits
        if self.settled:
            self.epochs = state_dict["epochs"]

    def _check_data(self, sums: Mapping[str, str]) -> None:
        other = sorted(self.sums.keys() ^ sums.keys())
        changed = [name for name in self.sums if sums.get(name) != self.sums[name]]
        if other or changed:
            what = f"{other[0]!r} is" if other else f"the files of {changed[0]!r} are"
            raise UsageError(
                f"{what} not what this training began with",
                where=self.folder,
                hint="give the same data, or begin anew in another folder",
            )

    def on_train_start(self, trainer: pl.Trainer, task: Any) -> None:
        """Tell the task how long it is, which a resumed run knows, or guesses for new limits."""
        done = len(self.history)
        if done and not self.settled:
            guess = self.pace.fits(done, self.history[-1].seconds / done, least=1)
            self.epochs = trainer.strategy.broadcast(guess)
        task.course = replace(task.course, epochs=self.epochs)
        if done:  # one epoch at least, however short the time: no model without a step
            self._end(trainer, done, late=trainer.strategy.broadcast(self.pace.late))

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Say how far it is."""
        done = trainer.global_step
        last = self.history[-1] if self.history else None
        told = "" if last is None else f", loss {last.loss:.3f}"
        looked = [one.mean_dice for one in self.history if one.mean_dice is not None]
        told += f", Dice {looked[-1]:.3f}" if looked else ""
        epoch = trainer.current_epoch + 1
        what = f"training: epoch {epoch} of {self.epochs}{told}"
        self.progress(what, done, self.epochs * self.job.settings.steps)

    def on_train_epoch_end(self, trainer: pl.Trainer, task: Any) -> None:
        """Close the epoch: look, compare, decide how long it goes on, write it down."""
        number = trainer.current_epoch + 1
        loss = float(torch.stack(task.losses).double().mean())
        if not torch.isfinite(torch.tensor(loss)):
            raise InputError(
                f"the loss is not finite in epoch {number}",
                hint="lower the rate, or check the scans' values",
                id="M10",
            )
        if not self.settled:
            self._settle(task, number)
        late = trainer.strategy.broadcast(self.pace.late)
        rate = task.course.rate(trainer.global_step - 1, self.job.settings.rate)
        seen = self._look(task, Epoch(number, trainer.global_step, loss, rate), last=late)
        self.history.append(replace(seen, seconds=round(self.pace.seconds, 1)))
        if seen.dice:  # a look takes long; without one, no later clock ends it on an epoch unseen
            late = trainer.strategy.broadcast(self.pace.late)
        self._end(trainer, number, late=late)
        self._write(trainer)

    def _settle(self, task: SegmentationTask, number: int) -> None:
        """Lower the number of epochs to what fits, once, after the first under these limits."""
        self.settled = True
        if self.job.settings.minutes is None:
            return
        one, started = self.pace.seconds - self._prepared, self.pace.seconds
        if self.job.watched:
            task.judged()
        one += (self.pace.seconds - started) / self.job.settings.validate_every
        fits = self.pace.fits(number, one)
        self.epochs = task.trainer.strategy.broadcast(fits)  # clocks of several processes differ
        task.course = replace(task.course, epochs=self.epochs)

    def on_train_epoch_start(self, *_: Any) -> None:
        """Note when an epoch begins."""
        self._prepared = self.pace.seconds

    def _look(self, task: SegmentationTask, epoch: Epoch, *, last: bool) -> Epoch:
        """Return the epoch with its Dice where it is time to look; keep the best weights."""
        number = epoch.number
        due = number % self.job.settings.validate_every == 0 or number >= self.epochs or last
        if not self.job.watched or not due:
            return epoch
        dice, judged = task.judged()
        better = judged > self.best_dice
        self.since = 0 if better else self.since + 1
        if better:
            self.best_dice = judged
            weights = task.averaged.state_dict()
            self.best = {name: value.detach().cpu().clone() for name, value in weights.items()}
        return replace(epoch, dice=tuple(map(float, dice)), judged=judged, better=better)

    def _end(self, trainer: pl.Trainer, number: int, *, late: bool) -> None:
        """Stop where the epochs, the minutes or the patience are used up."""
        tired = 0 < self.job.settings.patience <= self.since
        trainer.should_stop |= trainer.strategy.broadcast(number >= self.epochs or late or tired)

    def _write(self, trainer: pl.Trainer) -> None:
        target = self.folder / CHECKPOINT
        if not trainer.is_global_zero:
            trainer.save_checkpoint(target)  # takes part in it, writes nothing
            return
        files.write_file(target, lambda made: trainer.save_checkpoint(made))
        names = [label.name for label in self.job.plan.labels]
        write_history(self.history, names, self.folder)

    def write_model(self, task: SegmentationTask, seed: int) -> Path:
        """Write the best weights (the last ones where nobody was held out) as a model file."""
        weights = self.best or task.averaged.state_dict()
        return modelfile.save(self.folder / MODEL, card_for(self.job, seed), weights)
