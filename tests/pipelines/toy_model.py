"""A patient of a few voxels, and a model whose answer is a formula: bright is a lesion."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from medfuse import settings
from medfuse.fusion.levels import FusionNetwork
from medfuse.fusion.segmenter import Segmenter, network_of
from medfuse.fusion.settings import FusionSettings
from medfuse.nets import modelfile
from medfuse.nets.modelfile import ModelCard, Region
from pipelines.segment import Models

TINY = FusionSettings(widths=(8, 16), blocks=(1, 1))
NAMES = ("T1", "T2", "PET")
SHAPE, STEP = (8, 10, 12), (1.0, 2.0, 3.0)  # (D, H, W) and mm along w, h, d
CARD = ModelCard(
    modalities=NAMES,
    labels=(Region("lesion", (4,)), Region("core", (9,))),
    spacing=(3.0, 2.0, 1.0),
    patch=(8, 8, 8),
    intensity={name: {"centre": 0.0, "scale": 1.0} for name in NAMES},
    fusion=settings.dump(TINY),
    trained_on={"studies": 3},
)


class Bright(FusionNetwork):
    """Call a voxel a lesion where its scans are above 0.5 on average, its core from 2 on."""

    def __init__(self) -> None:
        super().__init__(TINY, len(NAMES), CARD.classes)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        here = present[:, :, None, None, None, None].to(x.dtype)  # (B, M, 1, 1, 1, 1)
        mean = ((x * here).sum(dim=1) / here.sum(dim=1))[:, 0]  # (B, D, H, W)
        value = 20 * (mean - 0.5)
        return torch.stack([-value, 15 - (value - 15).abs(), value - 30], dim=1)


def models(card: ModelCard = CARD) -> Models:
    """Return the formula as a model in memory."""
    return Models((Segmenter(Bright().eval(), card),), ("0" * 64,))


def write_model(path: Path, *, seed: int = 0) -> Path:
    """Write a model file with random weights."""
    card = replace(CARD, seed=seed)
    return modelfile.save(path, card, network_of(card).state_dict())


def truth() -> np.ndarray:
    """Return where the lesion (4) and its core (9) are, (D, H, W)."""
    array = np.zeros(SHAPE, np.uint16)
    array[2:5, 3:8, 4:9] = 4
    array[3, 4:6, 5:7] = 9
    return array


def write_case(
    folder: Path, names: tuple[str, ...] = NAMES, *, shift: float = 0.0, labels: bool = True
) -> Path:
    """Write a patient's folder; the T2 lies ``shift`` mm to the right of where it should."""
    folder.mkdir(parents=True)
    bright = np.select([truth() == 4, truth() == 9], [1.0, 3.0], 0.0)
    bright += zlib.crc32(folder.name.encode()) / 2**40  # no two patients share a scan
    for name in names:
        affine = np.diag([*STEP, 1.0])
        affine[0, 3] = shift if name == "T2" else 0.0
        image = nib.Nifti1Image(bright.T.astype(np.float32), affine)
        image.header["descrip"] = b"unit=SUVbw" if name == "PET" else b""
        nib.save(image, folder / f"{name}.nii.gz")
    if labels:
        image = nib.Nifti1Image(truth().T.astype(np.uint8), np.diag([*STEP, 1.0]))
        nib.save(image, folder / "labels.nii.gz")
    return folder


def labels_in(path: Path) -> np.ndarray:
    """Return a written label map as another reader sees it, (D, H, W)."""
    return np.asarray(nib.load(path).dataobj).T
