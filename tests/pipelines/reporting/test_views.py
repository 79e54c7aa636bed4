"""What the page shows of a volume: before is off, after is on, and what is missing is said."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from medfuse.resampling import resample
from medfuse.study import AlignedStudy
from medfuse.transform import Affine
from pipelines.reporting import planes, views

pytestmark = pytest.mark.usefixtures("small_pictures")


def pixels(picture: views.Picture) -> np.ndarray:
    """The grey values of a finished picture."""
    body = picture.uri.partition(",")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("L")).astype(float)


def drawn(aligned: AlignedStudy, name: str) -> views.Views:
    """All views of one volume."""
    return views.views(aligned, name, planes.content(aligned.volumes[aligned.fixed]))


def test_every_way_of_looking_shows_the_same_five_planes(scenes: SimpleNamespace) -> None:
    shown = drawn(scenes.aligned("PET"), "PET")
    keys = [view.key for view in shown.rows]
    assert keys == ["contours", "aligned", "fixed", "checker", "fused", "came", "came-contours"]
    sizes = {tuple((p.width, p.height) for p in view.row) for view in shown.rows}
    assert len(sizes) == 1
    assert len(shown.rows[0].row) == 5
    assert not shown.missing


def test_only_pet_is_fused_in_colour(scenes: SimpleNamespace) -> None:
    assert "fused" not in [view.key for view in drawn(scenes.aligned("CT"), "CT").rows]


def test_before_is_off_and_after_is_on(scenes: SimpleNamespace) -> None:
    """A T2-like copy of the T1: aligned it equals the fixed picture, as it came it does not."""
    shown = {view.key: view.row for view in drawn(scenes.aligned("T2"), "T2").rows}
    for fixed, after, before in zip(shown["fixed"], shown["aligned"], shown["came"], strict=True):
        on = np.abs(pixels(fixed) - pixels(after)).mean()
        off = np.abs(pixels(fixed) - pixels(before)).mean()
        assert on < 0.5 * off


def test_a_scan_that_lay_elsewhere_is_brought_to_the_centre(scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT")
    far = np.eye(4)
    far[0, 3] = 2000.0
    moved = aligned.study.volumes["CT"]
    away = replace(moved, geometry=moved.geometry.moved(far))
    volumes = {**aligned.study.volumes, "CT": away}
    transform = aligned.transforms["CT"].then(Affine(far))
    changed = replace(
        aligned, study=replace(aligned.study, volumes=volumes), transforms={"CT": transform}
    )
    shown = drawn(changed, "CT")
    assert "came" in [view.key for view in shown.rows]
    assert "2012 mm away" in shown.missing[0] or "2013 mm away" in shown.missing[0]
    rows = {view.key: view.row for view in shown.rows}
    assert pixels(rows["came"][1]).max() > 250  # there is something to see


def test_no_overlap_is_said(scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT")
    far = np.eye(4)
    far[0, 3] = 2000.0
    shown = drawn(replace(aligned, transforms={"CT": Affine(far)}), "CT")
    assert any("do not overlap" in sentence for sentence in shown.missing)


def test_a_dropped_volume_is_still_shown_through_its_transform(scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT")
    kept = {"T1": aligned.volumes["T1"]}
    dropped = replace(aligned, volumes=kept, dropped={"CT": "no"})
    first = {view.key: view.row for view in drawn(aligned, "CT").rows}
    second = {view.key: view.row for view in drawn(dropped, "CT").rows}
    assert first.keys() == second.keys()
    difference = np.abs(pixels(first["aligned"][0]) - pixels(second["aligned"][0]))
    assert difference.mean() < 12  # one interpolation against two


def test_a_volume_that_was_never_aligned_says_so(scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT")
    alone = replace(aligned, volumes={"T1": aligned.volumes["T1"]}, transforms={}, quality={})
    shown = drawn(alone, "CT")
    assert [view.key for view in shown.rows] == ["fixed"]
    assert "was not aligned" in shown.missing[0]


def test_a_slab_is_shown_where_it_is(scenes: SimpleNamespace) -> None:
    """The planes go through what both scans show, not through the middle of the fixed one."""
    aligned = scenes.aligned("CT")
    moved = aligned.study.volumes["CT"]
    slab = replace(
        moved, array=moved.array[24:], geometry=moved.geometry.crop((24, 0, 0), (40, 40, 40))
    )
    cut = replace(
        aligned, study=replace(aligned.study, volumes={**aligned.study.volumes, "CT": slab})
    )
    shown = drawn(cut, "CT")
    assert 0.1 < shown.content.covered < 0.6
    assert shown.content.centre[2] > 20
    assert "axial S 3" in shown.rows[0].row[1].alt


def test_the_end_of_a_slab_draws_no_skin(scenes: SimpleNamespace) -> None:
    """Resampling mixes air into the last slice of the slab; that is no border of the body."""
    aligned = scenes.aligned("CT")
    moved = aligned.study.volumes["CT"]
    slab = replace(
        moved, array=moved.array[24:], geometry=moved.geometry.crop((24, 0, 0), (40, 40, 40))
    )
    after = resample(slab, aligned.geometry, aligned.transforms["CT"])
    changed = replace(
        aligned,
        study=replace(aligned.study, volumes={**aligned.study.volumes, "CT": slab}),
        volumes={**aligned.volumes, "CT": after},
    )
    rows = {view.key: view.row for view in drawn(changed, "CT").rows}
    plain, lined = pixels(rows["fixed"][3]), pixels(rows["contours"][3])  # coronal
    lines = np.abs(plain - lined) > 60
    height, width = lines.shape
    middle = lines[:, int(0.4 * width) : int(0.6 * width)]
    assert middle[: height // 2].any()  # the top of the head
    assert not middle[height // 2 :].any()  # the lower end of the slab


def test_alternative_texts_name_the_view_the_place_and_the_side(scenes: SimpleNamespace) -> None:
    row = drawn(scenes.aligned("CT"), "CT").rows[0].row
    assert row[1].alt == (
        "Contours of CT aligned on T1, axial S 0 mm, patient's right on the left"
        if "S 0" in row[1].alt
        else "Contours of CT aligned on T1, axial I 0 mm, patient's right on the left"
    )
    assert row[4].alt.endswith("front on the left")
