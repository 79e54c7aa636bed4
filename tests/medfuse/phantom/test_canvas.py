"""The lattice that tissues are painted on, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from medfuse.phantom.canvas import Canvas, Noise, finer, knots, merge, spline

SHAPE = (60, 62, 64)


def straight() -> Canvas:
    return Canvas(
        SHAPE, (-32.0, -31.0, -30.0), stretch=(1, 1, 1), rng=np.random.default_rng(0), bend_mm=0
    )


def amount(canvas: Canvas, tissue: int) -> float:
    """Return the volume of a tissue, mm3."""
    upper = canvas.part[canvas.top == tissue].sum(dtype=float)
    return float(upper + (1 - canvas.part[canvas.under == tissue]).sum(dtype=float))


def test_an_ellipsoid_has_its_volume() -> None:
    canvas = straight()
    canvas.blob((1.3, -2.2, 0.4), (14, 10, 7), 7, over=(0,))
    assert amount(canvas, 7) == pytest.approx(4 / 3 * np.pi * 14 * 10 * 7, rel=0.01)


def test_a_rod_has_the_volume_of_a_capsule() -> None:
    canvas = straight()
    canvas.rods([(-8, -3, 2), (10, 5, -4)], [5, 5], 3, over=(0,))
    length = np.sqrt(18**2 + 8**2 + 6**2)
    expected = np.pi * 25 * length + 4 / 3 * np.pi * 125
    assert amount(canvas, 3) == pytest.approx(expected, rel=0.01)


def test_a_rod_that_widens_keeps_to_the_radius_at_its_ends() -> None:
    box = straight().everywhere()
    rod = box.rod((0, 0, -20), (0, 0, 20), (2, 8))
    on_axis = rod[:, 31, 32]
    assert on_axis[10] == pytest.approx(-2, abs=1e-5)
    assert on_axis[50] == pytest.approx(-8, abs=1e-5)


def test_what_is_painted_inside_takes_from_what_was_there() -> None:
    canvas = straight()
    canvas.blob((0, 0, 0), (20, 20, 20), 8, over=(0,))
    before = amount(canvas, 8)
    canvas.blob((0, 0, 0), (10, 10, 10), 7)
    assert amount(canvas, 8) + amount(canvas, 7) == pytest.approx(before, rel=1e-4)


def test_air_is_painted_only_where_asked() -> None:
    canvas = straight()
    canvas.blob((0, 0, 0), (10, 10, 10), 7)
    assert not canvas.top.any()


def test_over_leaves_other_tissues_alone() -> None:
    canvas = straight()
    canvas.blob((0, 0, 0), (20, 20, 20), 8, over=(0,))
    canvas.blob((0, 0, 0), (10, 10, 10), 7)
    kept = canvas.top == 7
    canvas.blob((0, 0, 0), (15, 15, 15), 3, over=(8,))
    assert (canvas.top[kept] == 7).all()


def test_a_bent_space_moves_a_structure_by_little() -> None:
    bent = Canvas(
        SHAPE, (-32.0, -31.0, -30.0), stretch=(1, 1, 1), rng=np.random.default_rng(1), bend_mm=1.5
    )
    plain = straight()
    for canvas in (bent, plain):
        canvas.blob((0, 0, 0), (12, 12, 12), 7, over=(0,))
    assert (bent.top != plain.top).any()
    shift = np.argwhere(bent.top == 7).mean(axis=0) - np.argwhere(plain.top == 7).mean(axis=0)
    assert np.linalg.norm(shift) < 10


def test_a_part_of_the_lattice_has_the_coordinates_of_the_whole() -> None:
    canvas = Canvas(
        SHAPE, (-32.0, -31.0, -30.0), stretch=(1.02, 1, 0.97), rng=np.random.default_rng(2),
        bend_mm=1.5,
    )  # fmt: skip
    whole, part = canvas.everywhere(), canvas.around((0, 0, 0), reach=5)
    for axis in "xyz":
        np.testing.assert_allclose(
            getattr(part, axis), getattr(whole, axis)[part.slices], atol=1e-4
        )
    coarse = canvas.everywhere(2)
    np.testing.assert_allclose(coarse.x, whole.x[::2, ::2, ::2], atol=1e-4)


def test_the_box_around_a_shape_holds_it() -> None:
    canvas = straight()
    box = canvas.everywhere()
    distance = box.ellipsoid((3, 4, 5), (6, 7, 8))
    found = canvas.within(distance, 0.0)
    assert found.x.shape == tuple(s.stop - s.start for s in found.slices)
    outside = np.ones(SHAPE, bool)
    outside[found.slices] = False
    assert (distance[outside] >= 0).all()


def test_a_union_is_smooth_at_its_corner_and_exact_away_from_it() -> None:
    a, b = np.float32([5, 0, -3]), np.float32([-5, 0, 3])
    np.testing.assert_allclose(merge(a, b, 1.0), [-5, -0.25, -3], atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 8, 7), (8, 9, 10)])
def test_filling_in_is_exact_for_a_plane(shape: tuple[int, int, int]) -> None:
    d, h, w = np.indices(shape, dtype=np.float32)
    plane = 2 * d - 3 * h + 0.5 * w + 1
    got = finer(plane[::2, ::2, ::2], shape)
    inner = tuple(slice(0, n - n % 2 if n % 2 == 0 else n) for n in shape)
    covered = tuple(slice(0, 2 * ((n - 1) // 2) + 1) for n in shape)
    np.testing.assert_allclose(got[covered], plane[covered], atol=1e-5)
    assert got[inner].shape == got.shape == shape


def test_a_spline_of_equal_knots_is_constant() -> None:
    even = np.full(knots((20, 20, 20), np.random.default_rng(0), 5.0).shape, 2.5)
    np.testing.assert_allclose(spline(even, (20, 20, 20), 5.0), 2.5, rtol=1e-6)


def test_smooth_noise_has_spread_one_and_its_wavelength() -> None:
    noise = Noise(np.random.default_rng(3), 16.0)
    line = np.linspace(0, 96, 4000, dtype=np.float32)
    rows = [noise(line, np.full_like(line, y), np.full_like(line, 3 * y)) for y in range(40)]
    values = np.stack(rows)
    assert values.std() == pytest.approx(1, abs=0.2)
    crossings = (np.diff(np.sign(values), axis=1) != 0).sum() / 40
    # sheets of an isotropic field cross a line sqrt(3) times less often than along their normal
    assert 2 * 96 / crossings == pytest.approx(16 * np.sqrt(3), rel=0.25)
    np.testing.assert_allclose(noise(line + 96, line, line), noise(line, line, line), atol=1e-3)
