"""DICOM SEG as label maps: placed by the positions of its frames, equal to another tool's."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.errors import InputError, Repair
from medfuse.io.dicom_read import read_series
from medfuse.io.dicom_seg import list_segments, overlapping_segments, read_segmentation
from medfuse.io.volumes import read_labels
from tests.medfuse.io import dicom_maker as maker


def square(first: int, last: int) -> np.ndarray:
    """Return a mask (16, 14) of ones in a square."""
    mask = np.zeros((16, 14), dtype=np.uint8)
    mask[first:last, first:last] = 1
    return mask


def test_frames_go_where_they_say(tmp_path: Path) -> None:
    """Three segments out of order, slices 1 and 2 empty: the grid covers 0 to 3."""
    masks = [square(2, 5), square(6, 9), square(10, 13)]
    made = maker.segmentation(masks, [3, 0, 3], [2, 1, 7])
    labels = read_segmentation(maker.save(made, tmp_path / "seg.dcm"))
    truth = np.zeros((4, 16, 14), dtype=np.uint16)
    truth[3][masks[0] > 0], truth[0][masks[1] > 0], truth[3][masks[2] > 0] = 2, 1, 7
    np.testing.assert_array_equal(labels.array, truth)
    assert dict(labels.names) == {1: "part 1", 2: "part 2", 7: "part 7"}
    scan = read_series(maker.series(tmp_path / "ct", count=4))
    assert labels.geometry.same_grid(scan.geometry)
    assert labels.geometry.frame == scan.geometry.frame


def test_bits_of_frames_are_packed_without_gaps(tmp_path: Path) -> None:
    """Odd sizes: a frame need not begin at a byte (5 x 7 = 35 bits)."""
    masks = [(np.arange(35).reshape(5, 7) % n == 0).astype(np.uint8) for n in (2, 3, 5)]
    path = maker.save(maker.segmentation(masks, [0, 1, 2], [1, 1, 1]), tmp_path / "seg.dcm")
    np.testing.assert_array_equal(read_segmentation(path).array, np.stack(masks))


def test_fractional_counts_from_one_half_on(tmp_path: Path) -> None:
    mask = np.full((16, 14), 99, dtype=np.uint8)
    mask[4:8] = 100
    path = maker.save(maker.segmentation([mask], [0], [3], kind="FRACTIONAL"), tmp_path / "s.dcm")
    with pytest.warns(Repair, match="fractional"):
        labels = read_segmentation(path)
    np.testing.assert_array_equal(labels.array[0], np.where(mask == 100, 3, 0))


def test_a_label_map_holds_all_segments_in_a_frame(tmp_path: Path) -> None:
    frames = [square(2, 6) * 5, square(3, 7) * 9]
    path = maker.save(maker.segmentation(frames, [1, 0], [], kind="LABELMAP"), tmp_path / "s.dcm")
    np.testing.assert_array_equal(read_segmentation(path).array, np.stack(frames[::-1]))
    alone = read_segmentation(path, segment=9)
    assert set(np.unique(alone.array)) == {0, 9}
    assert dict(alone.names) == {9: "part 9"}


def test_a_folder_that_holds_one_segmentation(tmp_path: Path) -> None:
    maker.series(tmp_path / "ct")
    maker.save(maker.segmentation([square(2, 5)], [0], [4]), tmp_path / "seg" / "s.dcm")
    assert read_segmentation(tmp_path).array.max() == 4
    assert dict(list_segments(tmp_path)) == {4: "part 4"}


def test_one_of_two_segmentations_in_a_folder(tmp_path: Path) -> None:
    maker.save(maker.segmentation([square(2, 5)], [0], [4]), tmp_path / "a.dcm")
    other = maker.segmentation([square(3, 8)], [0], [6])
    other.SeriesInstanceUID = f"{maker.ROOT}.14"
    other.SOPInstanceUID = f"{maker.ROOT}.14.1"
    maker.save(other, tmp_path / "b.dcm")
    with pytest.raises(InputError, match="holds 2 segmentations") as caught:
        read_segmentation(tmp_path)
    assert caught.value.id == "D1"
    uid = f"{maker.ROOT}.14"
    assert read_segmentation(tmp_path, series=uid).array.max() == 6
    assert dict(list_segments(tmp_path, series=uid)) == {6: "part 6"}
    assert overlapping_segments(tmp_path, series=uid) == ()


def test_a_segmentation_by_its_series_number(tmp_path: Path) -> None:
    maker.save(maker.segmentation([square(2, 5)], [0], [4]), tmp_path / "a.dcm")
    other = maker.segmentation([square(3, 8)], [0], [6])
    other.SeriesInstanceUID, other.SeriesNumber = f"{maker.ROOT}.14", 14
    other.SOPInstanceUID = f"{maker.ROOT}.14.1"
    maker.save(other, tmp_path / "b.dcm")
    assert read_labels(tmp_path, series="14").array.max() == 6
    assert read_labels(f"{tmp_path}:series=13").array.max() == 4


def test_a_segment_that_is_not_there(tmp_path: Path) -> None:
    path = maker.save(maker.segmentation([square(2, 5)], [0], [4]), tmp_path / "s.dcm")
    with pytest.raises(InputError, match="no segment 5; there are: 4"):
        read_segmentation(path, segment=5)


def test_what_is_no_segmentation(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no segmentation, but 3 image") as caught:
        read_segmentation(maker.series(tmp_path / "ct", count=3))
    assert caught.value.id == "D45"
    path = maker.save(maker.segmentation([square(2, 5)], [0], [4]), tmp_path / "s" / "s.dcm")
    with pytest.raises(InputError, match="read as a label map"):
        read_series(path)


def test_frames_between_the_planes_are_refused(tmp_path: Path) -> None:
    made = maker.segmentation([square(2, 5)] * 3, [0, 1, 2], [1, 1, 1])
    made.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence = maker.group(
        ImagePositionPatient=[-20, -30, 44.7]
    )
    with pytest.raises(InputError, match="uneven") as caught:
        read_segmentation(maker.save(made, tmp_path / "s.dcm"))
    assert caught.value.id == "D6"


def test_a_real_segmentation_equals_what_another_tool_made_of_it(real_data: Path) -> None:
    root = real_data / "dcmqi_ct_seg"
    labels = read_segmentation(root / "liver.dcm")
    image = sitk.ReadImage(str(root / "liver_seg.nrrd"))
    np.testing.assert_array_equal(labels.array > 0, sitk.GetArrayFromImage(image) > 0)
    assert int((labels.array == 1).sum()) == 107098
    assert dict(labels.names) == {1: "Liver"}
    np.testing.assert_allclose(labels.geometry.origin, image.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(labels.geometry.spacing[::-1], image.GetSpacing(), atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Repair)
        scan = read_series(root / "ct-3slice")
    assert labels.geometry.same_grid(scan.geometry)


def test_real_segments_that_overlap(real_data: Path) -> None:
    path = real_data / "dcmqi_ct_seg" / "partial_overlaps.dcm"
    with pytest.raises(InputError, match=r"1 \(GREEN\) and 2 \(ORANGE\) overlap"):
        read_segmentation(path)
    assert (1, 2) in overlapping_segments(path)
    voxels = {1: 9602, 2: 11888, 3: 10743, 4: 6693, 5: 4713}
    assert {n: int((read_segmentation(path, segment=n).array == n).sum()) for n in voxels} == voxels
