"""All figures at once: labels and regions, empty ones by rule, other grids, ignored voxels."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import GeometryError, UsageError
from medfuse.io.volumes import read_labels
from medfuse.metrics import score
from medfuse.metrics.scores import label_regions
from medfuse.volume import LabelMap
from tests.medfuse.metrics.masks import straight

GRID = straight((6, 8, 8))


def labelled(**boxes: tuple[int, tuple[slice, ...]]) -> LabelMap:
    array = np.zeros(GRID.shape, np.uint16)
    for label, box in boxes.values():
        array[box] = label
    return LabelMap(array, GRID, {int(label): name for name, (label, _) in boxes.items()})


CORE = (slice(1, 3), slice(1, 3), slice(1, 3))
RIM = (slice(1, 3), slice(3, 5), slice(1, 3))
ELSEWHERE = (slice(4, 6), slice(5, 8), slice(5, 8))


def test_a_map_against_itself_is_perfect() -> None:
    truth = labelled(core=(1, CORE), rim=(4, RIM))
    scores = score(truth, truth)
    assert list(scores.labels) == ["core", "rim"]
    for one in scores.labels.values():
        assert (one.dice, one.surface_dice, one.hd95_mm, one.lesions.f1) == (1, 1, 0, 1)
        assert one.empty == "no"
        assert one.truth_ml == one.prediction_ml == pytest.approx(8 * GRID.voxel_volume / 1000)
    assert scores.mean_dice == 1


def test_a_region_is_several_values() -> None:
    truth, prediction = labelled(core=(1, CORE), rim=(4, RIM)), labelled(rim=(4, CORE))
    scores = score(prediction, truth, regions={"whole": (1, 4), "rim": (4,)})
    assert scores.labels["whole"].dice == pytest.approx(2 * 8 / (8 + 16))
    assert scores.labels["rim"].dice == 0


def test_C12_empty_maps_follow_the_rule() -> None:
    truth = labelled(core=(1, CORE), gone=(2, (slice(0, 0),)))
    prediction = labelled(extra=(3, ELSEWHERE))
    found = score(prediction, truth).labels
    assert {name: one.empty for name, one in found.items()} == {
        "core": "prediction",
        "gone": "both",
        "extra": "truth",
    }
    assert (found["gone"].dice, found["gone"].surface_dice, found["gone"].hd95_mm) == (1, 1, 0)
    for name in ("core", "extra"):
        assert (found[name].dice, found[name].surface_dice) == (0, 0)
        assert math.isinf(found[name].hd95_mm)


def test_C8_another_grid_is_refused() -> None:
    truth = labelled(core=(1, CORE))
    moved = LabelMap(truth.array, GRID.moved(np.eye(4) + 0.01 * np.eye(4, k=3)))
    with pytest.raises(GeometryError) as caught:
        score(moved, truth)
    assert caught.value.id == "C8"


def test_ignored_voxels_count_in_neither_map() -> None:
    truth = labelled(core=(1, CORE), unknown=(9, ELSEWHERE))
    prediction = labelled(core=(1, CORE))
    prediction = prediction.with_array(np.where(truth.array == 9, 1, prediction.array))
    assert score(prediction, truth).labels["core"].dice < 1
    scores = score(prediction, truth, ignore=9)
    assert list(scores.labels) == ["core"]
    assert scores.labels["core"].dice == 1
    assert scores.ignored == 18


def test_labels_of_the_same_name_stay_apart() -> None:
    both = LabelMap(np.zeros(GRID.shape, np.uint16), GRID, {1: "spot", 2: "spot", 3: "rest"})
    assert label_regions(both) == {"spot (1)": (1,), "spot (2)": (2,), "rest": (3,)}


@pytest.mark.parametrize(
    "wrong", [{"tolerance_mm": -1.0}, {"overlap": 1.5}, {"tolerance_mm": math.nan}]
)
def test_figures_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    truth = labelled(core=(1, CORE))
    with pytest.raises(UsageError):
        score(truth, truth, **wrong)


def test_a_real_label_has_the_published_volume(real_data: Path) -> None:
    """The baseline that another radiomics package published for this label."""
    folder = real_data / "pyradiomics"
    labels = read_labels(folder / "brain1_label.nrrd")
    (found,) = score(labels, labels).labels.values()
    with (folder / "brain1_baseline_shape.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    volume = next(float(value) for name, value in rows if name.endswith("VoxelVolume"))
    assert found.truth_ml * 1000 == pytest.approx(volume, rel=1e-9)
    assert found.voxels == (4137, 4137, 4137)
    assert found.lesions.truth == found.lesions.found
