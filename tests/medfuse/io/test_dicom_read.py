"""A DICOM series is where pydicom's arithmetic says, and what the ground truth holds."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medfuse.errors import InputError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.io.dicom_read import read_series
from medfuse.volume import Volume
from tests.medfuse.io import dicom_maker as maker

GROUND_TRUTH = (
    "ge/anatomical/001",
    "generic/anatomical/001",
    "generic/anatomical/002_non_isotropic",
    "hitachi/anatomical/001",
    "philips/anatomical/001",
    "philips_enhanced/anatomical/001",
    "siemens/anatomical/001",
)


def by_pydicom(path: Path, row: int, column: int) -> np.ndarray:
    """Return where a pixel lies, by PS3.3 C.7.6.2.1.1 and nothing of ours, LPS mm."""
    made = pydicom.dcmread(path)
    cosines = np.array(made.ImageOrientationPatient, dtype=float)
    rows, columns = (float(step) for step in made.PixelSpacing)
    along_row, along_column = cosines[:3] * columns * column, cosines[3:] * rows * row
    place: np.ndarray = np.array(made.ImagePositionPatient, dtype=float) + along_row + along_column
    return place


def check_places(volume: Volume, folder: Path, *, atol: float = 1e-6) -> None:
    """Check every slice's corners against the file that it came from."""
    files = {pydicom.dcmread(path).SOPInstanceUID: path for path in folder.iterdir()}
    assert volume.source is not None
    for d, uid in enumerate(volume.source.instance_uids):
        for row, column in ((0, 0), (0, 13), (15, 0), (15, 13)):
            ours = volume.geometry.world([d, row, column])
            np.testing.assert_allclose(ours, by_pydicom(files[uid], row, column), atol=atol)


def turned(angles: tuple[float, ...], spacing: tuple[float, ...], tilt: float = 0.0) -> maker.Edit:
    """Return an edit that turns the series in space and, within it, tilts its slices."""
    turn = Rotation.from_euler("zyx", angles, degrees=True)
    lean = turn * Rotation.from_euler("x", tilt, degrees=True)

    def edit(k: int, made: pydicom.Dataset) -> None:
        cosines = np.concatenate([lean.apply([1, 0, 0]), lean.apply([0, 1, 0])])
        made.ImageOrientationPatient = [f"{value:.12f}" for value in cosines]
        place = np.array([-90, 110, 35]) + turn.apply([0, 0, spacing[0] * k])
        made.ImagePositionPatient = [f"{value:.10f}" for value in place]
        made.PixelSpacing = [spacing[1], spacing[2]]

    return edit


ANGLES = st.tuples(*[st.floats(-180, 180)] * 3)
SPACING = st.tuples(*[st.floats(0.3, 6).map(lambda step: round(step, 3))] * 3)


@given(angles=ANGLES, spacing=SPACING)
@settings(max_examples=15)
def test_oblique_series_lie_where_pydicom_says(
    tmp_path_factory: pytest.TempPathFactory,
    angles: tuple[float, ...],
    spacing: tuple[float, ...],
) -> None:
    folder = maker.series(tmp_path_factory.mktemp("x"), turned(angles, spacing), count=4)
    volume = read_series(folder)
    assert volume.geometry.is_orthonormal
    np.testing.assert_allclose(volume.geometry.spacing, spacing, rtol=1e-6)
    check_places(volume, folder)


@given(angles=ANGLES, spacing=SPACING, tilt=st.floats(1, 29))
@settings(max_examples=10)
def test_tilted_series_lie_where_pydicom_and_nibabel_say(
    tmp_path_factory: pytest.TempPathFactory,
    angles: tuple[float, ...],
    spacing: tuple[float, ...],
    tilt: float,
) -> None:
    folder = maker.series(tmp_path_factory.mktemp("x"), turned(angles, spacing, tilt), count=4)
    with pytest.warns(Repair, match="tilted"):
        volume = read_series(folder)
    check_places(volume, folder)
    image = nib.Nifti1Image(volume.array.T, volume.geometry.to_ras())
    ours = volume.geometry.world([3, 5, 7])
    np.testing.assert_allclose(
        nib.affines.apply_affine(image.affine, [7, 5, 3]) * [-1, -1, 1], ours, atol=1e-4
    )


def test_what_a_volume_says_of_its_source(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    volume = read_series(folder)
    source = volume.source
    assert source is not None
    whole = b"".join((folder / f"{k:03d}.dcm").read_bytes() for k in range(10))
    assert source.sha256 == hashlib.sha256(whole).hexdigest()
    assert source.series_uid == maker.SERIES
    assert source.instance_uids == tuple(f"{maker.SERIES}.{k + 1}" for k in range(10))
    assert (source.path, source.repairs) == (str(folder), ())
    assert volume.geometry.frame == maker.FRAME


def test_one_file_of_a_folder_is_one_slice(tmp_path: Path) -> None:
    path = maker.series(tmp_path / "x") / "004.dcm"
    with pytest.warns(Repair, match="one slice"):
        volume = read_series(path)
    np.testing.assert_array_equal(volume.array[0], maker.stored(4) - 1024.0)
    assert volume.source is not None
    assert volume.source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_modality_can_be_said(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x", modality="MR")
    assert read_series(folder, modality="T2").modality.name == "T2"
    assert read_series(folder).modality.name == "MR"


def test_options_that_are_none(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    with pytest.raises(UsageError, match="gaps=ok"):
        read_series(folder, gaps="yes")
    with pytest.raises(UsageError, match="volume=two"):
        read_series(folder, volume="two")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_series(tmp_path / "nothing")
    assert caught.value.id == "N40"
    with pytest.raises(InputError) as caught:
        read_series(tmp_path)
    assert caught.value.id == "D44"


def test_a_name_without_suffix_is_read(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x" / "y", count=1)
    (folder / "000.dcm").rename(folder / "nameless")
    with pytest.warns(Repair, match="one slice"):
        assert read_series(tmp_path).array.shape == (1, 16, 14)


def test_a_folder_is_scanned_once_for_all_its_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medfuse.io import dicom_scan

    maker.series(tmp_path / "a", count=3)
    (tmp_path / "notes.txt").write_text("x")
    looked = []
    real = dicom_scan.read_header
    monkeypatch.setattr(dicom_scan, "read_header", lambda path: looked.append(path) or real(path))
    found = dicom_scan.scan(tmp_path)
    for series in (None, maker.SERIES, "5"):
        volume = read_series(found, series=series)
        assert volume.array.shape == (3, 16, 14)
        assert volume.source is not None
        assert volume.source.path == str(tmp_path)
        kept = [repair.id for repair in volume.source.repairs]
        assert kept == ([] if series else ["D26"])
    assert len(looked) == 3


def test_frames_are_placed_by_their_groups(tmp_path: Path) -> None:
    """Frames out of order, each with its own slope; the truth is closed."""
    array = np.stack([maker.stored(k) for k in range(4)])
    order = [2, 0, 3, 1]
    places = [(-20.0, -30.0, 40.0 + 3 * depth) for depth in order]

    def scale(k: int, frame: pydicom.Dataset) -> None:
        frame.PixelValueTransformationSequence = maker.group(
            RescaleSlope=k + 1, RescaleIntercept=0.5, RescaleType="US"
        )

    path = maker.save(maker.enhanced(array, places, scale), tmp_path / "x" / "many.dcm")
    volume = read_series(path)
    for k, depth in enumerate(order):
        np.testing.assert_allclose(volume.array[depth], array[k] * (k + 1) + 0.5)
    np.testing.assert_allclose(volume.geometry.origin, [-20, -30, 40])
    assert volume.source is not None
    assert set(volume.source.instance_uids) == {f"{maker.SERIES}.99"}


def test_time_points_of_frames(tmp_path: Path) -> None:
    array = np.stack([maker.stored(k) for k in range(6)])
    places = [(-20.0, -30.0, 40.0 + 3 * (k // 2)) for k in range(6)]

    def time(k: int, frame: pydicom.Dataset) -> None:
        frame.FrameContentSequence[0].TemporalPositionIndex = 2 - k % 2  # the later one first

    path = maker.save(maker.enhanced(array, places, time), tmp_path / "x" / "many.dcm")
    np.testing.assert_array_equal(read_series(path, volume=0).array, array[1::2])
    np.testing.assert_array_equal(read_series(path, volume=1).array, array[0::2])


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ({"SeriesDescription": "t1_mprage_sag"}, "T1"),
        ({"SeriesDescription": "AX T1", "ContrastBolusAgent": "Gadovist"}, "T1CE"),
        ({"SeriesDescription": "AX T1 POST GD"}, "T1CE"),
        ({"SeriesDescription": "AX T1", "ContrastBolusAgent": "NONE"}, "T1"),
        ({"SeriesDescription": "t2_flair_tra"}, "FLAIR"),
        ({"SeriesDescription": "survey", "ProtocolName": "T2W_TSE"}, "T2"),
        ({"RepetitionTime": 500, "EchoTime": 10}, "MR"),
        ({"SeriesDescription": "ep2d_diff"}, "MR"),
    ],
)
def test_contrast_is_read_from_words_never_from_times(
    tmp_path: Path, words: dict[str, Any], name: str
) -> None:
    def describe(k: int, made: pydicom.Dataset) -> None:
        for keyword, value in words.items():
            setattr(made, keyword, value)

    volume = read_series(maker.series(tmp_path / "x", describe, modality="MR"))
    assert volume.modality.name == name


def quietly(path: Path, **options: object) -> Volume:
    """Read a real series; its repairs are not what is looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Repair)
        return read_series(path, **options)


def check_equal(volume: Volume, image: nib.Nifti1Image, values: np.ndarray) -> None:
    """Check values and places against an image of nibabel, whatever the order of its axes."""
    theirs = Geometry.from_ras(values.shape, image.affine)
    truth = values.T
    voxels = np.round(theirs.voxel(volume.geometry.corners())).astype(int)
    np.testing.assert_allclose(theirs.world(voxels), volume.geometry.corners(), atol=0.01)
    grid = np.indices(volume.geometry.shape).reshape(3, -1).T
    d, h, w = np.round(theirs.voxel(volume.geometry.world(grid))).astype(int).T
    np.testing.assert_allclose(volume.array.ravel(), truth[d, h, w], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("folder", GROUND_TRUTH)
def test_real_series_equal_their_ground_truth(real_data: Path, folder: str) -> None:
    root = real_data / "dicom_dicom2nifti"
    image = nib.load(root / f"{folder}_ground_truth.nii.gz")
    values = np.asarray(image.dataobj)
    check_equal(quietly(root / folder), image, values[..., 0] if values.ndim == 4 else values)


def test_the_four_volumes_of_an_fmri(real_data: Path) -> None:
    root = real_data / "dicom_dicom2nifti" / "philips" / "fmri"
    image = nib.load(root / "001_ground_truth.nii.gz")
    with pytest.raises(InputError) as caught:
        read_series(root / "001")
    assert caught.value.id == "D39"
    for k in range(4):
        volume = quietly(root / "001", volume=k)
        check_equal(volume, image, np.asarray(image.dataobj)[..., k])


def test_compressed_variants_are_equal(real_data: Path) -> None:
    root = real_data / "dicom_dicom2nifti" / "generic"
    first, *others = (
        quietly(root / f"compressed_{kind}" / "001") for kind in ("rle", "j2k", "jpegls", "jpeg")
    )
    for volume in others:
        np.testing.assert_array_equal(volume.array, first.array)
        assert volume.geometry.same_grid(first.geometry)


@pytest.mark.parametrize(
    ("folder", "id"),
    [
        ("failing/notavolume/001", "D4"),
        ("failing/sliceincrement/001", "D3"),
        ("failing/sliceorientation/001", "D23"),
        ("generic/rgb/001", "D25"),
    ],
)
def test_broken_real_series_are_refused(real_data: Path, folder: str, id: str) -> None:
    with pytest.raises(InputError) as caught:
        read_series(real_data / "dicom_dicom2nifti" / folder)
    assert caught.value.id == id


def test_a_tilted_gantry(real_data: Path) -> None:
    folder = real_data / "dicom_dicom2nifti" / "failing" / "gantrytilting" / "001"
    with pytest.warns(Repair, match=r"14\.0 degrees.*4\.8515 mm apart along their normal"):
        volume = read_series(folder)
    np.testing.assert_allclose(
        volume.geometry.world([2, 0, 0]), [-106.791, -256.6189, -51.9519], atol=1e-3
    )
    normal = np.cross(volume.geometry.direction[:, 2], volume.geometry.direction[:, 1])
    step = volume.geometry.world_from_voxel[:3, 0]
    assert abs(step @ normal) == pytest.approx(4.8515, abs=1e-4)
    assert np.linalg.norm(step) == pytest.approx(5.0)


def test_all_real_series_hold_what_pydicom_computed(real_data: Path) -> None:
    """Shape, extremes, mean and outer positions of the facts beside the data."""
    seen = 0
    for name in ("dicom_dicom2nifti", "sts_ct_mr_pet", "dcmqi_ct_seg"):
        facts = json.loads((real_data / name / "facts.json").read_text("utf-8"))
        for fact in facts["dicom_series"]:
            wanted = fact.get("rescaled_intensity")
            if wanted is None or "frames" in fact or fact["folder"].startswith(("failing", ".")):
                continue
            if fact["folder"] in ("philips/fmri/001", "ct-3slice"):
                continue
            volume = quietly(real_data / name / fact["folder"])
            array = volume.array.astype(np.float64)
            assert list(array.shape) == fact["volume_zyx_shape"]
            assert array.min() == pytest.approx(wanted["min"], rel=1e-5)
            assert array.max() == pytest.approx(wanted["max"], rel=1e-5)
            assert array.mean() == pytest.approx(wanted["mean"], rel=1e-5)
            first, last = volume.geometry.world([[0, 0, 0], [array.shape[0] - 1, 0, 0]])
            np.testing.assert_allclose(first, fact["first_image_position_lps"], atol=0.006)
            np.testing.assert_allclose(last, fact["last_image_position_lps"], atol=0.006)
            seen += 1
    assert seen >= 12


def test_padding_of_a_real_ct_is_air(real_data: Path) -> None:
    with pytest.warns(Repair, match="167316 padding voxels were set to -1000"):
        volume = read_series(real_data / "dcmqi_ct_seg" / "ct-3slice")
    assert (volume.array.min(), volume.array.max()) == (-1024, 1381)


@pytest.mark.parametrize(
    ("folder", "name", "unit"),
    [("CT", "CT", "HU"), ("MR_T1", "T1", "a.u."), ("PET", "PET", "SUVbw")],
)
def test_a_real_patient(real_data: Path, folder: str, name: str, unit: str) -> None:
    root = real_data / "sts_ct_mr_pet" / "dicom" / "STS_008" / folder
    volume = read_series(root / "image")
    assert (volume.modality.name, volume.unit) == (name, unit)
    with pytest.raises(InputError, match="holds no image, but 1 RTSTRUCT") as caught:
        read_series(root / "mask")
    assert caught.value.id == "D45"
