"""NRRD headers: what places a volume, in every spelling that is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import InputError
from medfuse.io import nrrd

FIELDS = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "4 5 6",
    "space directions": "(2,0,0) (0,3,0) (0,0,4)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(10,20,30)",
}


def parsed(options: dict[str, str] | None = None, **changes: str | None) -> nrrd.Header:
    fields = {**FIELDS, **{key.replace("_", " "): value for key, value in changes.items()}}
    lines = [f"{key}: {value}" for key, value in fields.items() if value is not None]
    raw = ("\n".join(["NRRD0005", *lines]) + "\n\n").encode()
    return nrrd.header(raw, Path("a.nrrd"), options or {}, where="a.nrrd")


def test_the_grid_is_in_array_order() -> None:
    grid = parsed().geometry()
    assert grid.shape == (6, 5, 4)
    assert grid.spacing == (4, 3, 2)
    assert grid.world((1, 1, 1)).tolist() == [12, 23, 34]


@pytest.mark.parametrize(
    ("space", "world"),
    [
        ("left-posterior-superior", [12, 23, 34]),
        ("LPS", [12, 23, 34]),
        ("right-anterior-superior", [-12, -23, 34]),
        ("RAS", [-12, -23, 34]),
        ('"left-anterior-superior"', [12, -23, 34]),
    ],
)
def test_every_patient_space_becomes_lps(space: str, world: list[float]) -> None:
    assert parsed(space=space).geometry().world((1, 1, 1)).tolist() == world


@pytest.mark.parametrize(
    ("word", "endian", "dtype"),
    [
        ("unsigned char", None, "u1"),
        ("int16_t", "big", ">i2"),
        ("ushort", "little", "<u2"),
        ("double", "big", ">f8"),
        ("long long int", "little", "<i8"),
    ],
)
def test_types_in_every_spelling(word: str, endian: str | None, dtype: str) -> None:
    assert parsed(type=word, endian=endian).dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"type": "block"}, "N18"),
        ({"endian": None}, "R6"),
        ({"endian": "middle"}, "R6"),
        ({"encoding": "text"}, "R6"),
        ({"dimension": "2", "sizes": "4 5"}, "N22"),
        ({"dimension": "0"}, "R12"),
        ({"space": "scanner-xyz"}, "R13"),
        ({"space origin": None}, "N12"),
        ({"space units": '"mm" "m" "mm"'}, "N13"),
        ({"line skip": "2"}, "R6"),
        ({"byte skip": "-2"}, "R6"),
        ({"space directions": "(2,0,0) (0,3,0) (0,0,4) (1,1,1)"}, "R4"),
        ({"space directions": "(2,0,0) 1 (0,3,0) (0,0,4)"}, "R4"),
        ({"kinds": "domain domain"}, "R4"),
        ({"kinds": "domain vector domain"}, "N20"),
        ({"dimension": "4", "sizes": "3 4 5 6"}, "R4"),
    ],
)
def test_what_cannot_be_placed_is_refused(changes: dict[str, str | None], id: str) -> None:
    with pytest.raises(InputError) as caught:
        parsed(**{key.replace(" ", "_"): value for key, value in changes.items()})
    assert caught.value.id == id
    assert "\n" not in str(caught.value)


def test_without_an_origin_the_middle_may_be_put_at_zero() -> None:
    header = parsed({"centred": "ok"}, space_origin=None)
    assert np.allclose(header.geometry().centre, 0)
    assert [repair.id for repair in header.repairs] == ["N12"]


def test_a_field_given_twice_is_refused() -> None:
    raw = b"NRRD0004\ntype: short\ntype: float\n\n"
    with pytest.raises(InputError, match="twice"):
        nrrd.header(raw, Path("a.nrrd"), {}, where="a.nrrd")


def test_a_header_without_end_is_refused() -> None:
    raw = b"NRRD0004\n" + b"# remark\n" * 200_000
    with pytest.raises(InputError, match="no end"):
        nrrd.header(raw[: 1 << 20], Path("a.nrrd"), {}, where="a.nrrd")


@pytest.mark.parametrize("axis", [0, 3])
def test_a_series_says_which_axis_is_not_space(axis: int) -> None:
    directions = FIELDS["space directions"].split()
    directions.insert(axis, "none")
    sizes = FIELDS["sizes"].split()
    sizes.insert(axis, "7")
    kinds = ["domain"] * 3
    kinds.insert(axis, "list")
    header = parsed(
        dimension="4",
        sizes=" ".join(sizes),
        space_directions=" ".join(directions),
        kinds=" ".join(kinds),
    )
    assert header.geometry().shape == (6, 5, 4)
    assert axis not in header.space
