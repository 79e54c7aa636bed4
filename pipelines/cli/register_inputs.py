"""What ``medfuse register`` was asked for, checked and read before the first second of work."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from medfuse import settings as settings_
from medfuse.errors import OutputError, Repair, UsageError
from medfuse.io import files
from medfuse.io.locators import locate
from medfuse.io.studies import name_volumes
from medfuse.modality import MODALITIES
from medfuse.record import Record
from medfuse.study import Study
from medfuse.transform import Transform
from medfuse.volume import Volume
from pipelines.cli import inputs, terminal
from pipelines.output_folder import OutputFolder, check_name
from pipelines.register_case import Case, settings_document, usable
from registration.groupwise import choose_fixed
from registration.settings import RegisterSettings

_ROLES = ("fixed", "moving")
_STARTS = ("auto", "header", "search")


@dataclass(frozen=True)
class Request:
    """The words of one command line; ``options`` are those that a ``Case`` takes as they are."""

    scans: tuple[str, ...]
    fixed: str | None = None
    names: tuple[str, ...] = ()
    start: str = "auto"
    masks: tuple[str | None, str | None] = (None, None)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        """Whether one patient's folder is meant, not a fixed and moving scans."""
        return len(self.scans) == 1

    def check(self) -> None:
        """Refuse with ``UsageError`` what contradicts itself, before anything is opened."""
        new = [name.rpartition("=")[2] for name in self.names]
        for name in new:
            check_name(name)
        if len({name.lower() for name in new}) < len(new):
            raise UsageError("two moving scans have the same --name")
        if self.fixed is not None and not self.is_folder:
            raise UsageError(
                "--fixed names a scan of a patient's folder", hint="the first file is the fixed one"
            )
        if self.is_folder and _is_one_scan(self.scans[0]):
            raise UsageError("there is no moving scan", hint="name it after the fixed one")
        plain = self.names and not any("=" in name for name in self.names)
        if not self.is_folder and plain and len(self.names) != len(self.scans) - 1:
            raise _miscounted(len(self.names), len(self.scans) - 1)
        if len(self.scans) > 2:
            self._check_single()

    def _check_single(self) -> None:
        """Refuse what would hold for one moving scan only, where there are several."""
        if self.masks[1] is not None:
            raise UsageError("--moving-mask goes with one moving scan", hint="register them apart")
        if self.start not in _STARTS:
            what = "a transform file for --start goes with one moving scan"
            raise UsageError(what, hint="register them apart")

    def read(self, folder: OutputFolder) -> tuple[Case, Record]:
        """Read every input, reserve the output, and return the case and its record.

        All repairs are said on stderr. Raises ``InputError`` for what cannot be read or
        registered, ``OutputError`` for results that cannot be put into place.
        """
        self._check_apart(folder.folder)
        record = Record("register", seed=self.options.get("seed", 0))
        study, fixed = self._study(partial(_note, record, "study"))
        start = None if self.start in _STARTS else self._start(record)
        settings = dict(self.options["settings"]) | ({"start": self.start} if start is None else {})
        case = Case(
            study,
            fixed,
            settings=settings_.load(RegisterSettings, settings, where="register"),
            start=start,
            masks=(self._mask(0, record), self._mask(1, record)),
            **{key: value for key, value in self.options.items() if key != "settings"},
        )
        folder.reserve(case.moving, inputs=self._files(study))
        record.settings = self._settings(case)
        for name, volume in study.volumes.items():
            record.add_input(name, volume)
        case, repairs = usable(case)
        for name, repair in repairs.items():
            source = study.volumes[name].source
            terminal.tell(name if source is None else source.path, [repair])
            _note(record, name, repair)
        return case, record

    def _check_apart(self, out: Path) -> None:
        """Refuse results among the scans of a patient: the next run would read them as scans."""
        home = out.resolve()
        for text in self.scans:
            path = Path(text) if self.is_folder else inputs.path(text)
            if not files.is_folder(path):
                among = home == path.parent.resolve()
            elif self.is_folder:
                visit = _VISIT.match(home.name) is not None
                among = home == path.resolve() or (home.is_relative_to(path.resolve()) and visit)
            else:  # of a series
                among = home in (path.resolve(), path.parent.resolve())
            if among:
                hint = "name a folder of its own, such as aligned"
                raise OutputError("this is where the scans lie", where=out, hint=hint, id="S4")

    def _start(self, record: Record) -> Transform:
        return inputs.transform(self.start, partial(_note, record, "start"))

    def _mask(self, which: int, record: Record) -> Volume | None:
        text = self.masks[which]
        if text is None:
            return None
        labels = inputs.labels(text, partial(_note, record, f"{_ROLES[which]} mask"))
        return Volume(labels.array.astype("float32"), labels.geometry, MODALITIES["OTHER"])

    def _study(self, note: inputs.Note) -> tuple[Study, str]:
        if not self.is_folder:
            volumes = name_volumes([inputs.volume(text) for text in self.scans])
            first = next(iter(volumes))
            return Study("case", _renamed(volumes, first, self.names)), first
        study = inputs.study(self.scans[0], note)
        fixed = choose_fixed(study) if self.fixed is None else _named(study, self.fixed)
        if len(study.volumes) < 2:
            raise UsageError(
                "there is only one scan", where=self.scans[0], hint="name a moving scan as well"
            )
        moving = len(study.volumes) - 1
        if moving > 1:
            self._check_single()
        return Study(
            study.id, _renamed(study.volumes, fixed, self.names), study.report, study.labels
        ), fixed

    def _files(self, study: Study) -> list[Path]:
        """Return every path that was read, so that none of them is written over."""
        texts = [*self.scans, *(mask for mask in self.masks if mask is not None)]
        texts += [] if self.start in _STARTS else [self.start]
        sources = [volume.source for volume in study.volumes.values()]
        return [inputs.path(text) for text in texts] + [
            Path(source.path) for source in sources if source is not None
        ]

    def _settings(self, case: Case) -> dict[str, Any]:
        start = self.start if case.start is None else inputs.checksum(self.start)
        masks = {
            role: inputs.checksum(text)
            for role, text in zip(_ROLES, self.masks, strict=True)
            if text is not None
        }
        return settings_document(case, start=start, masks=masks)


_VISIT = re.compile("sub-|ses-")  # folders that reading a patient's folder enters


def _is_one_scan(text: str) -> bool:
    """Tell whether a file, or one series of a folder, is named, and no patient's folder."""
    locator = locate(text)
    chosen = bool(locator.options) or locator.modality is not None
    return chosen or os.path.isfile(locator.path)  # noqa: PTH113 - any text


def _note(record: Record, name: str, repair: Repair) -> None:
    record.warn(name, repair.id, repair.what)


def _named(study: Study, name: str) -> str:
    """Return the study's name for what the user calls ``name`` (any case)."""
    for known in study.volumes:
        if known.lower() == name.lower():
            return known
    raise UsageError(
        f"there is no scan {name!r}", where="--fixed", hint=f"there are {', '.join(study.volumes)}"
    )


def _renamed(
    volumes: Mapping[str, Volume], fixed: str, names: tuple[str, ...]
) -> dict[str, Volume]:
    """Return the volumes with the moving ones under the user's ``names``, where there are any."""
    moving = [name for name in volumes if name != fixed]
    pairs = [name.split("=", 1) for name in names]
    if any(len(pair) == 2 for pair in pairs):  # CT=planning
        old = {name.lower(): name for name in moving}
        for pair in pairs:
            if len(pair) != 2 or pair[0].lower() not in old:
                hint = f"write SCAN=NAME for each, SCAN one of {', '.join(moving)}"
                raise UsageError("is not understood", where="--name", hint=hint)
        new = {old[scan.lower()]: name for scan, name in pairs}
    elif len(names) in (0, len(moving)):
        new = dict(zip(moving, names, strict=False))
    else:
        raise _miscounted(len(names), len(moving))
    renamed = {name: new.get(name, name) for name in volumes}
    if len({name.lower() for name in renamed.values()}) < len(renamed):
        raise UsageError("two scans would have one name", where="--name", hint="use another")
    return {renamed[name]: volume for name, volume in volumes.items()}


def _miscounted(names: int, moving: int) -> UsageError:
    return UsageError(f"{names} times --name for {moving} moving scans", hint="give one for each")
