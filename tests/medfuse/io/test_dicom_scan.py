"""What is in a folder: series, kinds, counts; never who the patient is."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from medfuse.errors import InputError
from medfuse.io.dicom_scan import list_series, scan
from tests.medfuse.io import dicom_maker as maker

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


def other_series(number: int, **values: object) -> maker.Edit:
    """Return an edit that makes another series of the same patient."""

    def edit(k: int, made: pydicom.Dataset) -> None:
        made.SeriesInstanceUID = f"{maker.ROOT}.{number}"
        made.SeriesNumber = number
        made.SOPInstanceUID = f"{maker.ROOT}.{number}.{k + 1}"
        for keyword, value in values.items():
            setattr(made, keyword, value)

    return edit


def test_series_are_listed_by_number(tmp_path: Path) -> None:
    maker.series(tmp_path / "b" / "deep", other_series(9), count=3, modality="MR")
    maker.series(tmp_path / "a", other_series(12, PatientID="SOMEBODY"), count=2)
    maker.series(tmp_path / "c")
    maker.save(maker.segmentation([maker.stored(0) % 2], [0], [1]), tmp_path / "seg.dcm")
    listed = list_series(tmp_path)
    assert [(info.number, info.modality, info.kind, info.count) for info in listed] == [
        (5, "CT", "image", 10),
        (9, "MR", "image", 3),
        (12, "CT", "image", 2),
        (13, "SEG", "SEG", 1),
    ]
    assert [info.shape for info in listed] == [(10, 16, 14), (3, 16, 14), (2, 16, 14), None]
    assert [info.name for info in listed] == ["CT", "MR", "CT", ""]
    assert listed[2].patient != listed[0].patient == listed[1].patient == listed[3].patient
    assert "PLANTED" not in repr(listed)
    assert "SOMEBODY" not in repr(listed)


def test_a_series_of_two_kinds_is_two(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    seg = maker.segmentation([maker.stored(0) % 2], [0], [1])
    seg.SeriesInstanceUID = maker.SERIES
    maker.save(seg, folder / "000.seg.dcm")
    found = [(info.kind, info.count, info.problem) for info in list_series(folder)]
    assert sorted(found) == [("SEG", 1, None), ("image", 10, None)]


def test_a_problem_is_told_not_raised(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    (folder / "004.dcm").unlink()
    (info,) = list_series(folder)
    assert info.problem is not None
    assert info.problem.endswith("(D3)")
    assert info.shape is None


def test_a_dicomdir_is_ignored(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    (folder / "DICOMDIR").write_bytes((folder / "000.dcm").read_bytes()[:400])
    found = scan(folder)
    assert (len(found.series[maker.SERIES]), found.foreign) == (10, 0)


def test_a_dicomdir_of_another_name_is_known_by_its_class(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    sample = SAMPLES / "dicomdirtests" / "DICOMDIR"
    (folder / "index").write_bytes(sample.read_bytes())
    assert list(scan(folder).series) == [maker.SERIES]
    with pytest.raises(InputError, match="is a DICOMDIR"):
        scan(folder / "index")


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    folder = maker.series(tmp_path / "x")
    (folder / "again").symlink_to(folder)
    (folder / "gone").symlink_to(folder / "nothing")
    found = scan(folder)
    assert (len(found.series[maker.SERIES]), found.irregular) == (10, 1)


@pytest.mark.parametrize(("content", "id"), [(b"", "N43"), (b"nothing at all", "D44")])
def test_a_slice_that_is_none_does_not_just_vanish(tmp_path: Path, content: bytes, id: str) -> None:
    folder = maker.series(tmp_path / "x")
    (folder / "009.dcm").write_bytes(content)
    with pytest.raises(InputError, match=r"009\.dcm") as caught:
        scan(folder)
    assert caught.value.id == id


def test_real_folders(real_data: Path) -> None:
    listed = list_series(real_data / "sts_ct_mr_pet" / "dicom" / "STS_008")
    images = {info.name: info for info in listed if info.kind == "image"}
    assert {name: info.count for name, info in images.items()} == {"CT": 51, "T1": 28, "PET": 51}
    assert sum(info.kind == "RTSTRUCT" for info in listed) == 3
    assert {info.patient for info in listed} == {1}
