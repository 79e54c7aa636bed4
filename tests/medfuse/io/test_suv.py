"""SUV by weight: checked by hand, by closed forms, and by what must not happen twice."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from medfuse.errors import InputError, Repair
from medfuse.geometry import Geometry
from medfuse.io.dicom_read import read_series
from medfuse.io.suv import require_suv
from medfuse.io.volumes import read_volume
from medfuse.modality import MODALITIES
from medfuse.volume import Volume
from tests.medfuse.io import dicom_maker as maker

STORED = np.stack([maker.stored(k) for k in range(3)]).astype(np.float64)
BY_HAND = 0.00029448  # SUV for each Bq/ml: 66.2 kg, 381.47 MBq, 6586.2 s, 11:39:00 to 13:02:44.678
ADMIN = 66200 / 381.47e6


def dose(made: pydicom.Dataset) -> pydicom.Dataset:
    """Return the item that describes the injection."""
    item: pydicom.Dataset = made.RadiopharmaceuticalInformationSequence[0]
    return item


def factor(volume: Volume) -> float:
    """Return what the stored numbers were multiplied by; the same everywhere."""
    ratio = volume.array / STORED
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-5)
    return float(ratio.mean())


def suv(folder: Path) -> float:
    """Read a series that must become SUV without a word, and return its factor."""
    volume = read_series(folder)
    assert volume.unit == "SUVbw"
    assert require_suv(volume) is volume
    return factor(volume)


def missing(folder: Path) -> str:
    """Read a series that has no SUV, and return what its repair says."""
    with pytest.warns(Repair) as caught:
        volume = read_series(folder)
    assert [warning.message.id for warning in caught] == ["D19"]
    assert volume.unit == "Bq/ml"
    assert factor(volume) == pytest.approx(1)
    with pytest.raises(InputError, match="not SUVbw") as refused:
        require_suv(volume)
    assert refused.value.id == "D19"
    return caught[0].message.what


def test_decay_from_the_start_by_hand(tmp_path: Path) -> None:
    assert suv(maker.pet(tmp_path / "x")) == pytest.approx(BY_HAND, rel=1e-4)


def test_a_later_bed_does_not_set_the_clock(tmp_path: Path) -> None:
    """The series' own time is missing: the earliest slice counts, not the first or third."""

    def strip(k: int, made: pydicom.Dataset) -> None:
        del made.SeriesTime

    assert suv(maker.pet(tmp_path / "x", strip)) == pytest.approx(BY_HAND, rel=1e-4)


def test_a_series_time_that_is_late_does_not_count(tmp_path: Path) -> None:
    def late(k: int, made: pydicom.Dataset) -> None:
        made.SeriesTime = "150000"

    assert suv(maker.pet(tmp_path / "x", late)) == pytest.approx(BY_HAND, rel=1e-4)


def test_decay_to_the_injection_needs_no_clock(tmp_path: Path) -> None:
    def admin(k: int, made: pydicom.Dataset) -> None:
        made.DecayCorrection = "ADMIN"
        del made.SeriesTime, made.AcquisitionTime
        del dose(made).RadiopharmaceuticalStartTime
        del dose(made).RadiopharmaceuticalStartDateTime

    assert suv(maker.pet(tmp_path / "x", admin)) == pytest.approx(ADMIN, rel=1e-6)


def test_an_hour_of_fluorine(tmp_path: Path) -> None:
    """The closed form: one half-life after the injection the dose is half."""

    def half(k: int, made: pydicom.Dataset) -> None:
        dose(made).RadionuclideHalfLife = 3600
        dose(made).RadiopharmaceuticalStartDateTime = "20200102120244.678"

    assert suv(maker.pet(tmp_path / "x", half)) == pytest.approx(2 * ADMIN, rel=1e-6)


@pytest.mark.parametrize("dated", [True, False])
def test_past_midnight(tmp_path: Path, dated: bool) -> None:
    """Injected at 23:30, scanned at 00:30: one hour, with and without the date of the dose."""

    def night(k: int, made: pydicom.Dataset) -> None:
        made.SeriesDate = made.AcquisitionDate = "20200103"
        made.SeriesTime, made.AcquisitionTime = "003000", f"003{k}00"
        dose(made).RadionuclideHalfLife = 3600
        dose(made).RadiopharmaceuticalStartTime = "233000"
        dose(made).RadiopharmaceuticalStartDateTime = "20200102233000"
        if not dated:
            del dose(made).RadiopharmaceuticalStartDateTime

    assert suv(maker.pet(tmp_path / "x", night)) == pytest.approx(2 * ADMIN, rel=1e-6)


def test_midnight_during_the_scan(tmp_path: Path) -> None:
    """The series starts at 23:50; its last slices, dated by the series alone, at 00:10."""

    def night(k: int, made: pydicom.Dataset) -> None:
        del made.AcquisitionDate
        made.SeriesTime, made.AcquisitionTime = "235000", ("235000", "000000", "001000")[k]
        dose(made).RadionuclideHalfLife = 3600
        dose(made).RadiopharmaceuticalStartDateTime = "20200102225000"

    assert suv(maker.pet(tmp_path / "x", night)) == pytest.approx(2 * ADMIN, rel=1e-6)


def test_clocks_without_any_date(tmp_path: Path) -> None:
    def strip(k: int, made: pydicom.Dataset) -> None:
        del made.SeriesDate, made.AcquisitionDate
        del dose(made).RadiopharmaceuticalStartDateTime

    assert suv(maker.pet(tmp_path / "x", strip)) == pytest.approx(BY_HAND, rel=1e-4)


def test_a_dose_given_shortly_after_the_start_is_no_yesterday(tmp_path: Path) -> None:
    def late(k: int, made: pydicom.Dataset) -> None:
        del dose(made).RadiopharmaceuticalStartDateTime
        dose(made).RadiopharmaceuticalStartTime = "133000"

    with pytest.raises(InputError, match=r"starts -0\.5 hours after") as caught:
        read_series(maker.pet(tmp_path / "x", late))
    assert caught.value.id == "D20"


def test_slopes_of_each_slice_come_first(tmp_path: Path) -> None:
    def scale(k: int, made: pydicom.Dataset) -> None:
        made.RescaleSlope = (1, 2.5, 0.37)[k]

    volume = read_series(maker.pet(tmp_path / "x", scale))
    for k, slope in enumerate((1, 2.5, 0.37)):
        np.testing.assert_allclose(volume.array[k], STORED[k] * slope * BY_HAND, rtol=1e-4)


def test_suv_is_not_scaled_again(tmp_path: Path) -> None:
    assert suv(maker.pet(tmp_path / "x", units="GML")) == pytest.approx(1)


def test_lean_body_mass_is_another_unit(tmp_path: Path) -> None:
    def lean(k: int, made: pydicom.Dataset) -> None:
        made.SUVType = "LBM"

    with pytest.warns(Repair, match="it is LBM"):
        volume = read_series(maker.pet(tmp_path / "x", lean, units="GML"))
    assert volume.unit == "SUVlbm"


def philips(**factors: float) -> maker.Edit:
    """Return an edit that adds Philips' private factors, (7053,1000) SUV and (7053,1009) Bq/ml."""

    def edit(k: int, made: pydicom.Dataset) -> None:
        block = made.private_block(0x7053, "Philips PET Private Group", create=True)
        for name, value in factors.items():
            block.add_new({"suv": 0x00, "activity": 0x09}[name], "DS", f"{value:.8f}")

    return edit


def test_counts_by_the_suv_factor(tmp_path: Path) -> None:
    folder = maker.pet(tmp_path / "x", philips(suv=0.00051), units="CNTS")
    assert suv(folder) == pytest.approx(0.00051, rel=1e-6)


def test_counts_by_the_activity_factor(tmp_path: Path) -> None:
    folder = maker.pet(tmp_path / "x", philips(suv=0, activity=1.7), units="CNTS")
    assert suv(folder) == pytest.approx(1.7 * BY_HAND, rel=1e-4)


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("RadionuclideHalfLife", None, "without RadionuclideHalfLife"),
        ("RadionuclideHalfLife", 1.8, "RadionuclideHalfLife (implausible)"),
        ("RadionuclideTotalDose", 381.47, "RadionuclideTotalDose (implausible)"),
        ("RadionuclideTotalDose", 0, "RadionuclideTotalDose (implausible)"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, keyword: str, value: float | None, said: str
) -> None:
    def spoil(k: int, made: pydicom.Dataset) -> None:
        setattr(dose(made), keyword, value)

    assert said in missing(maker.pet(tmp_path / "x", spoil))


def test_uncorrected_decay_gives_no_suv(tmp_path: Path) -> None:
    def spoil(k: int, made: pydicom.Dataset) -> None:
        made.DecayCorrection = "NONE"
        del made.PatientWeight

    said = missing(maker.pet(tmp_path / "x", spoil))
    assert "PatientWeight, DecayCorrection (it is NONE)" in said


def test_no_clock_of_the_injection(tmp_path: Path) -> None:
    def spoil(k: int, made: pydicom.Dataset) -> None:
        del dose(made).RadiopharmaceuticalStartTime
        del dose(made).RadiopharmaceuticalStartDateTime

    assert "RadiopharmaceuticalStartDateTime" in missing(maker.pet(tmp_path / "x", spoil))


def test_half_life_of_another_nuclide(tmp_path: Path) -> None:
    def spoil(k: int, made: pydicom.Dataset) -> None:
        code = maker.group(CodeValue="C-105A1", CodeMeaning="^11^Carbon")
        dose(made).RadionuclideCodeSequence = code

    assert "not that of the nuclide" in missing(maker.pet(tmp_path / "x", spoil))


@pytest.mark.parametrize(
    ("stamp", "zone"),
    [
        ("20200102103900+0000", "+0100"),  # 11:39 by the clock of the scan
        ("20200102113900+0100", "+0100"),
        ("20200102063900.000-0500", "+0000"),
        ("20200102113900", "+0100"),
        ("20200101233900-1200", "+0000"),
    ],
)
def test_zones_of_time_are_counted(tmp_path: Path, stamp: str, zone: str) -> None:
    def edit(k: int, made: pydicom.Dataset) -> None:
        made.TimezoneOffsetFromUTC = zone
        dose(made).RadiopharmaceuticalStartDateTime = stamp
        if zone == "+0000":
            del dose(made).RadiopharmaceuticalStartTime

    assert suv(maker.pet(tmp_path / "x", edit)) == pytest.approx(BY_HAND, rel=1e-4)


def test_the_zone_of_the_scan_may_stand_in_its_own_time(tmp_path: Path) -> None:
    def edit(k: int, made: pydicom.Dataset) -> None:
        made.AcquisitionDateTime = "20200102130244.678+0100"
        dose(made).RadiopharmaceuticalStartDateTime = "20200102103900+0000"

    assert suv(maker.pet(tmp_path / "x", edit)) == pytest.approx(BY_HAND, rel=1e-4)


def test_a_zone_that_only_the_dose_has_leaves_the_clocks(tmp_path: Path) -> None:
    """RadiopharmaceuticalStartTime and the times of the scan are by one clock, without a zone."""

    def edit(k: int, made: pydicom.Dataset) -> None:
        dose(made).RadiopharmaceuticalStartDateTime = "20200102103900+0000"

    assert suv(maker.pet(tmp_path / "x", edit)) == pytest.approx(BY_HAND, rel=1e-4)

    def alone(k: int, made: pydicom.Dataset) -> None:
        edit(k, made)
        del dose(made).RadiopharmaceuticalStartTime

    assert "without TimezoneOffsetFromUTC" in missing(maker.pet(tmp_path / "y", alone))


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("DecayCorrection", "ADMIN"),
        ("PatientWeight", 70),
        ("PatientWeight", None),
        ("RadionuclideTotalDose", 3e8),
        ("RadiopharmaceuticalStartDateTime", "20200102110000"),
        ("RadionuclideHalfLife", 1223.4),
    ],
)
def test_slices_that_disagree(tmp_path: Path, keyword: str, value: object) -> None:
    def spoil(k: int, made: pydicom.Dataset) -> None:
        if k == 2:
            setattr(dose(made) if keyword.startswith("Radio") else made, keyword, value)

    with pytest.raises(InputError, match=f"different {keyword}") as caught:
        read_series(maker.pet(tmp_path / "x", spoil))
    assert caught.value.id == "D19"


def test_one_number_in_two_spellings_is_no_disagreement(tmp_path: Path) -> None:
    def spell(k: int, made: pydicom.Dataset) -> None:
        made.PatientWeight = ("66.2", "66.20", "66.2 ")[k]

    assert suv(maker.pet(tmp_path / "x", spell)) == pytest.approx(BY_HAND, rel=1e-4)


@pytest.mark.parametrize(("units", "kind"), [("DOE JOHN", ""), ("GML", "DOE JOHN")])
def test_words_of_the_header_do_not_become_units(tmp_path: Path, units: str, kind: str) -> None:
    def spoil(k: int, made: pydicom.Dataset) -> None:
        made.SUVType = kind

    with pytest.warns(Repair) as caught:
        volume = read_series(maker.pet(tmp_path / "x", spoil, units=units))
    assert volume.unit == "unknown"
    assert "DOE" not in str(caught[0].message)


def test_slices_in_different_units(tmp_path: Path) -> None:
    def spoil(k: int, made: pydicom.Dataset) -> None:
        made.Units = "CNTS" if k else "BQML"

    with pytest.raises(InputError, match="different Units"):
        read_series(maker.pet(tmp_path / "x", spoil))


def test_nothing_of_the_patient_is_said(tmp_path: Path) -> None:
    def spoil(k: int, made: pydicom.Dataset) -> None:
        del made.PatientWeight

    said = missing(maker.pet(tmp_path / "x", spoil))
    for secret in ("66", "2020", "1139", "381"):
        assert secret not in said


def test_a_volume_without_a_source_can_be_refused_too() -> None:
    grid = Geometry((2, 2, 2), np.eye(4))
    volume = Volume(np.zeros((2, 2, 2), np.float32), grid, MODALITIES["PET"], "Bq/ml")
    with pytest.raises(InputError, match="are in Bq/ml"):
        require_suv(volume)


def test_a_file_that_does_not_say_its_unit_is_refused_with_a_way_out(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones((9, 9, 9), "f4"), np.eye(4))
    nib.save(image, tmp_path / "x_pet.nii")
    with pytest.raises(InputError, match="in an unknown unit, not SUVbw; read the PET from") as got:
        require_suv(read_volume(tmp_path / "x_pet.nii"))
    assert (got.value.id, got.value.exit_code) == ("D19", 3)


def test_a_real_pet_that_is_suv_already(real_data: Path) -> None:
    folder = real_data / "sts_ct_mr_pet" / "dicom" / "STS_008" / "PET" / "image"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        volume = require_suv(read_series(folder))
    assert float(volume.array.max()) == pytest.approx(6.501776, rel=1e-6)
