"""Small DICOM files, made with pydicom alone: the series that the tests of reading start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    SegmentationStorage,
)

ROWS, COLUMNS = 16, 14
ROOT = "1.2.826.0.1.3680043.8.498.77"
SERIES, STUDY, FRAME = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"
NAME, BIRTH, ID, TALE = "PLANTED^NAME", "19330303", "PLANTED-ID", "PLANTED TALE"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
ORIGIN = (-20.0, -30.0, 40.0)
STORAGE = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
    "SEG": SegmentationStorage,
}

Edit = Callable[[int, Dataset], None]


def untouched(k: int, dataset: Dataset) -> None:
    """Change nothing."""


def stored(k: int) -> np.ndarray:
    """Return the stored numbers of slice ``k``, all different within a series, (16, 14) int16."""
    rows, columns = np.indices((ROWS, COLUMNS))
    return (100 + 224 * k + 14 * rows + columns).astype(np.int16)


def blank(modality: str, uid: str) -> FileDataset:
    """Return a dataset of this modality with everything but geometry and pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = STORAGE[modality]
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID = STORAGE[modality]
    made.SOPInstanceUID = uid
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, SERIES
    made.FrameOfReferenceUID = FRAME
    made.PatientName, made.PatientID, made.PatientBirthDate = NAME, ID, BIRTH
    made.StudyDescription = TALE
    made.Modality = modality
    made.SeriesNumber = 5
    return made


def put_pixels(made: Dataset, array: np.ndarray, *, bits: int = 16) -> None:
    """Give a dataset the greyscale pixels of ``array`` (rows, columns) or (frames, ...)."""
    made.Rows, made.Columns = array.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = 8 * array.dtype.itemsize
    made.BitsStored = min(bits, made.BitsAllocated)
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(array.dtype.kind == "i")
    made.PixelData = array.tobytes()


def slice_of(k: int, modality: str = "CT") -> FileDataset:
    """Return slice ``k`` of the base series: 16 x 14 pixels of 2 mm, 3 mm apart, axial."""
    made = blank(modality, f"{SERIES}.{k + 1}")
    made.InstanceNumber = k + 1
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.ImagePositionPatient = [ORIGIN[0], ORIGIN[1], ORIGIN[2] + 3.0 * k]
    made.ImageOrientationPatient = list(AXIAL)
    made.PixelSpacing = [2.0, 2.0]
    made.SliceThickness = 3.0
    if modality != "MR":
        made.RescaleIntercept = -1024 if modality == "CT" else 0
        made.RescaleSlope = 1
    put_pixels(made, stored(k))
    return made


def save(made: Dataset, path: Path) -> Path:
    """Write a dataset as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def series(folder: Path, edit: Edit = untouched, *, count: int = 10, modality: str = "CT") -> Path:
    """Write ``000.dcm`` ... into ``folder``; ``edit(k, slice)`` changes slice ``k`` before."""
    for k in range(count):
        made = slice_of(k, modality)
        edit(k, made)
        save(made, folder / f"{k:03d}.dcm")
    return folder


def pet(folder: Path, edit: Edit = untouched, *, count: int = 3, units: str = "BQML") -> Path:
    """Write a PET series with all that SUVbw needs: the check by hand of the literature.

    66.2 kg, 381.47 MBq of F-18 at 11:39:00, the series at 13:02:44.678, DecayCorrection START:
    0.00029448 SUV for each Bq/ml.
    """

    def fill(k: int, made: Dataset) -> None:
        made.Units, made.DecayCorrection = units, "START"
        made.PatientWeight = 66.2
        made.SeriesDate = made.AcquisitionDate = "20200102"
        made.SeriesTime = "130244.678"
        made.AcquisitionTime = f"{130244 + 200 * (count - 1 - k)}.678"
        dose = Dataset()
        dose.RadionuclideTotalDose = 381.47e6
        dose.RadionuclideHalfLife = 6586.2
        dose.RadiopharmaceuticalStartTime = "113900"
        dose.RadiopharmaceuticalStartDateTime = "20200102113900"
        made.RadiopharmaceuticalInformationSequence = Sequence([dose])
        edit(k, made)

    return series(folder, fill, count=count, modality="PT")


def group(**values: object) -> Sequence:
    """Return a functional group: a sequence of one item with these tags."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Sequence([item])


def enhanced(
    array: np.ndarray, positions: list[tuple[float, ...]], edit: Edit = untouched
) -> FileDataset:
    """Return an enhanced MR of ``array`` (frames, rows, columns); ``edit(k, frame)`` its groups."""
    made = blank("MR", f"{SERIES}.99")
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    made.NumberOfFrames = len(array)
    put_pixels(made, array)
    shared = Dataset()
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=list(AXIAL))
    shared.PixelMeasuresSequence = group(PixelSpacing=[2.0, 2.0], SliceThickness=3.0)
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for k, position in enumerate(positions):
        frame = Dataset()
        frame.PlanePositionSequence = group(ImagePositionPatient=list(position))
        frame.FrameContentSequence = group(StackID="1", InStackPositionNumber=k + 1)
        edit(k, frame)
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return made


def segmentation(
    masks: list[np.ndarray], depths: list[int], segments: list[int], *, kind: str = "BINARY"
) -> FileDataset:
    """Return a SEG: frame n is ``masks[n]`` of ``segments[n]`` on slice ``depths[n]`` (3 mm)."""
    made = blank("SEG", f"{SERIES}.98")
    made.SeriesInstanceUID = f"{ROOT}.13"
    made.SeriesNumber = 13
    made.SegmentationType = kind
    array = np.array(masks)
    put_pixels(made, array.astype(np.uint8))
    made.NumberOfFrames = len(masks)
    if kind == "BINARY":
        made.BitsAllocated = made.BitsStored = 1
        made.HighBit = 0
        packed = np.packbits(array.astype(bool).ravel(), bitorder="little").tobytes()
        made.PixelData = packed + b"\0" * (len(packed) % 2)
    if kind == "FRACTIONAL":
        made.MaximumFractionalValue, made.SegmentationFractionalType = 200, "PROBABILITY"
    made.SegmentSequence = Sequence(
        [_segment(number) for number in sorted(set(segments) or set(np.unique(array)) - {0})]
    )
    shared = Dataset()
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=list(AXIAL))
    shared.PixelMeasuresSequence = group(
        PixelSpacing=[2.0, 2.0], SliceThickness=3.0, SpacingBetweenSlices=3.0
    )
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for n, depth in enumerate(depths):
        frame = Dataset()
        place = [ORIGIN[0], ORIGIN[1], ORIGIN[2] + 3.0 * depth]
        frame.PlanePositionSequence = group(ImagePositionPatient=place)
        if segments:
            frame.SegmentIdentificationSequence = group(ReferencedSegmentNumber=segments[n])
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return made


def _segment(number: int) -> Dataset:
    item = Dataset()
    item.SegmentNumber = int(number)
    item.SegmentLabel = f"part {number}"
    return item
