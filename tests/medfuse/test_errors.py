"""Errors say what, where and what to do, on one line, and carry the exit code of their kind."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfuse import errors
from medfuse.errors import InputError, MedfuseError, Repair, escaped

CODES = {
    "MedfuseError": 1,
    "UsageError": 2,
    "InputError": 3,
    "DicomError": 3,
    "GeometryError": 3,
    "ModelError": 3,
    "QualityRefused": 4,
    "OutputError": 5,
    "ResourceError": 6,
    "SomeFailed": 7,
}


@pytest.mark.parametrize("name", CODES)
def test_exit_codes(name: str) -> None:
    kind = getattr(errors, name)
    options = {"failed": ("a",)} if name == "SomeFailed" else {}
    assert kind("wrong", **options).exit_code == CODES[name]
    assert issubclass(kind, MedfuseError)


def test_the_table_names_every_error() -> None:
    found = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, MedfuseError)
    }
    assert found == set(CODES)
    assert all(name in (errors.__doc__ or "") for name in found)


def test_the_sentence() -> None:
    error = InputError("is empty", where="a.nii", hint="copy it again", id="N43")
    assert str(error) == "a.nii: is empty; copy it again"
    assert str(InputError("is empty")) == "is empty"
    assert (error.what, error.id) == ("is empty", "N43")


@given(st.text())
def test_any_name_comes_out_on_one_printable_line(text: str) -> None:
    shown = escaped(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\udcff.nii", "\\udcff.nii"),
        ("患者 é 🧠", "患者 é 🧠"),
        ("a\u00a0b", "a\\xa0b"),
    ],
)
def test_marks_that_deceive_are_escaped(name: str, shown: str) -> None:
    assert escaped(name) == shown


def test_a_refusal_keeps_its_verdicts() -> None:
    error = errors.QualityRefused("nothing is left", verdicts={"CT": ("no overlap",)})
    assert error.verdicts == {"CT": ("no overlap",)}
    assert errors.QualityRefused("nothing is left").verdicts == {}


def test_a_repair_is_a_warning_with_its_row() -> None:
    with pytest.warns(Repair, match=r"^\[N13\] lengths were") as caught:
        warnings.warn(Repair("lengths were\nin metres", id="N13"), stacklevel=1)
    assert "\n" not in str(caught[0].message)
