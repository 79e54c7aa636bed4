"""How these tests type a command: in this process, with what was said on both streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from medfuse.study import Quality
from medfuse.transform import Affine
from pipelines.cli import app
from tests.end_to_end import heads


@dataclass(frozen=True)
class Said:
    """The exit code of a command, what it printed, and its lines on stderr."""

    code: int
    out: str
    err: list[str]


Run = Callable[..., Said]


@pytest.fixture
def medfuse(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run ``medfuse`` with these words."""

    def typed(*words: object) -> Said:
        capfd.readouterr()
        code = app.run([str(word) for word in words])
        said = capfd.readouterr()
        return Said(code, said.out, said.err.splitlines())

    return typed


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with ``T1.nii.gz``, ``CT.nii.gz`` and ``PET.nii.gz`` in it."""
    for name in ("T1", "CT", "PET"):
        heads.write(tmp_path, name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Quality]:
    """Let registration answer at once: the known shift, with the verdict under the scan's name."""
    from pipelines import register_case
    from registration.settings import RegisterSettings, Registration

    verdicts: dict[str, Quality] = {}
    matrix = np.eye(4)
    matrix[:3, 3] = np.array(heads.SHIFT) * (-1, -1, 1)  # RAS to LPS

    def answer(fixed: object, moving: object, **options: object) -> Registration:
        quality = verdicts.get(moving.modality.name, Quality("pass", {"margin": 2.0}))  # type: ignore[attr-defined]
        settings = options["settings"]
        assert isinstance(settings, RegisterSettings)
        return Registration(Affine(matrix), quality, settings)

    monkeypatch.setattr(register_case, "register", answer)
    return verdicts
