"""What a comparison was begun with, written beside its runs: it goes on with nothing else.

A model that lies there already was made by that recipe from those scans; under others, what is
measured would be ascribed to the wrong ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfuse import settings as settings_
from medfuse.io.files import sha256, stored
from medfuse.io.folders import files_below
from medfuse.io.locators import locate
from medfuse.progress import Progress, silent
from medfuse.study import Cohort, StudyEntry
from pipelines.contest import Contest

if TYPE_CHECKING:
    from medfuse.training.settings import TrainSettings

# what the contest itself settles for each training, where the data lie (the bytes count), and
# what is only written on a model
_SETTLED = {"data", "minutes", "epochs", "steps", "patience", "folds", "fold", "licence"}
_MOST = 4  # differences that a message names


def pins_of(
    cohort: Cohort, settings: TrainSettings, contest: Contest, progress: Progress = silent
) -> dict[str, Any]:
    """Return plain values for JSON: the contest, its recipe, and sums of all that each visit names.

    Every file is read once: a map that was corrected under its old name is other data.
    """
    asked = {name: one for name, one in settings_.dump(settings).items() if name not in _SETTLED}
    asked["fusion"].pop("level")
    held = {name for split in contest.splits for name in (*split.train, *split.validate)}
    entries = [entry for entry in cohort.studies if entry.id in held]
    data = {}
    for done, entry in enumerate(entries):
        progress("summing files", done, len(entries))
        data[entry.id] = _sum_of(entry)
    progress("summing files", len(entries), len(entries))
    plain: dict[str, Any] = json.loads(json.dumps({"recipe": asked, "data": data}))
    return {**contest.document(), **plain}


def _sum_of(entry: StudyEntry) -> str:
    """Return a checksum of a visit's scans and labels, and of how they are to be read."""
    named = {**entry.volumes, **({"labels": entry.labels} if entry.labels else {})}
    digest = hashlib.sha256()
    for name, text in named.items():
        given = locate(text)
        options = sorted(given.options.items())
        digest.update(repr((name, given.modality and given.modality.name, options)).encode())
        path = Path(given.path)
        for file in files_below(path)[0] if path.is_dir() else [path]:
            if file.is_file():  # a pipe or a device is no part of a scan
                digest.update(sha256(file).encode())
    return digest.hexdigest()


def differences(path: Path, pins: dict[str, Any]) -> str:
    """Say in what a comparison differs from the one that ``path`` keeps; empty: in nothing."""
    try:
        kept = json.loads(stored(path).decode("utf-8"))
    except ValueError:
        kept = None
    if not isinstance(kept, dict):
        return f"{path.name} is no comparison's"
    found = []
    for name in sorted(kept.keys() | pins.keys()):
        old, new = kept.get(name), pins.get(name)
        if isinstance(old, dict) and isinstance(new, dict) and old != new:
            found.append(f"{name} ({_named(_changed(old, new))})")
        elif old != new:
            found.append(name)
    return f"another {', '.join(found)}" if found else ""


def _changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _named(names: Iterable[str]) -> str:
    first, rest = [*names][:_MOST], [*names][_MOST:]
    return ", ".join(first) + (f" and {len(rest)} more" if rest else "")
