"""One DICOM file, opened with care: its tags as plain values, whatever is wrong as our error.

pydicom converts values when they are looked at, warns of what it does not like, and raises a
dozen kinds of exception. All of that ends here: numbers written as text are parsed by us (a
decimal comma is refused, not guessed), everything else happens inside ``guarded``.
"""

from __future__ import annotations

import contextlib
import logging
import math
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag, Tag

from medfuse.errors import DicomError, MedfuseError

MARK_AT, MARK = 128, b"DICM"
_PIXELS = """
Rows Columns NumberOfFrames SamplesPerPixel PhotometricInterpretation PlanarConfiguration
BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit
"""
_SERIES = """
ImageType SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID SeriesNumber Modality
SeriesDescription ProtocolName ContrastBolusAgent AcquisitionContrast PatientID PatientName
FrameOfReferenceUID InstanceNumber ImagePositionPatient ImageOrientationPatient SliceLocation
PixelSpacing SliceThickness SpacingBetweenSlices TemporalPositionIdentifier TriggerTime EchoTime
AcquisitionDate AcquisitionTime AcquisitionDateTime SeriesDate SeriesTime RescaleSlope
RescaleIntercept RescaleType ModalityLUTSequence Units
SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
DecayCorrection SUVType RadiopharmaceuticalInformationSequence PatientWeight SegmentSequence
SegmentationType MaximumFractionalValue TimezoneOffsetFromUTC
"""
_BINARY_16 = """
Rows Columns SamplesPerPixel PlanarConfiguration BitsAllocated BitsStored HighBit
PixelRepresentation ReferencedSegmentNumber SegmentNumber MaximumFractionalValue
PixelPaddingValue PixelPaddingRangeLimit
"""
_LOUD = ("pydicom", "openjpeg", "pylibjpeg")
_DEFLATED = "1.2.840.10008.1.2.1.99"  # its stream is read to the end in any case
_DIRECTORY = "1.2.840.10008.1.3.10"
_SCANS = {  # CT, MR and PET, classic and enhanced (converted from classic, too)
    f"1.2.840.10008.5.1.4.1.1.{end}"
    for end in ("2", "2.1", "2.2", "4", "4.1", "4.4", "128", "130", "128.1")
}
PHILIPS_PET = [(0x7053, element) for element in (0x0010, 0x1000, 0x1009)]
_WANTED = [*_PIXELS.split(), *_SERIES.split(), *PHILIPS_PET]


@contextlib.contextmanager
def guarded(where: object) -> Iterator[None]:
    """Run pydicom silently; any exception of it becomes one ``DicomError`` about ``where``."""
    loggers = [logging.getLogger(name) for name in _LOUD]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (MedfuseError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever its parser stumbles over
        raise _damaged(where, error) from None
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _damaged(where: object, error: Exception) -> DicomError:
    return DicomError(
        f"is damaged: it cannot be read as DICOM ({type(error).__name__})",
        where=where,
        hint="copy it again from where it came",
        id="D46",
    )


@dataclass(frozen=True, eq=False)
class Header:
    """The tags of one file, or of one item of a sequence in it; ``where`` names the file.

    ``pixels_follow`` is False where the file ends behind these tags.
    """

    where: Path
    dataset: Any
    pixels_follow: bool = True

    def __contains__(self, keyword: str) -> bool:
        """Tell whether the tag is there and holds anything."""
        item = self._item(keyword)
        return item is not None and item.value not in (None, b"", "", [])

    def text(self, keyword: str | tuple[int, int]) -> str:
        """Return the value as stripped text (several values joined by backslashes), or ``""``."""
        item = self._item(keyword)
        if item is None or item.value is None:
            return ""
        value = item.value
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        elif not isinstance(value, str) and hasattr(value, "__iter__"):
            value = "\\".join(str(part) for part in value)
        return str(value).strip(" \0\r\n\t")

    def words(self, keyword: str) -> str:
        """Return free text, decoded by its character set, for searching in only."""
        with guarded(self.where):
            return str(self.dataset.get(keyword, "") or "")

    def numbers(self, keyword: str | tuple[int, int]) -> tuple[float, ...]:
        """Return the values of a number tag, none where it is absent or empty.

        Raises ``DicomError`` for a decimal comma (D37) and for what is no finite number.
        """
        item = self._item(keyword)
        if item is None:
            return ()
        if isinstance(item.value, bytes) and item.VR in ("FD", "FL", "US", "SS", "UL", "SL"):
            with guarded(self.where):
                value = self.dataset[item.tag].value
            return tuple(float(part) for part in (value if _many(value) else [value]))
        found = tuple(_number(part) for part in self.text(keyword).split("\\") if part.strip())
        if not all(map(math.isfinite, found)):
            comma = " with a decimal comma" if "," in self.text(keyword) else ""
            raise DicomError(
                f"{keyword} is not a number{comma}",
                where=self.where,
                hint="export the series again",
                id="D37",
            )
        return found

    def number(self, keyword: str | tuple[int, int]) -> float | None:
        """Return the first value of a number tag, None where it is absent or empty."""
        return next(iter(self.numbers(keyword)), None)

    def integer(self, keyword: str, default: int = 0) -> int:
        """Return the value of a tag that holds one integer."""
        found = self.number(keyword)
        return default if found is None else int(found)

    def bits16(self, keyword: str) -> int | None:
        """Return a 16-bit value as it is stored, unsigned: its sign is the pixels' affair."""
        item = self._item(keyword)
        if item is None or item.value in (None, b""):
            return None
        if isinstance(item.value, bytes):
            order = "<" if item.is_little_endian else ">"
            return int(struct.unpack(f"{order}H", item.value[:2])[0])
        return int(item.value) & 0xFFFF

    def is_signed(self, keyword: str) -> bool:
        """Tell whether the file itself declares the 16-bit value of a tag as signed."""
        item = self._item(keyword)
        return item is not None and item.VR == "SS"

    def items(self, keyword: str) -> tuple[Header, ...]:
        """Return the items of a sequence, none where it is absent."""
        if self._item(keyword) is None:
            return ()
        with guarded(self.where):
            return tuple(Header(self.where, item) for item in self.dataset[keyword].value or ())

    def item(self, keyword: str) -> Header | None:
        """Return the first item of a sequence."""
        return next(iter(self.items(keyword)), None)

    @property
    def syntax(self) -> str:
        """The transfer syntax UID."""
        with guarded(self.where):
            return str(self.dataset.file_meta.TransferSyntaxUID)

    @property
    def is_directory(self) -> bool:
        """Whether the file is a DICOMDIR, whatever its name."""
        return self._class == _DIRECTORY

    @property
    def is_scan(self) -> bool:
        """Whether the file was meant to hold slices, whatever is left of it."""
        return self._class in _SCANS

    @property
    def _class(self) -> str:
        with guarded(self.where):
            return str(self.dataset.file_meta.get("MediaStorageSOPClassUID", ""))

    def _item(self, keyword: str | tuple[int, int]) -> Any:
        tag = _tag(keyword)
        if tag not in self.dataset:
            return None
        try:
            item = self.dataset.get_item(tag)
        except Exception as error:  # noqa: BLE001 - as in guarded, which costs more than this call
            raise _damaged(self.where, error) from None
        if isinstance(item, RawDataElement) and item.VR in (None, "UN") and item.value:
            item = item._replace(VR=_BINARY.get(tag, item.VR))
        return item


def is_dicom_head(head: bytes) -> bool:
    """Tell whether a file that begins so is DICOM (128 free bytes, then ``DICM``)."""
    return head[MARK_AT : MARK_AT + 4] == MARK


def read_header(path: Path) -> Header:
    """Return the tags that a series is sorted, placed and scaled by, without the pixels."""
    with guarded(path), path.open("rb") as stream:
        dataset = dcmread(stream, stop_before_pixels=True, specific_tags=_WANTED)
        at_end = stream.tell() >= path.stat().st_size
    deflated = str(dataset.file_meta.get("TransferSyntaxUID", "")) == _DEFLATED
    return _not_cut(Header(path, dataset, pixels_follow=deflated or not at_end))


def no_pixels(path: Path) -> DicomError:
    """Return the error of a file that should hold an image but does not (D12)."""
    hint = "copy it again, or take it away"
    return DicomError("holds no pixels, or is cut before them", where=path, hint=hint, id="D12")


def read_pixels(path: Path) -> tuple[Header, bytes]:
    """Return the tags that describe the pixels, the pixels, and the bytes of the whole file."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DicomError(error.strerror or "cannot be read", where=path, id="N44") from None
    wanted = [*_PIXELS.split(), "PixelData"]
    with guarded(path):
        found = Header(path, dcmread(BytesIO(raw), specific_tags=wanted))
    return _not_cut(found), raw


def _not_cut(found: Header) -> Header:
    # where a file ends within a value, pydicom gives an empty dataset and no error
    if len(found.dataset) == 0 and not found.is_directory:
        hint = "copy it again from where it came"
        raise DicomError("the file is cut", where=found.where, hint=hint, id="D13")
    return found


def _tag(keyword: str | tuple[int, int]) -> BaseTag:
    return Tag(keyword if isinstance(keyword, tuple) else tag_for_keyword(keyword))


# implicit VR: which tags hold binary numbers, and of what size
_BINARY = {_tag(keyword): "US" for keyword in _BINARY_16.split()} | {
    _tag("TemporalPositionIndex"): "UL",
    _tag("DimensionIndexValues"): "UL",
}


def _many(value: object) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, (str, bytes))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
