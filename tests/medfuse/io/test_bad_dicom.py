"""Hostile and odd DICOM, row by row: refused with its id and one line, or read with a repair."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from medfuse.errors import InputError, Repair
from medfuse.io.dicom_read import list_series, read_series
from medfuse.io.dicom_seg import overlapping_segments, read_segmentation
from medfuse.io.suv import require_suv
from medfuse.volume import Volume
from tests.medfuse.io import dicom_maker as maker

Edit = Callable[[int, pydicom.Dataset], None]
TRUTH = np.stack([maker.stored(k) for k in range(10)]).astype(np.float32) - 1024


def refused(path: Path, id: str, **options: object) -> InputError:
    """Read ``path``, check that it is refused with ``id``, code 3, one line, and left alone."""
    folder = path if path.is_dir() else path.parent
    before = fingerprint(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Repair)
        with pytest.raises(InputError) as caught:
            read_series(path, **options)
    error = caught.value
    assert error.id == id, str(error)
    assert error.exit_code == 3
    assert "\n" not in str(error)
    assert str(path) in str(error)
    for secret in (maker.NAME, maker.ID, maker.BIRTH, maker.TALE):
        assert secret not in str(error)
    assert fingerprint(folder) == before
    return error


def repaired(path: Path, id: str, **options: object) -> Volume:
    """Read ``path`` and check that one repair ``id`` was warned of and kept, and no other."""
    with pytest.warns(Repair) as caught:
        volume = read_series(path, **options)
    assert [warning.message.id for warning in caught] == [id]
    assert volume.source is not None
    assert [repair.id for repair in volume.source.repairs] == [id]
    assert str(path.parent) not in volume.source.repairs[0].what
    return volume


def fingerprint(folder: Path) -> dict[str, str]:
    """Return the checksum of every regular file below ``folder``."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def at(place: int, change: Callable[[pydicom.Dataset], None]) -> Edit:
    """Return an edit of slice ``place`` alone."""
    return lambda k, made: change(made) if k == place else None


def everywhere(**values: object) -> Edit:
    """Return an edit that sets tags in all slices."""

    def edit(k: int, made: pydicom.Dataset) -> None:
        for keyword, value in values.items():
            setattr(made, keyword, value)

    return edit


def test_the_base_series_reads_without_a_word(tmp_path: Path) -> None:
    volume = read_series(maker.series(tmp_path / "ok"))
    np.testing.assert_array_equal(volume.array, TRUTH)
    assert (volume.unit, volume.modality.name) == ("HU", "CT")


def test_D1_two_series_are_listed_and_one_can_be_chosen(tmp_path: Path) -> None:
    maker.series(tmp_path / "a")
    other = f"{maker.ROOT}.7"
    maker.series(
        tmp_path / "b",
        lambda k, made: everywhere(
            SeriesInstanceUID=other, SeriesNumber=6, SOPInstanceUID=f"{other}.{k}"
        )(k, made),
        count=4,
        modality="MR",
    )
    error = refused(tmp_path, "D1")
    assert "number 5 (CT, 10 files), number 6 (MR, 4 files)" in str(error)
    assert read_series(tmp_path, series=other).geometry.shape == (4, 16, 14)
    assert read_series(tmp_path, series="5").geometry.shape == (10, 16, 14)
    assert "there are: number 5" in str(refused(tmp_path, "D1", series="9"))


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName"])
def test_D2_two_patients_in_one_series(tmp_path: Path, keyword: str) -> None:
    folder = maker.series(tmp_path / "x", at(3, lambda made: setattr(made, keyword, "SOMEBODY")))
    assert "SOMEBODY" not in str(refused(folder, "D2"))


def test_D3_a_missing_slice(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    (folder / "004.dcm").unlink()
    assert "gap of 6 mm between slice 4 and 5" in str(refused(folder, "D3"))
    volume = repaired(folder, "D3", gaps="ok")
    assert volume.geometry.shape == (10, 16, 14)
    np.testing.assert_allclose(volume.array, TRUTH, atol=1e-3)  # the slices are a ramp
    assert volume.geometry.spacing[0] == pytest.approx(3.0)


def test_D4_two_slices_at_one_place(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    twin = maker.slice_of(4)
    twin.SOPInstanceUID = f"{maker.SERIES}.77"
    maker.save(twin, folder / "twin.dcm")
    assert "2 slices lie at one position (slice 5 of 10)" in str(refused(folder, "D4"))


def test_D4_one_instance_uid_on_two_images(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    twin = maker.slice_of(4)
    twin.PixelData = maker.stored(5).tobytes()
    maker.save(twin, folder / "twin.dcm")
    refused(folder, "D4")


def test_D5_a_file_twice(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    shutil.copy(folder / "003.dcm", folder / "003_copy.dcm")
    np.testing.assert_array_equal(repaired(folder, "D5").array, TRUTH)


def test_D6_uneven_gaps(tmp_path: Path) -> None:
    def push(made: pydicom.Dataset) -> None:
        made.ImagePositionPatient[2] += 0.5

    folder = maker.series(tmp_path / "x", at(9, push))
    assert "gap of 3.5 mm between slice 9 and 10" in str(refused(folder, "D6"))
    volume = repaired(folder, "D6", gaps="ok")
    last = volume.geometry.world([volume.geometry.shape[0] - 1, 0, 0])
    np.testing.assert_allclose(last, [-20, -30, 67.5], atol=1e-9)
    np.testing.assert_array_equal(volume.array[[0, -1]], TRUTH[[0, -1]])


def test_D6_hundredths_of_a_millimetre_are_rounding(tmp_path: Path) -> None:
    def jitter(k: int, made: pydicom.Dataset) -> None:
        made.ImagePositionPatient[2] = round(40 + 3 * k + (0.005 if k % 2 else -0.005), 3)

    assert read_series(maker.series(tmp_path / "x", jitter)).geometry.shape == (10, 16, 14)


def tilt(degrees: float) -> Edit:
    """Return an edit that turns each slice about the x axis, while the table moves along z."""
    angle = np.radians(degrees)

    def edit(k: int, made: pydicom.Dataset) -> None:
        made.ImageOrientationPatient = [1, 0, 0, 0, float(np.cos(angle)), float(-np.sin(angle))]

    return edit


def test_D7_tilt_is_read_as_it_lies(tmp_path: Path) -> None:
    volume = repaired(maker.series(tmp_path / "x", tilt(15)), "D7")
    assert "15.0 degrees" in volume.source.repairs[0].what
    np.testing.assert_array_equal(volume.array, TRUTH)
    np.testing.assert_allclose(volume.geometry.world([7, 0, 0]), [-20, -30, 61], atol=1e-9)
    assert volume.geometry.shear_degrees == pytest.approx(15, abs=1e-6)


def test_D7_tilt_over_30_degrees(tmp_path: Path) -> None:
    assert "35.0 degrees" in str(refused(maker.series(tmp_path / "x", tilt(35)), "D7"))


def test_D8_instance_numbers_mean_nothing(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).permutation(10)

    def shuffle(k: int, made: pydicom.Dataset) -> None:
        made.InstanceNumber = int(numbers[k])

    np.testing.assert_array_equal(read_series(maker.series(tmp_path / "x", shuffle)).array, TRUTH)


def test_D9_positions_descend(tmp_path: Path) -> None:
    def turn(k: int, made: pydicom.Dataset) -> None:
        made.ImagePositionPatient[2] = 40.0 + 3.0 * (9 - k)

    volume = read_series(maker.series(tmp_path / "x", turn))
    np.testing.assert_array_equal(volume.array, TRUTH[::-1])
    np.testing.assert_allclose(volume.geometry.origin, maker.ORIGIN)


def test_D10_no_position(tmp_path: Path) -> None:
    def strip(k: int, made: pydicom.Dataset) -> None:
        del made.ImagePositionPatient

    refused(maker.series(tmp_path / "x", strip), "D10")


def test_D11_nothing_says_where(tmp_path: Path) -> None:
    def strip(k: int, made: pydicom.Dataset) -> None:
        del made.ImagePositionPatient, made.ImageOrientationPatient
        made.InstanceNumber = (7 * k) % 10

    refused(maker.series(tmp_path / "x", strip), "D11")


def test_D12_a_file_without_pixels(tmp_path: Path) -> None:
    def strip(made: pydicom.Dataset) -> None:
        del made.PixelData

    assert "004.dcm" in str(refused(maker.series(tmp_path / "x", at(4, strip)), "D12"))


def test_D12_a_file_without_anything_of_an_image(tmp_path: Path) -> None:
    def strip(made: pydicom.Dataset) -> None:
        del made.PixelData, made.Rows, made.Columns, made.PhotometricInterpretation

    assert "004.dcm" in str(refused(maker.series(tmp_path / "x", at(4, strip)), "D12"))


def test_D13_a_cut_file_is_named(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    whole = (folder / "004.dcm").read_bytes()
    (folder / "004.dcm").write_bytes(whole[:-200])
    assert "004.dcm" in str(refused(folder, "D13"))


def test_D13_a_cut_compressed_file_is_named(tmp_path: Path) -> None:
    def squeeze(k: int, made: pydicom.Dataset) -> None:
        made.compress(RLELossless)

    folder = maker.series(tmp_path / "x", squeeze)
    whole = (folder / "004.dcm").read_bytes()
    (folder / "004.dcm").write_bytes(whole[:-200])
    assert "004.dcm" in str(refused(folder, "D13"))


def test_D13_a_header_that_is_cut_does_not_vanish(tmp_path: Path) -> None:
    """The last slice, cut anywhere: what is missing differs, but never is it read without."""
    folder = maker.series(tmp_path / "x", count=3)
    whole = (folder / "002.dcm").read_bytes()
    for end in range(132, len(whole), 41):
        (folder / "002.dcm").write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"002\.dcm") as caught:
            read_series(folder)
        assert caught.value.id in {"D10", "D11", "D12", "D13", "D36", "D46"}


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_D14_compressed_is_equal(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    def squeeze(k: int, made: pydicom.Dataset) -> None:
        unsigned = np.kron(maker.stored(k), np.ones((4, 4))).astype(np.uint16)
        maker.put_pixels(made, unsigned, bits=12)
        made.compress(syntax)

    volume = read_series(maker.series(tmp_path / "x", squeeze))
    np.testing.assert_array_equal(volume.array[:, ::4, ::4], TRUTH)
    np.testing.assert_array_equal(volume.array[:, 3::4, 3::4], TRUTH)


def test_D15_no_decoder_names_the_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def squeeze(k: int, made: pydicom.Dataset) -> None:
        made.compress(RLELossless)

    folder = maker.series(tmp_path / "x", squeeze)
    decoder = pydicom.pixels.get_decoder(RLELossless)
    monkeypatch.setattr(decoder, "_available", {})
    assert 'pip install "medfuse[dicom]"' in str(refused(folder, "D15"))


def test_D15_a_syntax_that_nothing_decodes(tmp_path: Path) -> None:
    made = maker.slice_of(0)
    made.compress(RLELossless)
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.110"  # JPEG XL
    path = tmp_path / "x" / "000.dcm"
    path.parent.mkdir()
    explicit = {"implicit_vr": False, "little_endian": True, "force_encoding": True}
    pydicom.dcmwrite(path, made, **explicit)
    refused(path, "D15")


def test_D16_slopes_differ(tmp_path: Path) -> None:
    slopes = [1.0, 2.5, 0.37, 4.0] * 3

    def scale(k: int, made: pydicom.Dataset) -> None:
        made.RescaleSlope = slopes[k]

    volume = read_series(maker.series(tmp_path / "x", scale))
    truth = np.stack([maker.stored(k) * slopes[k] - 1024 for k in range(10)])
    np.testing.assert_allclose(volume.array, truth, rtol=1e-6)


def test_D17_the_first_slope_does_not_set_the_type(tmp_path: Path) -> None:
    def scale(k: int, made: pydicom.Dataset) -> None:
        made.RescaleSlope, made.RescaleIntercept = (0.37 if k else 1), 0

    volume = read_series(maker.series(tmp_path / "x", scale))
    np.testing.assert_allclose(volume.array[5], maker.stored(5) * 0.37, rtol=1e-6)


def test_D18_slope_zero(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x", at(2, lambda made: setattr(made, "RescaleSlope", 0)))
    assert "002.dcm" in str(refused(folder, "D18"))


def test_D19_pet_without_dose_stays_in_its_units(tmp_path: Path) -> None:
    def strip(k: int, made: pydicom.Dataset) -> None:
        del made.PatientWeight
        del made.RadiopharmaceuticalInformationSequence

    volume = repaired(maker.pet(tmp_path / "x", strip), "D19")
    assert volume.unit == "Bq/ml"
    np.testing.assert_array_equal(volume.array[1], maker.stored(1))
    with pytest.raises(InputError, match="PatientWeight, RadionuclideTotalDose") as caught:
        require_suv(volume)
    assert (caught.value.id, caught.value.exit_code) == ("D19", 3)


def test_D19_counts_without_a_factor(tmp_path: Path) -> None:
    volume = repaired(maker.pet(tmp_path / "x", units="CNTS"), "D19")
    assert volume.unit == "counts"
    with pytest.raises(InputError, match=r"\(7053,1000\)"):
        require_suv(volume)


@pytest.mark.parametrize(
    "injected", ["20200102140000", "20200101100000"], ids=["after the scan", "27 hours before"]
)
def test_D20_times_that_cannot_be(tmp_path: Path, injected: str) -> None:
    def shift(k: int, made: pydicom.Dataset) -> None:
        dose = made.RadiopharmaceuticalInformationSequence[0]
        dose.RadiopharmaceuticalStartDateTime = injected

    refused(maker.pet(tmp_path / "x", shift), "D20")


def test_D21_monochrome1_is_not_inverted(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x", everywhere(PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(repaired(folder, "D21").array, TRUTH)


def test_D21_an_inverted_ct_is_refused(tmp_path: Path) -> None:
    folder = maker.series(
        tmp_path / "x",
        everywhere(PhotometricInterpretation="MONOCHROME1", RescaleIntercept=-31000),
    )
    refused(folder, "D21")


def test_D22_two_stacks(tmp_path: Path) -> None:
    array = np.stack([maker.stored(k) for k in range(8)])
    places = [(-20.0, -30.0, 40.0 + 3 * (k % 4) + 500 * (k // 4)) for k in range(8)]

    def name(k: int, frame: pydicom.Dataset) -> None:
        frame.FrameContentSequence[0].StackID = str(1 + k // 4)

    path = maker.save(maker.enhanced(array, places, name), tmp_path / "x" / "both.dcm")
    assert "2 stacks: StackID 1, 2" in str(refused(path, "D22"))
    volume = read_series(path, stack="2")
    np.testing.assert_array_equal(volume.array, array[4:])
    np.testing.assert_allclose(volume.geometry.origin, places[4])
    refused(path, "D22", stack="3")


def test_D22_frames_without_a_place(tmp_path: Path) -> None:
    made = maker.slice_of(0)
    made.NumberOfFrames = 2
    maker.put_pixels(made, np.stack([maker.stored(0), maker.stored(1)]))
    refused(maker.save(made, tmp_path / "x" / "cine.dcm"), "D22")


def test_D22_a_mosaic_is_no_slice(tmp_path: Path) -> None:
    kinds = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    folder = maker.series(tmp_path / "x", everywhere(ImageType=kinds), modality="MR")
    assert "mosaic" in str(refused(folder, "D22"))


def test_D23_a_localizer_is_dropped(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    scout = maker.slice_of(20)
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    maker.save(scout, folder / "scout.dcm")
    np.testing.assert_array_equal(repaired(folder, "D23").array, TRUTH)


def test_D23_a_stray_orientation_is_dropped(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    scout = maker.slice_of(20)
    scout.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    maker.save(scout, folder / "scout.dcm")
    np.testing.assert_array_equal(repaired(folder, "D23").array, TRUTH)


def test_D23_no_orientation_dominates(tmp_path: Path) -> None:
    def turn(k: int, made: pydicom.Dataset) -> None:
        if k % 2:
            made.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    assert "(5 and 5 slices)" in str(refused(maker.series(tmp_path / "x", turn), "D23"))


def test_D24_another_matrix(tmp_path: Path) -> None:
    def crop(made: pydicom.Dataset) -> None:
        maker.put_pixels(made, maker.stored(4)[:12])

    error = refused(maker.series(tmp_path / "x", at(4, crop)), "D24")
    assert "12 x 14, 16 x 14" in str(error)


def test_D25_colour(tmp_path: Path) -> None:
    def paint(k: int, made: pydicom.Dataset) -> None:
        made.SamplesPerPixel, made.PhotometricInterpretation = 3, "RGB"
        made.PlanarConfiguration = 0
        made.BitsAllocated = made.BitsStored = 8
        made.HighBit = 7
        made.PixelRepresentation = 0
        made.PixelData = bytes(16 * 14 * 3)

    assert "screen capture" in str(refused(maker.series(tmp_path / "x", paint), "D25"))


def test_D26_other_files_are_no_concern(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    (folder / "README").write_text("nothing")
    (folder / "Thumbs.db").write_bytes(bytes(3000))
    (folder / ".DS_Store").write_bytes(bytes(3000))
    volume = read_series(folder)  # without a warning, but the record will tell
    np.testing.assert_array_equal(volume.array, TRUTH)
    assert [str(r) for r in volume.source.repairs] == [
        "[D26] 3 files that are no DICOM were left out"
    ]


def test_D29_padding_is_air(tmp_path: Path) -> None:
    def pad(k: int, made: pydicom.Dataset) -> None:
        array = maker.stored(k)
        array[0] = -32768
        maker.put_pixels(made, array)
        made.add_new("PixelPaddingValue", "SS", -32768)

    volume = repaired(maker.series(tmp_path / "x", pad), "D29")
    assert (volume.array[:, 0] == -1000).all()
    np.testing.assert_array_equal(volume.array[:, 1:], TRUTH[:, 1:])
    assert volume.source.repairs[0].what.startswith("140 padding voxels")


def test_D30_padding_of_the_other_sign(tmp_path: Path) -> None:
    def pad(k: int, made: pydicom.Dataset) -> None:
        array = maker.stored(k).astype(np.uint16)
        array[:, 3] = 63536
        maker.put_pixels(made, array)
        made.add_new("PixelPaddingValue", "SS", -2000)

    volume = repaired(maker.series(tmp_path / "x", pad), "D30")
    assert (volume.array[:, :, 3] == -1000).all()
    assert volume.array.max() == TRUTH.max()


def test_D31_bits_that_are_not_stored(tmp_path: Path) -> None:
    def scribble(k: int, made: pydicom.Dataset) -> None:
        maker.put_pixels(made, maker.stored(k).astype(np.uint16) | 0xF000, bits=12)

    np.testing.assert_array_equal(read_series(maker.series(tmp_path / "x", scribble)).array, TRUTH)


def test_D33_nothing_of_the_patient_stays(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    volume = read_series(folder)
    kept = repr((volume.source, volume.geometry, volume.unit, volume.modality, list_series(folder)))
    for secret in (maker.NAME, maker.ID, maker.BIRTH, maker.TALE, "PLANTED"):
        assert secret not in kept


def test_D34_two_frames_of_reference(tmp_path: Path) -> None:
    other = f"{maker.ROOT}.8"
    edit = at(6, lambda made: setattr(made, "FrameOfReferenceUID", other))
    assert repaired(maker.series(tmp_path / "x", edit), "D34").geometry.frame == maker.FRAME


def test_D35_negative_spacing(tmp_path: Path) -> None:
    refused(maker.series(tmp_path / "x", everywhere(PixelSpacing=[-2, 2])), "D35")


@pytest.mark.parametrize("spacing", [[0, 0], None, [0.0001, 0.0001], [1000, 1000]])
def test_D36_impossible_spacing(tmp_path: Path, spacing: list[float] | None) -> None:
    refused(maker.series(tmp_path / "x", everywhere(PixelSpacing=spacing)), "D36")


def test_D37_decimal_comma(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x", everywhere(PixelSpacing=[2.5, 2.5]))
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"2.5\\2.5", b"2,5\\2,5"))
    assert "decimal comma" in str(refused(folder, "D37"))


@pytest.mark.parametrize("cosines", [[0] * 6, [1, 0, 0, 1, 0, 0], [1, 0, 0, 0.5, 0.5, 0]])
def test_D38_orientation_that_is_none(tmp_path: Path, cosines: list[float]) -> None:
    refused(maker.series(tmp_path / "x", everywhere(ImageOrientationPatient=cosines)), "D38")


def test_D39_two_time_points(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    for k in range(10):
        later = maker.slice_of(k)
        later.SOPInstanceUID = f"{maker.SERIES}.{100 + k}"
        later.InstanceNumber = 11 + k
        later.RescaleIntercept = -500
        maker.save(later, folder / f"a{k:03d}.dcm")  # by name before the first ones
    assert "2 volumes" in str(refused(folder, "D39"))
    np.testing.assert_array_equal(read_series(folder, volume=0).array, TRUTH)
    np.testing.assert_array_equal(read_series(folder, volume="1").array, TRUTH + 524)
    assert ":volume=0 to :volume=1" in str(refused(folder, "D39", volume=2))


def test_D40_one_slice(tmp_path: Path) -> None:
    volume = repaired(maker.series(tmp_path / "x", count=1), "D40")
    assert volume.geometry.shape == (1, 16, 14)
    assert volume.geometry.spacing[0] == pytest.approx(3.0)


def test_D41_a_pipe_is_never_opened(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    os.mkfifo(folder / "004.pipe.dcm")
    begun = time.monotonic()
    np.testing.assert_array_equal(repaired(folder, "D41").array, TRUTH)
    assert time.monotonic() - begun < 5


def test_D43_more_pixels_than_can_be(tmp_path: Path) -> None:
    refused(maker.series(tmp_path / "x", everywhere(Rows=65535, Columns=65535)), "D43")


def test_D43_no_pixels_at_all_are_declared(tmp_path: Path) -> None:
    refused(maker.series(tmp_path / "x", everywhere(Columns=0)), "D43")


def test_D44_no_mark(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    path = folder / "003.dcm"
    path.write_bytes(path.read_bytes()[132:])
    assert "003.dcm" in str(refused(folder, "D44"))
    refused(path, "D44")


def test_D45_other_objects_are_counted(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    for n, kind in enumerate(("RTSTRUCT", "RTSTRUCT", "SR")):
        other = maker.blank("CT", f"{maker.ROOT}.6.{n}")
        other.Modality, other.SeriesInstanceUID = kind, f"{maker.ROOT}.5.{n}"
        maker.save(other, folder / f"other{n}.dcm")
    volume = repaired(folder, "D45")
    assert "2 RTSTRUCT, 1 SR" in volume.source.repairs[0].what
    for path in folder.glob("0*.dcm"):
        path.unlink()
    assert "holds no image, but 2 RTSTRUCT, 1 SR" in str(refused(folder, "D45"))


def test_D46_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    whole = bytearray((folder / "003.dcm").read_bytes())
    rng = np.random.default_rng(3)
    for _ in range(60):
        mutant = whole.copy()
        for place in rng.integers(132, len(mutant) - 450, 6):
            mutant[place] = rng.integers(256)
        (folder / "003.dcm").write_bytes(mutant)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Repair)
            try:
                read_series(folder)
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017 - most mutants still read


def test_D47_segments_that_overlap(tmp_path: Path) -> None:
    one, two = np.zeros((2, 16, 14), dtype=np.uint8)
    one[2:8, 2:8], two[6:12, 6:12] = 1, 1
    path = maker.save(maker.segmentation([one, two], [0, 0], [1, 2]), tmp_path / "x" / "seg.dcm")
    with pytest.raises(InputError, match=r"1 \(part 1\) and 2 \(part 2\) overlap") as caught:
        read_segmentation(path)
    assert (caught.value.id, caught.value.exit_code) == ("D47", 3)
    assert overlapping_segments(path) == ((1, 2),)
    alone = read_segmentation(path, segment=2)
    np.testing.assert_array_equal(alone.array[0] == 2, two == 1)
