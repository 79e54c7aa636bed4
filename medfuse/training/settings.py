"""What a recipe says about a training; ``medfuse.settings.load`` makes it from TOML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from medfuse.errors import UsageError
from medfuse.fusion.settings import FusionSettings

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Target:
    """One structure to learn: its ``name``, and the ``values`` in label maps that belong to it."""

    name: str
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what no label map can hold."""
        if not self.name or not self.values:
            raise UsageError("a label needs a name and at least one value", where="labels")
        if self.name == "mean":
            raise UsageError(
                "no label can be called 'mean'",
                where="labels",
                hint="that is the mean over labels in what is reported: name it otherwise",
            )
        if len(set(self.values)) < len(self.values):
            raise UsageError(f"label {self.name!r} lists a value twice", where="labels")
        check_values(self.values, f"label {self.name!r} has", where="labels")


def check_values(values: Sequence[int], whose: str, *, where: str) -> None:
    """Refuse values that no structure in a label map can have."""
    if any(not 1 <= value <= 65535 for value in values):
        raise UsageError(
            f"{whose} the values {tuple(values)}",
            where=where,
            hint="values are whole numbers from 1 to 65535; 0 is background",
        )


def check_inputs(
    names: Sequence[str], required: Sequence[str], spacing: Sequence[float] | None
) -> None:
    """Refuse scans that are named twice, and a spacing that no grid can have."""
    for name, listed in (("modalities", names), ("required", required)):
        twice = [one for one in listed if list(listed).count(one) > 1]
        if twice:
            raise UsageError(f"{name} lists {twice[0]!r} twice")
    if spacing is not None and not all(isfinite(step) and step > 0 for step in spacing):
        raise UsageError(f"spacing must be three numbers of mm above 0, not {tuple(spacing)}")


@dataclass(frozen=True)
class AugmentSettings:
    """How batches are varied; shares are probabilities a sample, from 0 to 1."""

    mirror: bool = True  # flip left and right; labels named left and right change places
    turn: float = 0.3  # share that is turned, scaled and shifted
    degrees: float = 15.0  # largest turn about each axis
    zoom: float = 0.2  # largest change of size, as a part of it
    contrast: float = 0.3  # share of modalities whose brightness, contrast and gamma vary
    bias: float = 0.2  # share of modalities under a smooth field
    noise: float = 0.2  # share of modalities that get noisy or blurred
    misalign: float = 0.1  # share of modalities that move by themselves
    misalign_voxels: float = 2.0  # largest such shift along each axis, voxels
    corrupt: float = 0.0  # share of samples in which one modality is noise or another patient's

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        names = ("turn", "contrast", "bias", "noise", "misalign", "corrupt")
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share, from 0 to 1", where="augment")
        if not 0 <= self.zoom < 1:
            raise UsageError("zoom is from 0 to below 1", where="augment")
        for name in ("degrees", "misalign_voxels"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"{name} is a number, not below 0", where="augment")


@dataclass(frozen=True)
class TrainSettings:
    """A recipe: what to learn, from what, for how long. What is left out, the plan decides.

    Raises ``UsageError`` for choices that exclude each other.
    """

    data: str = ""  # manifest or folder, counted from the recipe; --data goes before it
    modalities: tuple[str, ...] = ()  # which to use; empty: all that the data have
    required: tuple[str, ...] = ()  # never left out, in training and afterwards
    labels: tuple[Target, ...] = ()  # empty: every value in the label maps is one
    others: Literal["refuse", "background", "ignore"] = "refuse"  # values that no label names
    ignore: tuple[int, ...] = ()  # values whose voxels are neither learned nor counted
    spacing: tuple[float, float, float] | None = None  # (d, h, w), mm
    patch: Triple | None = None  # (d, h, w), voxels
    batch: int | None = None  # patches a step
    fusion: FusionSettings = field(default_factory=FusionSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    subsets: Literal["uniform", "all"] = "uniform"  # modalities shown: a number of them, drawn
    whole: float = 1.0  # share of patches that show all at the start; falls to 0 at the end
    oversample: float = 0.6  # share of patches that hold a voxel of a label drawn first
    epochs: int = 100  # of so many steps each
    steps: int = 50  # a step is one batch
    minutes: float | None = None  # of wall time: lowers the number of epochs to what fits
    rate: float = 2e-3  # learning rate at its top
    decay: float = 1e-2  # weight decay
    distil: float = 0.0  # how far targets follow, at the end, what the mean of weights says of all
    unimodal: float = 0.3  # weight of the auxiliary logits of single modalities
    validate_every: int = 5  # epochs between two looks at the held-out visits
    patience: int = 0  # looks without a better Dice until it ends early; 0: never
    folds: int | None = None  # parts of the patients, 1: nobody held out; None: 5, or all there are
    fold: int = 0  # which of them is held out
    precision: Literal["auto", "full", "bf16"] = "auto"  # auto: bf16 where the hardware has it
    licence: str = "unspecified"  # of the model, for its card

    def __post_init__(self) -> None:
        """Refuse contradictions by the names that a user sees."""
        for name in ("epochs", "steps", "validate_every", "folds", "batch"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1, not {value}")
        if self.fold < 0 or (self.folds is not None and self.fold >= self.folds):
            raise UsageError(f"fold {self.fold} is none of {self.folds}: count from 0")
        _check_numbers(self)
        unknown = set(self.required) - set(self.modalities)
        if self.modalities and unknown:
            raise UsageError(f"required names {min(unknown)!r}, modalities does not")
        check_inputs(self.modalities, self.required, self.spacing)
        check_values(self.ignore, "it lists", where="ignore")
        _check_labels(self)


def _check_numbers(settings: TrainSettings) -> None:
    for name in ("minutes", "rate"):
        value = getattr(settings, name)
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} must be a number above 0, not {value}")
    for name in ("decay", "unimodal", "patience"):
        if not 0 <= getattr(settings, name) < float("inf"):
            raise UsageError(f"{name} must be a number, not below 0")
    for name in ("oversample", "whole", "distil"):
        if not 0 <= getattr(settings, name) <= 1:
            raise UsageError(f"{name} is a share, from 0 to 1")


def _check_labels(settings: TrainSettings) -> None:
    names = [label.name for label in settings.labels]
    if len(set(names)) < len(names):
        raise UsageError("two labels have the same name", where="labels")
    taken = {value for label in settings.labels for value in label.values}
    both = taken & set(settings.ignore)
    if both:
        raise UsageError(f"value {min(both)} is a label and ignored", where="labels")
