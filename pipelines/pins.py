"""What a comparison was begun with, written beside its runs: it goes on with nothing else.

A model that lies there already was made by that recipe from those scans; under others, what is
measured would be ascribed to the wrong ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medfuse import settings as settings_
from medfuse.io.files import stored
from medfuse.io.sums import visit_sum
from medfuse.progress import Progress, silent
from medfuse.study import Cohort
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
        data[entry.id] = visit_sum(entry)
    progress("summing files", len(entries), len(entries))
    plain: dict[str, Any] = json.loads(json.dumps({"recipe": asked, "data": data}))
    return {**contest.document(), **plain}


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
