"""Which folders hold what medfuse itself found: a prediction is never taken for the truth."""

from __future__ import annotations

import json
from pathlib import Path

from medfuse.errors import InputError
from medfuse.io import files

_RECORD = "record.json"


def is_segmented(folder: Path) -> bool:
    """Tell whether the record in a folder says that ``medfuse segment`` made what lies there.

    A record of another program or command, or a broken one, is none.
    """
    record = folder / _RECORD
    if not record.is_file():
        return False
    try:
        found = json.loads(files.content(record, limit=1 << 26))
    except (InputError, OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("command") == "segment" and "model" in found
