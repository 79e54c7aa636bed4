"""``medfuse segment`` as it is typed: exit codes, what is said, many cases of which some fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.cases import Case
from pipelines.cli import app
from pipelines.segment import Segmented
from tests.pipelines.toy_model import labels_in, models, truth, write_case, write_model


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file whose network answers by the formula, loaded once however many cases."""
    loaded: list[list[str]] = []

    def load(paths: list[str]) -> object:
        loaded.append(paths)
        assert len(loaded) == 1, "the model is kept warm"
        return models()

    monkeypatch.setattr("pipelines.segment.Models.load", load)
    return write_model(tmp_path / "model.mfm")


def typed(*words: object) -> int:
    return app.run([str(word) for word in words])


def test_many_cases_with_one_model(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("sub-1", "sub-2"):
        write_case(tmp_path / "heads" / name)
    out = tmp_path / "out"
    assert typed("segment", tmp_path / "heads", "--model", model, "--out", out) == 0
    for name in ("sub-1", "sub-2"):
        np.testing.assert_array_equal(labels_in(out / name / "labels.nii.gz"), truth())
    said = capsys.readouterr()
    assert "sub-1: lesion 0.43 ml, core 0.02 ml (from T1, T2, PET)" in said.out
    assert "needs about" in said.out
    assert "not a medical device" in said.out
    assert said.err == ""
    assert (out / "volumes.csv").read_text().startswith("case,used,label,ml\n")
    assert sorted(path.name for path in out.iterdir()) == ["sub-1", "sub-2", "volumes.csv"]


def test_who_is_passed_over_in_a_folder_is_named(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("sub-1", "sub-2", "patient7"):
        write_case(tmp_path / "heads" / name)
    assert typed("segment", tmp_path / "heads", "--model", model, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().err
    assert said.count("warning[C13]") == 1
    assert "patient7" in said


def test_json_is_all_that_is_printed(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_case(tmp_path / "a", ("T1",))
    assert typed("segment", folder, "--model", model, "--out", tmp_path / "out", "--json") == 0
    said = capsys.readouterr()
    (case,) = json.loads(said.out)["cases"]
    assert (case["case"], case["labels"], case["missing"]) == (
        "a",
        "a/labels.nii.gz",
        ["T2", "PET"],
    )
    assert said.err.count("warning[M11]") == 1


def test_some_failed_is_told_at_the_end(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("sub-1", "sub-2", "sub-3"):
        write_case(tmp_path / "heads" / name, shift=5.0 if name == "sub-2" else 0.0)
    out = tmp_path / "out"
    assert typed("segment", tmp_path / "heads", "--model", model, "--out", out) == 7
    said = capsys.readouterr()
    assert "error[C9]: sub-2" in said.err
    assert "1 of 3 cases failed: sub-2" in said.err
    assert not (out / "sub-2").exists()
    assert (out / "sub-3" / "labels.nii.gz").is_file()


def test_who_is_stopped_has_a_table_of_the_cases_that_are_done(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines import segment_case

    for name in ("sub-1", "sub-2"):
        write_case(tmp_path / "heads" / name)
    whole = segment_case.segment_case

    def stopping(case: Case, *rest: Any, **options: Any) -> Iterator[Segmented]:
        if case.id == "sub-2":
            raise KeyboardInterrupt
        return whole(case, *rest, **options)

    monkeypatch.setattr(segment_case, "segment_case", stopping)
    out = tmp_path / "out"
    assert typed("segment", tmp_path / "heads", "--model", model, "--out", out) == 130
    table = (out / "volumes.csv").read_text()
    assert "sub-1" in table
    assert sorted(path.name for path in out.iterdir()) == ["sub-1", "volumes.csv"]
    monkeypatch.undo()  # the rest follows into the same folder
    assert typed("segment", tmp_path / "heads" / "sub-2", "--model", model, "--out", out) == 0
    assert (out / "volumes.csv").read_text().startswith(table)


def test_a_purpose_without_a_manifest_is_refused(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_case(tmp_path / "sub-1")
    words = ("segment", folder, "--model", model, "--out", tmp_path / "out", "--split", "test")
    assert typed(*words) == 2
    assert "--split needs a manifest with a column split" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_case_that_fails_has_its_own_code(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_case(tmp_path / "a", shift=5.0)
    assert typed("segment", folder, "--model", model, "--out", tmp_path / "out") == 3
    assert not (tmp_path / "out").exists()
    assert "medfuse register" in capsys.readouterr().err


def test_wrong_words_are_refused_before_the_output_is_made(tmp_path: Path, model: Path) -> None:
    folder = write_case(tmp_path / "a")
    words = ("segment", folder, "--model", model, "--out", tmp_path / "out")
    assert typed(*words, "--only", "CT") == 2
    assert not (tmp_path / "out").exists()


def test_S4_predictions_never_become_the_truth(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_case(tmp_path / "heads" / "sub-1")
    manual = (folder / "labels.nii.gz").read_bytes()
    words = ("segment", folder, "--model", model, "--out", tmp_path / "heads", "--overwrite")
    assert typed(*words) == 5
    assert "error[S4]" in capsys.readouterr().err
    assert (folder / "labels.nii.gz").read_bytes() == manual
    assert len(list(folder.iterdir())) == 4


def test_a_real_model_file_of_folds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Random weights: whatever the labels are, two runs write the same bytes."""
    folder = write_case(tmp_path / "a")
    files = [write_model(tmp_path / f"{n}.mfm", seed=n) for n in range(2)]
    given = [word for file in files for word in ("--model", file)]
    for out in ("one", "two"):
        assert typed("segment", folder, *given, "--out", tmp_path / out, "--threads", 1) == 0
    first, second = (
        (tmp_path / out / "a" / "labels.nii.gz").read_bytes() for out in ("one", "two")
    )
    assert first == second
