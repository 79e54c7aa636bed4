"""Write a volume as a classic DICOM series (CT, MR or PT), one file a slice.

Made for volumes that no scanner made (phantoms, synthetic scans): the patient, the dates and the
dose are invented, and the same volume gives the same bytes. PET is stored in Bq/ml with what it
takes to read it back as SUVbw. (DICOM PS3.3 A.3, A.4, A.21.)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)
from pydicom.valuerep import DSfloat

from medfuse.errors import GeometryError, OutputError, UsageError
from medfuse.geometry import Geometry
from medfuse.io import files
from medfuse.volume import Volume

_DAY, _TIME = "20240102", "101500"
_WEIGHT_KG = 72.5
_DOSE_BQ = 3.7e8
_HALF_LIFE_S = 6586.2  # fluorine-18
_INJECTED, _DELAY_S = "20240102091500", 3600.0
_MOST = 65535  # what 16 bits hold
_CLASSES = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
}
_PROTOCOLS = {
    "T1": ("T1w MPRAGE", "GR", "3D", 2000.0, 2.6),
    "T1CE": ("T1w MPRAGE", "GR", "3D", 2000.0, 2.6),
    "T2": ("T2w TSE", "SE", "2D", 5200.0, 96.0),
    "FLAIR": ("FLAIR", "SE", "2D", 9000.0, 110.0),
    "PD": ("PD TSE", "SE", "2D", 3000.0, 12.0),
    "MR": ("MR", "GR", "3D", 2000.0, 3.0),
    "CT": ("CT head", "", "", 0.0, 0.0),
    "PET": ("PET FDG", "", "", 0.0, 0.0),
}


def write_series(
    volume: Volume,
    folder: str | os.PathLike[str],
    *,
    patient: str,
    number: int = 1,
    frame: str = "",
) -> Path:
    """Write ``volume`` as one DICOM series into a new ``folder`` and return it.

    ``patient`` is an invented name, ``number`` the series number; series of one ``patient`` make
    one study, those with the same ``frame`` word share a frame of reference. CT is stored in HU,
    MR in its own whole numbers (scaled if they are none), PET in Bq/ml. Raises ``UsageError`` for
    a modality that has no classic series, ``GeometryError`` for a sheared grid, ``OutputError``
    where the folder exists.
    """
    home = Path(os.path.abspath(folder))  # noqa: PTH100
    slices = series(volume, patient=patient, number=number, frame=frame)
    if home.exists():
        raise OutputError("exists already", where=home, hint="choose another folder", id="S5")
    try:
        home.mkdir(parents=True)
    except OSError as error:
        raise OutputError(f"cannot be made ({error.strerror})", where=home, id="S5") from None
    for index, dataset in enumerate(slices):
        path = home / f"IM{index + 1:04d}.dcm"
        payload = _encoded(dataset)
        files.write_file(
            path, partial(_save, payload), check=partial(_check, payload=payload, path=path)
        )
    return home


def series(volume: Volume, *, patient: str, number: int = 1, frame: str = "") -> Iterator[Dataset]:
    """Return the slices of a series, lowest index first, made one by one; see ``write_series``."""
    name = volume.modality.name
    if name not in _PROTOCOLS:
        raise UsageError(f"there is no classic DICOM series for the modality {name}")
    if not volume.geometry.is_orthonormal:
        raise GeometryError("a sheared grid cannot be written as DICOM", id="N10")
    return _slices(volume, patient, number, frame)


def _slices(volume: Volume, patient: str, number: int, frame: str) -> Iterator[Dataset]:
    kind = {"CT": "CT", "PET": "PT"}.get(volume.modality.name, "MR")
    content = hashlib.sha256(volume.array.data).hexdigest()
    series_uid = derived_uid("series", patient, str(number), content)
    for index, plane in enumerate(volume.array):
        made = _frame_of(patient, frame or series_uid, kind, number)
        made.SeriesInstanceUID = series_uid
        made.SOPInstanceUID = derived_uid("instance", series_uid, str(index))
        made.InstanceNumber = index + 1
        _protocol(made, volume.modality.name)
        _place(made, volume.geometry, index)
        if kind == "PT":
            _positron(made, index, len(volume.array))
        _pixels(made, plane, kind)
        made.file_meta = FileMetaDataset()
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        yield made


def _frame_of(patient: str, frame: str, kind: str, number: int) -> Dataset:
    """Return what all slices of a series share: patient, study, equipment."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = _CLASSES[kind]
    made.PatientName, made.PatientID = patient, patient.replace("^", "-")
    made.PatientBirthDate, made.PatientSex = "", "O"
    made.PatientWeight = _ds(_WEIGHT_KG)
    made.StudyInstanceUID, made.StudyID = derived_uid("study", patient), "1"
    made.FrameOfReferenceUID = derived_uid("frame", patient, frame)
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = made.ContentDate = _DAY
    made.StudyTime = made.SeriesTime = made.AcquisitionTime = made.ContentTime = _TIME
    made.AccessionNumber = made.ReferringPhysicianName = made.PositionReferenceIndicator = ""
    made.Modality, made.SeriesNumber, made.AcquisitionNumber = kind, number, 1
    made.Manufacturer, made.ManufacturerModelName = "medfuse", "phantom"
    made.Laterality = ""
    if kind != "PT":  # PET says it in codes
        made.PatientPosition = "HFS"
    made.ImageType = ["DERIVED", "PRIMARY", "AXIAL" if kind == "CT" else "OTHER"]
    if kind == "PT":
        made.ImageType = ["DERIVED", "PRIMARY"]
    made.BurnedInAnnotation = "NO"
    return made


def _protocol(made: Dataset, name: str) -> None:
    words, sequence, dimension, repetition, echo = _PROTOCOLS[name]
    made.SeriesDescription = made.ProtocolName = words
    if made.Modality == "CT":
        made.KVP = _ds(120)
        made.RescaleType = "HU"
    if made.Modality == "MR":
        made.ScanningSequence, made.SequenceVariant, made.ScanOptions = sequence, "SK", ""
        made.MRAcquisitionType = dimension
        made.RepetitionTime, made.EchoTime, made.EchoTrainLength = _ds(repetition), _ds(echo), 1
        if name == "T1CE":
            made.ContrastBolusAgent = "gadobutrol"
        if name == "FLAIR":
            made.InversionTime = _ds(2500)


def _place(made: Dataset, geometry: Geometry, index: int) -> None:
    d, h, w = geometry.spacing
    rows, columns = geometry.direction[:, 2], geometry.direction[:, 1]
    made.ImageOrientationPatient = [_ds(value) for value in (*rows, *columns)]
    made.ImagePositionPatient = [_ds(value) for value in geometry.world((index, 0, 0))]
    made.PixelSpacing = [_ds(h), _ds(w)]
    made.SliceThickness = _ds(d)
    if made.Modality == "MR":
        made.SpacingBetweenSlices = _ds(d)


def _positron(made: Dataset, index: int, count: int) -> None:
    """Say what a PET slice needs so that it can be read back as SUV."""
    made.Units, made.SUVType, made.CountsSource = "BQML", "BW", "EMISSION"
    made.SeriesType, made.NumberOfSlices, made.ImageIndex = ["STATIC", "IMAGE"], count, index + 1
    made.CorrectedImage = ["DECY", "ATTN", "SCAT", "NORM"]
    made.DecayCorrection, made.CollimatorType = "START", "NONE"
    made.RandomsCorrectionMethod, made.AttenuationCorrectionMethod = "NONE", "measured"
    made.ScatterCorrectionMethod = "model"
    made.FrameReferenceTime, made.ActualFrameDuration = _ds(0), "600000"
    made.DecayFactor = _ds(1)
    tracer = Dataset()
    tracer.Radiopharmaceutical = "Fluorodeoxyglucose"
    tracer.RadiopharmaceuticalStartTime = _INJECTED[8:]
    tracer.RadiopharmaceuticalStartDateTime = _INJECTED
    tracer.RadionuclideTotalDose = _ds(_DOSE_BQ)
    tracer.RadionuclideHalfLife = _ds(_HALF_LIFE_S)
    tracer.RadionuclidePositronFraction = _ds(0.967)
    tracer.RadionuclideCodeSequence = [_code("77004003", "SCT", "^18^Fluorine")]
    made.RadiopharmaceuticalInformationSequence = [tracer]
    made.PatientOrientationCodeSequence = [_code("102538003", "SCT", "recumbent")]
    made.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [
        _code("40199007", "SCT", "supine")
    ]
    made.PatientGantryRelationshipCodeSequence = [_code("102540008", "SCT", "headfirst")]


def _pixels(made: Dataset, plane: npt.NDArray[np.float32], kind: str) -> None:
    """Store one slice in 16 bits with the rescale that brings its values back."""
    values = plane.astype(np.float64)
    if kind == "PT":
        left = _DOSE_BQ * 2 ** (-_DELAY_S / _HALF_LIFE_S)
        values *= left / (_WEIGHT_KG * 1000)  # SUVbw to Bq/ml
    low, high = float(values.min()), float(values.max())
    whole = kind != "PT" and bool((values == np.rint(values)).all())
    intercept = min(-1024.0, low) if kind == "CT" else min(0.0, low)
    whole = whole and high - intercept <= _MOST
    slope = 1.0 if whole else float(_ds(max(high - intercept, 1e-6) / _MOST))
    stored = np.clip(np.rint((values - intercept) / slope), 0, _MOST).astype("<u2")
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = plane.shape
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 0
    if kind != "MR" or slope != 1 or intercept:
        made.RescaleIntercept, made.RescaleSlope = _ds(intercept), _ds(slope)
    made.PixelData = stored.tobytes()
    made["PixelData"].VR = "OW"


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _ds(value: float) -> DSfloat:
    """Return a decimal string of at most 16 characters, as DICOM wants it."""
    return DSfloat(float(value), auto_format=True)


def derived_uid(*words: str) -> str:
    """Return a UID that the words alone decide."""
    digest = hashlib.sha256("|".join(words).encode()).digest()[:16]
    return f"2.25.{int.from_bytes(digest, 'big')}"


def _encoded(dataset: Dataset) -> bytes:
    made = BytesIO()
    pydicom.dcmwrite(made, dataset, enforce_file_format=True)
    return made.getvalue()


def _save(payload: bytes, made: Path) -> None:
    with made.open("wb") as stream:
        stream.write(payload)


def _check(made: Path, *, payload: bytes, path: Path) -> None:
    if made.read_bytes() != payload:
        raise OutputError(
            "what was written reads differently",
            where=path,
            hint="check the disk, or write elsewhere",
            id="S1",
        )
