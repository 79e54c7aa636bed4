"""Numbers in words: what was turned and shifted is said as it was."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from medfuse.geometry import Geometry
from medfuse.transform import IDENTITY, Affine, Displacement
from pipelines.reporting import wording
from registration import quality

POINTS = np.random.default_rng(0).uniform(-80, 80, (500, 3))
CENTRE = np.array([10.0, 20.0, 30.0])


def rigid(turns: tuple[float, float, float], shift: tuple[float, float, float]) -> Affine:
    """Turn about ``CENTRE`` by a rotation vector in degrees, then shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(turns)).as_matrix()
    matrix[:3, 3] = CENTRE + np.array(shift) - matrix[:3, :3] @ CENTRE
    return Affine(matrix)


def test_a_turn_and_a_shift_are_told_with_their_axes_and_sides() -> None:
    found = wording.motion(rigid((0, 0, 14.2), (3.0, 0, -4.0)), CENTRE, POINTS)
    assert found.degrees == pytest.approx(14.2)
    np.testing.assert_allclose(found.shift, [3, 0, -4], atol=1e-9)
    (said,) = wording.told(found, "CT", "T1")
    assert "the CT was turned by 14.2° (14.2° about head–foot (turning))" in said
    assert "shifted by 5.0 mm (4.0 mm to the feet, 3.0 mm to the left)" in said
    assert "This was undone." in said


def test_nothing_to_undo_is_said_so() -> None:
    (said,) = wording.told(wording.motion(IDENTITY, CENTRE, POINTS), "CT", "T1")
    assert said == "The CT lay in place already: it was neither turned nor shifted."


def test_half_a_turn_is_half_a_turn() -> None:
    found = wording.motion(rigid((180, 0, 0), (0, 0, 0)), CENTRE, POINTS)
    assert found.degrees == pytest.approx(180)
    assert not found.mirrored


def test_scales_and_mirrors_are_told() -> None:
    matrix = np.diag([-1.02, 1.0, 1.0, 1.0])
    said = " ".join(wording.told(wording.motion(Affine(matrix), CENTRE, POINTS), "MR", "CT"))
    assert "factors 1.020 × 1.000 × 1.000" in said
    assert "mirrored" in said


def test_bending_is_measured_beyond_the_linear_part(scenes: SimpleNamespace) -> None:
    geometry = scenes.grid(21, 10.0)
    z = geometry.world(np.indices(geometry.shape).reshape(3, -1).T)[:, 2]
    field = np.zeros((3, geometry.shape[0] ** 3), np.float32)
    field[0] = 6 * np.cos(z / 100 * 2 * np.pi)
    bent = Displacement(field.reshape(3, *geometry.shape), geometry)
    found = wording.motion(bent, CENTRE, POINTS)
    assert 3 < found.bend[0] < 6
    assert 6 < found.bend[1] < 12
    assert found.degrees < 2
    assert "bent" in " ".join(wording.told(found, "PET", "T1"))


def test_figures_are_shown_with_units_and_what_good_looks_like() -> None:
    rows = wording.figure_rows(
        {"overlap": 0.934, "margin": 10.0, "stability_mm": 0.1234, "new_thing_mm": 2.0,
         "sharpness": float("nan"), "compared_cm3": 1771.6}
    )  # fmt: skip
    shown = {row["name"].split(":")[0]: row["value"] for row in rows}
    assert shown == {
        "Overlap": "93 %",
        "Margin": "no other pose found",
        "Stability": "0.123 mm",
        "New thing": "2 mm",
        "Sharpness": "not measured",
        "Compared tissue": "1772 cm³",
    }
    assert rows[0]["good"].startswith("above 35 %")


def test_every_figure_that_registration_measures_has_its_words() -> None:
    """The names of figures stand in the code that measures them, as text."""
    code = (Path(quality.__file__)).read_text("utf-8")
    for name in wording.FIGURES:
        assert f'"{name}"' in code, f"nothing measures {name!r}"
    (row,) = wording.figure_rows({"folding_percent": 1.25})
    assert (row["value"], row["good"]) == ("1.25 %", "0")
    assert row["name"].startswith("Folding")


def test_the_methods_sentence_of_a_deformable_run_says_b_spline() -> None:
    facts = {"kind": "deformable", "version": "9.8", "engine": "mi", "start": "header", "seed": 3,
             "interpolation": "linear", "verdict": "pass", "grid": "1 mm"}  # fmt: skip
    assert "with a deformable transform" in wording.methods("CT", "T1", facts=facts)
    assert ", then bending a B-spline grid (medfuse" in wording.methods("CT", "T1", facts=facts)
    rigid = wording.methods("CT", "T1", facts={**facts, "kind": "rigid"})
    assert "B-spline" not in rigid


def test_windows_say_where_they_come_from(scenes: SimpleNamespace) -> None:
    assert wording.window_text(scenes.head("CT"), (-100.0, 200.0)) == "−100 to 200 HU"
    text = wording.window_text(scenes.head(), (150.0, 1234.5))
    assert text == "150 to 1234 a.u. (by percentiles)"


@pytest.mark.parametrize(
    ("engine", "start", "said"),
    [
        ("mi", "auto", "mutual information coarse to fine after a global search"),
        ("itk", "auto", "Mattes mutual information with SimpleITK"),
        ("mi", "header", "starting from the pose in the headers"),
        ("mi", "sha256 of a file", "starting from a given transform"),
        (None, None, "maximising mutual information ("),
    ],
)
def test_the_methods_sentence_says_how(engine: str | None, start: str | None, said: str) -> None:
    facts = {"kind": "rigid", "version": "9.8", "engine": engine, "start": start, "seed": 3,
             "interpolation": "bspline", "verdict": "review",
             "grid": "1 × 1 × 1 mm, 9 × 9 × 9 voxels"}  # fmt: skip
    sentence = wording.methods("CT", "T1", facts=facts)
    assert said in sentence
    assert "medfuse 9.8; seed 3" in sentence
    assert "resampled once by cubic B-spline interpolation onto" in sentence
    assert sentence.startswith("The CT was registered to the T1 with a rigid transform")
    assert sentence.endswith("Automatic quality verdict: review.")
    assert ("global search" in sentence) == (start == "auto")


def test_the_grid_is_told_in_columns_rows_slices() -> None:
    geometry = Geometry((5, 4, 3), np.diag([3.0, 2.0, 0.9, 1.0])[:, :])
    assert wording.grid(geometry) == "0.9 × 2 × 3 mm, 3 × 4 × 5 voxels"
