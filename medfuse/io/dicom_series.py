"""The files of one series, checked to be one scan of one patient before any pixel is decoded."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medfuse.errors import DicomError, Repair
from medfuse.io.dicom_header import Header, no_pixels, read_pixels
from medfuse.io.dicom_planes import planes_of
from medfuse.io.dicom_stack import Arranged, arrange, without_localizers
from medfuse.modality import MODALITIES, Modality, denies_agent, modality_from_name

_DIRECT = {"CT": "CT", "PT": "PET"}
_CONTRASTS = {"T1": "T1", "T2": "T2", "PROTON_DENSITY": "PD", "FLUID_ATTENUATED": "FLAIR"}
_NO_IMAGE = """
RTSTRUCT RTPLAN RTRECORD RTIMAGE RTDOSE RTINTENT RTSEGANN SEG SR KO PR REG FID RWV PLAN DOC AU ECG
EEG HD ASMT ANN M3D STAIN SMR OAM OPV VA LEN KER SRF TEXTUREMAP XAPROTOCOL
"""
_IMAGES = {"CT", "MR", "PT", "NM", "US", "CR", "DX", "DR", "MG", "XA", "RF", "OT", "SC", "IO", "OP"}
_NO_AGENT = {"", "no", "none", "n", "nil", "without"}


def kind_of(header: Header) -> str:
    """Return ``"image"``, or the DICOM modality of what is none (``"SEG"``, ``"RTSTRUCT"``)."""
    word = word_of(header)
    if word in _NO_IMAGE.split() or "SegmentSequence" in header:
        return word or "SEG"
    return "image" if "Rows" in header or header.is_scan else word or "unknown"


def word_of(header: Header) -> str:
    """Return DICOM's word for the modality; any other text in its place is ``"unknown"``."""
    word = header.text("Modality").upper()
    return word if not word or word in _IMAGES or word in _NO_IMAGE.split() else "unknown"


def modality_of(header: Header) -> Modality:
    """Return the modality by DICOM's word, an MR contrast by the words of its description.

    The description is searched, never kept. Without a word for it, an MR is ``MR`` (an enhanced
    file may declare its AcquisitionContrast); a T1 with a contrast agent is ``T1CE``, unless its
    description denies the agent: the tag is often filled for all series of a study.
    """
    word = header.text("Modality").upper()
    if word in _DIRECT:
        return MODALITIES[_DIRECT[word]]
    if word != "MR":
        return MODALITIES["OTHER"]
    found = MODALITIES["MR"]
    said = header.words("SeriesDescription"), header.words("ProtocolName")
    for text in said:
        named = modality_from_name(text)
        if named.is_mr and found.name == "MR":
            found = named
    if found.name == "MR":
        found = MODALITIES[_CONTRASTS.get(header.text("AcquisitionContrast"), "MR")]
    agent = header.text("ContrastBolusAgent").lower()
    if found.name == "T1" and agent not in _NO_AGENT and not any(map(denies_agent, said)):
        return MODALITIES["T1CE"]
    return found


def patient_key(header: Header) -> tuple[str, str]:
    """Return what tells patients apart; for comparing in memory only, never shown or kept."""
    name = re.sub(r"[\W_]+", " ", header.words("PatientName")).strip().casefold()
    return header.text("PatientID").casefold(), name


def same_patient(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Tell whether two keys may be one patient: by the ids where both are known, else by name."""
    ids, names = zip(one, other, strict=True)
    decisive = ids if all(ids) else names
    return not all(decisive) or decisive[0] == decisive[1]


def lay_out(
    headers: Sequence[Header],
    *,
    where: object,
    volume: int | None = None,
    stack: str | None = None,
    gaps: bool = False,
) -> Arranged:
    """Return the planes of one series in order on their grid, or say why they make none.

    See ``arrange`` for the options and errors; besides: two patients (D2), no greyscale (D25), one
    SOPInstanceUID on different pixels (D4).
    """
    _one_patient(headers, where)
    kept, repairs = without_localizers(headers)
    for header in kept:
        _greyscale(header)
    kept, doubles = _distinct(kept)
    planes = [plane for header in kept for plane in planes_of(header)]
    arranged = arrange(planes, where=where, volume=volume, stack=stack, gaps=gaps)
    repairs += [*doubles, *arranged.repairs, *_frames(arranged)]
    return Arranged(arranged.planes, arranged.geometry, tuple(repairs), arranged.at)


def _one_patient(headers: Sequence[Header], where: object) -> None:
    keys = [patient_key(header) for header in headers]
    for part in zip(*keys, strict=True):
        if len({entry for entry in part if entry}) > 1:
            raise DicomError(
                "slices of two patients carry one SeriesInstanceUID",
                where=where,
                hint="put the files of each patient into a folder of their own",
                id="D2",
            )


def _greyscale(header: Header) -> None:
    if "Rows" not in header:
        raise no_pixels(header.where)
    if "MOSAIC" in header.text("ImageType").split("\\"):
        raise DicomError(
            "is a mosaic: many slices in one picture, whose places it does not say",
            where=header.where,
            hint="export the series as enhanced MR, or convert it to NIfTI",
            id="D22",
        )
    colours = header.text("PhotometricInterpretation")
    if header.integer("SamplesPerPixel", 1) != 1 or not colours.startswith("MONOCHROME"):
        raise DicomError(
            f"is a screen capture ({colours or 'colour'}), its pixels measure nothing",
            where=header.where,
            hint="use the original series",
            id="D25",
        )


def _distinct(headers: Sequence[Header]) -> tuple[list[Header], list[Repair]]:
    """Drop files that are there twice: one SOPInstanceUID, equal pixels (D5)."""
    first: dict[str, Header] = {}
    kept: list[Header] = []
    for header in headers:
        uid = header.text("SOPInstanceUID")
        if uid and uid in first:
            if _pixels(first[uid]) != _pixels(header):
                raise DicomError(
                    "carries the SOPInstanceUID of another file but other pixels",
                    where=header.where,
                    hint="keep one of them",
                    id="D4",
                )
            continue
        first[uid] = header
        kept.append(header)
    double = len(headers) - len(kept)
    if not double:
        return kept, []
    return kept, [Repair(f"{double} files that are there twice were left out", id="D5")]


def _pixels(header: Header) -> object:
    read, raw = read_pixels(header.where)
    return read.dataset.get("PixelData", raw)


def _frames(arranged: Arranged) -> list[Repair]:
    frames = {plane.header.text("FrameOfReferenceUID") for plane in arranged.planes}
    if len(frames) < 2:
        return []
    return [
        Repair(
            f"the slices name {len(frames)} frames of reference; that of the first is kept",
            id="D34",
        )
    ]
