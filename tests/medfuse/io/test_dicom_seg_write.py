"""DICOM SEG that we wrote: decoded to the right slices by others, valid, silent about people."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from scipy.spatial.transform import Rotation

from medfuse.errors import DicomError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.io.dicom_read import read_series
from medfuse.io.dicom_seg import read_segmentation
from medfuse.io.dicom_seg_write import write_seg
from medfuse.io.dicom_write import write_series
from medfuse.modality import MODALITIES
from medfuse.volume import LabelMap, Volume
from tests.medfuse.io import dicom_maker as maker

WHEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
NAMES = {1: "enhancing tumour", 2: "oedema"}


def oblique(folder: Path, name: str = "CT", *, left_handed: bool = False) -> Volume:
    """Write a turned series (9, 14, 12) and return it as it is read."""
    matrix = np.eye(4)
    turn = Rotation.from_euler("xyz", (20, -13, 31), degrees=True).as_matrix()[:, [2, 1, 0]]
    matrix[:3, :3] = turn * ((-1 if left_handed else 1) * 3.0, 0.9, 1.1)
    matrix[:3, 3] = (-20.0, 30.0, 44.0)
    rng = np.random.default_rng(4)
    values = np.rint(rng.uniform(0, 900, (9, 14, 12))).astype(np.float32)
    volume = Volume(values, Geometry(values.shape, matrix), MODALITIES[name])
    return read_series(write_series(volume, folder, patient="PHANTOM^TEST"))


def labels_on(source: Volume) -> LabelMap:
    """Return two labels that share slices, an empty slice between, and no symmetry at all."""
    array = np.zeros(source.array.shape, np.uint16)
    D, H, W = array.shape
    array[: D // 2, 1 : H // 2, 2:5] = 1
    array[D - 2 :, H // 3 : H - 1, 5 : W - 1] = 2
    array[D - 1, 0, 0] = 1
    return LabelMap(array, source.geometry, NAMES)


def by_instance(path: Path, source: Volume, number: int) -> np.ndarray:
    """Return what highdicom decodes of a segment for each source instance, (D, H, W)."""
    assert source.source is not None
    seg = highdicom.seg.segread(path)
    found = seg.get_pixels_by_source_instance(
        list(source.source.instance_uids),
        segment_numbers=[number],
        assert_missing_frames_are_empty=True,
    )
    return np.asarray(found[..., 0])


@pytest.mark.parametrize("left_handed", [False, True])
@pytest.mark.parametrize("name", ["CT", "T1", "PET"])
def test_highdicom_decodes_the_right_slices(name: str, left_handed: bool, tmp_path: Path) -> None:
    source = oblique(tmp_path / "series", name, left_handed=left_handed)
    labels = labels_on(source)
    path = write_seg(labels, tmp_path / "seg.dcm", source=source)
    for number in NAMES:
        np.testing.assert_array_equal(by_instance(path, source, number), labels.array == number)


def test_a_tilted_series_keeps_its_tilt(tmp_path: Path) -> None:
    def tilt(k: int, made: Dataset) -> None:
        made.ImagePositionPatient = [maker.ORIGIN[0], maker.ORIGIN[1] + 0.8 * k, 40.0 + 3.0 * k]

    folder = maker.series(tmp_path / "ct", tilt, count=6)
    with pytest.warns(Repair, match="tilted"):
        source = read_series(folder)
    assert not source.geometry.is_orthonormal
    labels = labels_on(source)
    path = write_seg(labels, tmp_path / "seg.dcm", source=source)
    np.testing.assert_array_equal(by_instance(path, source, 2), labels.array == 2)


def test_slices_in_the_order_of_files_do_not_mislead(tmp_path: Path) -> None:
    def backwards(k: int, made: Dataset) -> None:
        made.ImagePositionPatient = [*maker.ORIGIN[:2], 100.0 - 3.0 * k]

    source = read_series(maker.series(tmp_path / "ct", backwards, count=6))
    labels = labels_on(source)
    path = write_seg(labels, tmp_path / "seg.dcm", source=source)
    np.testing.assert_array_equal(by_instance(path, source, 1), labels.array == 1)


def multi_frame(path: Path, order: list[int]) -> Volume:
    """Write an enhanced MR whose frames are stored in this order of their positions."""
    array = np.stack([maker.stored(k) for k in order])
    places = [(*maker.ORIGIN[:2], 40.0 + 3.0 * k) for k in order]
    made = maker.enhanced(array, places)
    made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 3.0
    maker.save(made, path)
    return read_series(path)


def test_frames_of_a_multi_frame_source_are_named_one_by_one(tmp_path: Path) -> None:
    order = [3, 0, 4, 1, 5, 2]
    source = multi_frame(tmp_path / "mr.dcm", order)
    labels = labels_on(source)
    path = write_seg(labels, tmp_path / "seg.dcm", source=source)
    seg = highdicom.seg.segread(path)
    uid = str(pydicom.dcmread(tmp_path / "mr.dcm").SOPInstanceUID)
    found = seg.get_pixels_by_source_frame(
        uid, [n + 1 for n in range(6)], segment_numbers=[2], assert_missing_frames_are_empty=True
    )[..., 0]
    np.testing.assert_array_equal(found, (labels.array == 2)[order])


def test_uneven_distances_are_written_by_position(tmp_path: Path) -> None:
    def gap(k: int, made: Dataset) -> None:
        made.ImagePositionPatient = [*maker.ORIGIN[:2], 40.0 + 3.0 * (k + (k > 2))]

    folder = maker.series(tmp_path / "ct", gap, count=6)
    with pytest.warns(Repair):
        source = read_series(folder, gaps="ok")
    assert source.geometry.shape[0] == 7
    labels = labels_on(source)
    again = read_segmentation(write_seg(labels, tmp_path / "seg.dcm", source=source))
    assert again.geometry.same_grid(source.geometry.crop((0, 0, 0), (7, 16, 14)))
    np.testing.assert_array_equal(again.array, labels.array)


def test_the_same_in_gives_the_same_bytes(tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    first, second, later = (
        write_seg(labels_on(source), tmp_path / f"{n}.dcm", source=source, when=when)
        for n, when in enumerate((WHEN, WHEN, WHEN.replace(hour=9)))
    )
    assert first.read_bytes() == second.read_bytes()
    uids = {pydicom.dcmread(path).SOPInstanceUID for path in (first, later)}
    assert len(uids) == 2, "another object may not bear the same name"


def test_nothing_of_the_source_but_patient_study_and_frame(tmp_path: Path) -> None:
    """Everything that a header may tell of a person or place is planted, and looked for."""
    allowed = {"PatientName": "ALLOWED^NAME", "PatientID": "ALLOWED-ID", "StudyID": "7"}
    planted = {
        "InstitutionName": "PLANTED hospital",
        "InstitutionAddress": "PLANTED street",
        "StationName": "PLANTED station",
        "DeviceSerialNumber": "PLANTED serial",
        "OperatorsName": "PLANTED^OPERATOR",
        "PerformingPhysicianName": "PLANTED^PHYSICIAN",
        "ProtocolName": "PLANTED protocol",
        "SeriesDescription": "PLANTED series",
        "RequestedProcedureDescription": "PLANTED procedure",
        "ImageComments": "PLANTED comment",
    }

    def fill(k: int, made: Dataset) -> None:
        for keyword, value in (allowed | planted).items():
            setattr(made, keyword, value)
        made.add_new((0x0009, 0x0010), "LO", "PLANTED private")

    source = read_series(maker.series(tmp_path / "ct", fill, count=6))
    path = write_seg(labels_on(source), tmp_path / "seg.dcm", source=source)
    made = pydicom.dcmread(path)
    for keyword, value in allowed.items():
        assert made[keyword].value == value
    assert (made.StudyInstanceUID, made.FrameOfReferenceUID) == (maker.STUDY, maker.FRAME)
    assert made.SeriesInstanceUID != maker.SERIES
    made.StudyDescription = ""  # of the study module: the maker plants its tale there
    assert "PLANTED" not in str(made)
    assert str(tmp_path).encode() not in path.read_bytes()
    assert "not a medical device" in made.ContentDescription


def test_names_in_another_alphabet_survive(tmp_path: Path) -> None:
    def name(k: int, made: Dataset) -> None:
        made.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        made.PatientName = "Yamada^Tarou=山田^太郎"

    source = read_series(maker.series(tmp_path / "ct", name, count=6))
    made = pydicom.dcmread(write_seg(labels_on(source), tmp_path / "seg.dcm", source=source))
    assert made.PatientName == "Yamada^Tarou=山田^太郎"


def test_labels_that_are_not_counted_from_one_are_said(tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    array = np.where(labels_on(source).array == 2, 4, labels_on(source).array)
    with pytest.warns(Repair, match="label 1 is segment 1, 4 is segment 2") as caught:
        path = write_seg(
            LabelMap(array, source.geometry, {4: "x"}), tmp_path / "s.dcm", source=source
        )
    assert caught[0].message.id == "D47"  # type: ignore[union-attr]
    again = read_segmentation(path)
    assert dict(again.names) == {1: "label 1", 2: "x"}
    np.testing.assert_array_equal(by_instance(path, source, 2), array == 4)


def test_nothing_found_is_a_segmentation_too(tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    none = LabelMap(np.zeros(source.array.shape), source.geometry, NAMES)
    path = write_seg(none, tmp_path / "seg.dcm", source=source)
    assert not by_instance(path, source, 1).any()
    assert dict(read_segmentation(path).names) == NAMES


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("necrotic core", "6574001"),
        ("oedema", "79654002"),
        ("enhancing tumour", "108369006"),
        ("MS lesion", "52988006"),
        ("grey matter", "389081007"),
        ("thing", "85756007"),
    ],
)
def test_a_name_gets_the_code_that_says_it(name: str, code: str, tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    labels = LabelMap(labels_on(source).array > 0, source.geometry, {1: name})
    made = pydicom.dcmread(write_seg(labels, tmp_path / "seg.dcm", source=source))
    (segment,) = made.SegmentSequence
    assert segment.SegmentLabel == name
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == code
    assert segment.SegmentAlgorithmType == "AUTOMATIC"


def test_a_scan_that_is_no_series_is_refused(tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    plain = Volume(source.array, source.geometry, source.modality)
    with pytest.raises(UsageError, match="not read from one"):
        write_seg(labels_on(source), tmp_path / "seg.dcm", source=plain)


def test_a_map_without_a_label_is_refused(tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    with pytest.raises(UsageError, match="names no label"):
        write_seg(
            LabelMap(np.zeros(source.array.shape), source.geometry),
            tmp_path / "seg.dcm",
            source=source,
        )


def test_a_series_that_has_changed_is_refused(tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    next((tmp_path / "series").iterdir()).unlink()
    with pytest.raises(DicomError, match="no longer what it was"):
        write_seg(labels_on(source), tmp_path / "seg.dcm", source=source)


def test_a_series_without_frame_of_reference_is_refused(tmp_path: Path) -> None:
    def strip(k: int, made: Dataset) -> None:
        del made.FrameOfReferenceUID

    source = read_series(maker.series(tmp_path / "ct", strip, count=6))
    with pytest.raises(DicomError, match="frame of reference"):
        write_seg(labels_on(source), tmp_path / "seg.dcm", source=source)
    assert not (tmp_path / "seg.dcm").exists()


def test_headers_that_no_seg_can_repeat_are_refused(tmp_path: Path) -> None:
    def strip(k: int, made: Dataset) -> None:
        del made.StudyInstanceUID

    source = read_series(maker.series(tmp_path / "ct", strip, count=6))
    with pytest.raises(DicomError, match="not good enough") as caught:
        write_seg(labels_on(source), tmp_path / "seg.dcm", source=source)
    assert caught.value.id == "D47"


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = oblique(tmp_path / "series")

    def missing(name: str, *rest: Any) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("medfuse.io.dicom_seg_write.import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 'medfuse\[dicom\]'"):
        write_seg(labels_on(source), tmp_path / "seg.dcm", source=source)


def series_of_each_kind(folder: Path) -> dict[str, Volume]:
    """Return sources as hospitals have them, each written with complete headers."""
    return {
        "CT": oblique(folder / "ct", "CT"),
        "MR": oblique(folder / "mr", "FLAIR", left_handed=True),
        "PT": oblique(folder / "pt", "PET"),
    }


def test_dciodvfy_finds_no_fault(tmp_path: Path) -> None:
    judge = shutil.which("dciodvfy")
    if judge is None:
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")
    for kind, source in series_of_each_kind(tmp_path).items():
        path = write_seg(labels_on(source), tmp_path / f"{kind}.dcm", source=source)
        done = subprocess.run([judge, str(path)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr.split()) == (0, ["Segmentation"]), done.stderr


def test_dcmqi_decodes_the_right_voxels(tmp_path: Path) -> None:
    """The other reader; it lives in an environment of its own (MEDFUSE_TEST_DCMQI: its bin)."""
    tool = shutil.which("segimage2itkimage", path=os.environ.get("MEDFUSE_TEST_DCMQI"))
    if tool is None:
        pytest.skip("dcmqi is not installed: MEDFUSE_TEST_DCMQI names no folder with it")
    for kind, source in series_of_each_kind(tmp_path).items():
        labels = labels_on(source)
        path = write_seg(labels, tmp_path / f"{kind}.dcm", source=source)
        out = tmp_path / f"{kind}-out"
        out.mkdir()
        words = ["--inputDICOM", path, "--outputDirectory", out, "--outputType", "nii"]
        subprocess.run([tool, *map(str, words)], check=True, capture_output=True, timeout=60)
        meta = json.loads((out / "meta.json").read_text())
        said = {s["labelID"]: s["SegmentLabel"] for g in meta["segmentAttributes"] for s in g}
        assert said == NAMES
        for number in NAMES:
            image = nib.load(out / f"{number}.nii.gz")
            places = np.argwhere(np.asarray(image.dataobj) > 0) @ image.affine[:3, :3].T
            world = (places + image.affine[:3, 3]) * (-1, -1, 1)  # RAS to LPS
            ours = source.geometry.world(np.argwhere(labels.array == number))
            assert len(world) == len(ours)
            nearest = np.abs(world[:, None] - ours[None]).sum(axis=2).min(axis=1)
            assert nearest.max() < 0.01
