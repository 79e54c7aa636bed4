"""The notebooks run from top to bottom, and what they print is true."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def run(name: str, folder: Path, **changes: str) -> tuple[str, list[Image.Image]]:
    """Run a notebook in ``folder``; return what it prints and the pictures that it shows.

    ``changes`` are written into its first code cell, as a reader would.
    """
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    first = next(cell for cell in notebook.cells if cell["cell_type"] == "code")
    for variable, value in changes.items():
        first["source"], count = re.subn(
            rf"^{variable} = \S+", f"{variable} = {value}", first["source"], flags=re.MULTILINE
        )
        assert count == 1
    nbclient.NotebookClient(
        notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(o["text"] for o in outputs if o["output_type"] == "stream")
    shown = [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    return printed, [Image.open(io.BytesIO(base64.b64decode(png))) for png in shown]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestWarning")
def test_read_and_align(tmp_path: Path) -> None:
    """All three scans pass, lie within 2 mm of the truth, and are saved on the T1's grid."""
    printed, pictures = run("01_read_and_align.ipynb", tmp_path)
    verdicts = dict(
        re.findall(r"^(T2|CT|PET): (pass|review|fail) \(overlap", printed, re.MULTILINE)
    )
    assert verdicts == {"T2": "pass", "CT": "pass", "PET": "pass"}
    errors = dict(re.findall(r"^(\w+): true error ([\d.]+) mm on average", printed, re.MULTILINE))
    assert errors.keys() == {"T2", "CT", "PET"}
    assert all(float(error) < 2 for error in errors.values())
    assert "and back again within 0.000000 mm" in printed
    assert "dropped" not in printed
    carried = re.findall(
        r"^label \d+ +([\d.]+) ml on T1 +([\d.]+) ml on PET", printed, re.MULTILINE
    )
    assert len(carried) > 5
    large = [(float(one), float(other)) for one, other in carried if float(one) > 20]
    assert all(other == pytest.approx(one, rel=0.25) for one, other in large)
    assert len(pictures) == 3
    assert all(picture.width > 600 for picture in pictures)

    # the same answer, read by other tools from what was saved
    made, results = (
        tmp_path / "medfuse-results" / "phantom" / "sub-001",
        tmp_path / "medfuse-results",
    )
    fixed, moved = nib.load(made / "T1.nii.gz"), nib.load(results / "PET.nii.gz")
    np.testing.assert_allclose(moved.affine, fixed.affine, atol=1e-4)
    assert moved.shape == fixed.shape
    found = sitk.ReadTransform(str(results / "PET.tfm"))
    known = sitk.ReadTransform(str(made / "truth" / "PET.tfm"))
    away = np.subtract(found.TransformPoint((0, 0, 0)), known.TransformPoint((0, 0, 0)))
    assert np.linalg.norm(away) < 2
    assert "Research software" in (results / "page.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestWarning")
def test_the_readers_own_folder_is_one_variable() -> None:
    """The first code cell holds all that a reader changes."""
    notebook = nbformat.read(NOTEBOOKS / "01_read_and_align.ipynb", as_version=4)
    first, *rest = [cell["source"] for cell in notebook.cells if cell["cell_type"] == "code"]
    assert first.startswith('FOLDER = ""')
    assert not any(
        re.search(r"^(FOLDER|FIXED|MOVING|RESULTS) *=", text, re.MULTILINE) for text in rest
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestWarning")
def test_fuse_and_segment(tmp_path: Path) -> None:
    """Every subset has a row, the best of which is no empty answer, and a verdict is printed."""
    few = {"MINUTES": "1", "SUBJECTS": "3", "LEVELS": '"data,model"'}
    printed, pictures = run("02_fuse_and_segment.ipynb", tmp_path, **few)
    rows = re.findall(
        r"^((?:T1|T1CE|T2|FLAIR)(?:\+\w+)*) +([01]\.\d{3}) #*$", printed, re.MULTILINE
    )
    assert len({name for name, _ in rows}) == 15
    assert "FLAIR" in rows[0][0]  # it shows the lesion best
    assert float(rows[0][1]) > 0.1  # a slow machine makes few steps in a minute
    assert "winner: " in printed
    results = tmp_path / "medfuse-fusion"
    record = json.loads((results / "contest" / "record.json").read_text())
    assert record["verdict"]["sentence"] in printed
    assert set(record["steps"]) == {"data", "model"}
    assert all(steps >= 20 for steps in record["steps"].values())
    assert "Research software" in (results / "contest" / "page.html").read_text("utf-8")
    assert len(pictures) == 2  # the curves, and a head with its labels
    assert all(picture.width > 600 for picture in pictures)
