"""What was asked for, checked before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from medfuse.errors import InputError, OutputError, UsageError
from pipelines.cli.register_inputs import Request
from pipelines.output_folder import output_folder
from tests.end_to_end import heads
from tests.medfuse.io import dicom_maker

OPTIONS = {"settings": {}, "seed": 0}


def test_contradictions_are_found_without_opening_a_file() -> None:
    for request, words in [
        (Request(("a", "b"), fixed="T1"), "--fixed"),
        (Request(("a", "b"), names=("x", "y")), "2 times --name for 1"),
        (Request(("a", "b", "c"), masks=(None, "m")), "--moving-mask"),
        (Request(("a", "b", "c"), names=("x", "X")), "same --name"),
        (Request(("a", "b", "c"), start="pose.tfm"), "--start goes with one moving scan"),
        (Request(("a:CT",)), "no moving scan"),
        (Request(("a:series=1.2.3",)), "no moving scan"),
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


def test_N40_a_name_that_is_too_long_is_a_missing_file(scans: Path) -> None:
    request = Request(("x" * 300,), options=OPTIONS)
    request.check()
    with output_folder(scans / "out") as folder, pytest.raises(InputError) as caught:
        request.read(folder)
    assert caught.value.id == "N40"


def test_a_start_from_a_file_goes_with_one_moving_scan_of_a_folder(scans: Path) -> None:
    request = Request((".",), start="pose.tfm", options=OPTIONS)
    request.check()
    with output_folder(scans / "out") as folder, pytest.raises(UsageError, match="--start"):
        request.read(folder)


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (("pat",), "pat"),
        (("pat",), "pat/sub-001"),
        (("pat",), "pat/sub-001/ses-2"),
        (("pat/sub-001",), "pat/sub-001"),
        (("pat/sub-001/T1.nii.gz", "pat/sub-001/CT.nii.gz"), "pat/sub-001"),
        (("T1.nii.gz", "pat/sub-001/CT.nii.gz:CT"), "."),
        (("T1.nii.gz", "pat/ct"), "pat"),
        (("T1.nii.gz", "pat/ct"), "pat/ct"),
    ],
)
def test_S4_results_never_lie_among_the_scans(
    scans: Path, words: tuple[str, ...], out: str
) -> None:
    """There the next run would take them for scans of the patient."""
    for name in ("T1", "CT"):
        (scans / "pat" / "sub-001").mkdir(parents=True, exist_ok=True)
        heads.write(scans / "pat" / "sub-001", name)
    dicom_maker.series(scans / "pat" / "ct")
    request = Request(words, options=OPTIONS)
    with output_folder(out, overwrite=True) as folder, pytest.raises(OutputError) as caught:
        request.read(folder)
    assert (caught.value.id, caught.value.where) == ("S4", folder.folder)


def test_names_may_say_which_scan_of_a_folder_they_are_for(scans: Path) -> None:
    for names, expected in [
        (("pet=fdg",), ["CT", "fdg", "T1"]),
        (("CT=planning", "PET=fdg"), ["T1", "fdg", "planning"]),
    ]:
        request = Request((".",), names=names, options=OPTIONS)
        request.check()
        with output_folder(scans / "out") as folder:
            case, _ = request.read(folder)
        assert sorted(case.study.volumes) == sorted(expected)
    for names in (("CT=a", "b"), ("MR=a",), ("T1=a",), ("CT=PET",), ("CT=T1",), ("a",)):
        request = Request((".",), names=names, options=OPTIONS)
        request.check()
        with output_folder(scans / "out") as folder, pytest.raises(UsageError, match="--name"):
            request.read(folder)


def test_D1_a_short_series_in_a_patients_folder_is_left_out_by_its_number(
    scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def localizer(_: int, made: Dataset) -> None:
        made.SeriesInstanceUID += "9"
        made.SeriesNumber = 42

    (scans / "pat").mkdir()
    heads.write(scans / "pat", "T1")
    dicom_maker.series(scans / "pat" / "ct")
    dicom_maker.series(scans / "pat" / "localizer", localizer, count=3)
    request = Request(("pat",), options=OPTIONS)
    with output_folder(scans / "out") as folder:
        case, record = request.read(folder)
    assert sorted(case.study.volumes) == ["CT", "T1"]
    assert "D1" in [one["id"] for one in record.warnings]
    assert "series 42 (CT) was left out: it has too few slices" in capsys.readouterr().err
