"""Write a label map as one DICOM Segmentation object that refers to the series it was made from.

Binary segments, one a label, on the planes of the source instances themselves, so oblique and
tilted series stay as they lie (DICOM PS3.3 A.51, C.8.20). Patient, study and frame of reference
are the source's, as an archive needs them to file the object; nothing else of it is taken over.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medfuse.errors import DicomError, OutputError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.io import files
from medfuse.io.dicom_header import guarded
from medfuse.io.dicom_planes import planes_of
from medfuse.io.dicom_scan import scan
from medfuse.io.dicom_seg import read_segmentation
from medfuse.io.dicom_write import derived_uid
from medfuse.volume import LabelMap, Volume

_NOTICE = "Research only, not a medical device"
# tags of patient and study that a file must have, but may leave empty (DICOM: type 2)
_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
# which code says what a label's name says: the first word that is found in it decides
_ABNORMAL, _ANATOMY = "MorphologicallyAbnormalStructure", "AnatomicalStructure"
_KINDS = (
    (("necro",), _ABNORMAL, "Necrosis"),
    (("edema", "oedema"), _ABNORMAL, "Edema"),
    (("tumor", "tumour", "neoplasm", "glioma", "gtv", "metasta"), _ABNORMAL, "Neoplasm"),
    (("lesion", "ms ", "hyperintens"), _ABNORMAL, "Lesion"),
    (("white matter",), _ANATOMY, "WhiteMatter"),
    (("grey matter", "gray matter"), _ANATOMY, "GrayMatter"),
    (("liver",), _ANATOMY, "Liver"),
    (("brain",), _ANATOMY, "Brain"),
)


@dataclass(frozen=True, eq=False)
class _Series:
    """The source: its instances without pixels, and which plane of the label map is which frame.

    ``frames`` is None where the planes are not those of the instances (uneven distances were
    interpolated, or a part of a multi-frame file was read): then positions are written instead.
    """

    where: str
    instances: Sequence[Dataset]
    frames: Sequence[int] | None


def write_seg(
    labels: LabelMap,
    path: str | os.PathLike[str],
    *,
    source: Volume,
    when: datetime | None = None,
    overwrite: bool = True,
) -> Path:
    """Write ``labels``, on the grid of ``source``, as a DICOM SEG; see ``write_segmentation``.

    Segments are numbered from 1 in the order of the labels; where that changes a value it is
    warned of as a ``Repair`` (D47). The same labels, source and time give the same bytes.
    """
    highdicom = _highdicom()
    values = sorted({*labels.names, *map(int, np.unique(labels.array))} - {0})
    if not values:
        raise UsageError("the label map names no label", where=path, hint="give it names=")
    found = _series(source)
    moment = when or datetime.now().astimezone()
    try:
        with guarded(found.where):
            made = _object(highdicom, labels, values, found, moment)
    except DicomError:
        raise DicomError(
            "its headers are not good enough for a SEG to refer to",
            where=found.where,
            hint="write .nii.gz instead",
            id="D47",
        ) from None
    if values != list(range(1, len(values) + 1)):
        said = ", ".join(f"{value} is segment {n}" for n, value in enumerate(values, 1))
        what = f"segments are numbered from 1 in DICOM: label {said}"
        warnings.warn(Repair(what, id="D47"), stacklevel=3)
    return files.write_file(
        path,
        partial(_save, made),
        check=partial(_check, labels, values, path),
        inputs=[Path(found.where)],
        overwrite=overwrite,
    )


def _highdicom() -> Any:
    try:
        return import_module("highdicom")
    except ModuleNotFoundError:
        raise UsageError(
            "writing DICOM SEG needs highdicom", hint="pip install 'medfuse[dicom]'"
        ) from None


def _series(source: Volume) -> _Series:
    """Read the headers of the instances again, in the order of the array's slices."""
    origin = source.source
    if origin is None or origin.series_uid is None:
        raise UsageError(
            "a DICOM SEG refers to a DICOM series, and this scan was not read from one",
            where=None if origin is None else origin.path,
            hint="write .nii.gz instead",
        )
    there = scan(origin.path).series.get(origin.series_uid, [])
    headers = {header.text("SOPInstanceUID"): header for header in there}
    wanted = list(dict.fromkeys(origin.instance_uids))
    if not wanted or not set(wanted) <= set(headers):
        raise DicomError(
            "the series is no longer what it was when it was read",
            where=origin.path,
            hint="read it again",
            id="D1",
        )
    instances = [_instance(headers[uid].where) for uid in wanted]
    if len(wanted) > 1:
        whole = len(wanted) == source.geometry.shape[0]
        return _Series(origin.path, instances, range(len(wanted)) if whole else None)
    planes = planes_of(headers[wanted[0]])
    places = [source.geometry.voxel(plane.position)[0] for plane in planes]
    frames = [int(place) for place in np.rint(places)]
    whole = sorted(frames) == list(range(source.geometry.shape[0]))
    return _Series(origin.path, instances, frames if whole else None)


def _instance(path: Path) -> Dataset:
    with guarded(path):
        found = pydicom.dcmread(path, stop_before_pixels=True)
        found.decode()
        found.SpecificCharacterSet = "ISO_IR 192"  # highdicom refuses some that files have
        for keyword in _MAY_BE_EMPTY:
            if keyword not in found:
                setattr(found, keyword, "")
    if not found.get("FrameOfReferenceUID"):
        raise DicomError(
            "names no frame of reference, which a SEG has to repeat",
            where=path,
            hint="write .nii.gz instead",
            id="D47",
        )
    return found


def _object(
    highdicom: Any,
    labels: LabelMap,
    values: Sequence[int],
    found: _Series,
    when: datetime,
) -> Dataset:
    first = found.instances[0]
    stamp = when.strftime("%Y%m%d%H%M%S.%f")
    key = (
        str(first.SeriesInstanceUID),
        hashlib.sha256(labels.array.data).hexdigest(),
        str(sorted(labels.names.items())),
        stamp,
    )
    table = np.zeros(int(labels.array.max()) + 1, np.uint8)
    for number, value in enumerate(values, 1):
        table[value : value + 1] = number
    numbered = table[labels.array]
    version = metadata.version("medfuse")
    made = highdicom.seg.Segmentation(
        source_images=found.instances,
        pixel_array=numbered if found.frames is None else numbered[list(found.frames)],
        segmentation_type="BINARY",
        segment_descriptions=[
            _segment(highdicom, n, labels.names.get(value, f"label {value}"), version)
            for n, value in enumerate(values, 1)
        ],
        series_instance_uid=derived_uid("seg series", *key),
        series_number=1000 + int(first.get("SeriesNumber") or 0),
        sop_instance_uid=derived_uid("seg", *key),
        instance_number=1,
        manufacturer="medfuse",
        manufacturer_model_name="medfuse",
        software_versions=version,
        device_serial_number="none",
        content_label="SEGMENTATION",
        content_description=_NOTICE,
        series_description="medfuse segmentation",
        omit_empty_frames=bool(numbered.any()),
        content_date=when.date(),
        content_time=when.time(),
        **({} if found.frames is not None else _places(highdicom, labels.geometry)),
    )
    # names the scanner, its place and its serial number, which nobody needs to read the object
    made.pop("ContributingEquipmentSequence", None)
    made.ContentCreatorName = ""
    made.InstanceCreationDate, made.InstanceCreationTime = made.ContentDate, made.ContentTime
    organization = derived_uid("seg dimensions", *key)  # highdicom draws it at random
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    return made


def _places(highdicom: Any, geometry: Geometry) -> Mapping[str, Any]:
    """Say where the planes lie, where that is not where the instances do."""
    d, h, w = geometry.spacing
    rows, columns = geometry.direction[:, 2], geometry.direction[:, 1]
    return {
        "plane_positions": [
            highdicom.PlanePositionSequence("PATIENT", geometry.world((k, 0, 0)).tolist())
            for k in range(geometry.shape[0])
        ],
        "plane_orientation": highdicom.PlaneOrientationSequence("PATIENT", [*rows, *columns]),
        "pixel_measures": highdicom.PixelMeasuresSequence((h, w), d, d),
    }


def _segment(highdicom: Any, number: int, name: str, version: str) -> Any:
    category, kind = _codes(name)
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="medfuse", version=version, family=codes.DCM.ArtificialIntelligence
        ),
    )


def _codes(name: str) -> tuple[Any, Any]:
    """Return the codes of what a label is: as its name says, else plain tissue."""
    lower = name.lower()
    for words, category, kind in _KINDS:
        if any(word in lower for word in words):
            return getattr(codes.SCT, category), getattr(codes.SCT, kind)
    return codes.SCT.Tissue, codes.SCT.Tissue


def _save(made: Dataset, path: Path) -> None:
    pydicom.dcmwrite(path, made, enforce_file_format=True)


def _check(labels: LabelMap, values: Sequence[int], target: object, made: Path) -> None:
    """Read what was written again and compare every voxel, at its place in the world."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Repair)  # what reading the source has said already
        again = read_segmentation(made)
    start = np.rint(labels.geometry.voxel(again.geometry.origin)).astype(int)
    whole = np.zeros(labels.array.shape, np.uint16)
    stop = start + again.geometry.shape
    fits = (start >= 0).all() and (stop <= labels.geometry.shape).all()
    if fits:
        whole[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = again.array
    same = fits and all(
        np.array_equal(whole == n, labels.array == value) for n, value in enumerate(values, 1)
    )
    if not same:
        raise OutputError("what was written reads differently", where=target, id="S1")
