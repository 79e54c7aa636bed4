"""How a result was made, as one JSON document beside it.

It holds checksums, versions, settings, seeds, warnings and figures; never a user, host, path or
anything of a patient. What differs from run to run (times) stands in its ``run`` block alone.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from medfuse.volume import Volume

SCHEMA = 1
_PACKAGES = ("medfuse", "numpy", "scipy", "SimpleITK", "nibabel", "pydicom")


@dataclass
class Record:
    """Collect what was read, done and warned of; ``document`` is the JSON-ready result.

    ``command`` is the verb (``register``), never the command line, which holds paths.
    """

    command: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[dict[str, str]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    _clock: float = field(default_factory=time.monotonic, repr=False)

    def add_input(self, name: str, volume: Volume) -> None:
        """Note a volume under its public ``name`` (``T1``, ``CT-2``), with its repairs."""
        source = volume.source
        self.inputs[name] = {
            "modality": volume.modality.name,
            "unit": volume.unit,
            "shape": list(volume.geometry.shape),
            "spacing_mm": [round(step, 6) for step in volume.geometry.spacing],
            "orientation": volume.geometry.orientation,
            "sha256": None if source is None else source.sha256,
        }
        for repair in () if source is None else source.repairs:
            self.warn(name, repair.id, repair.what)

    def warn(self, name: str, id: str, what: str) -> None:
        """Note a warning about the volume ``name``."""
        self.warnings.append({"volume": name, "id": id, "what": what})

    def lap(self, name: str, seconds: float) -> None:
        """Note how long a stage took, seconds."""
        self.timings[name] = round(seconds, 3)

    def document(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "intended_use": "research only, not a medical device",
            "settings": dict(self.settings),
            "seed": self.seed,
            "inputs": self.inputs,
            "warnings": self.warnings,
            **self.results,
            "versions": versions(),
            "run": {
                "started_utc": self.started,
                "seconds": round(time.monotonic() - self._clock, 3),
                "stages": self.timings,
            },
        }

    def to_json(self) -> str:
        """Return the document as text, ending in a newline."""
        plain = _plain(self.document())
        return json.dumps(plain, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Return plain values with None for what JSON has no number for (NaN, infinity)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
