"""Limbs of three patients, CT, MR and PET: tight crops of near cylinders."""

from __future__ import annotations

from collections.abc import Iterator

from ledger import Ledger

from linear import turns
from linear.real import data
from linear.tools import Bench
from linear.turns import Case
from medfuse.io.volumes import read_volume

_PATIENTS = ("STS_002", "STS_025", "STS_035")
_FILES = {"CT": "CT_image", "MR": "MR_T1_image", "PET": "PET_image"}
_MODALITIES = {"CT": "CT", "MR": "T1", "PET": "PET"}
_PAIRS = (("CT", "MR"), ("CT", "PET"), ("MR", "PET"))
_TOOLS = ("ours", "ours-itk", "elastix", "elastix-header", "greedy", "greedy-header")


def run(bench: Bench, ledger: Ledger, tools: list[str]) -> None:
    """Measure small turns with every tool, any orientation with ours."""
    asked = [tool for tool in _TOOLS if tool.removesuffix("-header") in tools]
    turns.run(bench, ledger, list(_cases("limbs, 15 deg / 20 mm", 15, 20)), asked)
    far = list(_cases("limbs, any orientation", 180, 20))
    turns.run(bench, ledger, far, [tool for tool in asked if tool == "ours"])


def _cases(group: str, degrees: float, shift: float) -> Iterator[Case]:
    for patient in _PATIENTS:
        folder = data() / "sts_ct_mr_pet" / "nifti" / patient
        volumes = {
            name: read_volume(folder / f"{file}.nii.gz", modality=_MODALITIES[name])
            for name, file in _FILES.items()
        }
        for fixed, moving in _PAIRS:
            name = f"{patient} {fixed}-{moving}"
            yield Case(
                "limbs", group, name, volumes[fixed], volumes[moving], degrees, shift, turns=2
            )
