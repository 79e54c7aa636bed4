"""Results never go among what they were made of: the next run would take them for inputs.

A label map beside its scans passes for a manual one, and is learned from and scored against.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from medfuse.errors import OutputError, UsageError
from medfuse.io import files
from medfuse.io.locators import locate
from medfuse.io.own_results import is_segmented
from medfuse.io.studies import sorted_files
from medfuse.study import Cohort
from pipelines.cases import Case
from pipelines.pairing import Paired
from pipelines.segment import LABELS, TABLE

_HINT = "name a folder of its own, such as"


def check_segmentation(
    out: Path, places: Sequence[str], cases: Iterable[Case], transforms: str | None = None
) -> None:
    """Refuse to segment into where scans or true labels of the ``cases`` lie (S4).

    ``places`` are what was named to find them, ``transforms`` what is between them.
    """
    home = out.resolve()
    for place in map(Path, places):
        _check_place(out, place, TABLE, "seg")
    _check_free(out, "seg")
    for case in cases:
        mine = (out / case.id).resolve()
        _check_free(out / case.id, "seg", but=LABELS)  # those of a run that was killed, perhaps
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


def check_training(out: Path, data: str, cohort: Cohort, *, table: str) -> None:
    """Refuse to train into where scans or labels lie: those of ``data`` or any others (S4).

    ``data`` is what was named to find the ``cohort``, ``table`` the table that is written.
    """
    home = out.resolve()
    _check_place(out, Path(data), table, "run")
    _check_free(out, "run")
    for entry in cohort.studies:
        for text in entry.volumes.values():
            source = Path(locate(text).path).resolve()
            _refuse(home == source.parent or home.is_relative_to(source), out, "scans", "run")
        if entry.labels is not None:
            beside = home == Path(locate(entry.labels).path).resolve().parent
            _refuse(beside, out, "true labels", "run")


def _check_place(out: Path, place: Path, table: str, name: str) -> None:
    """Refuse a folder that was named to find scans, or to write a ``table`` over a manifest."""
    if files.is_folder(place):
        _refuse(out.resolve() == place.resolve(), out, "scans", name)
    elif (out / table).exists():
        files.check_target(out / table, inputs=[place])


def _check_free(folder: Path, name: str, *, but: str = "") -> None:
    """Refuse a folder that holds anybody's scans or labels, but for earlier predictions."""
    if not folder.is_dir():
        return
    scans, maps, _ = sorted_files(folder)
    _refuse(bool(scans), folder, "scans", name)
    foreign = [path for path in maps if path.name != but]
    _refuse(bool(foreign) and not is_segmented(folder), folder, "labels", name)


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
