"""Model files: what goes in comes out, and nothing that could run is ever opened."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from medfuse.errors import ModelError, UsageError
from medfuse.nets import modelfile
from medfuse.nets.modelfile import ModelCard, Region

CARD = ModelCard(
    modalities=("T1", "CT"),
    labels=(Region("tumour", (1,)), Region("oedema", (7,))),
    spacing=(1.0, 1.5, 2.0),
    patch=(16, 16, 8),
    required=("T1",),
    intensity={"CT": {"centre": 40.0, "scale": 40.0}},
    fusion={"level": "data"},
    trained_on={"subjects": 24},
)
WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float64)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return modelfile.save(tmp_path / "m.mfm", CARD, WEIGHTS)


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, parts: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, payload in parts.items():
            archive.writestr(name, payload)
    return path


def with_card(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    parts = members(path)
    document = json.loads(parts["card.json"])
    change(document)
    return rewritten(path, {**parts, "card.json": json.dumps(document).encode()})


def refused(path: Path, id: str, word: str) -> None:
    with pytest.raises(ModelError, match=word) as caught:
        modelfile.load(path)
    assert caught.value.id == id
    assert caught.value.exit_code == 3
    assert "weights_only" not in str(caught.value)


def test_card_and_weights_come_back(model: Path) -> None:
    card, weights = modelfile.load(model)
    assert card == CARD
    assert card.classes == 3
    assert {name: value.tolist() for name, value in weights.items()} == {
        name: value.tolist() for name, value in WEIGHTS.items()
    }
    assert {name: value.dtype for name, value in weights.items()} == {
        name: value.dtype for name, value in WEIGHTS.items()
    }


def test_others_can_read_it_with_a_zip_and_safetensors(model: Path) -> None:
    parts = members(model)
    assert sorted(parts) == ["card.json", "weights.safetensors"]
    assert json.loads(parts["card.json"])["modalities"] == ["T1", "CT"]
    assert torch.equal(load_tensors(parts["weights.safetensors"])["b"], WEIGHTS["b"])


def test_the_same_model_is_the_same_file(model: Path, tmp_path: Path) -> None:
    other = modelfile.save(tmp_path / "n.mfm", CARD, dict(reversed(WEIGHTS.items())))
    assert other.read_bytes() == model.read_bytes()


class Wicked:
    """Runs a program when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".mfm"])
@pytest.mark.parametrize("legacy", [False, True])
def test_M1_pickled_weights_are_refused_and_never_opened(
    tmp_path: Path, suffix: str, legacy: bool
) -> None:
    path, mark = tmp_path / f"m{suffix}", tmp_path / "it-ran"
    torch.save({"w": Wicked(mark)}, path, _use_new_zipfile_serialization=not legacy)
    refused(path, "M1", "pickled")
    assert not mark.exists()


def test_M2_bundles_and_configurations_of_others_are_refused(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    text = json.dumps({"network": f"$__import__('os').mkdir('{mark}')"})
    for name, payload in {
        "inference.json": text.encode(),
        "train.yaml": b"network: $exit()",
        "algo.pkl": pickle.dumps(Wicked(mark)),
    }.items():
        (tmp_path / name).write_bytes(payload)
        refused(tmp_path / name, "M2", "another tool")
    bundle = rewritten(tmp_path / "bundle.zip", {"b/configs/inference.json": text.encode()})
    refused(bundle, "M2", "another tool")
    assert not mark.exists()


def test_M3_weights_that_are_cut_or_lie_about_their_length_are_refused(model: Path) -> None:
    parts = members(model)
    whole = parts["weights.safetensors"]
    huge = struct.pack("<Q", 2**62) + whole[8:]
    for bad in (whole[:-5], whole[:4], huge, b""):
        rewritten(model, {**parts, "weights.safetensors": bad})
        refused(model, "M3", "damaged")


def test_M3_a_flipped_bit_is_noticed(model: Path) -> None:
    raw = bytearray(model.read_bytes())
    raw[raw.index(WEIGHTS["b"].numpy().tobytes()) + 3] ^= 16
    model.write_bytes(raw)
    refused(model, "M3", "damaged")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_M4_weights_that_are_not_finite_are_refused(
    model: Path, tmp_path: Path, bad: float
) -> None:
    weights = {**WEIGHTS, "b": torch.tensor([1.0, bad])}
    with pytest.raises(ModelError, match="not finite"):
        modelfile.save(tmp_path / "n.mfm", CARD, weights)
    assert not (tmp_path / "n.mfm").exists()
    rewritten(model, {**members(model), "weights.safetensors": save_tensors(weights)})
    refused(model, "M4", "not finite")


def test_M8_a_newer_format_says_which_version_reads_it(model: Path) -> None:
    def newer(card: dict[str, Any]) -> None:
        card["format"], card["versions"] = 99, {"medfuse": "7.1"}

    refused(with_card(model, newer), "M8", "needs medfuse >= 7.1")


def test_M8_a_missing_card_is_refused(model: Path) -> None:
    rewritten(model, {"weights.safetensors": members(model)["weights.safetensors"]})
    refused(model, "M8", "no card.json")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda card: card.pop("patch"), "patch"),
        (lambda card: card.pop("format"), "format"),
        (lambda card: card.update(spacing=[1, 2]), "spacing"),
        (lambda card: card.update(fusion=[]), "fusion"),
        (lambda card: card.update(required=["PET"]), "required"),
        (lambda card: card.update(patch=[0, 8, 8]), "patch"),
        (lambda card: card.update(modalities=["T1", "T1"]), "each once"),
        (lambda card: card.update(labels=[{"name": "x", "values": [0]}]), "above 0"),
        (lambda card: card.update(surprise=1), "surprise"),
    ],
)
def test_M8_a_card_that_is_wrong_is_refused(model: Path, change: Any, word: str) -> None:
    refused(with_card(model, change), "M8", word)


def test_M8_a_card_that_is_no_json_is_refused(model: Path) -> None:
    for bad in (b"\xff\xfe", b"{", b"[]", b"[" * 100_000):
        rewritten(model, {**members(model), "card.json": bad})
        refused(model, "M8", "card.json")


def test_M9_what_is_no_model_file_is_refused(model: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.mfm"
    page.write_bytes(b"<!DOCTYPE html><html>404</html>")
    refused(page, "M9", "no model file")
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(100)}, buffer)
    cut = tmp_path / "cut.pt"
    cut.write_bytes(buffer.getvalue()[:300])
    refused(cut, "M9", "cut")
    model.write_bytes(model.read_bytes()[:-30])
    refused(model, "M9", "cut")


def test_M9_a_compressed_archive_is_refused(model: Path) -> None:
    rewritten(model, {**members(model), "card.json": bytes(10**6)}, zipfile.ZIP_DEFLATED)
    refused(model, "M9", "compressed")


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.mfm"):
        modelfile.save(tmp_path / "m.pt", CARD, WEIGHTS)


def test_regions_may_overlap_for_a_sigmoid_only() -> None:
    fields = {
        "modalities": ("T1",),
        "labels": (Region("whole", (1, 2)), Region("core", (2,))),
        "spacing": (1.0, 1.0, 1.0),
        "patch": (8, 8, 8),
    }
    assert ModelCard(**fields, activation="sigmoid").classes == 2
    with pytest.raises(ModelError, match="share"):
        ModelCard(**fields)
