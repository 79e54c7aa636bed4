"""Checksums of what a cohort names: a map that was corrected under its old name is other data."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from medfuse.io.files import sha256
from medfuse.io.folders import files_below
from medfuse.io.locators import locate
from medfuse.study import StudyEntry


def visit_sum(entry: StudyEntry, scans: Collection[str] | None = None) -> str:
    """Return a SHA-256 of a visit's scans and labels, and of how they are to be read.

    ``scans``: of these alone (None: all). Every file is read once, of a DICOM series each; where
    they lie does not matter, nor what a file manager hides among them.
    """
    named = {name: text for name, text in entry.volumes.items() if scans is None or name in scans}
    named |= {"labels": entry.labels} if entry.labels else {}
    digest = hashlib.sha256()
    for name, text in named.items():
        given = locate(text)
        options = sorted(given.options.items())
        digest.update(repr((name, given.modality and given.modality.name, options)).encode())
        path = Path(given.path)
        for file in files_below(path)[0] if path.is_dir() else [path]:
            # a pipe or a device is no part of a scan
            if file.is_file() and (file == path or not file.name.startswith(".")):
                digest.update(sha256(file).encode())
    return digest.hexdigest()
