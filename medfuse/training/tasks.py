"""The task of a training as Lightning wants it: what a step is, and what a look at visits is."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from medfuse.fusion.combiners import Activation, probabilities
from medfuse.fusion.levels import FusionNetwork
from medfuse.nets.blocks import generator
from medfuse.nets.windows import Windows, sweep
from medfuse.training.augment import augment, draw_flips, mirror
from medfuse.training.cases import Case
from medfuse.training.draw import Batch, Drawing, draw_batch
from medfuse.training.losses import deep_loss, targets_of, unimodal_loss
from medfuse.training.plan import Plan
from medfuse.training.settings import TrainSettings

_WARM = 0.03  # share of all steps in which the rate climbs
_KEEP = 0.98  # of the running mean of weights, a step: it spans about 50 steps


@dataclass(frozen=True)
class Course:
    """How long the training is: ``epochs`` of ``steps`` steps, and the ``seed`` of all draws."""

    epochs: int
    steps: int
    seed: int

    def part(self, step: int) -> float:
        """Return how much of the training lies behind ``step``, from 0 to 1."""
        return step / max(1, self.epochs * self.steps)

    def rate(self, step: int, top: float) -> float:
        """Return the learning rate of a step: a short climb, then a power law down to 0.

        It depends on nothing but the step, so it is right after a resume.
        """
        part = self.part(step)
        if part < _WARM:
            return top * (step + 1) / (_WARM * self.epochs * self.steps + 1)
        return float(top * max(0.0, 1 - part) ** 0.9)


class SegmentationTask(pl.LightningModule):
    """Learn regions from patches; held-out visits are looked at whole.

    What is looked at and kept is ``averaged``: the running mean of the weights, in which the noise
    of small batches is gone (Polyak & Juditsky, SIAM J. Control Optim. 30 (1992) 838).
    Everything drawn depends on the seed and ``global_step`` alone.
    """

    membership: Tensor

    def __init__(
        self,
        network: FusionNetwork,
        plan: Plan,
        settings: TrainSettings,
        course: Course,
        learned: Sequence[Case],
        watched: Sequence[Case],
    ) -> None:
        super().__init__()
        self.network = network
        self.averaged = copy.deepcopy(network).requires_grad_(False).eval()
        self.plan, self.settings, self.course = plan, settings, course
        self.learned, self.watched = learned, watched
        self.exclusive = not plan.coding.overlapping
        self.activation: Activation = "softmax" if self.exclusive else "sigmoid"
        table = torch.from_numpy(plan.coding.membership())
        self.register_buffer("membership", table, persistent=False)
        self.drawing = Drawing(
            plan.patch,
            plan.batch,
            settings.oversample,
            settings.subsets,
            required=tuple(plan.names.index(name) for name in plan.required),
            hidden=settings.distil > 0,
        )
        self.losses: list[Tensor] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW; norms and biases are not pulled to zero."""
        pulled = [p for p in self.network.parameters() if p.ndim > 1]
        free = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": pulled, "weight_decay": self.settings.decay},
            {"params": free, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.settings.rate)

    def on_train_epoch_start(self) -> None:
        """Forget the losses of the last epoch."""
        self.losses = []

    def on_train_batch_start(self, *_: Any) -> None:
        """Set the rate of this step."""
        rate = self.course.rate(self.global_step, self.settings.rate)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def on_train_batch_end(self, *_: Any) -> None:
        """Take the weights of this step into the running mean."""
        keep = min(_KEEP, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            pairs = zip(self.averaged.parameters(), self.network.parameters(), strict=True)
            for mean, now in pairs:
                mean.lerp_(now, 1 - keep)

    def training_step(self, *_: Any) -> Tensor:
        """Return the loss of one step; the batch is drawn here, see ``draw``.

        With several processes each takes its own part of one stream.
        """
        number = self.global_step * self.trainer.world_size + self.trainer.global_rank
        loss = self.loss(self.drawn(number), number)
        self.losses.append(loss.detach())
        return loss

    def drawing_at(self, step: int) -> Drawing:
        """Return how patches are drawn at ``step``: fewer and fewer show all that there is."""
        left = max(0.0, 1 - self.course.part(step))
        return replace(self.drawing, whole=self.settings.whole * left)

    def drawn(self, number: int) -> Batch:
        """Return batch ``number`` on this device, varied."""
        drawing = self.drawing_at(number // self.trainer.world_size)
        batch = draw_batch(self.learned, drawing, self.course.seed, number)
        parts = (batch.x, batch.present, batch.codes, batch.shown)
        batch = Batch(*(part.to(self.device) for part in parts))
        stream = generator(self.course.seed, "augment", number)
        return augment(batch, self.settings.augment, stream, spacing=self.plan.spacing)

    def loss(self, batch: Batch, number: int) -> Tensor:
        """Return the loss of a batch: all scales, and the logits of single modalities."""
        target, counted = targets_of(batch.codes, self.membership, batch.x.shape[3:])
        stream = generator(self.course.seed, "mirror", number)
        flips = draw_flips(len(target), self.settings.augment, stream)
        x, target, counted = mirror(batch.x, target, counted, self.plan.swapped(), flips)
        goal = (self.distilled(target, x, batch), counted)
        heads = self.network.heads(x, batch.shown)
        loss = deep_loss((heads.logits, *heads.deep), *goal, exclusive=self.exclusive)
        if heads.unimodal is not None and self.settings.unimodal > 0:
            single = unimodal_loss(heads.unimodal, batch.shown, *goal, exclusive=self.exclusive)
            loss = loss + self.settings.unimodal * single
        return loss

    def distilled(self, target: Tensor, x: Tensor, batch: Batch) -> Tensor:
        """Return the target, drawn towards what the mean of the weights says of all scans.

        Who sees a subset learns so how sure one can be, not only what is true (Hinton et al.,
        arXiv 1503.02531; from all modalities to some: Hu et al., KD-Net, MICCAI 2020). The teacher
        here is the mean teacher of Tarvainen & Valpola (NeurIPS 2017), trained along, so its share
        grows from 0 to ``distil``.
        """
        share = self.settings.distil * self.course.part(self.global_step)
        if share == 0:
            return target
        self.averaged.eval()
        with torch.no_grad():
            logits = self.averaged(x, batch.present)
            said = probabilities(logits, self.activation, dim=1).to(target.dtype)
        # a label that the batch does not hold stays empty: its loss is that of a false alarm
        said = said * (target.sum((0, 2, 3, 4)) > 0)[:, None, None, None]
        if self.exclusive:
            said = said / said.sum(dim=1, keepdim=True).clamp(min=1e-6)
        return target.lerp(said, share)

    def judged(self) -> tuple[Tensor, float]:
        """Return the mean Dice of each label (K,) with all scans, and what weights are judged by.

        That is its mean; where subsets are trained, half of it is how each scan does by itself:
        with all of them alone, weights would win that have hardly seen a subset yet.
        """
        dice = self.look().mean(dim=0)
        alone = self.look_at_each_alone() if self.settings.subsets == "uniform" else dice[:0]
        mean = float(dice.mean())
        return dice, (mean + float(alone.mean())) / 2 if len(alone) else mean

    def look(self) -> Tensor:
        """Return the Dice of each label in each held-out visit, (visits, K), with all it has."""
        self.averaged.eval()  # Lightning sets all parts to training
        with torch.inference_mode():
            return torch.stack([self.overlap(case) for case in self.watched])

    def look_at_each_alone(self) -> Tensor:
        """Return the Dice (N, K) of each label with each scan of each visit by itself.

        By itself but for those that are required. Visits without two scans to part are passed over.
        """
        self.averaged.eval()
        found = []
        for case in self.watched:
            there = case.present.cpu()
            required = torch.zeros_like(there)
            required[list(self.drawing.required)] = True
            free = torch.nonzero(there & ~required)[:, 0].tolist()
            for row in free if len(free) > 1 else ():
                shown = there & required
                shown[row] = True
                with torch.inference_mode():
                    found.append(self.overlap(case, shown))
        return torch.stack(found) if found else torch.empty(0, len(self.plan.labels))

    def overlap(self, case: Case, shown: Tensor | None = None) -> Tensor:
        """Return the Dice of each label (K,) in one whole visit; 1 where both are empty.

        0 where one is empty alone: the stated rule of all our scores (C12). A label that is too
        small for the plan's spacing is not empty, and cannot be found. ``shown`` (M,): which of
        its scans are given, all without it.
        """
        x = case.images[:, None].to(self.device, torch.float32)  # (M, 1, D, H, W)
        present = (case.present if shown is None else shown).to(self.device)

        def predict(windows: Tensor) -> Tensor:
            logits = self.averaged(windows, present.expand(len(windows), -1))
            return probabilities(logits, self.activation, dim=1)

        target, counted = targets_of(case.codes[None].to(self.device), self.membership, case.shape)
        claimed = torch.cat([part for _, part in sweep(x, predict, self._windows())], dim=1)
        if self.exclusive:
            best, goal = claimed.argmax(dim=0), target[0].argmax(dim=0)
            said = torch.stack([best == k for k in range(1, len(claimed))])
            true = torch.stack([goal == k for k in range(1, len(claimed))])
        else:
            said, true = claimed > 0.5, target[0] > 0.5
        said, true = said * counted[0], true * counted[0]
        both = (said * true).sum((1, 2, 3)).double()
        sizes = (said.sum((1, 2, 3)) + true.sum((1, 2, 3))).double()
        there = (target[0] * counted[0])[-len(true) :].amax((1, 2, 3)) > 0
        there[list(case.vanished)] = True
        neither = torch.where(there, 0.0, 1.0).double()
        return torch.where(sizes > 0, 2 * both / sizes.clamp(min=1), neither).cpu()

    def _windows(self) -> Windows:
        return Windows(self.plan.patch)
