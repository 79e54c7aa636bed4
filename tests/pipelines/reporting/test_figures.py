"""Pictures say the truth: circles lie on circles, bars are as long as they say."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipelines.reporting import figures
from pipelines.reporting.planes import Plane

PLANE = Plane("axial", np.array([-50.0, -60.0, 0.0]), 1.0, (120, 100))


def disc(radius: float, *, centre: tuple[float, float] = (60.0, 50.0)) -> np.ndarray:
    """A soft disc, 1 inside and 0 outside, half at ``radius`` mm."""
    rows, columns = np.indices(PLANE.shape)
    away = np.hypot(rows - centre[0], columns - centre[1])
    return (1 / (1 + np.exp((away - radius) / 1.5))).astype(np.float32)


def black() -> figures.Pixels:
    """An empty picture."""
    return figures.grey(np.zeros(PLANE.shape, np.float32), (0, 1), PLANE)


def test_a_contour_lies_where_the_level_is() -> None:
    """Within half a millimetre of the circle, all around."""
    drawn = figures.outlined(black(), disc(30), (0.5,), PLANE)
    scale = figures.zoom(PLANE)
    rows, columns = np.nonzero(drawn[:, :, 2] > 120)  # the blue of the outer contour
    # pixel centres: enlarging keeps the outer edges of the picture
    y, x = (rows + 0.5) / scale - 0.5 - 60, (columns + 0.5) / scale - 0.5 - 50
    assert np.abs(np.hypot(y, x) - 30).max() < 0.8
    angles = np.histogram(np.arctan2(y, x), bins=36)[0]
    assert angles.min() > 0


def test_the_border_of_the_field_of_view_draws_no_contour() -> None:
    """A body that is cut by the field of view has no skin there."""
    values = disc(30)
    values[60:] = np.nan
    drawn = figures.outlined(black(), values, (0.5,), PLANE)
    rows, columns = np.nonzero(drawn.max(axis=2) > 100)
    scale = figures.zoom(PLANE)
    inside = np.hypot(rows / scale - 60, columns / scale - 50) < 25
    assert rows.size > 0
    assert not inside.any()


def test_noise_draws_no_contours() -> None:
    """Specks shorter than a contour are dropped."""
    noise = np.random.default_rng(1).normal(0, 0.05, PLANE.shape).astype(np.float32)
    clean = figures.outlined(black(), disc(30), (0.5,), PLANE)
    noisy = figures.outlined(black(), disc(30) + noise, (0.5,), PLANE)
    lit = [(picture.max(axis=2) > 100).sum() for picture in (clean, noisy)]
    assert lit[1] == pytest.approx(lit[0], rel=0.1)


def test_nothing_seen_draws_nothing() -> None:
    """A volume outside of the plane leaves the picture as it is."""
    empty = np.full(PLANE.shape, np.nan, np.float32)
    np.testing.assert_array_equal(figures.outlined(black(), empty, (0.5,), PLANE), black())


def test_unseen_is_told_from_air() -> None:
    """Air is black, what was not seen is bluish."""
    values = np.zeros(PLANE.shape, np.float32)
    values[:, :50] = np.nan
    drawn = figures.grey(values, (0, 1), PLANE)
    assert drawn[:, 10].min(axis=0).tolist() == [16, 24, 32]
    assert drawn[:, -10].max() == 0


def test_a_checkerboard_alternates_in_squares_of_its_size() -> None:
    """Squares of 20 mm: the first row of a 100 mm picture changes four times."""
    white = np.full_like(black(), 255)
    drawn = figures.checkerboard(black(), white, PLANE, square=20.0)
    changes = np.flatnonzero(np.diff(drawn[0, :, 0].astype(int)))
    assert len(changes) == 4
    np.testing.assert_allclose(np.diff(changes) / figures.zoom(PLANE), 20, atol=0.3)
    assert drawn[0, 0, 0] == 0
    nine = figures.checkerboard(black(), white, PLANE)  # unless said otherwise
    longer = nine[0, :, 0] if PLANE.shape[1] >= PLANE.shape[0] else nine[:, 0, 0]
    assert np.count_nonzero(np.diff(longer.astype(int))) == 8


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    """The only bar that fits a third of 100 mm is 2 cm."""
    picture = np.asarray(figures.marked(black(), PLANE))
    right = picture.shape[1] * 2 // 3  # the letter of the lower edge stands left of here
    bar = right + np.flatnonzero(picture[-12, right:, 0] == 255)
    assert (bar.max() - bar.min() + 1) / figures.zoom(PLANE) == pytest.approx(20, abs=0.5)


def test_every_picture_carries_marks_at_its_four_edges() -> None:
    """Letters are drawn at the middle of each edge."""
    plain, marked = black(), np.asarray(figures.marked(black(), PLANE))
    height, width = plain.shape[:2]
    for rows, columns in (
        (slice(height // 2 - 15, height // 2 + 15), slice(0, 30)),
        (slice(height // 2 - 15, height // 2 + 15), slice(width - 30, width)),
        (slice(0, 30), slice(width // 2 - 15, width // 2 + 15)),
        (slice(height - 30, height), slice(width // 2 - 15, width // 2 + 15)),
    ):
        assert marked[rows, columns].max() == 255


def test_labels_are_tinted_in_their_own_colours() -> None:
    """Two labels, two colours, nothing elsewhere."""
    labels = np.zeros(PLANE.shape, np.uint16)
    labels[20:50, 20:50], labels[70:100, 20:50] = 1, 2
    drawn = figures.labelled(black(), labels, PLANE)
    scale = figures.zoom(PLANE)
    first, second = drawn[int(35 * scale), int(35 * scale)], drawn[int(85 * scale), int(35 * scale)]
    np.testing.assert_allclose(first, np.array(figures.label_colour(1)) * 0.3, atol=2)
    np.testing.assert_allclose(second, np.array(figures.label_colour(2)) * 0.3, atol=2)
    assert drawn[:, -40:].max() == 0


def test_fourteen_labels_have_fourteen_colours() -> None:
    """Then they repeat."""
    colours = [figures.label_colour(label) for label in range(1, 15)]
    assert len(set(colours)) == 14
    assert figures.label_colour(15) == colours[0]


def test_heat_is_clear_where_there_is_no_uptake() -> None:
    """No uptake leaves the picture under it; high uptake is bright and warm."""
    under = np.full_like(black(), 100)
    drawn = figures.fused(under, disc(30), (0, 1), PLANE)
    assert drawn[5, 5].tolist() == [100, 100, 100]
    red, green, blue = (int(part) for part in drawn[drawn.shape[0] // 2, drawn.shape[1] // 2])
    assert red > 190
    assert red > blue
    assert green > blue


def test_grey_pictures_are_stored_as_grey() -> None:
    """The bytes are a JPEG that opens and is the picture."""
    for drawn, mode in (
        (black(), "L"),
        (figures.outlined(black(), disc(30), (0.5,), PLANE), "RGB"),
    ):
        uri = figures.data_uri(Image.fromarray(drawn))
        head, _, body = uri.partition(",")
        picture = Image.open(io.BytesIO(base64.b64decode(body)))
        assert head == "data:image/jpeg;base64"
        assert picture.mode == mode
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - drawn).mean() < 3
