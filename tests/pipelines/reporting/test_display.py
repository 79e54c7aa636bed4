"""Figures for notebooks: they draw without pyplot, and say side and window."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from medfuse.errors import UsageError
from medfuse.study import Study
from medfuse.volume import LabelMap
from pipelines.reporting.display import compare, show

pytest.importorskip("matplotlib")


def words(figure: object) -> str:
    """All text of a figure."""
    return " | ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_an_aligned_study_is_shown_row_by_row(scenes: SimpleNamespace) -> None:
    figure = show(scenes.aligned("CT", "PET"))
    assert len(figure.axes) == 9
    assert [part in words(figure) for part in ("T1", "CT\n−100 to 200 HU", "SUVbw")] == [True] * 3


def test_the_left_of_the_patient_is_on_the_right(scenes: SimpleNamespace) -> None:
    """The bright block of the head, in the pixels that are drawn."""
    axial = np.asarray(show(scenes.head()).axes[0].images[0].get_array())[60:-60, 60:-60, 0]
    columns = np.nonzero(axial > 250)[1]
    assert np.median(columns) > axial.shape[1] / 2


def test_a_study_is_shown_where_its_volumes_lie(scenes: SimpleNamespace) -> None:
    study = scenes.aligned("CT").study
    assert len(show(study).axes) == 6
    assert len(show(study, names=["CT"]).axes) == 3
    with pytest.raises(UsageError, match="no volume PET"):
        show(study, names=["PET"])
    with pytest.raises(UsageError, match="no volume"):
        show(Study("empty", {}))


def test_labels_are_tinted_only_where_asked(scenes: SimpleNamespace) -> None:
    """A study's labels fit one of its scans; over the others they would mislead."""
    head = scenes.head()
    labels = LabelMap(head.array > 800, head.geometry)
    study = Study("x", {"T1": head}, labels=labels)
    for options, coloured in (({}, False), ({"labels": labels}, True)):
        drawn = np.asarray(show(study, **options).axes[0].images[0].get_array()).astype(int)
        middle = drawn[60:-60, 60:-60]
        assert (np.ptp(middle, axis=2).max() > 50) == coloured


def test_each_plane_passes_through_a_small_label_off_the_middle(scenes: SimpleNamespace) -> None:
    head = scenes.head()
    inside = np.argwhere(head.array > 0)
    spot = inside[len(inside) // 5]
    marked = np.zeros(head.array.shape, np.uint16)
    marked[tuple(slice(n, n + 2) for n in spot)] = 1
    figure = show(head, labels=LabelMap(marked, head.geometry))
    for axes in figure.axes:
        drawn = np.asarray(axes.images[0].get_array()).astype(int)
        assert np.ptp(drawn, axis=2).max() > 50


def test_a_volume_that_lies_elsewhere_keeps_its_own_planes(scenes: SimpleNamespace) -> None:
    head = scenes.head()
    away = np.eye(4)
    away[0, 3] = 900
    far = replace(head.geometry, world_from_voxel=away @ head.geometry.world_from_voxel)
    labels = LabelMap(head.array > 800, head.geometry)
    other = replace(head, geometry=far)
    axes = show(Study("x", {"CT": other}), labels=labels).axes
    assert all(np.asarray(one.images[0].get_array())[60:-60, 60:-60].max() > 100 for one in axes)


def test_compare_draws_both_a_checkerboard_and_contours(scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT")
    figure = compare(aligned.volumes["T1"], aligned.volumes["CT"])
    assert len(figure.axes) == 12
    assert "contours of CT\non T1" in words(figure)
    contours = np.asarray(figure.axes[9].images[0].get_array()).astype(int)
    assert (contours[:, :, 0] - contours[:, :, 2] > 100).sum() > 200  # orange: bone
    assert (contours[:, :, 2] - contours[:, :, 0] > 80).sum() > 200  # blue: skin


def test_a_figure_draws_itself_in_a_notebook(scenes: SimpleNamespace) -> None:
    picture = Image.open(io.BytesIO(show(scenes.head())._repr_png_()))
    assert picture.format == "PNG"
    assert picture.width > 600


def test_pyplot_is_never_loaded() -> None:
    code = (
        "import sys, pipelines.reporting.display as d\n"
        "assert 'matplotlib' not in sys.modules\n"
        "d._picture_class()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    from pipelines.reporting import display

    with pytest.raises(UsageError, match="matplotlib") as caught:
        display._picture_class()
    assert "medfuse[notebook]" in caught.value.hint
