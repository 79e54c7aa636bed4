"""Tables of points, as people and spreadsheets write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import InputError
from medfuse.io.points import read_points, write_points


@pytest.mark.parametrize(
    "text",
    [
        "x,y,z\n1,2,3\n4,5,6.5\n",
        "\ufeffx,y,z\r\n1,2,3\r\n4,5,6.5\r\n",
        "X;Y;Z\n1;2;3\n4;5;6.5",
        "name\tz\ty\tx\na\t3\t2\t1\nb\t6.5\t5\t4\n",
        "1,2,3\n4,5,6.5\n",
        "x,y,z\r1,2,3\r4,5,6.5\r",
        "\n\nx;y;z\n1;2;3\n4;5;6.5\n",
        "x,y,z\n1,2,3,\n4,5,6.5,,\n",
        " x , y , z \n\n1, 2, 3\n4, 5, 6.5\n\n",
    ],
)
def test_all_ways_to_write_a_table_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_bytes(text.encode())
    assert read_points(tmp_path / "p.csv").tolist() == [[1, 2, 3], [4, 5, 6.5]]


def test_a_table_without_points(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("x,y,z\n")
    assert read_points(tmp_path / "p.csv").shape == (0, 3)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"a,b,c\n1,2,3\n", "no columns x, y and z"),
        (b"x,y\n1,2\n", "no columns x, y and z"),
        (b"x,y,z\n1,2,nan\n", "line 2: 'nan' is no finite number"),
        (b"x,y,z\n1,2,3\n1,2,inf\n", "line 3: 'inf'"),
        (b"x,y,z\n1,2\n", "line 2: ''"),
        (b"x;y;z\n1,5;2;3\n", "line 2: '1,5'"),
        (b"x,y,z\n\n\n1,2,3\n\n1,2,inf\n", "line 6: 'inf'"),
        (b"x,y,z\n1,5,2,5,3,5\n", "line 2 has 6 columns, the first has 3"),
        (b"1,2,3\n1,5,2,3\n", "line 2 has 4 columns"),
        (b"x,y,z\n1_0,2,3\n", "line 2: '1_0'"),
        ("x,y,z\n\uff11,2,3\n".encode(), "is no finite number"),
        (b"x,y,z\n" + b"1" * 200_000 + b",2,3\n", "line 2: no row of a table"),
        (b'x,y,z\n"' + b"1\n" * 100_000, "no row of a table"),
        (b"x,y,z\n1,2,\xff\xfe\n", "UTF-8"),
    ],
)
def test_what_is_no_table_of_points_is_refused(tmp_path: Path, payload: bytes, words: str) -> None:
    (tmp_path / "p.csv").write_bytes(payload)
    with pytest.raises(InputError) as caught:
        read_points(tmp_path / "p.csv")
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_points_survive_a_round_trip_to_a_nanometre(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(20, 3)) * 100
    write_points(points, tmp_path / "p.csv")
    np.testing.assert_allclose(read_points(tmp_path / "p.csv"), points, atol=5e-7)
    write_points(np.array([[-1e-9, 0, 1]]), tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == "x,y,z\n0.000000,0.000000,1.000000\n"
