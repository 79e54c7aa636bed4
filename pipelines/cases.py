"""Which cases a command works on, and one case at a time brought onto one grid.

A case is a patient's folder, a row of a manifest, or a folder of such folders. Its scans must lie
on one grid, unless transforms are given that bring them there.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medfuse.errors import GeometryError, InputError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.io import files
from medfuse.io.locators import locate
from medfuse.io.manifest import SCANS, read_manifest
from medfuse.io.studies import holds_dicom, series_in, sorted_files, visit_folder
from medfuse.io.transforms import read_transform
from medfuse.io.volumes import read_volume, stem
from medfuse.modality import modality_from_name
from medfuse.resampling import resample
from medfuse.study import AlignedStudy, Role, Study
from medfuse.transform import IDENTITY, Transform
from medfuse.volume import Volume

HEADER = "header"
_TRANSFORMS = ("transform.tfm", "transform.h5")
_RECORD = "record.json"


@dataclass(frozen=True)
class Case:
    """One visit: its ``id``, and its scans by modality, those a manifest or names in a folder tell.

    ``folder`` is where they were found, if no manifest lists them: DICOM may lie there too.
    ``labels`` is the true label map that a manifest lists, if there is one.
    """

    id: str
    volumes: Mapping[str, str]
    folder: str = ""
    labels: str = ""

    def scans(self) -> list[Path]:
        """Return the files of its scans, and the folders of those that are series."""
        return [Path(locate(text).path) for text in self.volumes.values()]


def list_cases(
    places: Sequence[str], *, role: Role | None = None, allow_outside: bool = False
) -> list[Case]:
    """Return the cases in patients' folders, folders of them, and manifests (CSV), in their order.

    ``role`` keeps those of a manifest that are for it (``"test"``); ``allow_outside`` lets one name
    files outside of its folder. Raises ``InputError`` where nothing is there, ``UsageError`` where
    two have the same name, a name cannot be a folder's, or nothing says what is for ``role``.
    """
    cases = [case for place in places for case in _cases(place, role, allow_outside)]
    if not cases:
        raise InputError("there is no case to work on", where=places[0], id="C4")
    check_names([case.id for case in cases])
    return cases


def check_names(ids: Iterable[str]) -> None:
    """Raise ``UsageError`` where names of cases cannot be those of folders beside each other.

    One that leads elsewhere, or cannot be told from another on a disk that ignores case.
    """
    seen: set[str] = set()
    for name in ids:
        if name.startswith(".") or not name.isprintable() or set(name) & set("/\\"):
            raise UsageError(
                "a case's name cannot be that of a folder",
                where=name,
                hint="use letters, digits, - and _ for subject and visit",
            )
        if name.casefold() in seen:
            raise UsageError(
                f"two cases are called {name!r}",
                hint="run them apart, into two folders; names that differ in case alone are one",
            )
        seen.add(name.casefold())


def _cases(place: str, role: Role | None, allow_outside: bool) -> list[Case]:
    path = Path(place).absolute()
    if not files.is_folder(path):
        files.readable(place)
        if path.suffix.lower() not in {".csv", ".tsv"}:
            raise InputError(
                "is no case",
                where=place,
                hint="name a patient's folder, or a manifest (.csv)",
                id="N41",
            )
        return _listed(path, role, allow_outside)
    inner = [entry for entry in sorted(path.iterdir()) if entry.is_dir()]
    subjects = [entry for entry in inner if entry.name.startswith("sub-")]
    scans = sorted_files(path)[0]
    if len(subjects) > 1 or (not scans and any(sorted_files(entry)[0] for entry in inner)):
        return _listed(path, role, allow_outside)
    if role is not None:
        raise _no_split(path)
    return [Case(path.name, {name: str(found[0]) for name, found in _named(scans).items()}, place)]


def _listed(path: Path, role: Role | None, allow_outside: bool) -> list[Case]:
    studies = read_manifest(path, allow_outside=allow_outside, learned=False).studies
    if role is not None and not any(entry.role for entry in studies):
        raise _no_split(path)
    return [
        Case(entry.id, entry.volumes, labels=locate(entry.labels).path if entry.labels else "")
        for entry in studies
        if role is None or entry.role == role
    ]


def _no_split(path: Path) -> UsageError:
    return UsageError("--split needs a manifest with a column split", where=path)


def _named(scans: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the scans by the modalities that their names tell."""
    found: dict[str, list[Path]] = {}
    for path in scans:
        name = modality_from_name(stem(path)).name
        if name in SCANS:
            found.setdefault(name, []).append(path)
    return found


def read_case(case: Case, wanted: Iterable[str]) -> Study:
    """Read the scans of a case that are ``wanted``, in that order; the others stay shut.

    In a folder, files that are named for their modality go before DICOM series, which are read
    for the rest; one of a modality that a file gives is passed over (``Repair``, C13).
    Raises ``InputError`` for a damaged one, where a modality has two of them (C5: nobody said
    which counts), and where none is there.
    """
    names = list(dict.fromkeys(wanted))
    if case.folder:
        found = _in_folder(case, names)
    else:
        listed = [name for name in names if name in case.volumes]
        found = {name: read_volume(case.volumes[name], modality=name) for name in listed}
    if not found:
        there = ", ".join(case.volumes) or "no scan with a name of these"
        raise InputError(
            f"has none of {', '.join(names)}", where=case.id, hint=f"there is {there}", id="M11"
        )
    return Study(case.id, {name: found[name] for name in names if name in found})


def _in_folder(case: Case, names: Iterable[str]) -> dict[str, Volume]:
    folder = Path(case.folder).absolute()
    scans = sorted_files(folder)[0]
    if not scans:  # the folder around that of the patient, or of the visit
        folder = visit_folder(folder)
        scans = sorted_files(folder)[0]
    named = _named(scans)
    given = [name for name in names if name in named]
    for name in given:
        _refuse_twice(case, name, [path.relative_to(folder).as_posix() for path in named[name]])
    found = {name: read_volume(named[name][0], modality=name) for name in given}
    lacking = [name for name in names if name not in named]
    return {**found, **_from_series(case, folder, lacking, given)}


def _from_series(
    case: Case, folder: Path, lacking: Collection[str], given: Collection[str]
) -> dict[str, Volume]:
    """Return the series of modalities that are ``lacking``; tell of those that files give."""
    if not holds_dicom(folder):
        return {}
    if not lacking:  # to know what they are, each header would have to be read
        what = f"DICOM files were passed over: files are named {', '.join(given)}"
        warnings.warn(Repair(what, id="C13"), stacklevel=4)
        return {}
    listed, _ = series_in(visit_folder(folder), wanted=lacking, given=given)
    for name in lacking:
        _refuse_twice(case, name, [f"series {one.number}" for one, _ in listed if one.name == name])
    return {info.name: volume for info, volume in listed}


def _refuse_twice(case: Case, name: str, scans: Sequence[str]) -> None:
    if len(scans) > 1:
        raise InputError(
            f"holds two scans of {name}: {scans[0]} and {scans[1]}",
            where=case.folder,
            hint="list the one that counts in a CSV manifest",
            id="C5",
        )


def on_one_grid(study: Study, transforms: str | None) -> AlignedStudy:
    """Return the study on one grid: that of its T1, or of its first scan.

    ``transforms`` is None (the scans lie on one grid already), ``"header"`` (their headers are
    right, resample), or a folder that ``medfuse register`` wrote for this study, or one that
    holds such folders by the names of cases. What failed there is dropped, with the reason kept.
    Raises ``GeometryError`` (C9) for grids that differ, ``InputError`` for transforms of other
    scans or none (C9).
    """
    if transforms is not None and transforms != HEADER:
        return _by_register(study, Path(transforms))
    fixed = "T1" if "T1" in study.volumes else next(iter(study.volumes))
    grid = study.volumes[fixed].geometry
    if transforms == HEADER:
        return _placed(study, fixed, dict.fromkeys(study.volumes, IDENTITY), {})
    for name, volume in study.volumes.items():
        if not volume.geometry.same_grid(grid):
            raise GeometryError(
                f"{name} lies on another grid than {fixed}",
                where=study.id,
                hint="run medfuse register on it, then add --transforms with its folder",
                id="C9",
            )
    return AlignedStudy(study, fixed, grid, study.volumes)


def _by_register(study: Study, folder: Path) -> AlignedStudy:
    home = folder if (folder / _RECORD).is_file() else folder / study.id
    record = _record(home)
    fixed = str(record.get("fixed", ""))
    if fixed not in study.volumes:
        raise InputError(
            f"the transforms lead to the {fixed or 'unknown scan'}, which is not among the scans",
            where=study.id,
            hint="keep it with --onto, or register onto a scan that the model uses",
            id="C9",
        )
    verdicts = {str(one.get("name")): str(one.get("verdict")) for one in record.get("moving", ())}
    transforms: dict[str, Transform] = {}
    dropped: dict[str, str] = {}
    for name, volume in study.volumes.items():
        _check_same_scan(study.id, name, volume, record)
        if name == fixed:
            transforms[name] = IDENTITY
        elif verdicts.get(name) == "fail":
            dropped[name] = "its alignment failed"
        else:
            transforms[name] = _transform(home / name, study.id)
    return _placed(study, fixed, transforms, dropped)


def _record(home: Path) -> dict[str, Any]:
    path = files.readable(home / _RECORD)
    try:
        found = json.loads(files.content(path, limit=1 << 26))
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("command") not in {"register", "demo"}:
        raise InputError(
            "is no record of medfuse register", where=path, hint="name its --out", id="C9"
        )
    return found


def _check_same_scan(case: str, name: str, volume: Volume, record: Mapping[str, Any]) -> None:
    """Refuse transforms that were made for other scans: another patient's, or another date's."""
    known = record.get("inputs", {}).get(name, {}).get("sha256")
    if known is None or volume.source is None or known != volume.source.sha256:
        raise InputError(
            f"the transforms were not made for this {name}",
            where=case,
            hint="register this case again",
            id="C9",
        )


def _transform(home: Path, case: str) -> Transform:
    found = [home / name for name in _TRANSFORMS if (home / name).is_file()]
    if len(found) != 1:
        raise InputError(
            f"there is no transform for {home.name}", where=case, hint="register it too", id="C9"
        )
    return read_transform(found[0])


def _placed(
    study: Study, fixed: str, transforms: Mapping[str, Transform], dropped: Mapping[str, str]
) -> AlignedStudy:
    grid: Geometry = study.volumes[fixed].geometry
    volumes = {
        name: resample(study.volumes[name], grid, transform)
        for name, transform in transforms.items()
    }
    moving = {name: transform for name, transform in transforms.items() if name != fixed}
    return AlignedStudy(study, fixed, grid, volumes, moving, dropped=dropped)
