"""Every command that the documents show works as they show it: blocks marked ``bash`` are run."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medfuse import settings
from medfuse.fusion.segmenter import network_of
from medfuse.fusion.settings import FusionSettings
from medfuse.nets import modelfile
from medfuse.nets.modelfile import ModelCard, Region
from medfuse.study import Quality
from tests.end_to_end import heads
from tests.end_to_end.conftest import Run
from tests.medfuse.io import dicom_maker

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCANS = ("T1", "T1CE", "T2", "FLAIR", "CT", "PET")


def commands(document: Path) -> list[str]:
    """Return the lines of all blocks of a document that are marked ``bash``."""
    blocks = re.findall(r"^```bash\n(.*?)^```", document.read_text("utf-8"), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def write_phantom(
    out: str | Path, *, subjects: int = 1, aligned: bool = False, **_: object
) -> Path:
    """Write tiny scans under the names of the real phantom's, of three heads at most."""
    for number in range(1, min(subjects, 3) + 1):
        folder = Path(out) / f"sub-{number:03}"
        (folder / "truth").mkdir(parents=True)
        for place, name in enumerate(SCANS):
            heads.write(folder, name)
            if aligned:  # no scan is another's copy, and the PET says its unit
                seen = heads.appearance(name) * (1 + 0.01 * number + 0.001 * place)
                image = nib.Nifti1Image(seen, heads.affine())
                image.header["descrip"] = "unit=SUVbw" if name == "PET" else ""
                nib.save(image, folder / f"{name}.nii.gz")
            sitk.WriteTransform(sitk.AffineTransform(3), folder / "truth" / f"{name}.tfm")
        labels = (heads.appearance("T1") > 100).astype(np.uint8) * 8
        nib.save(nib.Nifti1Image(labels, heads.affine()), folder / "labels.nii.gz")
        (folder / "report.txt").write_text("No finding.")
    return Path(out)


# a file of that name goes before the recipe that comes with medfuse: these heads have few voxels
LESION = """
modalities = ["T1", "T1CE", "T2", "FLAIR"]
others = "background"
spacing = [8.0, 8.0, 8.0]
patch = [16, 16, 16]
steps = 2
epochs = 1
[[labels]]
name = "lesion"
values = [8]
[fusion]
level = "data"
widths = [8, 16]
"""


def write_model(path: Path) -> None:
    """Write a model of random weights, where no training has written one."""
    tiny = FusionSettings(widths=(8, 16), blocks=(1, 1))
    names = ("T1", "T2", "FLAIR")
    card = ModelCard(
        modalities=names,
        labels=(Region("lesion", (1,)),),
        spacing=(9.0, 9.0, 9.0),
        patch=(16, 16, 16),
        intensity={name: {"centre": 0.0, "scale": 100.0} for name in names},
        fusion=settings.dump(tiny),
    )
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        modelfile.save(path, card, network_of(card).state_dict())


@pytest.mark.parametrize(
    "document", [page for page in DOCUMENTS if commands(page)], ids=lambda page: page.name
)
def test_the_commands_of_a_document_work(
    document: Path,
    medfuse: Run,
    answers: dict[str, Quality],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("medfuse.phantom.cohort.write_phantom", write_phantom)
    monkeypatch.setattr("pipelines.demo.write_phantom", write_phantom)
    monkeypatch.chdir(tmp_path)
    lines = commands(document)
    if not any(line.startswith("medfuse phantom heads") for line in lines):
        write_phantom("heads")
    dicom_maker.series(tmp_path / "dicom" / "ct")
    (tmp_path / "lesion").write_text(LESION)
    for line in lines:
        line = re.sub(r"--minutes \d+", "--minutes 0.1", line)  # no half hours here
        if " --model run/model.mfm" in line:
            write_model(tmp_path / "run" / "model.mfm")
        if line.startswith("medfuse "):
            said = medfuse(*shlex.split(line)[1:])
            assert said.code == 0, (line, said.err)
        else:
            subprocess.run(["sh", "-c", line], check=True, timeout=60)


def test_points_come_back(tmp_path: Path, medfuse: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shift = sitk.AffineTransform(3)
    shift.SetTranslation((1.0, 2.0, 3.0))
    sitk.WriteTransform(shift, tmp_path / "t.tfm")
    (tmp_path / "fixed.csv").write_text("x,y,z\n0,0,0\n")
    assert medfuse("apply", "t.tfm", "--points", "fixed.csv", "--out", "moving.csv").code == 0
    assert (tmp_path / "moving.csv").read_text() == "x,y,z\n1.000000,2.000000,3.000000\n"


def test_every_command_and_option_is_documented(medfuse: Run) -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for command in (
        "inspect",
        "convert",
        "register",
        "apply",
        "train",
        "segment",
        "evaluate",
        "compare-fusion",
        "phantom",
        "doctor",
        "demo",
    ):
        assert f"\n## {command}\n" in page
        section = page.split(f"\n## {command}\n")[1].split("\n## ")[0]
        options = set(re.findall(r"--[a-z-]+", medfuse(command, "--help").out)) - {"--help"}
        assert {option for option in options if option not in section} == set(), command


def test_the_command_within_dataset_is_documented(medfuse: Run) -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    section = page.split("\n## dataset\n")[1].split("\n## ")[0]
    options = set(re.findall(r"--[a-z-]+", medfuse("dataset", "check", "--help").out)) - {"--help"}
    assert {option for option in options if option not in section} == set()


def test_every_row_that_refuses_is_explained_once() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    cells = re.findall(r"^\| ((?:[NDRXSCT]\d+(?:, )?)+) \|", page, re.M)
    ids = [id for cell in cells for id in cell.split(", ")]
    assert len(ids) == len(set(ids))
    assert len(ids) > 100
