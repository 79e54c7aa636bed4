"""The files of one series: of one kind, one modality, one patient."""

from __future__ import annotations

from pathlib import Path

import pytest

from medfuse.io.dicom_header import Header
from medfuse.io.dicom_series import kind_of, lay_out, modality_of, patient_key, same_patient
from tests.medfuse.io import dicom_maker as maker


def header(modality: str, **values: object) -> Header:
    """Return the header of a slice that DICOM calls ``modality``."""
    made = maker.slice_of(0)
    made.Modality = modality
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return Header(Path("x.dcm"), made)


@pytest.mark.parametrize(
    ("modality", "kind"),
    [("CT", "image"), ("PT", "image"), ("RTSTRUCT", "RTSTRUCT"), ("RTDOSE", "RTDOSE")],
)
def test_kinds(modality: str, kind: str) -> None:
    assert kind_of(header(modality)) == kind


def test_an_object_without_pixels_or_known_word_is_called_by_it() -> None:
    made = maker.blank("CT", "1.2.3")
    assert kind_of(Header(Path("x.dcm"), made)) == "image"  # a CT that lost its pixels
    made.Modality = "XY"
    made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66"
    assert kind_of(Header(Path("x.dcm"), made)) == "unknown"  # not the header's word


@pytest.mark.parametrize(
    ("modality", "words", "name"),
    [
        ("CT", {"SeriesDescription": "T1 weighted"}, "CT"),
        ("PT", {}, "PET"),
        ("NM", {}, "OTHER"),
        ("MR", {}, "MR"),
        ("MR", {"SeriesDescription": "CT protocol"}, "MR"),
        ("MR", {"SeriesDescription": "sag", "ProtocolName": "T1_MPRAGE"}, "T1"),
        ("MR", {"AcquisitionContrast": "FLUID_ATTENUATED"}, "FLAIR"),
        ("MR", {"AcquisitionContrast": "DIFFUSION"}, "MR"),
        ("MR", {"SeriesDescription": "T2", "ContrastBolusAgent": "GADAVIST"}, "T2"),
        ("MR", {"SeriesDescription": "T1 PRE GAD", "ContrastBolusAgent": "GADAVIST"}, "T1"),
        ("MR", {"SeriesDescription": "Ax T1 FLAIR"}, "MR"),
    ],
)
def test_modalities(modality: str, words: dict[str, str], name: str) -> None:
    assert modality_of(header(modality, **words)).name == name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"PatientID": "1", "PatientName": "A^B"}, {"PatientID": "1", "PatientName": "A^B"}, True),
        ({"PatientID": "1", "PatientName": "A^B"}, {"PatientID": "1", "PatientName": "AB"}, True),
        ({"PatientID": "1", "PatientName": "A^B"}, {"PatientID": "2", "PatientName": "A^B"}, False),
        ({"PatientID": "", "PatientName": "A^B"}, {"PatientID": "2", "PatientName": "a^b^"}, True),
        ({"PatientID": "", "PatientName": "A^B"}, {"PatientID": "2", "PatientName": "C^B"}, False),
        ({"PatientID": "", "PatientName": ""}, {"PatientID": "2", "PatientName": "C^B"}, True),
    ],
)
def test_patients(one: dict[str, str], other: dict[str, str], same: bool) -> None:
    keys = [patient_key(header("CT", **values)) for values in (one, other)]
    assert same_patient(*keys) is same


def test_slices_are_laid_out_without_their_pixels() -> None:
    slices = [maker.slice_of(k) for k in (2, 0, 1)]
    for made in slices:
        del made.PixelData
    found = lay_out([Header(Path("x.dcm"), made) for made in slices], where="x")
    assert found.geometry.shape == (3, 16, 14)
    assert [plane.header.integer("InstanceNumber") for plane in found.planes] == [1, 2, 3]
