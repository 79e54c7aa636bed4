"""Levels are trained on the same patients for the same time, and asked about unseen ones."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import InputError, OutputError
from medfuse.fusion.agreement import Agreement
from medfuse.io.manifest import read_manifest
from medfuse.io.volumes import read_labels
from medfuse.nets import modelfile
from medfuse.study import AlignedStudy, Cohort
from medfuse.training.job import Machine
from pipelines.compare import compare, one_fewer, outlook, write_comparison
from pipelines.contest import Compared, Contest
from pipelines.output_folder import output_folder
from tests.medfuse.training import toy

LEVELS = ("data", "model")


def contest(cohort: Cohort, *, minutes: float = 0.02, folds: int = 2) -> Contest:
    return Contest.of(cohort, levels=LEVELS, folds=folds, minutes=minutes, seed=0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Four heads whose label maps are named with an option of reading."""
    heads = toy.cohort(tmp_path_factory.mktemp("heads") / "heads", 4)
    return Cohort(tuple(replace(one, labels=f"{one.labels}:xform=sform") for one in heads.studies))


@pytest.fixture(scope="module")
def made(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Compared]:
    """A finished comparison and its folder."""
    out = tmp_path_factory.mktemp("contest")
    with output_folder(out) as folder:
        found = compare(cohort, toy.settings(), contest(cohort), out, machine=Machine("cpu"))
        write_comparison(found, toy.settings(), folder)
    return out, found


def test_how_much_there_is_to_do_is_known_before(cohort: Cohort) -> None:
    assert outlook(contest(cohort, minutes=1)) == (
        "4 trainings of 15 seconds each (2 levels, 2 folds), reading included; on top come "
        "16 segmentations (4 visits x 2 levels x 2: all scans, and one missing)"
    )
    assert outlook(contest(cohort, minutes=10)).startswith("4 trainings of 2.5 minutes each ")
    held = [replace(one, role="validate") for one in cohort.studies[:3]]
    fixed = Cohort((*held, replace(cohort.studies[3], role="train")))
    assert "(2 levels, 1 fold), reading" in outlook(contest(fixed))


def test_nobody_is_asked_about_whom_a_model_has_seen(
    made: tuple[Path, Compared], cohort: Cohort
) -> None:
    out, found = made
    held = [set(split.validate) for split in found.contest.splits]
    assert held[0] | held[1] == {entry.id for entry in cohort.studies}
    assert not held[0] & held[1]
    for fold in (0, 1):
        for level in LEVELS:
            split = json.loads((out / "runs" / f"{level}-{fold}" / "splits.json").read_text())
            assert set(split["train"]) == held[1 - fold]
            assert split["validate"] == []
            card, _ = modelfile.load(out / "runs" / f"{level}-{fold}" / "model.mfm")
            assert card.fusion["level"] == level


def test_the_dice_is_that_of_the_label_maps_on_disk(made: tuple[Path, Compared]) -> None:
    out, found = made
    with (out / "compare.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert Counter((row["scans"], row["level"]) for row in rows) == dict.fromkeys(
        [(scans, level) for scans in ("all", "one-missing") for level in LEVELS], 8
    )
    for one in found.whole.scored:
        truth = one.paired.read_truth().array
        claimed = read_labels(one.paired.prediction).array
        for target in toy.TARGETS:
            told = one.scores.labels[target.name].dice
            true, said = truth == target.values[0], claimed == target.values[0]
            total = true.sum() + said.sum()
            assert told == pytest.approx(2 * np.sum(true & said) / total if total else 1)


def test_each_scan_is_missing_in_turn(made: tuple[Path, Compared]) -> None:
    out, _ = made
    used = Counter(
        tuple(json.loads(path.read_text())["used"])
        for path in (out / "segmentations" / "one-missing" / "data").glob("*/record.json")
    )
    assert used == {("T1",): 2, ("CT",): 2}


def test_a_scan_that_the_model_requires_is_never_the_missing_one(
    cohort: Cohort, tmp_path: Path
) -> None:
    recipe = toy.settings(modalities=("T1", "CT"), required=("CT",))
    compare(cohort, recipe, contest(cohort), tmp_path, machine=Machine("cpu"))
    used = [
        json.loads(path.read_text())["used"]
        for path in (tmp_path / "segmentations" / "one-missing").glob("*/*/record.json")
    ]
    assert used == [["CT"]] * 8  # 4 heads, 2 levels


@pytest.mark.parametrize(
    ("there", "required", "expected"),
    [
        (("T1", "T2", "CT"), ("T2",), [["T2", "CT"], ["T1", "T2"], ["T2", "CT"]]),
        (("T1", "CT"), ("T1", "CT"), [["T1", "CT"]] * 3),
        (("T1",), (), [["T1"]] * 3),
        ((), ("T1",), [[]] * 3),
    ],
)
def test_only_scans_that_may_go_take_turns(
    there: tuple[str, ...], required: tuple[str, ...], expected: list[list[str]]
) -> None:
    assert [one_fewer(there, required, number) for number in range(3)] == expected


def test_a_visit_is_read_and_compared_once_for_both_answers(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def counted(aligned: AlignedStudy) -> tuple[AlignedStudy, Agreement]:
        seen.append(aligned.study.id)
        return aligned, Agreement({}, {}, {})

    monkeypatch.setattr("medfuse.fusion.segmenter.drop_odd", counted)
    compare(cohort, toy.settings(), contest(cohort), tmp_path, machine=Machine("cpu"))
    assert Counter(seen) == {f"sub-{n}": len(LEVELS) for n in range(1, 5)}


def test_the_page_says_what_the_record_says(made: tuple[Path, Compared]) -> None:
    out, found = made
    record = json.loads((out / "record.json").read_text())
    page = (out / "page.html").read_text()
    sentence = record["verdict"]["sentence"]
    assert sentence[1:].replace("+", "&#43;") in page or sentence[1:] in page
    assert "Research software, not a medical device" in page
    sure = re.findall(r'class="whisker( clear)?"', page)
    assert [bool(one) for one in sure] == [one.clear for one in found.verdict.differences]
    assert "src=" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_what_was_done_is_not_done_again_and_another_contest_is_refused(
    made: tuple[Path, Compared], cohort: Cohort
) -> None:
    out, found = made
    with pytest.raises(OutputError, match="comparison already"):
        compare(cohort, toy.settings(), contest(cohort), out, machine=Machine("cpu"))
    (out / "record.json").rename(out / "kept")
    models = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/model.mfm")}
    assert len(models) == 4
    again = compare(cohort, toy.settings(), contest(cohort), out, machine=Machine("cpu"))
    assert again.verdict == found.verdict
    assert models == {path: path.stat().st_mtime_ns for path in out.glob("runs/*/model.mfm")}
    for asked, recipe, what in (
        (contest(cohort, minutes=9), toy.settings(), "another minutes_each"),
        (contest(cohort), toy.settings(rate=1e-3), r"another recipe \(rate\)"),
    ):
        with pytest.raises(OutputError, match=f"another comparison.*: {what}"):
            compare(cohort, recipe, asked, out, machine=Machine("cpu"))
    (out / "kept").rename(out / "record.json")


def test_a_refusal_leaves_nothing(tmp_path: Path) -> None:
    heads = toy.write(tmp_path / "heads", 4)
    (heads / "sub-1" / "CT.nii").write_bytes(b"no scan")
    cohort = read_manifest(heads)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InputError):
        compare(cohort, toy.settings(), contest(cohort), out, machine=Machine("cpu"))
    assert list(out.iterdir()) == []


def test_a_folder_runs_that_is_no_comparisons_is_left_alone(cohort: Cohort, tmp_path: Path) -> None:
    kept = tmp_path / "runs" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("kept")
    with pytest.raises(OutputError, match=r"no contest.json"):
        compare(cohort, toy.settings(), contest(cohort), tmp_path, machine=Machine("cpu"))
    assert [*tmp_path.rglob("*")] == [kept.parent, kept]
