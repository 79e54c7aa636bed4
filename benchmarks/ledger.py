"""What was measured, one JSON line a run, so that a benchmark can stop and go on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Ledger:
    """A file of rows; a row is known by its ``key``."""

    def __init__(self, path: Path) -> None:
        """Open the ledger; half a last line, of a run that was killed, is cut off."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows: list[Row] = []
        if path.exists():
            raw = path.read_text("utf-8")
            whole = raw[: raw.rfind("\n") + 1]
            if whole != raw:
                path.write_text(whole, "utf-8")
            self.rows = [json.loads(line) for line in whole.splitlines()]
        self._known = {row["key"] for row in self.rows}

    def has(self, **key: Any) -> bool:
        """Tell whether this run was made already."""
        return key_of(key) in self._known

    def add(self, key: dict[str, Any], **values: Any) -> None:
        """Keep a run: at once, on disk."""
        row = {"key": key_of(key), **key, **values}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.rows.append(row)
        self._known.add(row["key"])

    def select(self, **wanted: Any) -> Iterator[Row]:
        """Yield the rows that have these values."""
        for row in self.rows:
            if all(row.get(name) == value for name, value in wanted.items()):
                yield row


def key_of(key: dict[str, Any]) -> str:
    """Return the words a run is known by."""
    return "|".join(f"{name}={key[name]}" for name in sorted(key))
