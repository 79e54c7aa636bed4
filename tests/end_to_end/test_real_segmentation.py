"""Real patients from scans to scores: too few to claim a Dice, enough to see that it works."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.end_to_end.conftest import Run

RECIPE = """
spacing = [4.0, 4.0, 4.0]
patch = [24, 24, 24]
batch = 1
epochs = 1
steps = 3
folds = 2
others = "background"
[[labels]]
name = "lesion"
values = [1]
[fusion]
level = "{level}"
widths = [8, 16]
"""


def learned_and_scored(medfuse: Run, folder: Path, rows: list[dict[str, Path]], level: str) -> Path:
    """Train, segment and evaluate in ``folder``; return the folder of the scores."""
    columns = ["subject", *[name for name in rows[0] if name != "subject"]]
    with (folder / "cohort.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, columns)
        table.writeheader()
        table.writerows(rows)
    (folder / "recipe.toml").write_text(RECIPE.format(level=level))
    data, model = folder / "cohort.csv", folder / "run" / "model.mfm"
    trained = medfuse(
        *("train", folder / "recipe.toml", "--data", data, "--out", folder / "run"),
        *("--allow-outside", "--threads", "1"),
    )
    assert trained.code == 0, trained.err
    made = medfuse(
        *("segment", data, "--model", model, "--out", folder / "seg"),
        *("--allow-outside", "--threads", "1"),
    )
    assert made.code == 0, made.err
    scored = medfuse(
        *("evaluate", folder / "seg", data, "--out", folder / "scores"), "--json", "--allow-outside"
    )
    assert scored.code == 0, scored.err
    (labels,) = json.loads(scored.out)["subsets"].values()
    assert labels["lesion"]["cases"] == len(rows)
    assert 0 <= labels["lesion"]["dice"] <= 1
    page = (folder / "scores" / "page.html").read_text("utf-8")
    assert "too few to claim a Dice" in page
    return folder / "scores"


@pytest.mark.slow
def test_two_patients_with_ms(medfuse: Run, real_data: Path, tmp_path: Path) -> None:
    folders = [real_data / "open_ms_mni" / name for name in ("patient07", "patient26")]
    rows = [
        {
            "subject": folder.name,
            **{name: folder / f"{name}.nii.gz" for name in ("T1", "T2", "FLAIR")},
            "label": folder / "lesion_gt.nii.gz",
        }
        for folder in folders
    ]
    scores = learned_and_scored(medfuse, tmp_path, rows, "feature")
    with (scores / "scores.csv").open() as stream:
        told = {row["case"]: float(row["truth_ml"]) for row in csv.DictReader(stream)}
    for folder in folders:
        truth = nib.load(folder / "lesion_gt.nii.gz")
        voxel = abs(np.linalg.det(truth.affine[:3, :3])) / 1000
        volume = np.count_nonzero(np.asarray(truth.dataobj)) * voxel
        assert told[folder.name] == pytest.approx(volume, rel=1e-4)
        made = nib.load(tmp_path / "seg" / folder.name / "labels.nii.gz")
        np.testing.assert_allclose(made.affine, nib.load(folder / "T1.nii.gz").affine, atol=1e-4)


@pytest.mark.slow
def test_sarcomas_in_ct_mr_and_pet_aligned_by_our_own_register(
    medfuse: Run, real_data: Path, tmp_path: Path
) -> None:
    rows = []
    for name in ("STS_002", "STS_025"):
        folder = real_data / "sts_ct_mr_pet" / "nifti" / name
        scans = [f"{folder / f'{scan}_image.nii.gz'}:{kind}" for scan, kind in
                 (("CT", "CT"), ("MR_T1", "T1"), ("PET", "PET,unit=SUVbw"))]  # fmt: skip
        aligned = tmp_path / f"aligned-{name}"
        said = medfuse("register", *scans, "--out", aligned, "--no-page", "--allow-fail")
        assert said.code == 0, said.err
        rows.append(
            {
                "subject": name,
                "CT": folder / "CT_image.nii.gz",
                "T1": aligned / "T1" / "moved.nii.gz",
                "PET": aligned / "PET" / "moved.nii.gz",
                "label": folder / "CT_mask.nii.gz",
            }
        )
    learned_and_scored(medfuse, tmp_path, rows, "data")
    made = nib.load(tmp_path / "seg" / "STS_002" / "labels.nii.gz")
    ct = nib.load(rows[0]["CT"])
    assert made.shape == ct.shape
    np.testing.assert_allclose(made.affine, ct.affine, atol=1e-4)
