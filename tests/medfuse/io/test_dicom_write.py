"""A volume as a DICOM series, read back by pydicom, SimpleITK and by hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from medfuse.errors import GeometryError, OutputError, UsageError
from medfuse.geometry import Geometry
from medfuse.io.dicom_write import series, write_series
from medfuse.modality import MODALITIES
from medfuse.volume import Volume

PATIENT = "PHANTOM^TEST"


def oblique(*, right_handed: bool = True) -> Geometry:
    matrix = np.eye(4)
    turn = Rotation.from_euler("xyz", (20, -35, 110), degrees=True).as_matrix()
    # columns are the array axes d, h, w: right-handed slices run along w x h
    turn = turn[:, [2, 1, 0]] * ((1, 1, 1) if right_handed else (-1, 1, 1))
    matrix[:3, :3] = turn @ np.diag([3.0, 1.25, 0.8])
    matrix[:3, 3] = (12.5, -40.25, 300.125)
    return Geometry((5, 9, 7), matrix)


def made(name: str, *, right_handed: bool = True) -> Volume:
    rng = np.random.default_rng(len(name))
    geometry = oblique(right_handed=right_handed)
    low, high = {"CT": (-1024, 2000), "PET": (0, 12)}.get(name, (0, 900))
    values = rng.uniform(low, high, geometry.shape)
    values = values if name == "PET" else np.rint(values)
    return Volume(values.astype(np.float32), geometry, MODALITIES[name])


def planes(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("name", ["CT", "T1", "T2", "FLAIR", "T1CE"])
def test_simpleitk_reads_the_same_volume(name: str, tmp_path: Path) -> None:
    volume = made(name)
    folder = write_series(volume, tmp_path / name, patient=PATIENT)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    np.testing.assert_allclose(sitk.GetArrayFromImage(image), volume.array, atol=1e-4)
    np.testing.assert_allclose(image.GetOrigin(), volume.geometry.origin, atol=1e-6)
    np.testing.assert_allclose(image.GetSpacing(), volume.geometry.spacing[::-1], atol=1e-6)
    direction = np.reshape(image.GetDirection(), (3, 3))
    np.testing.assert_allclose(direction, volume.geometry.direction[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("right_handed", [True, False])
def test_every_slice_says_where_it_lies(right_handed: bool, tmp_path: Path) -> None:
    volume = made("T2", right_handed=right_handed)
    for index, plane in enumerate(planes(write_series(volume, tmp_path / "T2", patient=PATIENT))):
        rows, columns = np.reshape(plane.ImageOrientationPatient, (2, 3)).astype(float)
        across, down = plane.PixelSpacing[1], plane.PixelSpacing[0]
        corner = np.asarray(plane.ImagePositionPatient, float)
        for h, w in ((0, 0), (8, 6)):
            point = corner + rows * across * w + columns * down * h
            np.testing.assert_allclose(point, volume.geometry.world((index, h, w)), atol=1e-4)


def test_pet_in_becquerel_gives_back_suv_by_hand(tmp_path: Path) -> None:
    volume = made("PET")
    for index, plane in enumerate(planes(write_series(volume, tmp_path / "p", patient=PATIENT))):
        assert plane.Units == "BQML"
        assert plane.DecayCorrection == "START"
        tracer = plane.RadiopharmaceuticalInformationSequence[0]
        waited = 3600.0  # 09:15:00 to 10:15:00
        assert tracer.RadiopharmaceuticalStartDateTime == "20240102091500"
        assert plane.SeriesTime == "101500"
        left = float(tracer.RadionuclideTotalDose) * 0.5 ** (
            waited / float(tracer.RadionuclideHalfLife)
        )
        activity = plane.pixel_array * float(plane.RescaleSlope) + float(plane.RescaleIntercept)
        suv = activity * float(plane.PatientWeight) * 1000 / left
        np.testing.assert_allclose(suv, volume.array[index], atol=2e-4)


def test_values_that_are_no_whole_numbers_keep_four_digits(tmp_path: Path) -> None:
    volume = made("T1").with_array(made("T1").array / 7 - 3)
    for index, plane in enumerate(planes(write_series(volume, tmp_path / "f", patient=PATIENT))):
        values = plane.pixel_array * float(plane.RescaleSlope) + float(plane.RescaleIntercept)
        np.testing.assert_allclose(values, volume.array[index], atol=900 / 7 / 60000)


def test_uids_belong_together_and_are_the_same_each_time(tmp_path: Path) -> None:
    volume = made("CT")
    first = planes(write_series(volume, tmp_path / "a", patient=PATIENT, frame="x"))
    other = planes(write_series(made("T1"), tmp_path / "b", patient=PATIENT, number=2, frame="x"))
    assert len({plane.SOPInstanceUID for plane in first + other}) == 10
    assert len({plane.SeriesInstanceUID for plane in first + other}) == 2
    assert len({plane.StudyInstanceUID for plane in first + other}) == 1
    assert len({plane.FrameOfReferenceUID for plane in first + other}) == 1
    write_series(volume, tmp_path / "c", patient=PATIENT, frame="x")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "c" / path.name).read_bytes()


def test_decimal_strings_fit_the_standard(tmp_path: Path) -> None:
    for plane in planes(write_series(made("PET"), tmp_path / "p", patient=PATIENT)):
        for element in plane.iterall():
            if element.VR == "DS" and element.value is not None:
                values = element.value if element.VM > 1 else [element.value]
                assert all(len(str(value)) <= 16 for value in values), element.keyword


def test_what_cannot_be_a_series_is_refused(tmp_path: Path) -> None:
    sheared = oblique().world_from_voxel.copy()
    sheared[:3, 0] += 0.4 * sheared[:3, 2]
    volume = made("CT").with_array(made("CT").array, Geometry((5, 9, 7), sheared))
    with pytest.raises(GeometryError):
        series(volume, patient=PATIENT)
    plain = Volume(made("CT").array, oblique(), MODALITIES["OTHER"])
    with pytest.raises(UsageError):
        write_series(plain, tmp_path / "o", patient=PATIENT)
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError) as caught:
        write_series(made("CT"), tmp_path / "there", patient=PATIENT)
    assert caught.value.id == "S5"
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("high", [65_535.0, 66_000.0, 70_000.0])
@pytest.mark.parametrize("low", [0.0, -500.0, 40_000.0])
def test_large_whole_numbers_are_not_clipped(tmp_path: Path, low: float, high: float) -> None:
    values = np.linspace(low, high, 315).reshape(5, 9, 7).round().astype(np.float32)
    folder = write_series(
        Volume(values, oblique(), MODALITIES["T1"]), tmp_path / "x", patient=PATIENT
    )
    again = np.stack([pydicom.pixels.apply_rescale(p.pixel_array, p) for p in planes(folder)])
    np.testing.assert_allclose(again, values, rtol=0, atol=1.1)


def test_S1_a_series_on_a_disk_that_loses_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losing(handle: int) -> None:
        place = Path(f"/proc/self/fd/{handle}").readlink()
        if place.is_file():
            os.truncate(place, place.stat().st_size - 2)

    monkeypatch.setattr(os, "fsync", losing)
    with pytest.raises(OutputError, match="reads differently") as caught:
        write_series(made("CT"), tmp_path / "x", patient=PATIENT)
    assert caught.value.id == "S1"
    assert list((tmp_path / "x").iterdir()) == []
