"""What was asked for, checked before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from medfuse.errors import InputError, OutputError, UsageError
from pipelines.cli.register_inputs import Request
from pipelines.output_folder import output_folder
from tests.end_to_end import heads

OPTIONS = {"settings": {}, "seed": 0}


def test_contradictions_are_found_without_opening_a_file() -> None:
    for request, words in [
        (Request(("a", "b"), fixed="T1"), "--fixed"),
        (Request(("a", "b"), names=("x", "y")), "2 times --name for 1"),
        (Request(("a", "b", "c"), masks=(None, "m")), "--moving-mask"),
        (Request(("a", "b", "c"), names=("x", "X")), "same --name"),
    ]:
        with pytest.raises(UsageError, match=words):
            request.check()


def test_all_inputs_are_read_before_any_is_judged(scans: Path) -> None:
    request = Request(("T1.nii.gz", "CT.nii.gz", "gone.nii.gz"), options=OPTIONS)
    with output_folder(scans / "out") as folder, pytest.raises(InputError, match="gone"):
        request.read(folder)
    assert not (scans / "out").exists()


def test_N30_too_few_voxels_are_refused_by_the_name_that_was_typed(scans: Path) -> None:
    import nibabel as nib

    nib.save(nib.Nifti1Image(heads.appearance("CT")[:, :, :3], heads.affine()), "thin.nii")
    request = Request(("T1.nii.gz", "thin.nii:CT"), options=OPTIONS)
    with output_folder(scans / "out") as folder, pytest.raises(InputError) as caught:
        request.read(folder)
    assert caught.value.id == "N30"
    assert str(caught.value).startswith("thin.nii: ")


def test_S4_results_never_replace_an_input(scans: Path) -> None:
    (scans / "out" / "CT").mkdir(parents=True)
    (scans / "CT.nii.gz").rename(scans / "out" / "CT" / "moved.nii.gz")
    request = Request(("T1.nii.gz", "out/CT/moved.nii.gz:CT"), options=OPTIONS)
    with (
        output_folder(scans / "out", overwrite=True) as folder,
        pytest.raises(OutputError) as caught,
    ):
        request.read(folder)
    assert caught.value.id == "S4"
    assert (scans / "out" / "CT" / "moved.nii.gz").exists()
