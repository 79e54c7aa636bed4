"""The same bytes never stand for two things: two patients' scans or labels, two modalities."""

from __future__ import annotations

import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import InputError, Repair
from medfuse.io.shared import refuse_shared
from medfuse.study import Cohort, StudyEntry


def write(path: Path, value: int) -> str:
    nib.save(nib.Nifti1Image(np.full((2, 2, 2), value, np.uint8), np.eye(4)), path)
    return str(path)


def refused(*entries: StudyEntry) -> str:
    with pytest.raises(InputError) as caught:
        refuse_shared(Cohort(entries), "here")
    assert (caught.value.id, caught.value.where) == ("C6", "here")
    return caught.value.what


def test_C6_one_file_as_two_scans_of_a_visit(tmp_path: Path) -> None:
    t1, copy = write(tmp_path / "a.nii", 1), write(tmp_path / "b.nii", 1)
    write(tmp_path / "c.nii", 2)
    for other in (t1, copy):
        what = refused(StudyEntry("s", "", {"T1": t1, "FLAIR": other}))
        assert what.startswith("T1 and FLAIR of 's' are one scan")
    sound = StudyEntry("s", "", {"T1": t1, "FLAIR": str(tmp_path / "c.nii")})
    refuse_shared(Cohort((sound,)), "here")


def test_C6_a_copied_visit_of_one_patient_is_told(tmp_path: Path) -> None:
    t1, copy, own = (write(tmp_path / f"{n}.nii", v) for n, v in (("a", 1), ("b", 1), ("c", 2)))
    first, second = StudyEntry("s", "1", {"T1": t1}), StudyEntry("s", "2", {"T1": copy})
    with pytest.warns(Repair, match="T1 is one scan, byte for byte, in the visits s_1, s_2"):
        refuse_shared(Cohort((first, second)), "here")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refuse_shared(Cohort((first, StudyEntry("s", "2", {"T1": own}))), "here")
        parts = [StudyEntry("s", str(n), {"T1": f"{t1}:volume={n}"}) for n in (0, 1)]
        refuse_shared(Cohort(tuple(parts)), "here")


def test_two_parts_of_one_file_are_two_scans(tmp_path: Path) -> None:
    file = write(tmp_path / "a.nii", 1)
    parts = {"T1": f"{file}:volume=0", "T2": f"{file}:volume=1"}
    refuse_shared(Cohort((StudyEntry("s", "", parts),)), "here")
    parts["FLAIR"] = f"{file}:volume=1"
    assert refused(StudyEntry("s", "", parts)).startswith("T2 and FLAIR")


def test_C6_one_series_under_two_patients(tmp_path: Path) -> None:
    one, two = (StudyEntry(name, "", {"CT": f"{tmp_path}:series=1.2"}) for name in "ab")
    assert "subjects 'a' and 'b' share one CT scan" in refused(one, two)
    refuse_shared(Cohort((one, StudyEntry("b", "", {"CT": f"{tmp_path}:series=1.3"}))), "here")


def labelled(folder: Path, name: str, label: str, visit: str = "") -> StudyEntry:
    volume = write(folder / f"{name}{visit}.nii", sum(f"{name}{visit}".encode()) % 256)
    return StudyEntry(name, visit, {"T1": volume}, label)


def test_C6_one_label_map_for_two_patients_unless_it_is_empty(tmp_path: Path) -> None:
    drawn = write(tmp_path / "drawn.nii", 5)
    (tmp_path / "link.nii").symlink_to(drawn)
    for second in (drawn, str(tmp_path / "link.nii")):
        what = refused(labelled(tmp_path, "a", drawn), labelled(tmp_path, "b", second))
        assert what == "subjects 'a' and 'b' share one label map"
    visits = tuple(labelled(tmp_path, "a", drawn, visit) for visit in "12")
    refuse_shared(Cohort(visits), "here")
    empty = write(tmp_path / "empty.nii", 0)
    heads = tuple(labelled(tmp_path, name, empty) for name in "ab")
    refuse_shared(Cohort(heads), "here")


def test_N44_a_file_that_nobody_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (labelled(tmp_path, name, write(tmp_path / f"{name}.l.nii", 1)) for name in "ab")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError) as caught:
        refuse_shared(Cohort((one, two)), "here")
    assert caught.value.id == "N44"
