"""Look at the machine: what is installed, what is missing, and what hides one of our packages."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from medfuse import __version__
from medfuse.io.memory import free_memory

PACKAGES = ("medfuse", "registration", "pipelines")
NEEDED = ("numpy", "scipy", "SimpleITK", "nibabel", "pydicom", "h5py", "typer", "rich", "jinja2")
OPTIONAL = {  # distribution -> what it is for, and the extra that brings it
    "highdicom": ("DICOM segmentations", "dicom"),
    "python-gdcm": ("JPEG lossless and JPEG-LS in DICOM", "dicom"),
    "pylibjpeg-openjpeg": ("JPEG 2000 in DICOM", "dicom"),
    "pyjpegls": ("JPEG-LS in DICOM", "dicom"),
    "matplotlib": ("pictures in notebooks", "notebook"),
    "torch": ("networks; registration does without", ""),
}
_SYNTAXES = {
    "RLE": "RLELossless",
    "JPEG, 8 bit": "JPEGBaseline8Bit",
    "JPEG lossless": "JPEGLosslessSV1",
    "JPEG-LS": "JPEGLSLossless",
    "JPEG 2000": "JPEG2000Lossless",
    "deflated": "DeflatedExplicitVRLittleEndian",
}
_GIB = 2**30


@dataclass(frozen=True)
class Examination:
    """What was found; ``problems`` is empty where medfuse can work."""

    version: str
    python: str
    system: str
    packages: dict[str, str]  # ours: where each was loaded from
    needed: dict[str, str]  # version, or "missing"
    optional: dict[str, str]
    codecs: dict[str, bool]  # compressed DICOM that can be read
    cores: int
    memory_gib: float | None
    disk_gib: float
    problems: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def examine() -> Examination:
    """Return the state of this installation; loads nothing that learns and opens no device."""
    packages = {name: str(_home(name)) for name in PACKAGES}
    needed = {name: _version(name) for name in NEEDED}
    optional = {name: _version(name) for name in OPTIONAL}
    memory = free_memory()
    return Examination(
        version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        packages=packages,
        needed=needed,
        optional=optional,
        codecs=_codecs() if needed["pydicom"] != "missing" else {},
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores(),
        memory_gib=None if memory is None else round(memory / _GIB, 1),
        disk_gib=round(shutil.disk_usage(Path.cwd()).free / _GIB, 1),
        problems=(*_clashes(packages), *_missing(needed)),
    )


def _cores() -> int:
    return os.cpu_count() or 1


def _home(name: str) -> Path:
    """Return the folder that a package was loaded from."""
    return Path(import_module(name).__file__ or "").resolve().parent


def _clashes(packages: dict[str, str]) -> list[str]:
    """Return a sentence for each package of ours that another one hides, or will."""
    beside = Path(packages["medfuse"]).parent
    found = [
        f"{name} is loaded from {where}, which hides the one that belongs to medfuse in {beside}"
        for name, where in packages.items()
        if Path(where) != beside / name
    ]
    return found + [
        f"a foreign package called {name} is installed ({version}): pip uninstall {name}, then "
        "install medfuse again"
        for name in PACKAGES[1:]
        if (version := _version(name)) != "missing"
    ]


def _missing(needed: dict[str, str]) -> list[str]:
    return [
        f"{name} is missing: pip install medfuse"
        for name, version in needed.items()
        if version == "missing"
    ]


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "missing"


def _codecs() -> dict[str, bool]:
    from pydicom import uid
    from pydicom.pixels import get_decoder

    found = {}
    for name, syntax in _SYNTAXES.items():
        try:
            found[name] = bool(get_decoder(getattr(uid, syntax)).is_available)
        except NotImplementedError:  # deflated data sets need no decoder of pixels
            found[name] = True
    return found
