"""Planes in order on a grid; the files behind them do not matter here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medfuse.errors import DicomError
from medfuse.io.dicom_header import Header
from medfuse.io.dicom_planes import Plane
from medfuse.io.dicom_stack import arrange, grid_of

X, Y, Z = np.eye(3)


def plane(position: tuple[float, float, float], **values: object) -> Plane:
    """Return an axial plane of 4 x 5 pixels of 1 x 2 mm at ``position``."""
    fields: dict[str, object] = {
        "header": Header(Path("x.dcm"), Dataset()),
        "frame": 0,
        "shape": (4, 5),
        "position": np.array(position),
        "rows": X,
        "columns": Y,
        "spacing": (1.0, 2.0),
        "thickness": 3.0,
        "slope": 1.0,
        "intercept": 0.0,
        "measure": "",
        "stack": "",
        "moment": (0.0, "", ()),
    }
    return Plane(**(fields | values))


def column(*heights: float) -> list[Plane]:
    """Return planes above one another."""
    return [plane((1.0, 2.0, height)) for height in heights]


def test_the_affine_is_that_of_the_standard() -> None:
    found = arrange(column(9, 3, 6), where="x")
    assert [float(p.position[2]) for p in found.planes] == [3, 6, 9]
    np.testing.assert_allclose(
        found.geometry.world_from_voxel, [[0, 0, 2, 1], [0, 1, 0, 2], [3, 0, 0, 3], [0, 0, 0, 1]]
    )
    assert (found.at, found.repairs) == (None, ())


def test_order_is_along_the_normal_not_along_z() -> None:
    """Rows to the left, columns downwards: the normal points to the front."""
    planes = [plane((0, y, 5.0), rows=X, columns=-Z) for y in (-4.0, 4.0, 0.0)]
    normal = np.cross(X, -Z)
    found = arrange(planes, where="x")
    along = [float(p.position @ normal) for p in found.planes]
    assert along == sorted(along)
    np.testing.assert_allclose(found.geometry.world_from_voxel[:3, 0], 4 * normal)


def test_drift_of_rounding_is_shared_not_kept_as_shear() -> None:
    """A hundredth of a millimetre over the whole stack is no tilt."""
    planes = [plane((1 + 0.004 * k, 2, 3.0 * k)) for k in range(4)]
    found = arrange(planes, where="x")
    assert found.geometry.is_orthonormal
    assert found.repairs == ()
    for k, each in enumerate(found.planes):
        assert np.linalg.norm(found.geometry.world([k, 0, 0]) - each.position) < 0.01


def test_a_long_stack_with_a_small_tilt_is_not_straightened() -> None:
    planes = [plane((1 + 0.004 * k, 2, 3.0 * k)) for k in range(100)]
    found = arrange(planes, where="x")
    assert [repair.id for repair in found.repairs] == ["D7"]
    np.testing.assert_allclose(found.geometry.world([99, 0, 0]), [1.396, 2, 297])


@pytest.mark.parametrize(
    ("planes", "id"),
    [
        (column(0, 3, 6, 12), "D3"),
        (column(0, 3, 6, 9.4), "D6"),
        (column(0, 3, 3, 6), "D4"),
        (column(0, 0), "D4"),
        (column(0, 3, 0, 3), "D39"),
        ([*column(0, 3), plane((1.5, 2, 6))], "D6"),
        ([*column(0, 3), plane((1, 2, 6), shape=(5, 4))], "D24"),
        ([*column(0, 3), plane((1, 2, 6), spacing=(1.0, 2.1))], "D24"),
        ([*column(0, 3), plane((1, 2, 6), rows=Y, columns=Z)], "D23"),
        ([plane((0, 0, 0), stack="1"), plane((0, 0, 3), stack="2")], "D22"),
        ([plane((0.7 * k, 0, 1.0 * k)) for k in range(3)], "D7"),
    ],
)
def test_what_makes_no_grid(planes: list[Plane], id: str) -> None:
    with pytest.raises(DicomError) as caught:
        arrange(planes, where="x")
    assert (caught.value.id, caught.value.where) == (id, "x")


def test_gaps_are_filled_by_real_positions() -> None:
    found = arrange(column(0, 3, 6, 12, 15), where="x", gaps=True)
    assert found.geometry.shape[0] == 6
    assert found.at is not None
    np.testing.assert_allclose(found.at, [0, 1, 2, 2.5, 3, 4])


def test_frames_of_a_segmentation_may_repeat_and_leave_out() -> None:
    geometry, depths, repairs = grid_of(column(9, 0, 9, 3), where="x")
    assert (geometry.shape, depths, repairs) == ((4, 4, 5), [3, 0, 3, 1], ())
    np.testing.assert_allclose(geometry.origin, [1, 2, 0])


def test_a_declared_distance_counts_where_it_fits() -> None:
    """Frames 6 mm apart of slices 3 mm apart: the slice between them is empty."""
    geometry, depths, _ = grid_of(column(0, 6), where="x")
    assert (geometry.shape[0], depths) == (3, [0, 2])
    planes = [plane((1, 2, z), thickness=4.0) for z in (0.0, 6.0)]
    geometry, depths, _ = grid_of(planes, where="x")
    assert (geometry.shape[0], depths) == (2, [0, 1])


def test_D39_time_points_of_which_one_lacks_a_slice() -> None:
    planes = [
        plane((0, 0, 3.0 * k), moment=(float(time), "", ())) for time in (0, 1) for k in range(5)
    ]
    with pytest.raises(DicomError, match="1 of 5 positions lack slices of the 2 volumes") as caught:
        arrange(planes[:-1], where="x", volume=0)
    assert (caught.value.id, caught.value.hint) == ("D39", "find the missing files")
