"""What ``medfuse segment`` is asked for and what comes of it: settings, models, results.

The work on one case is in ``segment_case``. Research software, not a medical device.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, count
from pathlib import Path
from typing import Any

import numpy as np

from medfuse.errors import InputError, Repair, UsageError
from medfuse.fusion.segmenter import Segmenter, check_mirror, load_segmenter
from medfuse.io.files import content, readable, sha256
from medfuse.io.tables import write_table
from medfuse.nets.modelfile import ModelCard
from medfuse.volume import LabelMap
from pipelines.output_folder import RECORD

LABELS, SEG, TABLE = "labels.nii.gz", "labels.dcm", "volumes.csv"


@dataclass(frozen=True)
class SegmentSettings:
    """How cases are segmented.

    Raises ``UsageError`` for contradictions.
    """

    probabilities: bool = False  # write one volume a label, 0 to 1
    tta: bool = False  # also look at the mirrored patient: twice the time
    dicom: bool = False  # write a DICOM SEG too
    onto: str | None = None  # the scan whose own grid the labels go onto; None: the fixed one's
    transforms: str | None = None  # None: one grid already; "header"; or register's folder
    only: tuple[str, ...] = ()  # use these scans alone; empty: all that the model knows
    subsets: bool = False  # every subset of the model's scans, one folder each
    device: str = "cpu"  # where the network runs: "cpu", "cuda"

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.only and self.subsets:
            raise UsageError("--only and --subsets go apart")


@dataclass(frozen=True)
class Segmented:
    """What came of one case: its ``folder`` below the output, volumes in ml by name of a label.

    ``used`` and ``missing`` are the model's modalities; ``repairs`` what was mended or left out.
    """

    case: str
    folder: str
    volumes_ml: Mapping[str, float]
    used: tuple[str, ...]
    missing: tuple[str, ...]
    seconds: float
    repairs: tuple[Repair, ...] = field(default=(), compare=False)

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` prints of it."""
        return {
            "case": self.case,
            "labels": f"{self.folder}/{LABELS}",
            "volumes_ml": {name: round(ml, 6) for name, ml in self.volumes_ml.items()},
            "used": list(self.used),
            "missing": list(self.missing),
            "warnings": [{"id": repair.id, "what": repair.what} for repair in self.repairs],
        }


@dataclass(frozen=True, eq=False)
class Models:
    """The segmenters of one answer (folds of one training), and what a record says of them."""

    segmenters: tuple[Segmenter, ...]
    checksums: tuple[str, ...]

    @property
    def card(self) -> ModelCard:
        """The card of all of them."""
        return self.segmenters[0].card

    @classmethod
    def load(cls, paths: Sequence[str]) -> Models:
        """Read model files; raises ``ModelError`` as ``load_segmenter``.

        ``UsageError`` where one of them is named twice: its answer would count twice in the mean.
        """
        sums = tuple(sha256(readable(path)) for path in paths)
        for place, path in enumerate(paths):
            if sums[place] in sums[:place]:
                raise UsageError(
                    "is the same model as another --model", where=path, hint="name each model once"
                )
        return cls(tuple(load_segmenter(path) for path in paths), sums)

    def document(self) -> dict[str, Any]:
        """Return what the record says: which models, trained on how much, for what."""
        card = self.card
        return {
            "sha256": list(self.checksums),
            "modalities": list(card.modalities),
            "labels": {region.name: list(region.values) for region in card.labels},
            "spacing_mm": list(card.spacing),
            "trained_on": dict(card.trained_on),
            "licence": card.licence,
        }


def choices(card: ModelCard, settings: SegmentSettings) -> list[tuple[str, ...]]:
    """Return which modalities are used: all, ``only`` some, or every subset a model can do.

    Raises ``UsageError`` where ``only`` names what the model does not know, and where the model
    has a label of one side alone and the mirrored patient is to be asked.
    """
    if settings.tta:
        check_mirror(card)
    for name in settings.only:
        if name not in card.modalities:
            raise UsageError(
                f"the model does not know {name}",
                where="--only",
                hint=f"it knows {', '.join(card.modalities)}",
            )
    if not settings.subsets:
        only = settings.only or card.modalities
        return [tuple(name for name in card.modalities if name in only)]
    sizes = range(1, len(card.modalities) + 1)
    found = [some for size in sizes for some in combinations(card.modalities, size)]
    return [some for some in found if set(card.required) <= set(some)]


def volumes_ml(labels: LabelMap, card: ModelCard) -> dict[str, float]:
    """Return the volume of each region of a card in a label map, ml."""
    voxel = labels.geometry.voxel_volume / 1000

    def voxels(values: Sequence[int]) -> int:
        return sum(int(np.count_nonzero(labels.array == value)) for value in values)

    return {region.name: voxels(region.values) * voxel for region in card.labels}


def file_names(labels: Iterable[str]) -> dict[str, str]:
    """Return a name for a file of each label, no two alike, whatever the labels are called."""
    made: dict[str, str] = {}
    taken: set[str] = set()
    for label in labels:
        safe = "".join(mark if mark.isalnum() or mark in "-_." else "_" for mark in label)
        safe = safe[:64].lstrip(".") or "label"
        tried = (safe if number == 1 else f"{safe}-{number}" for number in count(1))
        made[label] = next(name for name in tried if name.casefold() not in taken)
        taken.add(made[label].casefold())  # some file systems do not tell case
    return made


def write_volumes(out: Path) -> Path:
    """Write ``volumes.csv``: one row a case and label, of all cases that lie in ``out``."""
    paths = sorted([*out.glob(f"*/{RECORD}"), *out.glob(f"*/*/{RECORD}")])
    rows = [row for path in paths if path.is_file() for row in _rows(path)]
    return write_table(out / TABLE, ("case", "used", "label", "ml"), rows)


def _rows(path: Path) -> list[tuple[object, ...]]:
    """Return what the record of a segmentation adds to the table; nothing where it is no such."""
    try:
        found = json.loads(content(path, limit=1 << 26))
        if found["command"] != "segment":
            return []
        subset = "+".join(found["used"])
        volumes = found["volumes_ml"].items()
        return [(path.parent.name, subset, name, float(ml)) for name, ml in volumes]
    except (InputError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []  # another program's
