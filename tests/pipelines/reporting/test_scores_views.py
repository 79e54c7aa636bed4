"""Pictures of an evaluation: the error is in the middle, and each colour means what it says."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medfuse.geometry import Geometry
from medfuse.io.volumes import read_labels
from medfuse.volume import LabelMap
from pipelines.reporting.figures import label_colour
from pipelines.reporting.scores_views import EXTRA, FOUND, MISSED, ground_of, pictures
from tests.pipelines.toy_model import write_case

GRID = Geometry((24, 26, 28), np.diag([2.0, 2.0, 2.0, 1.0])[:, [2, 1, 0, 3]])


def block(*corner: int, size: int = 8) -> np.ndarray:
    mask = np.zeros(GRID.shape, bool)
    mask[tuple(slice(start, start + size) for start in corner)] = True
    return mask


def colours(uri: str) -> dict[int, int]:
    """Return how many pixels are nearest to each meaning's colour, of those that are coloured."""
    picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))).convert("RGB")
    pixels = np.asarray(picture).reshape(-1, 3).astype(int)
    tinted = pixels[np.ptp(pixels, axis=1) > 60]
    table = np.array([label_colour(label) for label in (FOUND, MISSED, EXTRA)])
    # hue alone: a tint is the colour over grey
    hues = (table - table.mean(axis=1, keepdims=True)) / table.std(axis=1, keepdims=True)
    own = tinted - tinted.mean(axis=1, keepdims=True)
    own = own / own.std(axis=1, keepdims=True)
    nearest = (own @ hues.T).argmax(axis=1)
    return {label: int((nearest == n).sum()) for n, label in enumerate((FOUND, MISSED, EXTRA))}


@pytest.mark.parametrize(
    ("prediction", "truth", "seen"),
    [
        (block(8, 8, 8), block(8, 8, 8), FOUND),
        (np.zeros(GRID.shape, bool), block(8, 8, 8), MISSED),
        (block(8, 8, 8), np.zeros(GRID.shape, bool), EXTRA),
    ],
    ids=["found", "missed", "extra"],
)
def test_a_colour_means_what_it_says(prediction: np.ndarray, truth: np.ndarray, seen: int) -> None:
    maps = [LabelMap(mask.astype(np.uint16) * 3, GRID) for mask in (prediction, truth)]
    ground, name = ground_of(maps[1], ())
    assert "no scan" in name
    drawn, bare = pictures(maps[0], maps[1], (3,), ground)
    assert len(drawn) == len(bare) == 3
    for picture in drawn:
        counts = colours(picture.uri)
        assert counts[seen] > 300
        assert counts[seen] > 5 * sum(n for label, n in counts.items() if label != seen)
    assert all(sum(colours(picture.uri).values()) == 0 for picture in bare)


def test_the_planes_go_through_the_largest_error() -> None:
    """A small false island far away and a large miss: the miss is shown."""
    truth = LabelMap(block(12, 12, 12).astype(np.uint16), GRID)
    prediction = LabelMap(block(2, 2, 2, size=2).astype(np.uint16), GRID)
    drawn, _ = pictures(prediction, truth, (1,), ground_of(truth, ())[0])
    for picture in drawn:
        assert colours(picture.uri)[MISSED] > 300
    # the middle of the block of rows 12 to 19, in mm
    assert "axial S 30 mm" in drawn[0].alt or "axial S 32 mm" in drawn[0].alt


def test_pictures_are_squares_of_one_scale() -> None:
    """Then their lettering is as large, and no plane leaves a hole beside the others."""
    grid = Geometry((60, 61, 62), np.diag([2.0, 2.0, 2.0, 1.0])[:, [2, 1, 0, 3]])
    mask = np.zeros(grid.shape, np.uint16)
    mask[2:6, 20:45, 25:30] = 1  # flat, at the border of the grid
    truth = LabelMap(mask, grid)
    drawn, bare = pictures(truth, truth, (1,), ground_of(truth, ())[0])
    assert {(one.width, one.height) for one in (*drawn, *bare)} == {(460, 460)}


def test_nothing_at_all_can_be_drawn() -> None:
    none = LabelMap(np.zeros(GRID.shape), GRID)
    assert len(pictures(none, none, (1,), ground_of(none, ())[0])[0]) == 3


def test_the_ground_is_a_scan_on_the_same_grid(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a", ("T1", "T2"), shift=3.0)
    (folder / "CT.nii.gz").write_bytes(b"damaged")
    nib.save(nib.load(folder / "T1.nii.gz"), folder / "strange.nii.gz")
    truth = read_labels(folder / "labels.nii.gz")
    scans = [folder / f"{name}.nii.gz" for name in ("T2", "CT", "T1", "strange")]
    assert ground_of(truth, scans)[1] == "T1", "the T2 lies elsewhere, the CT cannot be read"
    assert ground_of(truth, scans[:1])[1].startswith("labels")
