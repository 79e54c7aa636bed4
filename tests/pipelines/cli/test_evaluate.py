"""``medfuse evaluate`` as it is typed: what is said, what is written, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.cli import app
from tests.pipelines.test_evaluate import moved, put
from tests.pipelines.toy_model import truth, write_case


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Words that score two predictions of three cases."""
    for name in ("a", "b", "c"):
        write_case(tmp_path / "truth" / name)
    put(tmp_path / "seg" / "a" / "labels.nii.gz", truth())
    put(tmp_path / "seg" / "b" / "labels.nii.gz", moved())
    folders = [str(tmp_path / name) for name in ("seg", "truth")]
    return ["evaluate", *folders, "--out", str(tmp_path / "out")]


def test_what_is_said(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*words, "--worst", "1"]) == 0
    said = capsys.readouterr()
    few = "(too few cases for an interval)"
    assert f"label 9: Dice 0.750 {few} in 2 cases, lesions 2 of 2" in said.out
    assert "page: " in said.out
    assert "warning: 1 of 3 cases with a truth has no prediction and is not scored: c" in said.err
    assert "learned" not in said.err
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"scores.csv", "record.json", "page.html"}
    assert app.run(words) == 5
    assert app.run([*words, "--overwrite", "--worst", "0"]) == 0


def test_three_cases_have_an_interval(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "seg" / "c" / "labels.nii.gz", truth())
    assert app.run([*words, "--worst", "0"]) == 0
    assert "label 9: Dice 0.833 [0.500, 1.000] in 3 cases" in capsys.readouterr().out


def test_learned_cases_are_said(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{case},{case}/T1.nii.gz,{case}/labels.nii.gz,train" for case in "abc"]
    table = tmp_path / "truth" / "all.csv"
    table.write_text("\n".join(["subject,T1,label,split", *rows]))
    words[2] = str(table)
    assert app.run([*words, "--worst", "0", "--json"]) == 0
    said = capsys.readouterr()
    assert "warning[learned]: data: 2 of 2 cases were learned from or chose the" in said.err
    document = json.loads(said.out)
    assert (document["learned"], document["unpredicted"]) == (["a", "b"], {"": []})
    assert document["subsets"][""]["label 9"]["dice_95"] is None


def test_json_is_all_that_is_printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--json", "--label", "whole=4,9", "--tolerance", "2", "--overlap", "0.5"]
    assert app.run([*words, *options, "--worst", "0"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["subsets"][""]) == ["whole", "all labels"]
    assert document["unpredicted"] == {"": ["c"]}


def test_a_refusal_leaves_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "seg" / "a" / "labels.nii.gz", truth(), (1.0, 2.0, 4.0))
    assert app.run(words) == 3
    said = capsys.readouterr().err
    assert "error[C8]: a: lies on another grid than its truth" in said
    assert not (tmp_path / "out").exists()
    assert app.run([*words, "--resample", "--worst", "0"]) == 0
    assert "warning[C8]: a: carried onto" in capsys.readouterr().err


def test_S4_scores_do_not_go_among_the_truth(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run([*words[:-1], str(tmp_path / "truth")]) == 5
    assert "error[S4]" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "truth").iterdir()} == {"a", "b", "c"}
