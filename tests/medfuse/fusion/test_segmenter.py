"""The segmenter: scans by name, answers on their own grid, and refusals before a wrong answer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from torch import Tensor

from medfuse import settings
from medfuse.errors import InputError, ModelError, Repair, UsageError
from medfuse.fusion import segmenter as module
from medfuse.fusion.levels import FusionNetwork
from medfuse.fusion.segmenter import Segmenter, Sweep, load_segmenter
from medfuse.fusion.settings import FusionSettings
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.nets import modelfile
from medfuse.nets.modelfile import ModelCard, Region
from medfuse.study import AlignedStudy, Study
from medfuse.volume import Volume

TINY = FusionSettings(widths=(8, 16), blocks=(1, 1))
AS_IT_IS = {"centre": 0.0, "scale": 1.0}
CARD = ModelCard(
    modalities=("T1", "FLAIR", "T2"),
    labels=(Region("left spot", (3,)), Region("right spot", (500,))),
    spacing=(2.0, 2.0, 2.0),
    patch=(8, 8, 8),
    intensity=dict.fromkeys(("T1", "FLAIR", "T2"), AS_IT_IS),
    fusion=settings.dump(TINY),
)


PLAIN = Sweep(check=False)  # noise shows no anatomy
segment = partial(module.segment, how=PLAIN)
probabilities = partial(module.probabilities, how=PLAIN)


class Fixed(FusionNetwork):
    """A network whose answer is a formula of its input."""

    def __init__(self, formula: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__(TINY, 3, 3)
        self.formula = formula

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        return self.formula(x, present)


def grid(shape: tuple[int, int, int] = (14, 9, 11), *, seed: int = 0) -> Geometry:
    """Return an oblique, anisotropic grid with swapped and turned axes."""
    rng = np.random.default_rng(seed)
    axes = Rotation.from_rotvec(rng.uniform(-0.2, 0.2, 3)).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = (axes * [1, -1, 1])[:, rng.permutation(3)] * [1.0, 2.5, 1.7]
    return Geometry(shape, matrix)


def study(geometry: Geometry, **volumes: Any) -> AlignedStudy:
    made = {name: Volume(values, geometry, MODALITIES[name]) for name, values in volumes.items()}
    return AlignedStudy(Study("case", made), next(iter(made)), geometry, made)


def noise(geometry: Geometry, *names: str) -> AlignedStudy:
    rng = np.random.default_rng(1)
    return study(geometry, **{name: rng.normal(size=geometry.shape) for name in names})


def saved(path: Path, card: ModelCard = CARD) -> Path:
    return modelfile.save(path, card, module.network_of(card).state_dict())


def by_value(x: Tensor, _: Tensor) -> Tensor:
    """Background below 0, first label to 1, second above, by the first modality."""
    value = 20 * x[:, 0, 0]
    return torch.stack([-value, 10 - (value - 10).abs(), value - 20], dim=1)


def test_labels_lie_where_the_scan_shows_them() -> None:
    """On the network's own spacing nothing is interpolated: each voxel by itself is judged."""
    geometry = grid()
    values = np.random.default_rng(0).uniform(-1, 2, geometry.shape)
    card = replace(CARD, spacing=geometry.upright().spacing)
    labels = segment(
        study(geometry, T1=values, T2=values, FLAIR=values), Segmenter(Fixed(by_value), card)
    )
    expected = np.where(values < 0, 0, np.where(values < 1, 3, 500))
    sure = np.abs(values - np.rint(values)) > 1e-3
    assert labels.geometry.same_grid(geometry)
    assert np.array_equal(labels.array[sure], expected[sure])
    assert labels.names == {3: "left spot", 500: "right spot"}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_border_stays_in_its_place_at_another_spacing(seed: int) -> None:
    geometry = grid((16, 16, 16), seed=seed)
    world = geometry.world(np.moveaxis(np.indices(geometry.shape), 0, -1)) - geometry.centre
    values = world @ np.array([0.03, 0.05, -0.04])
    made = segment(
        study(geometry, T1=values, T2=values, FLAIR=values), Segmenter(Fixed(by_value), CARD)
    )
    truth = values > 0
    inner = (slice(3, -3),) * 3
    wrong = (made.array > 0)[inner] != truth[inner]
    assert np.abs(values[inner][wrong]).max(initial=0) < 0.03  # half a voxel of 2 mm at most


def test_probabilities_are_named_and_of_the_same_grid() -> None:
    geometry = grid()
    found = probabilities(noise(geometry, "T1", "T2", "FLAIR"), Segmenter(Fixed(by_value), CARD))
    assert list(found) == ["left spot", "right spot"]
    total = sum(volume.array for volume in found.values())
    assert all(volume.geometry.same_grid(geometry) for volume in found.values())
    assert 0 <= total.min() <= total.max() <= 1 + 1e-5


def test_regions_that_overlap_give_the_most_probable_label_that_exists() -> None:
    card = replace(
        CARD,
        activation="sigmoid",
        labels=(Region("whole", (1, 2, 4)), Region("core", (1, 4)), Region("active", (4,))),
    )
    odds = torch.tensor(
        [[-3, -3, -3], [3, -3, -3], [3, 3, -3], [3, 3, 3], [-1, -1, 5], [2, -3, 1]]
    ).float()

    def by_table(x: Tensor, _: Tensor) -> Tensor:
        return odds[x[:, 0, 0].round().long()].movedim(-1, 1)

    geometry = Geometry((2, 2, 6), np.eye(4)[:, [2, 1, 0, 3]])
    card = replace(card, spacing=(1.0, 1.0, 1.0), patch=(2, 2, 6))
    values = np.broadcast_to(np.arange(6.0), (2, 2, 6))
    made = segment(
        study(geometry, T1=values, T2=values, FLAIR=values), Segmenter(Fixed(by_table), card)
    )
    assert made.array[0, 0].tolist() == [0, 2, 1, 4, 4, 2]
    assert made.names == {1: "core", 2: "whole", 4: "active"}


def test_several_models_answer_by_their_mean() -> None:
    geometry = grid()
    aligned = noise(geometry, "T1", "T2", "FLAIR")
    models = [
        Segmenter(Fixed(by_value), CARD),
        Segmenter(Fixed(lambda x, p: -by_value(x, p)), CARD),
    ]
    each = [probabilities(aligned, model)["left spot"].array for model in models]
    both = probabilities(aligned, models)["left spot"].array
    assert np.allclose(both, (each[0] + each[1]) / 2, atol=1e-5)


def test_a_model_of_one_side_alone_cannot_be_asked_of_a_mirror() -> None:
    card = replace(CARD, labels=(Region("left spot", (3,)), Region("spot", (500,))))
    asked = Segmenter(Fixed(by_value), card)
    aligned = noise(grid(), "T1", "T2", "FLAIR")
    with pytest.raises(UsageError, match="'left spot' has no partner on the other side"):
        segment(aligned, asked, how=Sweep(mirror=True, check=False))
    segment(aligned, asked)


def test_the_mirror_swaps_the_sides() -> None:
    """A network that calls what it sees by the side of the window: mirrored, it agrees."""

    def by_side(x: Tensor, _: Tensor) -> Tensor:
        place = torch.linspace(-1, 1, x.shape[-1]).expand(x[:, 0, 0].shape)  # w grows to the left
        return torch.stack([0 * place, 9 * place, -9 * place], dim=1)

    geometry = Geometry((8, 8, 8), np.eye(4)[:, [2, 1, 0, 3]])
    card = replace(CARD, spacing=(1.0, 1.0, 1.0))
    aligned = noise(geometry, "T1", "T2", "FLAIR")
    plain, mirrored = (
        segment(aligned, Segmenter(Fixed(by_side), card), how=Sweep(mirror=flag, check=False)).array
        for flag in (False, True)
    )
    assert np.array_equal(plain, mirrored)
    assert set(plain[0, 0].tolist()) == {500, 3}
    swapped = replace(card, labels=(Region("spot", (3,)), Region("other", (500,))))
    lost = segment(
        aligned, Segmenter(Fixed(by_side), swapped), how=Sweep(mirror=True, check=False)
    ).array
    assert not np.array_equal(lost, plain)  # without sides in the names nothing is swapped


def test_a_saved_model_answers_as_before(tmp_path: Path) -> None:
    aligned = noise(grid(), "T1", "T2", "FLAIR")
    network = module.network_of(CARD)
    before = segment(aligned, Segmenter(network.eval(), CARD)).array
    again = segment(aligned, load_segmenter(saved(tmp_path / "m.mfm"))).array
    assert np.array_equal(again, before)
    assert len(np.unique(before)) > 1


def test_M5_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = replace(CARD, fusion=settings.dump(replace(TINY, widths=(8, 24))))
    path = modelfile.save(tmp_path / "m.mfm", CARD, module.network_of(other).state_dict())
    with pytest.raises(ModelError, match="of other size") as caught:
        load_segmenter(path)
    assert caught.value.id == "M5"
    assert len(str(caught.value)) < 300


def test_M5_models_that_do_not_belong_together_are_refused() -> None:
    other = replace(CARD, spacing=(1.0, 1.0, 1.0))
    models = [Segmenter(Fixed(by_value), card) for card in (CARD, other)]
    with pytest.raises(ModelError, match="spacing") as caught:
        segment(noise(grid(), "T1", "T2", "FLAIR"), models)
    assert caught.value.id == "M5"


def test_M5_a_translator_is_no_segmenter(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.mfm", replace(CARD, task="translation"))
    with pytest.raises(ModelError, match="translation"):
        load_segmenter(path)


def test_M6_weights_under_other_names_are_refused(tmp_path: Path) -> None:
    weights = module.network_of(CARD).state_dict()
    path = modelfile.save(
        tmp_path / "m.mfm", CARD, {f"module.{name}": w for name, w in weights.items()}
    )
    with pytest.raises(ModelError, match="none of the weights") as caught:
        load_segmenter(path)
    assert caught.value.id == "M6"


def test_M7_the_order_of_the_scans_does_not_matter(tmp_path: Path) -> None:
    model = load_segmenter(saved(tmp_path / "m.mfm"))
    geometry = grid()
    rng = np.random.default_rng(1)
    values = {name: rng.normal(size=geometry.shape) for name in ("T1", "T2", "FLAIR", "CT")}
    one = segment(study(geometry, **values), model)
    other = segment(study(geometry, **dict(reversed(values.items()))), model)
    assert np.array_equal(one.array, other.array)
    swapped = {**values, "T1": values["T2"], "T2": values["T1"]}
    assert not np.array_equal(one.array, segment(study(geometry, **swapped), model).array)


def test_M8_a_card_with_other_fusion_settings_is_refused() -> None:
    with pytest.raises(ModelError, match="widths") as caught:
        module.network_of(replace(CARD, fusion={"widths": "wide"}))
    assert caught.value.id == "M8"


def test_M10_an_answer_that_is_not_finite_never_becomes_a_mask() -> None:
    bad = Segmenter(Fixed(lambda x, p: by_value(x, p) * torch.nan), CARD)
    with pytest.raises(InputError, match="not finite") as caught:
        segment(noise(grid(), "T1", "T2", "FLAIR"), bad)
    assert caught.value.id == "M10"


def test_M11_a_missing_modality_is_said(tmp_path: Path) -> None:
    model = load_segmenter(saved(tmp_path / "m.mfm"))
    with pytest.warns(Repair, match="without FLAIR") as said:
        segment(noise(grid(), "T2", "T1"), model)
    assert [warning.message.id for warning in said] == ["M11"]


@pytest.mark.parametrize("names", [("T2", "FLAIR"), ("CT",)])
def test_M11_a_required_modality_or_all_missing_is_refused(names: tuple[str, ...]) -> None:
    card = replace(CARD, required=("T1",)) if "T2" in names else CARD
    with warnings.catch_warnings(), pytest.raises(ModelError, match="T1") as caught:
        segment(noise(grid(), *names), Segmenter(Fixed(by_value), card))
    assert caught.value.id == "M11"


def test_no_segmenter_is_refused() -> None:
    with pytest.raises(UsageError, match="no segmenter"):
        segment(noise(grid(), "T1"), [])


def test_a_scan_of_another_patient_is_left_out_and_said() -> None:
    """The answer is that of the study without the scan, and differs from a trusting one."""
    geometry, rng = grid((36, 36, 36)), np.random.default_rng(3)
    parts = (gaussian_filter(rng.normal(size=geometry.shape), 1.5) for _ in range(2))
    mine, other = (0.6 * np.sign(part) for part in parts)
    place = np.moveaxis(np.indices(geometry.shape), 0, -1) - 17.5
    ball = (place**2).sum(axis=-1) < 290
    values = {"T1": ball * (2 + mine), "FLAIR": ball * (2 - mine), "T2": ball * (2 + other)}
    model = Segmenter(module.network_of(CARD).eval(), CARD)
    with pytest.warns(Repair) as said:
        checked = module.segment(study(geometry, **values), model)
    texts = {warning.message.id: str(warning.message) for warning in said}
    assert "T2 shows another anatomy" in texts["agreement"]
    assert "without T2" in texts["M11"]
    values.pop("T2")
    with pytest.warns(Repair, match="without T2"):
        expected = segment(study(geometry, **values), model)
    assert np.array_equal(checked.array, expected.array)
