"""Left is left: planes, windows and cuts of volumes stored in many ways."""

from __future__ import annotations

from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.transform import IDENTITY
from medfuse.volume import LabelMap, Volume
from pipelines.reporting import figures, planes

ORIENTATIONS = ["RAS", "LPS", "LAS", "PIR", "SAL", "IPR", "ARI", "LSP"]


def marked_by_nibabel(codes: str) -> Volume:
    """A body with one bright block at the patient's left, front and top, stored as ``codes``."""
    array = np.zeros((30, 34, 26), dtype=np.float32)  # i to the right, j to the front, k up
    array[4:26, 4:30, 3:23] = 100
    array[5:11, 22:29, 15:22] = 400  # small i: the patient's left; large j: front; large k: top
    image = nib.Nifti1Image(
        array, np.array([[3, 0, 0, -40], [0, 3, 0, -50], [0, 0, 4, -50], [0, 0, 0, 1.0]])
    )
    assert "".join(nib.aff2axcodes(image.affine)) == "RAS"
    stored = image.as_reoriented(ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes)))
    geometry = Geometry.from_ras(stored.shape, stored.affine)
    return Volume(np.asarray(stored.dataobj).T, geometry, MODALITIES["T1"])


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize("name", planes.PLANES)
def test_the_patients_left_is_on_the_right_of_the_picture(codes: str, name: str) -> None:
    """True on the drawn pixels, however the array is stored."""
    volume = marked_by_nibabel(codes)
    shown = planes.content(volume)
    block = planes.Content(
        shown.points, volume.geometry.world(np.argwhere(volume.array > 350)).mean(axis=0),
        shown.low, shown.high,
    )  # fmt: skip
    plane = next(p for p in planes.planes_through(block, finest=1.0) if p.name == name)
    drawn = figures.grey(planes.cut(volume, plane), (0, 400), plane)[:, :, 0]
    rows, columns = np.nonzero(drawn > 250)
    across = columns.mean() / drawn.shape[1]
    down = rows.mean() / drawn.shape[0]
    assert {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}[name] == plane.sides
    if name == "sagittal":
        assert across < 0.4  # front on the left
    else:
        assert across > 0.6  # the patient's left on the right of the picture
    assert down < 0.4  # front or top up


def test_an_oblique_grid_is_shown_along_the_patients_axes(scenes: SimpleNamespace) -> None:
    """The same head on a turned grid gives the same picture."""
    straight = scenes.head()
    oblique = scenes.head(
        geometry=scenes.grid(48).moved(scenes.turned(30.0, (3.0, 2.0, 1.0)).moving_from_fixed)
    )
    plane = planes.planes_through(planes.content(straight), finest=2.0)[0]
    first, second = planes.cut(straight, plane), planes.cut(oblique, plane)
    both = np.isfinite(first) & np.isfinite(second)
    assert both.mean() > 0.6
    # equal but at edges, which 4 mm voxels smear differently
    assert np.median(np.abs(first[both] - second[both])) < 1e-3
    assert np.corrcoef(first[both], second[both])[0, 1] > 0.95


def test_a_cut_shows_nothing_outside_the_field_of_view(scenes: SimpleNamespace) -> None:
    """NaN half a voxel beyond the outer centres, the nearest value up to there."""
    volume = scenes.head()
    values = planes.sample(volume, np.array([[79.9, 0, 0], [80.1, 0, 0], [0, 0, 0.0]]))
    assert np.isfinite(values).tolist() == [True, False, True]


def test_content_finds_the_head_and_not_the_noise(scenes: SimpleNamespace) -> None:
    """The box of the foreground is the egg's, to a step of the coarse grid."""
    rng = np.random.default_rng(0)
    volume = scenes.head()
    noisy = volume.with_array(volume.array + rng.normal(0, 5, volume.array.shape))
    found = planes.content(noisy)
    np.testing.assert_allclose(found.points.min(axis=0), [-55, -65, -60], atol=4)
    np.testing.assert_allclose(found.points.max(axis=0), [55, 65, 60], atol=4)
    assert (found.low < [-55, -65, -60]).all()  # and a margin around it
    np.testing.assert_allclose(found.centre, 0, atol=1.5)


def test_the_box_ends_with_the_field_of_view(scenes: SimpleNamespace) -> None:
    """No margin is shown where the scan itself has nothing."""
    tight = scenes.grid().crop((0, 8, 0), (40, 32, 40))  # y from -46 to 46, the egg is wider
    found = planes.content(scenes.head(geometry=tight))
    np.testing.assert_allclose([found.low[1], found.high[1]], [-46, 46], atol=2)


def test_content_of_a_volume_without_contrast_is_all_of_it(scenes: SimpleNamespace) -> None:
    """A constant volume is still shown."""
    geometry = scenes.grid(10)
    found = planes.content(Volume(np.full(geometry.shape, 7.0), geometry, MODALITIES["OTHER"]))
    np.testing.assert_allclose(found.high - found.low, 36, atol=1.5)


def test_shared_content_is_what_both_scans_show(scenes: SimpleNamespace) -> None:
    """A slab covers a part; a scan elsewhere covers nothing, and the whole is kept."""
    whole = planes.content(scenes.head())
    slab = scenes.grid().crop((0, 0, 0), (20, 40, 40))  # z up to -2 mm
    part = planes.shared_content(whole, slab, IDENTITY)
    assert 0.4 < part.covered < 0.6
    assert part.points[:, 2].max() <= 0.5
    assert part.high[2] < whole.high[2]
    away = planes.shared_content(whole, slab, scenes.turned(0.0, (900.0, 0.0, 0.0)))
    assert away.covered == 0
    assert len(away.points) == len(whole.points)


def test_the_profile_is_drawn_coarsely(scenes: SimpleNamespace) -> None:
    """The sagittal plane has pixels of at least 2 mm: a face is identity."""
    for size in (40, 90):
        laid = planes.planes_through(
            planes.content(scenes.head(geometry=scenes.grid(size, 160 / size))), finest=0.5
        )
        assert [p.name for p in laid] == list(planes.PLANES)
        assert laid[2].step >= 2.0
        assert laid[0].step < 1.0


def test_planes_say_where_they_lie(scenes: SimpleNamespace) -> None:
    """A plane's words name the side of the scanner's origin."""
    shown = planes.content(
        scenes.head(geometry=scenes.grid().moved(scenes.turned(0.0, (0, 0, 30)).moving_from_fixed))
    )
    shown = planes.Content(shown.points, np.array([-12.0, 7.0, 30.0]), shown.low, shown.high)
    places = [plane.place for plane in planes.planes_through(shown, finest=2.0)]
    assert places == ["axial S 30 mm", "coronal P 7 mm", "sagittal R 12 mm"]


def test_windows_come_from_the_modality_or_from_the_foreground(scenes: SimpleNamespace) -> None:
    """CT by the table, MR from air to the brightest tissue, PET from zero."""
    assert planes.window(scenes.head("CT")) == MODALITIES["CT"].window
    assert planes.window(scenes.head()) == (0, pytest.approx(900))
    assert planes.window(scenes.head("PET"))[0] == 0


def test_ct_with_a_shifted_intercept_is_shown_by_percentiles(scenes: SimpleNamespace) -> None:
    """Stored values 1024 too high would be all white in the table's window."""
    volume = scenes.head("CT")
    shifted = volume.with_array(volume.array + 1024)
    low, high = planes.window(shifted)
    assert low == pytest.approx(24)
    assert high == pytest.approx(2224)
    outer, inner = planes.levels(shifted)
    assert 24 < outer < 1059 < inner < 2224  # air, brain and bone of the shifted head


def test_labels_are_cut_by_nearest_neighbour(scenes: SimpleNamespace) -> None:
    """No label appears that is not there."""
    volume = scenes.head()
    labels = LabelMap(np.where(volume.array > 800, 7, 0), volume.geometry, {7: "lesion"})
    plane = planes.planes_through(planes.content(volume), finest=1.0)[0]
    drawn = planes.cut_labels(labels, plane)
    assert set(np.unique(drawn)) == {0, 7}
    columns = np.nonzero(drawn == 7)[1]
    assert columns.min() > drawn.shape[1] / 2  # the block lies on the patient's left
