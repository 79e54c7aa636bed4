"""Results never go among what they were made of: the next run would take them for inputs.

A label map beside its scans passes for a manual one, and is learned from and scored against.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from medfuse.errors import OutputError, UsageError
from medfuse.io import files
from pipelines.cases import Case
from pipelines.pairing import Paired
from pipelines.segment import TABLE

_HINT = "name a folder of its own, such as"


def check_segmentation(
    out: Path, places: Sequence[str], cases: Iterable[Case], transforms: str | None = None
) -> None:
    """Refuse to segment into where scans or true labels of the ``cases`` lie (S4).

    ``places`` are what was named to find them, ``transforms`` what is between them.
    """
    home = out.resolve()
    for place in map(Path, places):
        if files.is_folder(place):
            _refuse(home == place.resolve(), out, "scans", "seg")
        elif (out / TABLE).exists():
            files.check_target(out / TABLE, inputs=[place])
    for case in cases:
        mine = (out / case.id).resolve()
        for source in (path.resolve() for path in case.scans()):
            among = home == source.parent or home.is_relative_to(source)
            _refuse(among or source.is_relative_to(mine), out, "scans", "seg")
        for given in (case.labels, case.folder):
            held = bool(given) and Path(given).resolve().is_relative_to(mine)
            _refuse(held, out, "true labels" if given == case.labels else "scans", "seg")
        if transforms is not None:
            _refuse(mine in _homes(Path(transforms), case), out, "transforms", "seg")


def _homes(transforms: Path, case: Case) -> tuple[Path, Path]:
    return transforms.resolve(), (transforms / case.id).resolve()


def check_scores(out: Path, labels: str, pairs: Iterable[Paired]) -> None:
    """Refuse to write scores into the folder of the true ``labels``, or beside a map (S4).

    Raises ``UsageError`` where a map would be scored against itself: a folder was named twice.
    """
    home = out.resolve()
    _refuse(files.is_folder(labels) and home == Path(labels).resolve(), out, "labels", "scores")
    for one in pairs:
        if one.prediction.samefile(one.truth_file):
            raise UsageError(
                "the prediction and its truth are one file",
                where=one.name,
                hint="name what medfuse segment wrote, then the true labels",
            )
        beside = home in (one.prediction.resolve().parent, one.truth_file.resolve().parent)
        _refuse(beside, out, "labels", "scores")


def _refuse(there: bool, out: Path, what: str, name: str) -> None:
    if there:
        hint = f"{_HINT} {name}"
        raise OutputError(f"this is where the {what} lie", where=out, hint=hint, id="S4")
