"""Folders that may not be looked into are an error, links to folders are counted."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import InputError, Repair
from medfuse.io.dicom_read import read_series
from medfuse.io.folders import entries, files_below
from medfuse.io.inspection import inspect
from medfuse.io.studies import read_study
from tests.medfuse.io import dicom_maker as maker


def deny(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody look into ``folder``, whoever runs this."""
    real = os.scandir

    def scandir(path: str | os.PathLike[str]) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """Return a folder with a T1, a CT series in two parts, and nothing wrong."""
    folder = tmp_path / "patient"
    maker.series(folder / "ct" / "a", count=6)
    for k in range(6, 10):
        maker.save(maker.slice_of(k), folder / "ct" / "b" / f"{k:03d}.dcm")
    image = nib.Nifti1Image(np.random.default_rng(0).random((9, 9, 9)).astype("f4"), np.eye(4))
    nib.save(image, folder / "T1.nii")
    return folder


def test_everything_below_in_order(patient: Path) -> None:
    found, links = files_below(patient)
    assert found == sorted(path for path in patient.rglob("*") if path.is_file())
    assert (len(found), links) == (11, 0)
    assert entries(patient) == [patient / "T1.nii", patient / "ct"]


@pytest.mark.parametrize("read", [lambda path: read_series(path / "ct"), read_study, inspect])
def test_N44_a_part_of_a_series_that_may_not_be_seen(
    patient: Path, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    """Slices 7 to 10 lie in the closed folder: without them the series would look whole."""
    deny(patient / "ct" / "b", monkeypatch)
    with pytest.raises(InputError, match="permission denied") as caught:
        read(patient)
    assert (caught.value.id, caught.value.exit_code) == ("N44", 3)
    assert Path(str(caught.value.where)) == patient / "ct" / "b"


@pytest.mark.parametrize("read", [read_series, read_study, inspect])
def test_N44_the_folder_itself(
    patient: Path, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    deny(patient, monkeypatch)
    with pytest.raises(InputError, match="permission denied") as caught:
        read(patient)
    assert caught.value.id == "N44"


def test_N44_a_folder_that_lists_but_does_not_open(
    patient: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.access
    closed = patient / "ct" / "b"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and real(path, mode))
    with pytest.raises(InputError, match="permission denied"):
        files_below(patient)
    with pytest.raises(InputError, match="permission denied"):
        entries(closed)


def test_D41_links_to_folders_are_not_followed_and_counted(patient: Path) -> None:
    (patient / "ct" / "again").symlink_to(patient / "ct", target_is_directory=True)
    assert files_below(patient)[1] == 1
    with pytest.warns(Repair, match="1 links to folders were not followed") as caught:
        volume = read_series(patient / "ct")
    assert [warning.message.id for warning in caught] == ["D41"]
    assert volume.array.shape[0] == 10
