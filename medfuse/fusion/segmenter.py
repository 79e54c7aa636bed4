"""A trained network and its card, and what one does with them: segment an aligned study.

The scans go by name to the network's grid and range, windows sweep over them, and the
probabilities come back onto the scans' own grid before they are turned into labels: a border is
as smooth as that grid allows. Research software, not a medical device.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medfuse import settings
from medfuse.errors import ModelError, Repair, UsageError
from medfuse.fusion import combiners, levels, regrid
from medfuse.fusion.agreement import drop_odd
from medfuse.fusion.settings import FusionSettings
from medfuse.fusion.sides import one_sided, partners
from medfuse.geometry import Geometry
from medfuse.intensity import normalise
from medfuse.modality import MODALITIES
from medfuse.nets import modelfile
from medfuse.nets.modelfile import ModelCard
from medfuse.nets.windows import Windows, sweep
from medfuse.progress import Progress, silent
from medfuse.resampling import resample
from medfuse.study import AlignedStudy
from medfuse.volume import LabelMap, Volume

_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A network ready to answer, and the card that says what it wants and what it finds."""

    network: levels.FusionNetwork
    card: ModelCard


@dataclass(frozen=True)
class Sweep:
    """How to look: ``overlap`` of windows (share of a side), ``batch`` at once, on a ``device``.

    A CPU takes as long for one window as for two. ``mirror`` also looks at the mirrored patient
    (left and right labels swapped) and takes the mean: twice the time; see ``check_mirror``.
    ``check`` compares the scans' anatomy first, and goes without one that does not fit the others
    (``agreement``).
    """

    overlap: float = 0.25
    batch: int = 2
    mirror: bool = False
    device: str = "cpu"
    check: bool = True


def load_segmenter(path: str | Path) -> Segmenter:
    """Return the segmenter in a ``.mfm`` file.

    Raises ``ModelError`` for a file that is refused (see ``modelfile.load``), and for weights that
    do not fit the network of the card (M5) or have nothing in common with it (M6).
    """
    card, weights = modelfile.load(path)
    if card.task != "segmentation":
        raise ModelError(
            f"is a model for {card.task}", where=path, hint="give a segmenter", id="M5"
        )
    network = network_of(card)
    fill(network, weights, where=path)
    return Segmenter(network.eval().requires_grad_(False), card)


def network_of(card: ModelCard) -> levels.FusionNetwork:
    """Return the network that a card describes, with its first weights.

    Raises ``ModelError`` (M8) where the card's fusion settings are none.
    """
    try:
        chosen = settings.load(FusionSettings, card.fusion, where="fusion")
    except UsageError as error:
        raise ModelError(str(error), id="M8") from None
    return levels.build(
        chosen,
        modalities=len(card.modalities),
        classes=card.classes,
        seed=card.seed,
        activation=card.activation,
    )


def fill(network: torch.nn.Module, weights: Mapping[str, Tensor], *, where: object) -> None:
    """Put ``weights`` into a network, all of them or none; see ``load_segmenter``."""
    wanted = network.state_dict()
    if not set(wanted) & set(weights):
        what = "none of the weights is one of the network's"
        raise ModelError(what, where=where, hint="give the file as it was written", id="M6")
    missing, extra = len(set(wanted) - set(weights)), len(set(weights) - set(wanted))
    both = set(wanted) & set(weights)
    odd = sum(wanted[name].shape != weights[name].shape for name in both)
    if missing or extra or odd:
        what = (
            f"weights do not fit the card: {missing} missing, {extra} unknown, {odd} of other size"
        )
        raise ModelError(what, where=where, hint="give the file as it was written", id="M5")
    network.load_state_dict(dict(weights), strict=True)


def check_mirror(card: ModelCard) -> None:
    """Raise ``UsageError`` where a label has a side and no partner to change places with.

    What the network says of the mirrored patient's other side would count for this one.
    """
    lone = one_sided([region.name for region in card.labels])
    if lone:
        raise UsageError(
            f"the model's label {lone[0]!r} has no partner on the other side: "
            "a mirrored patient cannot be asked",
            hint="leave --tta out",
        )


def segment(
    aligned: AlignedStudy,
    segmenter: Segmenter | Sequence[Segmenter],
    *,
    how: Sweep = Sweep(),
    progress: Progress = silent,
) -> LabelMap:
    """Return the labels of a study on its own grid; several segmenters answer by their mean.

    Warns (``Repair``) of modalities that are missing (M11), and of scans that show another anatomy
    than the others, which are left out (``agreement``). Raises ``ModelError``
    where one is missing that the card requires, or all are (M11), and where several segmenters do
    not belong together (M5); ``InputError`` where an answer is not finite (M10); ``UsageError``
    where a mirror is asked for in vain (``check_mirror``).
    """
    job = _Job.of(aligned, segmenter, how)
    card = job.cards[0]
    values, names, matrix = _decoding(card)
    labels = np.zeros(job.upright.shape, np.uint16)
    for d, plane in job.planes(progress):
        best = _scores(plane[:, 0], matrix, card.activation).max(dim=0).indices  # argmax is slow
        labels[d] = values[best.numpy()]
    return LabelMap(regrid.turned(labels, job.upright, aligned.geometry), aligned.geometry, names)


def probabilities(
    aligned: AlignedStudy,
    segmenter: Segmenter | Sequence[Segmenter],
    *,
    how: Sweep = Sweep(),
    progress: Progress = silent,
) -> dict[str, Volume]:
    """Return the probability of each label by its name, on the study's grid; as ``segment``."""
    job = _Job.of(aligned, segmenter, how)
    card = job.cards[0]
    skip = card.classes - len(card.labels)  # the background of a softmax
    made = np.zeros((len(card.labels), *job.upright.shape), np.float32)
    for d, plane in job.planes(progress):
        made[:, d] = plane[skip:, 0].numpy()
    made = regrid.turned(made, job.upright, aligned.geometry)
    kind = MODALITIES["OTHER"]
    return {
        region.name: Volume(part, aligned.geometry, kind, "1")
        for region, part in zip(card.labels, made, strict=True)
    }


def agreeing(aligned: AlignedStudy) -> AlignedStudy:
    """Return the study without scans of another anatomy; warn of each, and of what is in doubt.

    ``segment`` does it first of all; who asks several times of one study does it once, and asks
    with ``Sweep(check=False)``.
    """
    kept, found = drop_odd(aligned)
    for name, why in {**found.odd, **found.doubtful}.items():
        done = "left out" if name in found.odd else "used, but look at it"
        warnings.warn(Repair(f"{name} {why}: {done}", id="agreement"), stacklevel=3)
    return kept


@dataclass(frozen=True, eq=False)
class _Job:
    """One study made ready for the networks of one answer."""

    networks: tuple[levels.FusionNetwork, ...]
    cards: tuple[ModelCard, ...]
    upright: Geometry
    grid: Geometry
    x: Tensor  # (M, 1, D, H, W)
    present: Tensor  # (M,)
    how: Sweep = field(default_factory=Sweep)

    @classmethod
    def of(cls, aligned: AlignedStudy, given: Segmenter | Sequence[Segmenter], how: Sweep) -> _Job:
        """Check that all belongs together, and bring the scans to the network's grid."""
        chosen = (given,) if isinstance(given, Segmenter) else tuple(given)
        if not chosen:
            raise UsageError("no segmenter was given")
        card = chosen[0].card
        for other in chosen[1:]:
            _check_same(card, other.card)
        if how.mirror:
            check_mirror(card)
        if how.check:
            aligned = agreeing(aligned)
        names = _usable(aligned, card)
        upright = aligned.geometry.upright()
        grid = upright.respace(card.spacing)
        x = np.zeros((len(card.modalities), 1, *grid.shape), np.float32)
        for row, name in enumerate(card.modalities):
            if name in names:
                placed = resample(aligned.volumes[name], grid)
                x[row, 0] = normalise(placed, card.intensity.get(name, {})).array
        present = torch.tensor([name in names for name in card.modalities])
        cards = tuple(segmenter.card for segmenter in chosen)
        nets = tuple(segmenter.network for segmenter in chosen)
        return cls(nets, cards, upright, grid, torch.from_numpy(x), present, how)

    def planes(self, progress: Progress) -> Iterator[tuple[int, Tensor]]:
        """Yield the probabilities (K, 1, H, W) of each plane of the upright grid."""
        windows = Windows(self.cards[0].patch, self.how.overlap, self.how.batch)
        for network in self.networks:
            network.to(self.how.device).eval()
        with torch.inference_mode():
            x = self.x.to(self.how.device)
            slabs = sweep(x, self._predict, windows, progress=progress)
            for d, plane in regrid.planes(slabs, self.grid, self.upright):
                yield d, plane.cpu()

    def _predict(self, x: Tensor) -> Tensor:
        """Return the mean probabilities (B, K, d, h, w) of all networks, mirrored too if asked."""
        present = self.present.to(x.device).expand(x.shape[0], -1)
        card = self.cards[0]
        names = [region.name for region in card.labels]
        skip = card.classes - len(names)
        swap = [*range(skip), *(skip + other for other in partners(names))]
        total = x.new_zeros(())
        for network in self.networks:
            made = combiners.probabilities(network(x, present), card.activation, dim=1)
            if self.how.mirror:  # w runs from right to left on an upright grid
                seen = combiners.probabilities(network(x.flip(-1), present), card.activation, dim=1)
                made = (made + seen.flip(-1)[:, swap]) / 2
            total = total + made
        return total / len(self.networks)


def _usable(aligned: AlignedStudy, card: ModelCard) -> set[str]:
    """Return the modalities of the card that the study has; warn or refuse for the rest."""
    names = set(card.modalities) & set(aligned.volumes)
    lacking = [name for name in card.modalities if name not in names]
    needed = [name for name in card.required if name not in names]
    if needed or not names:
        what = f"the model needs {', '.join(needed or card.modalities)}, which is missing"
        raise ModelError(what, hint="give that scan", id="M11")
    if lacking:
        what = f"segmented without {', '.join(lacking)}, which the model was trained with"
        warnings.warn(Repair(what, id="M11"), stacklevel=4)
    return names


def _check_same(one: ModelCard, other: ModelCard) -> None:
    for name in ("modalities", "labels", "activation", "spacing", "patch", "intensity"):
        if getattr(one, name) != getattr(other, name):
            what = f"the models differ in {name}"
            raise ModelError(what, hint="give the folds of one training", id="M5")


def _decoding(card: ModelCard) -> tuple[npt.NDArray[np.uint16], dict[int, str], Tensor]:
    """Return the label values of the answers, their names, and which channels speak for each.

    For a softmax each class is a value. For regions that overlap, the score of a value is the sum
    of the log-odds of the regions that hold it: the most probable combination that exists.
    """
    if card.activation == "softmax":
        values = [0, *(region.values[0] for region in card.labels)]
        names = {region.values[0]: region.name for region in card.labels}
        return np.array(values, np.uint16), names, torch.eye(len(values))
    found = sorted({value for region in card.labels for value in region.values})
    holds = [[float(value in region.values) for region in card.labels] for value in found]
    names = {}
    for value in found:
        holders = [region for region in card.labels if value in region.values]
        names[value] = min(holders, key=lambda region: len(region.values)).name
    matrix = torch.tensor([[0.0] * len(card.labels), *holds])
    return np.array([0, *found], np.uint16), names, matrix


def _scores(plane: Tensor, matrix: Tensor, activation: str) -> Tensor:
    """Return the score (V, H, W) of each label value for probabilities (K, H, W)."""
    if activation == "softmax":
        return plane
    return torch.einsum("vk,khw->vhw", matrix, torch.logit(plane.clamp(_TINY, 1 - _TINY)))
