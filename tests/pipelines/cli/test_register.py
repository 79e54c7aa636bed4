"""``medfuse register``: what it writes, says and returns; most answers are canned here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.study import Quality
from tests.end_to_end import heads
from tests.end_to_end.conftest import Run

REVIEW = Quality("review", {"margin": 1.05}, ("another pose fits almost as well",))
FAIL = Quality("fail", {"overlap": 0.02}, ("only 2% of the fixed foreground is inside",))


def tree(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_results_lie_where_they_were_promised(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    said = medfuse("register", "T1.nii.gz", "CT.nii.gz", "PET.nii.gz", "--out", "out")
    assert (said.code, said.err) == (0, [])
    assert tree(scans / "out") == [
        "CT/moved.nii.gz",
        "CT/transform.tfm",
        "PET/moved.nii.gz",
        "PET/transform.tfm",
        "page.html",
        "record.json",
    ]
    assert f"page: {scans / 'out' / 'page.html'}" in said.out.splitlines()
    assert "CT: pass  margin 2" in said.out.splitlines()


def test_a_transform_maps_fixed_to_moving_points_in_itk(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    medfuse("register", "T1.nii.gz", "CT.nii.gz", "--out", "out", "--no-page")
    transform = sitk.ReadTransform("out/CT/transform.tfm")
    assert transform.GetName() == "AffineTransform"
    x, y, z = heads.SHIFT
    assert transform.TransformPoint((1, 2, 3)) == pytest.approx((1 - x, 2 - y, 3 + z))
    fixed, moving = sitk.ReadImage("T1.nii.gz"), sitk.ReadImage("CT.nii.gz")
    expected = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, -1000.0)
    made = sitk.ReadImage("out/CT/moved.nii.gz")
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(made), sitk.GetArrayFromImage(expected), atol=0.01
    )


@pytest.mark.parametrize("interpolation", ["nearest", "bspline"])
def test_the_interpolation_asked_for(
    medfuse: Run, scans: Path, answers: dict[str, Quality], interpolation: str
) -> None:
    words = ("--out", "out", "--no-page", "--interpolation", interpolation)
    assert medfuse("register", "T1.nii.gz", "CT.nii.gz", *words).code == 0
    kind = {"nearest": sitk.sitkNearestNeighbor, "bspline": sitk.sitkBSpline}[interpolation]
    expected = sitk.Resample(
        sitk.ReadImage("CT.nii.gz"),
        sitk.ReadImage("T1.nii.gz"),
        sitk.ReadTransform("out/CT/transform.tfm"),
        kind,
        -1000.0,
    )
    made = sitk.ReadImage("out/CT/moved.nii.gz")
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(made), sitk.GetArrayFromImage(expected), atol=0.05
    )


def test_json_and_the_record_say_the_same(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    answers["PET"] = REVIEW
    words = ("--out", "out", "--json", "--no-page", "--seed", "7")
    said = medfuse("register", "T1.nii.gz", "CT.nii.gz", "PET.nii.gz", *words)
    printed = json.loads(said.out)
    assert printed == {
        "moving": [
            {
                "name": "CT",
                "verdict": "pass",
                "reasons": [],
                "transform": "CT/transform.tfm",
                "moved": "CT/moved.nii.gz",
            },
            {
                "name": "PET",
                "verdict": "review",
                "reasons": ["another pose fits almost as well"],
                "transform": "PET/transform.tfm",
                "moved": "PET/moved.nii.gz",
            },
        ],
        "exit": 0,
    }
    record = json.loads((scans / "out" / "record.json").read_text())
    assert record["moving"] == printed["moving"]
    assert record["exit"] == 0
    assert record["seed"] == 7
    assert record["fixed"] == "T1"
    assert list(record["inputs"]) == ["T1", "CT", "PET"]
    assert record["settings"]["transform"] == "rigid"
    assert record["settings"]["interpolation"] == "linear"
    assert record["run"]["stages"]["CT: register"] >= 0


def test_a_review_is_a_warning_and_no_failure(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    answers["CT"] = REVIEW
    said = medfuse("register", "T1.nii.gz", "CT.nii.gz", "--out", "out", "--no-page")
    assert said.code == 0
    assert said.err == ["medfuse: warning[review]: CT: another pose fits almost as well"]


def test_one_failure_of_several_is_four_and_everything_is_written(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    answers["PET"] = FAIL
    words = ("T1.nii.gz", "CT.nii.gz", "PET.nii.gz", "--out", "out", "--json")
    said = medfuse("register", *words)
    assert said.code == 4
    assert json.loads(said.out)["exit"] == 4
    assert len(said.err) == 1
    assert said.err[0].startswith("medfuse: error[fail]: PET: only 2%")
    assert {"PET/moved.nii.gz", "PET/transform.tfm", "page.html"} <= set(tree(scans / "out"))
    said = medfuse("register", *words, "--overwrite", "--allow-fail")
    assert (said.code, json.loads(said.out)["exit"]) == (0, 0)
    assert said.err[0].startswith("medfuse: warning[fail]: PET: ")


def test_names_are_modalities_numbered_from_the_second_on(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    heads.write(scans, "T1", "later_T1w.nii.gz")
    heads.write(scans, "CT", "other.nii.gz")
    words = ("T1.nii.gz", "later_T1w.nii.gz", "CT.nii.gz", "other.nii.gz:CT", "--out", "out")
    said = medfuse("register", *words, "--json", "--no-page")
    assert [one["name"] for one in json.loads(said.out)["moving"]] == ["T1-2", "CT", "CT-2"]


def test_names_of_the_users_own(medfuse: Run, scans: Path, answers: dict[str, Quality]) -> None:
    words = ("T1.nii.gz", "CT.nii.gz", "PET.nii.gz", "--out", "out", "--no-page")
    said = medfuse("register", *words, "--name", "planning", "--name", "fdg_1.2")
    assert said.code == 0
    assert {"planning/transform.tfm", "fdg_1.2/moved.nii.gz"} <= set(tree(scans / "out"))


def test_a_patients_folder(medfuse: Run, scans: Path, answers: dict[str, Quality]) -> None:
    (scans / "patient").mkdir()
    for name in ("T1", "CT", "PET"):
        (scans / f"{name}.nii.gz").rename(scans / "patient" / f"{name}.nii.gz")
    said = medfuse("register", "patient", "--fixed", "ct", "--out", "out", "--json", "--no-page")
    assert said.code == 0, said.err
    assert sorted(one["name"] for one in json.loads(said.out)["moving"]) == ["PET", "T1"]
    said = medfuse("register", "patient", "--out", "again", "--json", "--no-page")
    assert sorted(one["name"] for one in json.loads(said.out)["moving"]) == ["CT", "PET"]


def test_S4_results_go_into_the_patients_folder_but_not_among_the_scans(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    said = medfuse("register", ".", "--out", ".", "--no-page")
    assert said.code == 5
    assert said.err[0].startswith("medfuse: error[S4]: ")
    assert len(list(scans.iterdir())) == 3
    for _ in range(2):
        words = ("--out", "aligned", "--no-page", "--json", "--overwrite")
        said = medfuse("register", ".", *words)
        assert said.code == 0, said.err
        assert len(json.loads(said.out)["moving"]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ("T1.nii.gz",),
        ("T1.nii.gz", "CT.nii.gz", "--fixed", "T1"),
        ("T1.nii.gz", "CT.nii.gz", "--name", "a", "--name", "b"),
        ("T1.nii.gz", "CT.nii.gz", "--name", "../up"),
        ("T1.nii.gz", "CT.nii.gz", "--name", "page.html"),
        ("T1.nii.gz", "CT.nii.gz", "--name", "T1"),
        ("T1.nii.gz", "CT.nii.gz", "PET.nii.gz", "--name", "a", "--name", "A"),
        ("T1.nii.gz", "CT.nii.gz", "PET.nii.gz", "--moving-mask", "CT.nii.gz"),
        (".", "--fixed", "FLAIR"),
        ("T1.nii.gz", "CT.nii.gz:XT"),
    ],
)
def test_wrong_usage_leaves_nothing(
    medfuse: Run, scans: Path, answers: dict[str, Quality], words: tuple[str, ...]
) -> None:
    said = medfuse("register", *words, "--out", "out")
    assert said.code == 2, said.err
    assert len(said.err) == 1
    assert said.err[0].startswith("medfuse: error: ")
    assert not (scans / "out").exists()


def test_a_mask_and_a_start_are_files_and_known_by_their_checksums(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    mask = sitk.Cast(sitk.ReadImage("T1.nii.gz") > 50, sitk.sitkUInt8)
    sitk.WriteImage(mask, "mask.nii.gz")
    sitk.WriteTransform(sitk.AffineTransform(3), "start.tfm")
    words = ("--fixed-mask", "mask.nii.gz", "--start", "start.tfm", "--no-page", "--out", "out")
    assert medfuse("register", "T1.nii.gz", "CT.nii.gz", *words).code == 0
    settings = json.loads((scans / "out" / "record.json").read_text())["settings"]
    assert settings["start"].startswith("sha256:")
    assert list(settings["masks"]) == ["fixed"]
    said = medfuse("register", "T1.nii.gz", "CT.nii.gz", *words[:2], "--start", "no", "--out", "o")
    assert said.code == 3


def test_a_repair_of_the_study_is_recorded_too(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    for name in ("a_mask", "b_mask"):
        heads.write(scans, "T1", f"{name}.nii.gz")
    said = medfuse("register", ".", "--out", "out", "--no-page")
    assert said.code == 0
    assert len(said.err) == 1
    assert said.err[0].startswith("medfuse: warning[C8]: .: 2 label maps were left out")
    record = json.loads((scans / "out" / "record.json").read_text())
    assert [(one["volume"], one["id"]) for one in record["warnings"]] == [("study", "C8")]


def test_overwriting_takes_away_what_the_earlier_run_left(
    medfuse: Run, scans: Path, answers: dict[str, Quality]
) -> None:
    words = ("register", "T1.nii.gz", "CT.nii.gz", "--out", "out")
    assert medfuse(*words).code == 0
    (scans / "out" / "CT" / "transform.h5").write_bytes(b"of an earlier deformable run")
    (scans / "out" / "notes.txt").write_text("mine")
    said = medfuse(*words)
    assert said.code == 5
    assert said.err[0].startswith("medfuse: error[S5]: ")
    assert medfuse(*words, "--overwrite", "--no-page").code == 0
    assert tree(scans / "out") == [
        "CT/moved.nii.gz",
        "CT/transform.tfm",
        "notes.txt",
        "record.json",
    ]
