"""``medfuse dataset check`` as it is typed."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from tests.end_to_end.conftest import Run
from tests.medfuse.training import toy


def test_a_sound_cohort_is_fit(tmp_path: Path, medfuse: Run) -> None:
    said = medfuse("dataset", "check", toy.write(tmp_path / "heads", 2))
    assert (said.code, said.err) == (0, [])
    assert said.out.splitlines()[-1] == "fit to learn from"
    assert "2 visits of 2 patients" in said.out


def test_each_problem_is_one_line(tmp_path: Path, medfuse: Run) -> None:
    root = toy.write(tmp_path / "heads", 3)
    moved = np.eye(4)
    moved[2, 3] = 3
    for subject, name in (("sub-1", "CT"), ("sub-3", "labels")):
        path = root / subject / f"{name}.nii"
        path.unlink()
        nib.save(nib.Nifti1Image(toy.arrays(1)[name], moved), path)
    said = medfuse("dataset", "check", root)
    assert said.code == 3
    assert [line.split(": ")[1] for line in said.err] == ["error[C9]", "error[C8]"]
    assert "sub-1" in said.err[0]
    assert said.out.splitlines()[-1] == "2 visits are not fit to learn from"


def test_a_manifest_that_is_none_is_refused(tmp_path: Path, medfuse: Run) -> None:
    path = tmp_path / "x.csv"
    path.write_text("subject,T1\na,../../etc/passwd\n")
    said = medfuse("dataset", "check", path)
    assert (said.code, len(said.err)) == (3, 1)
    assert "error[C10]" in said.err[0]
    said = medfuse("dataset", "check", path, "--allow-outside")
    assert "error[C4]" in said.err[0]


def test_patients_that_are_passed_over_are_said(tmp_path: Path, medfuse: Run) -> None:
    root = toy.write(tmp_path / "heads", 2)
    (root / "sub-3").mkdir()
    said = medfuse("dataset", "check", root)
    assert (said.code, len(said.err)) == (0, 1)
    assert "sub-3 (no scan in it)" in said.err[0]
    assert said.out.splitlines()[-1] == "fit to learn from (see the warnings)"
