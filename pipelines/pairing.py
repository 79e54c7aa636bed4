"""Which predicted label map belongs to which true one: by the names of files and folders.

A case is a folder with one label map in it (``sub-001/labels.nii.gz``, as ``medfuse segment`` and
``medfuse phantom`` write it), or a file of its own (``sub-001.nii.gz``, ``sub-001_seg.nii.gz``).
Folders above the cases of the predictions are subsets: ``T1+CT/sub-001/labels.nii.gz``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from medfuse.errors import InputError
from medfuse.io import files
from medfuse.io.locators import locate
from medfuse.io.manifest import read_manifest
from medfuse.io.studies import is_label_name
from medfuse.io.tables import read_table
from medfuse.io.volumes import DICOM, SUFFIXES, read_labels, stem, suffix
from medfuse.volume import LabelMap

_RECORD = "record.json"
_APART = {"probabilities", "truth"}  # folders of results that hold no label map of a case
_TAIL = re.compile(
    r"([_.-]+(label-[A-Za-z0-9]+|labels?|seg|dseg|segmentation|mask|gt|roi|prediction|pred))+$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Paired:
    """One prediction and its truth: ``subset`` (empty: there is one), ``case``, and the files.

    ``truth`` and ``scans`` are as a manifest lists them, the options of reading on them
    (``labels.nii.gz:xform=sform``); scans lie beside the truth, for pictures. ``regions`` is what
    the prediction's record says that the model looked for (None: there is no record). ``learned``:
    the manifest says that the case was learned from, or chose the weights.
    """

    subset: str
    case: str
    prediction: Path
    truth: Path
    scans: tuple[Path, ...] = ()
    regions: Mapping[str, tuple[int, ...]] | None = None
    learned: bool = False

    @property
    def truth_file(self) -> Path:
        """The file of the truth, without the options of reading."""
        return Path(locate(str(self.truth)).path)

    def read_truth(self) -> LabelMap:
        """Read the true label map, as its options say."""
        return read_labels(str(self.truth))

    @property
    def name(self) -> str:
        """The case, with its subset before it if there are several."""
        return f"{self.subset}/{self.case}" if self.subset else self.case


@dataclass(frozen=True)
class Pairs:
    """All pairs, and for each subset the cases with a truth that it has no prediction of.

    Not those that a manifest says were learned from, or chose the weights: nobody waits for them.
    """

    pairs: tuple[Paired, ...]
    unpredicted: Mapping[str, tuple[str, ...]]

    @property
    def subsets(self) -> tuple[str, ...]:
        """The subsets in the order of how many scans they have, then by name."""
        found = {pair.subset for pair in self.pairs}
        return tuple(sorted(found, key=lambda name: (name.count("+"), name)))


@dataclass(frozen=True)
class _Map:
    """A label map that was found: the names it may go by, each with the folders above it."""

    path: Path
    names: tuple[tuple[str, str], ...]  # (folders above, case)
    scans: tuple[Path, ...] = ()
    learned: bool = False


def pair(
    predictions: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    *,
    allow_outside: bool = False,
) -> Pairs:
    """Pair the label maps of two folders; ``labels`` may be a manifest (CSV) with a label column.

    ``allow_outside`` lets the manifest name files outside of its folder. Raises ``InputError``: no
    label map in a folder or a manifest (C4), two of one case (C5), a prediction without a truth
    (C4), a scan or a label map in place of a folder (N41).
    """
    truths = _truths(labels, allow_outside)
    found: dict[tuple[str, str], Paired] = {}
    strangers = []
    maps = list(_maps(_folder(predictions)))
    if not maps:
        raise InputError("there is no label map in it", where=predictions, id="C4")
    for one in maps:
        name = next((name for name in one.names if name[1] in truths), None)
        if name is None:
            strangers.append("/".join(part for part in one.names[0] if part))
            continue
        if name in found:
            raise _ambiguous("/".join(part for part in name if part), predictions)
        if len(truths[name[1]]) > 1:
            raise _ambiguous(name[1], labels)
        truth = truths[name[1]][0]
        regions = _regions(one.path)
        found[name] = Paired(*name, one.path, truth.path, truth.scans, regions, truth.learned)
    if strangers:
        known = sorted({one.names[0][1] for maps in truths.values() for one in maps})
        have = "1 prediction has" if len(strangers) == 1 else f"{len(strangers)} predictions have"
        raise InputError(
            f"{have} no truth: {', '.join(strangers[:8])}",
            where=predictions,
            hint=f"the truth has {', '.join(known[:8])}; the names must be the same",
            id="C4",
        )
    return Pairs(tuple(found[name] for name in sorted(found)), _absent(found, truths))


def _ambiguous(case: str, where: object) -> InputError:
    return InputError(
        f"two label maps are called {case!r}",
        where=where,
        hint="keep the one that counts; the truth may also be a CSV manifest",
        id="C5",
    )


def _absent(
    found: Mapping[tuple[str, str], Paired], truths: Mapping[str, list[_Map]]
) -> dict[str, tuple[str, ...]]:
    """Return the cases of the truth that each subset lacks."""
    maps = [one for found in truths.values() for one in found if not one.learned]
    every = {one.path: one.names[0][1] for one in maps}
    used: dict[str, set[Path]] = {}
    for (subset, _), paired in found.items():
        used.setdefault(subset, set()).add(paired.truth)
    return {
        subset: tuple(sorted(name for path, name in every.items() if path not in paths))
        for subset, paths in sorted(used.items())
    }


def _truths(labels: str | os.PathLike[str], allow_outside: bool) -> dict[str, list[_Map]]:
    """Return the true label maps by each name that they may go by."""
    given = Path(os.path.abspath(labels))  # noqa: PTH100 - a leading "~" is a name here
    if files.is_folder(given):
        maps = list(_maps(given))
        if not maps:
            raise InputError("there is no label map in it", where=labels, id="C4")
    else:
        maps = _listed(given, labels, allow_outside)
    named: dict[str, list[_Map]] = {}
    for rank in (0, 1, 2):  # a second name counts where it is nobody's first
        taken = set(named)
        for one in maps:
            for _, case in one.names[rank : rank + 1]:
                if case not in taken:
                    named.setdefault(case, []).append(one)
    return named


def _listed(table: Path, given: object, allow_outside: bool) -> list[_Map]:
    """Return the label maps that a manifest lists; ``given`` is how it was named."""
    files.readable(table)
    if suffix(table) is not None:
        raise InputError(
            "is one scan or label map; LABELS is a folder of label maps, or a CSV manifest",
            where=given,
            hint="name the folder that holds the label map",
            id="N41",
        )
    maps = [
        _Map(
            Path(e.labels),
            (("", e.id),),
            tuple(map(Path, e.volumes.values())),
            learned=e.role in ("train", "validate"),
        )
        for e in read_manifest(table, allow_outside=allow_outside, learned=False).studies
        if e.labels is not None
    ]
    if not maps:
        columns, _ = read_table(table, key="subject")
        there = "label" in columns
        raise InputError(
            "its column 'label' is empty in every row" if there else "has no column 'label'",
            where=given,
            hint="list there the true label map of each case",
            id="C4",
        )
    return maps


def _folder(path: str | os.PathLike[str]) -> Path:
    given = Path(os.path.abspath(path))  # noqa: PTH100
    if not files.is_folder(given):
        files.readable(path)
        raise InputError("is a file", where=path, hint="name the folder that holds it", id="N41")
    return given


def _maps(root: Path) -> Iterator[_Map]:
    """Yield the label maps in and below a folder, in order of names."""
    for inside, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f[0] != "." and f not in _APART)
        paths = [Path(inside, name) for name in sorted(names) if name[0] != "."]
        volumes = [path for path in paths if _may_be_labels(path)]
        above = Path(inside).relative_to(root)
        yield from _maps_here(root, above, volumes)


def _may_be_labels(path: Path) -> bool:
    """Tell whether a file holds voxels: of DICOM only segmentations, the rest are slices."""
    end = suffix(path)
    if end is None or SUFFIXES[end] != DICOM:
        return end is not None
    from medfuse.io.dicom_header import is_dicom_head, read_header  # pydicom is slow to load

    return is_dicom_head(files.head(path, 132)) and read_header(path).text("Modality") == "SEG"


def _is_file_of_values(path: Path) -> bool:
    return SUFFIXES[str(suffix(path))] != DICOM


def _maps_here(root: Path, above: Path, volumes: list[Path]) -> Iterator[_Map]:
    """Yield the maps of the folder ``root / above``: a case's own map, or one map a case."""
    maps = [path for path in volumes if is_label_name(path)]
    scans = tuple(path for path in volumes if path not in maps and _is_file_of_values(path))
    exact = [path for path in maps if stem(path).lower() == "labels"]
    # of labels.nii.gz and labels.dcm the first: they say the same
    exact.sort(key=lambda path: SUFFIXES[str(suffix(path))] == DICOM)
    if exact:
        yield _Map(exact[0], tuple(_names_of(root, above)), scans)
        return
    here = "" if above == Path() else above.as_posix()
    alone = len(maps) == 1 and bool(scans)  # a patient's folder with scans and one map
    for path in maps or volumes:
        case = _TAIL.sub("", stem(path))
        names = [(here, case)] if case else []
        if alone or not names:
            own = _names_of(root, above)
            names = [*names, *own] if above == Path() else [*own, *names]
        beside = scans if alone else tuple(scan for scan in scans if scan.name.startswith(case))
        yield _Map(path, tuple(names), beside if maps else ())


def _names_of(root: Path, above: Path) -> list[tuple[str, str]]:
    """Return the names of a case whose folder is ``above``; of a visit the patient's too.

    A case's own folder may have been named itself. Its name is all that tells whose it is, so a
    visit has none but that with its patient: each patient has a ``ses-1``.
    """
    if above == Path():
        visit = root.name.startswith("ses-")
        return [("", f"{root.parent.name}_{root.name}" if visit else root.name)]
    names = [("" if above.parent == Path() else above.parent.as_posix(), above.name)]
    patient = above.parent
    if above.name.startswith("ses-") and patient != Path():
        higher = "" if patient.parent == Path() else patient.parent.as_posix()
        names.insert(0, (higher, f"{patient.name}_{above.name}"))
    return names


def _regions(prediction: Path) -> Mapping[str, tuple[int, ...]] | None:
    """Return what the model looked for, as the record of ``medfuse segment`` beside it says."""
    record = prediction.with_name(_RECORD)
    if not record.is_file():
        return None
    try:
        found = json.loads(files.content(record, limit=1 << 26))
        if found["command"] != "segment":
            return None
        named = found["model"]["labels"].items()
        return {str(name): tuple(int(value) for value in values) for name, values in named}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # another program's
