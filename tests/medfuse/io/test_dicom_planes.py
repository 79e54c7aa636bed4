"""One slice or frame: where it lies and how its numbers are scaled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medfuse.errors import DicomError
from medfuse.io.dicom_header import Header
from medfuse.io.dicom_planes import planes_of
from tests.medfuse.io import dicom_maker as maker


def header(made: Dataset) -> Header:
    """Return a header that was never a file."""
    return Header(Path("x.dcm"), made)


def test_a_classic_slice() -> None:
    made = maker.slice_of(3)
    made.PixelSpacing = [1.5, 0.75]
    made.RescaleSlope, made.RescaleIntercept = 2.5, -7
    (plane,) = planes_of(header(made))
    np.testing.assert_array_equal(plane.position, [-20, -30, 49])
    np.testing.assert_array_equal(plane.normal, [0, 0, 1])
    assert (plane.shape, plane.spacing, plane.thickness) == ((16, 14), (1.5, 0.75), 3.0)
    assert (plane.slope, plane.intercept, plane.frame) == (2.5, -7, 0)


def test_no_rescale_means_stored_values() -> None:
    (plane,) = planes_of(header(maker.slice_of(0, "MR")))
    assert (plane.slope, plane.intercept) == (1, 0)


def test_distance_between_slices_counts_before_their_thickness() -> None:
    made = maker.slice_of(0)
    made.SpacingBetweenSlices = 3.3
    assert planes_of(header(made))[0].thickness == 3.3


def test_a_frame_s_own_group_counts_before_the_shared_one() -> None:
    array = np.stack([maker.stored(k) for k in range(2)])

    def edit(k: int, frame: Dataset) -> None:
        if k == 1:
            frame.PixelMeasuresSequence = maker.group(PixelSpacing=[4.0, 5.0])
            frame.PixelValueTransformationSequence = maker.group(
                RescaleSlope=3, RescaleIntercept=1, RescaleType="US"
            )

    planes = planes_of(header(maker.enhanced(array, [(0, 0, 0), (0, 0, 3)], edit)))
    assert [plane.spacing for plane in planes] == [(2, 2), (4, 5)]
    assert [(plane.slope, plane.intercept) for plane in planes] == [(1, 0), (3, 1)]
    assert [plane.frame for plane in planes] == [0, 1]
    assert [plane.stack for plane in planes] == ["1", "1"]


def test_frames_that_are_not_all_described() -> None:
    made = maker.enhanced(np.stack([maker.stored(0)] * 2), [(0, 0, 0), (0, 0, 3)])
    made.NumberOfFrames = 3
    with pytest.raises(DicomError, match="describes 2 frames but declares 3") as caught:
        planes_of(header(made))
    assert caught.value.id == "D22"


def test_cosines_with_few_digits_are_mended() -> None:
    """cos 30 degrees as .87: the axes become unit vectors at right angles again."""
    made = maker.slice_of(0)
    made.ImageOrientationPatient = [0.87, 0.5, 0, -0.5, 0.87, 0]
    (plane,) = planes_of(header(made))
    for vector in (plane.rows, plane.columns, plane.normal):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-12)
    assert abs(plane.rows @ plane.columns) < 1e-12
    turned = np.degrees(np.arctan2(plane.rows[1], plane.rows[0]))
    assert turned == pytest.approx(30, abs=0.2)


def test_cosines_with_enough_digits_are_left_alone() -> None:
    made = maker.slice_of(0)
    cosines = [0.866025, 0.5, 0, -0.5, 0.866025, 0]
    made.ImageOrientationPatient = cosines
    (plane,) = planes_of(header(made))
    np.testing.assert_array_equal([*plane.rows, *plane.columns], cosines)
