"""One trained model in one file: what it is for (``card.json``) and its weights.

A ``.mfm`` file is a zip, stored and not compressed, of the card and ``weights.safetensors``.
Nothing in it can run: no pickle is ever opened.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from medfuse import settings
from medfuse.errors import ModelError, UsageError
from medfuse.io import files

FORMAT = 1
SUFFIX = ".mfm"
_CARD, _WEIGHTS = "card.json", "weights.safetensors"
_LARGEST = 8 * 2**30  # bytes; the weights of the largest networks of this kind are below 1 GB
_AGAIN = "copy it again from where it came"
_OURS = "give a .mfm file, as medfuse train writes it"


@dataclass(frozen=True)
class Region:
    """One structure that a model finds: its name, and the label values that make it up."""

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model is for, and how its input must be made; JSON beside the weights.

    ``modalities``: names in the order of the network's input; ``required``: those that a study
    must have; ``labels``: for softmax one region a class, for sigmoid regions that may overlap,
    the background in neither; ``spacing`` (d, h, w) mm and ``patch`` (d, h, w) voxels;
    ``intensity``: a scheme a modality (``medfuse.intensity``); ``fusion``: all settings of the
    network; ``trained_on``: counts, never names. Raises ``ModelError`` (M8) for contradictions.
    """

    modalities: tuple[str, ...]
    labels: tuple[Region, ...]
    spacing: tuple[float, float, float]
    patch: tuple[int, int, int]
    task: Literal["segmentation", "translation"] = "segmentation"
    required: tuple[str, ...] = ()
    activation: Literal["softmax", "sigmoid"] = "softmax"
    intensity: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fusion: Mapping[str, Any] = field(default_factory=dict)
    network: str = "medfuse"
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    licence: str = ""
    trained_on: Mapping[str, int] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not self.modalities or len(set(self.modalities)) < len(self.modalities):
            raise ModelError("modalities must be named, each once", id="M8")
        if not set(self.required) <= set(self.modalities):
            raise ModelError("required names what is not among the modalities", id="M8")
        values = [value for region in self.labels for value in region.values]
        if any(not region.values for region in self.labels) or any(v < 1 for v in values):
            raise ModelError("each label needs at least one value above 0", id="M8")
        if self.activation == "softmax" and len(set(values)) < len(values):
            raise ModelError("labels of a softmax share a value", id="M8")
        if min(self.spacing) <= 0 or min(self.patch) < 1:
            raise ModelError("spacing and patch must be above 0", id="M8")

    @property
    def classes(self) -> int:
        """How many channels the network gives: the labels, and for softmax the background."""
        return len(self.labels) + (self.activation == "softmax")


_TABLES = ("intensity", "fusion", "versions", "trained_on")


def save(path: str | os.PathLike[str], card: ModelCard, state_dict: Mapping[str, Tensor]) -> Path:
    """Write a model file, whole or not at all, and return its path.

    The same card and weights give the same bytes. Raises ``UsageError`` for another suffix,
    ``ModelError`` for weights that are not finite (M4), ``OutputError`` as ``files.write_file``.
    """
    if Path(path).suffix.lower() != SUFFIX:
        raise UsageError("a model file ends in .mfm", where=path)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state_dict.items()}
    _check_finite(tensors, path)
    members = {
        _CARD: json.dumps(asdict(card), indent=2, sort_keys=True).encode() + b"\n",
        _WEIGHTS: save_tensors(dict(sorted(tensors.items()))),
    }

    def write(made: Path) -> None:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
            for name, payload in members.items():
                # a fixed date: the same model is the same file
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), payload)

    def check(made: Path) -> None:
        load(made)

    return files.write_file(path, write, check=check)


def load(path: str | os.PathLike[str]) -> tuple[ModelCard, dict[str, Tensor]]:
    """Return the card and the weights of a model file.

    Raises ``ModelError``: pickled weights (M1), another tool's bundle or configuration (M2),
    weights that are damaged (M3) or not finite (M4), no card that we understand (M8), no model
    file at all, or one that is cut (M9).
    """
    raw = files.stored(files.readable(path), limit=_LARGEST)
    members = _members(raw, path)
    card = _card(members[_CARD], path)
    try:
        tensors = load_tensors(members[_WEIGHTS])
    except (SafetensorError, ValueError, KeyError) as error:
        what = f"the weights are damaged ({type(error).__name__})"
        raise ModelError(what, where=path, hint=_AGAIN, id="M3") from None
    _check_finite(tensors, path)
    return card, tensors


def _members(raw: bytes, path: object) -> dict[str, bytes]:
    """Return the two members of the zip; refuse everything else by what it is."""
    if not raw.startswith(b"PK"):
        raise _stranger(raw, path)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            _check_names(set(infos), path)
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos.values()):
                raise ModelError("is compressed, model files are not", where=path, id="M9")
            if any(info.file_size > len(raw) for info in infos.values()):
                raise ModelError("declares more than it holds", where=path, hint=_AGAIN, id="M3")
            return {name: archive.read(name) for name in (_CARD, _WEIGHTS)}
    except zipfile.BadZipFile as error:
        id = "M3" if "CRC" in str(error) else "M9"
        raise ModelError("the file is cut or damaged", where=path, hint=_AGAIN, id=id) from None
    except (OSError, EOFError, RuntimeError, NotImplementedError, ValueError):
        raise ModelError("the file is damaged", where=path, hint=_AGAIN, id="M9") from None


def _check_names(names: set[str], path: object) -> None:
    if any(name.endswith("data.pkl") for name in names):
        what = "holds pickled weights, which can run any program"
        raise ModelError(what, where=path, hint=_OURS, id="M1")
    if _WEIGHTS in names and _CARD not in names:
        raise ModelError("has no card.json", where=path, hint=_OURS, id="M8")
    if names != {_CARD, _WEIGHTS}:
        raise ModelError("is a bundle of another tool", where=path, hint=_OURS, id="M2")


def _stranger(raw: bytes, path: object) -> ModelError:
    """Say what a file is that is no zip."""
    suffix = Path(str(path)).suffix.lower()
    if suffix in (".pkl", ".json", ".yaml", ".yml"):
        what = "is a configuration or algorithm of another tool, which may run programs"
        return ModelError(what, where=path, hint=_OURS, id="M2")
    if raw[:1] == b"\x80":
        what = "holds pickled weights, which can run any program"
        return ModelError(what, where=path, hint=_OURS, id="M1")
    return ModelError("is no model file", where=path, hint=_OURS, id="M9")


def _card(raw: bytes, path: object) -> ModelCard:
    try:
        document = json.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise ModelError("card.json is no JSON", where=path, hint=_AGAIN, id="M8") from None
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise ModelError("card.json does not say its format", where=path, id="M8")
    if document["format"] > FORMAT:
        made = str(dict(document.get("versions") or {}).get("medfuse", "a newer version"))[:40]
        what = f"is of format {document['format']}, this medfuse reads up to {FORMAT}"
        raise ModelError(what, where=path, hint=f"needs medfuse >= {made}", id="M8")
    tables = {name: document.pop(name, {}) for name in _TABLES}
    needed = [entry.name for entry in fields(ModelCard)[:4]]
    missing = [name for name in needed if name not in document]
    wrong = [name for name, value in tables.items() if not isinstance(value, dict)]
    if missing or wrong:
        what = f"card.json lacks or garbles {', '.join(missing + wrong)}"
        raise ModelError(what, where=path, id="M8")
    try:
        card = settings.load(ModelCard, document, where="card.json")
    except (UsageError, ModelError) as error:
        raise ModelError(str(error), where=path, id="M8") from None
    return replace(card, **tables)


def _check_finite(tensors: Mapping[str, Tensor], path: object) -> None:
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            what = f"weights are not finite ({name})"
            raise ModelError(what, where=path, hint="train the model again", id="M4")
