"""Inputs as typed: read, and what was repaired said once in the words that were typed."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import InputError
from pipelines.cli import inputs
from tests.end_to_end import heads
from tests.medfuse.io import dicom_maker


@pytest.fixture
def metres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``far.nii``, whose header says that its unit is the metre."""
    image = nib.Nifti1Image(heads.appearance("T1"), np.diag([0.004, 0.004, 0.004, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "far.nii")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_N13_a_repair_is_said_once_with_the_path_as_typed(
    metres: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = inputs.volume("far.nii:T1")
    assert volume.modality.name == "T1"
    assert volume.geometry.spacing == pytest.approx((4, 4, 4))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("medfuse: warning[N13]: far.nii: ")


def test_the_repairs_of_a_study_are_said_once_each(
    metres: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (metres / "patient").mkdir()
    (metres / "far.nii").rename(metres / "patient" / "T1.nii")
    heads.write(metres / "patient", "CT")
    assert list(inputs.study("patient").volumes) == ["CT", "T1"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "warning[N13]" in lines[0]
    assert "T1.nii" in lines[0]


def test_only_a_segmentation_holds_labels(tmp_path: Path) -> None:
    assert not inputs.is_labels(str(heads.write(tmp_path, "T1")))
    assert not inputs.is_labels(str(dicom_maker.series(tmp_path / "series", count=3)))


def test_the_path_of_a_locator(tmp_path: Path) -> None:
    file = heads.write(tmp_path, "T1")
    assert inputs.path(f"{file}:CT,volume=0") == file
    assert len(inputs.checksum(f"{file}:CT")) == len("sha256:") + 64
    assert inputs.checksum(str(tmp_path)) == "a folder"


def test_an_error_that_names_no_file_names_the_one_that_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, inputs._named("a.nii"):
        raise InputError("the volume holds values that are not finite", id="N27")
    assert str(caught.value).startswith("a.nii: ")
    with pytest.raises(InputError) as caught, inputs._named("a.nii"):
        raise InputError("is empty", where="b.nii")
    assert str(caught.value).startswith("b.nii: ")
