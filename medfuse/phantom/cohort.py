"""Whole cases: one pair with its known transform, or a folder of subjects as a user has them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from medfuse import seeds
from medfuse.errors import OutputError, UsageError
from medfuse.geometry import Array64
from medfuse.io import files
from medfuse.io.transforms import write_transform
from medfuse.io.volumes import write_labels, write_volume
from medfuse.phantom.anatomy import Anatomy, head
from medfuse.phantom.appearance import scan
from medfuse.phantom.scanners import CENTRE, SCANNERS, about, grid_of, pose, rotation, stored
from medfuse.phantom.tissues import LABEL_NAMES, LABEL_OF
from medfuse.phantom.words import report
from medfuse.progress import Progress, silent
from medfuse.resampling import resample
from medfuse.transform import IDENTITY, Affine
from medfuse.volume import LabelMap, Volume

Motion = Literal["20", "60", "any"]

_MOTIONS: dict[str, tuple[float, float]] = {"20": (20, 30), "60": (60, 30), "any": (180, 50)}
_PER_SEED = 1000  # heads before those of the next seed begin
_SAME_SESSION = ("T2", "FLAIR")  # scanned with the T1: the patient moved a little between


def pair(
    seed: int,
    name: str,
    *,
    motion: Motion = "20",
    t1_mm: float = 1.0,
    slab: bool = False,
    anatomy: Anatomy | None = None,
) -> tuple[Volume, Volume, Affine, Array64]:
    """Return a T1, the same head as scanner ``name`` sees it, the truth, and brain points.

    The head moves by up to 20 or 60 degrees about each axis and 30 mm along it, or lies in any
    orientation within 50 mm; a few degrees and mm of that are a real movement in the moving
    scanner, the rest is said by its header. ``slab`` leaves 100 mm of the moving field of view
    along its slices. Axes of the stored arrays are permuted and flipped at random. The truth maps
    fixed to moving points; the points, (N, 3) LPS mm, are fixed ones. Raises ``UsageError`` for
    an unknown motion or scanner.
    """
    if motion not in _MOTIONS or name not in SCANNERS:
        raise UsageError(f"no pair of motion {motion!r} and scanner {name!r}")
    body = head(seed) if anatomy is None else anatomy
    rng = seeds.rng(seed, "pair", name, motion, "slab" if slab else "whole")
    first = seeds.rng(seed, "pair", "fixed", str(t1_mm))
    fixed_from_body = pose(first, 8, 8)
    grid = grid_of("T1", first, millimetres=t1_mm)
    fixed = scan(body, "T1", geometry=grid, rng=first, moving_from_anatomy=fixed_from_body)
    scanner_from_body = pose(rng, 12, 8)
    grid = grid_of(name, rng, slab=slab)
    moving = scan(body, name, geometry=grid, rng=rng, moving_from_anatomy=scanner_from_body)
    degrees, shift = _MOTIONS[motion]
    centre = Affine(fixed_from_body).map(CENTRE)
    truth = about(centre, rotation(rng, degrees), rng.uniform(-shift, shift, 3))
    header = truth @ fixed_from_body @ np.linalg.inv(scanner_from_body)
    moving = stored(moving.with_array(moving.array, grid.moved(header)), rng)
    points = body.brain_points(3000, seeds.rng(seed, "pair", "points"))
    return stored(fixed, first), moving, Affine(truth), Affine(fixed_from_body).map(points)


@dataclass(frozen=True)
class Subject:
    """One made patient: scans by name, labels on the T1 grid, and how each scan truly lies."""

    volumes: Mapping[str, Volume]
    truth: Mapping[str, Affine]  # fixed (T1) to moving points
    labels: LabelMap
    report: str


def subject(seed: int, *, aligned: bool = False) -> Subject:
    """Return the subject of ``seed``: six scans as a hospital would have them.

    T1 is the fixed one; T2 and FLAIR come from the same session, T1CE from a later one, CT lies
    in its own frame, PET was taken feet first and says nothing of it. ``aligned`` carries all
    onto the T1 grid.
    """
    body = head(seed)
    made, truth = {}, {}
    fixed_from_body = np.eye(4)
    for name in SCANNERS:
        rng = seeds.rng(seed, "subject", name)
        header, from_body = _placed(name, rng)
        if name == "T1":
            fixed_from_body = from_body
        elif name in _SAME_SESSION:
            from_body = about(CENTRE, rotation(rng, 2), rng.uniform(-2, 2, 3)) @ fixed_from_body
        seen = scan(body, name, geometry=grid_of(name, rng), rng=rng, moving_from_anatomy=from_body)
        volume = seen.with_array(_as_stored(seen), seen.geometry.moved(header))
        truth[name] = Affine(header @ from_body @ np.linalg.inv(fixed_from_body))
        made[name] = volume
    fixed = made["T1"].geometry
    table = np.zeros(256, np.uint16)
    for tissue, label in LABEL_OF.items():
        table[tissue] = label
    main = np.where(body.part >= 0.5, body.top, body.under)
    labels = resample(
        LabelMap(table[main], body.geometry, LABEL_NAMES),
        fixed,
        Affine(fixed_from_body).inverse(),
    )
    if aligned:
        for name, volume in made.items():
            carried = resample(volume, fixed, truth[name]) if name != "T1" else volume
            made[name] = carried.with_array(_as_stored(carried))
        truth = dict.fromkeys(made, IDENTITY)
    truth.pop("T1")
    return Subject(made, truth, labels, report(body.lesion, seed))


def write_phantom(
    out: str | os.PathLike[str],
    *,
    subjects: int = 1,
    seed: int = 0,
    aligned: bool = False,
    dicom: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write ``subjects`` made patients into the folder ``out`` and return it.

    ``OUT/sub-001/`` holds ``T1, T1CE, T2, FLAIR, CT, PET`` and ``labels`` as ``.nii.gz``,
    ``report.txt``, ``truth/NAME.tfm`` (T1 to NAME points) and, with ``dicom``, a DICOM series a
    scan in ``dicom/NAME/``. ``aligned`` puts all scans on the T1 grid. Each subject appears whole
    or not at all. Raises ``OutputError`` where one exists already, ``UsageError`` for no subjects.
    """
    if not 1 <= subjects <= _PER_SEED or seed < 0:
        raise UsageError(
            f"subjects must be 1 to {_PER_SEED} and the seed not negative",
            hint="make more of them with the next seed",
        )
    home = Path(os.path.abspath(out))  # noqa: PTH100
    names = [f"sub-{number + 1:03d}" for number in range(subjects)]
    _prepare(home, names)
    for number, name in enumerate(names):
        progress("making heads", number, subjects)
        made = subject(seed * _PER_SEED + number, aligned=aligned)
        folder = Path(tempfile.mkdtemp(prefix=f".{os.getpid()}-{name}-", dir=home))
        try:
            folder.chmod(0o755)
            _write(made, folder, name, dicom=dicom)
            folder.rename(home / name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    progress("making heads", subjects, subjects)
    return home


def _prepare(home: Path, names: list[str]) -> None:
    """Refuse, before any work, what cannot be written; make the folder."""
    for name in names:
        if (home / name).exists():
            raise OutputError(
                "exists already", where=home / name, hint="choose another folder", id="S5"
            )
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot be made ({error.strerror})", where=home, hint="name another folder", id="S5"
        ) from None
    files.check_target(home / names[0])


def _write(made: Subject, folder: Path, name: str, *, dicom: bool) -> None:
    for scanner, volume in made.volumes.items():
        write_volume(volume, folder / f"{scanner}.nii.gz")
    write_labels(made.labels, folder / "labels.nii.gz")
    files.write_text(folder / "report.txt", made.report)
    (folder / "truth").mkdir()
    for scanner, transform in made.truth.items():
        write_transform(transform, folder / "truth" / f"{scanner}.tfm")
    if dicom:
        from medfuse.io.dicom_write import write_series  # pydicom: only where asked for

        for number, (scanner, volume) in enumerate(made.volumes.items()):
            write_series(
                volume,
                folder / "dicom" / scanner,
                patient=f"PHANTOM^{name.upper()}",
                number=number + 1,
                frame="MR" if scanner in ("T1", *_SAME_SESSION) else "",
            )


def _placed(name: str, rng: np.random.Generator) -> tuple[Array64, Array64]:
    """Return what the header says of the scanner's frame, and how the head lies in it."""
    header = np.eye(4)
    if name == "CT":
        header[:3, 3] = rng.uniform((-15, 120, -420), (15, 160, -380))  # another table's origin
    if name == "PET":
        header[:3, :3] = np.diag([-1.0, 1.0, -1.0])  # feet first, entered as head first
        header[:3, 3] = rng.uniform(-20, 20, 3)
    return header, pose(rng, 15 if name in ("CT", "PET", "T1CE") else 6, 8)


def _as_stored(volume: Volume) -> npt.NDArray[np.float32]:
    """Return values rounded as scanners store them: whole numbers, SUV to 1/1024."""
    step = np.float32(1024 if volume.modality.name == "PET" else 1)
    rounded: npt.NDArray[np.float32] = np.rint(volume.array * step) / step
    return rounded
