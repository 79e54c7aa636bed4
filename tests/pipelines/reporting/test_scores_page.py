"""The page of an evaluation: self-contained, honest about empties, the worst case first."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pipelines.evaluate import evaluate
from pipelines.evaluation import EvaluateSettings
from pipelines.pairing import pair
from pipelines.reporting.scores_page import write_scores_page
from tests.pipelines.test_evaluate import moved, put
from tests.pipelines.toy_model import truth, write_case


def written(folder: Path, **options: object) -> str:
    settings = EvaluateSettings(**options)  # type: ignore[arg-type]
    found = evaluate(pair(folder / "seg", folder / "truth"), settings=settings)
    return write_scores_page(found, folder / "page.html", settings=settings).read_text("utf-8")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three cases: right, moved, and nothing predicted; one more has no prediction."""
    for name in ("a", "b", "c", "<d>"):
        write_case(tmp_path / "truth" / name)
    put(tmp_path / "seg" / "a" / "labels.nii.gz", truth())
    put(tmp_path / "seg" / "b" / "labels.nii.gz", moved())
    put(tmp_path / "seg" / "c" / "labels.nii.gz", np.zeros(truth().shape))
    return tmp_path


class Reader(HTMLParser):
    """Collect what a page would load, and its words."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(v) for k, v in attributes if k in {"src", "href", "style"}]

    def handle_data(self, data: str) -> None:
        self.words += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_a_page_loads_nothing_and_runs_nothing(folders: Path) -> None:
    page = read(written(folders))
    assert "script" not in page.tags
    assert page.loads
    assert all(what.startswith("data:image/jpeg") for what in page.loads)


def test_the_worst_case_comes_first(folders: Path) -> None:
    text = written(folders, worst=2)
    shared = ((truth() == 4) & (moved() == 4)).sum() / (truth() == 4).sum()
    mean = f"{(0.5 + shared) / 2:.3f}"  # the core shares half of itself
    assert re.findall(r"<h3>(\w): Dice ([\d.]+)</h3>", text) == [("c", "0.000"), ("b", mean)]
    assert '<h2 id="title-worst">' not in written(folders, worst=0)


def test_what_a_reader_must_know_is_said(folders: Path) -> None:
    words = read(written(folders)).words
    assert "too few to claim a Dice" in words
    assert "1 of 4 cases with a truth has no prediction and is not scored: <d>." in words
    assert "only the prediction empty in 1" in words
    assert "1 infinite" in words
    assert "Research software, not a medical device" in words
    assert "nothing was predicted" in words


def test_a_page_is_the_same_every_time(folders: Path) -> None:
    assert written(folders) == written(folders)


def test_subsets_have_a_table_and_the_rate_that_goes_wrong(folders: Path) -> None:
    (folders / "seg").rename(folders / "T1")
    for subset in ("T1", "T1+PET"):
        for name in ("a", "b"):
            wrong = subset == "T1+PET" and name == "a"
            put(
                folders / "seg" / subset / name / "labels.nii.gz",
                moved() if wrong else truth(),
            )
    words = " ".join(read(written(folders)).words.split())
    assert "By what was there" in words
    assert "PET missing" in words
    assert "in 2 of 4 comparisons" in words
    assert "with T1+PET" in words
    assert words.count("have no prediction") == 1
    assert "With each of the 2 subsets, 2 of 4 cases with a truth have no prediction" in words
    assert "A comparison is one label of one case" in words
    assert words.count("too few cases for an interval") == 2, "one for each subset"
    put(folders / "seg" / "T1" / "c" / "labels.nii.gz", truth())
    words = read(written(folders)).words
    assert "With T1: 1 of 4 cases with a truth has no prediction" in words
    assert "With T1+PET: 2 of 4 cases with a truth have no prediction" in words


def test_too_few_cases_have_no_interval(folders: Path) -> None:
    assert "Too few cases for an interval" not in written(folders)
    (folders / "seg" / "c" / "labels.nii.gz").unlink()
    text = written(folders, worst=0)
    assert "Too few cases for an interval." in text
    assert '<td class="number">too few cases</td>' in text
    assert "2 cases: too few to claim a Dice. No interval can be given." in text
    assert "nan" not in read(text).words.lower()


def test_units_stay_with_their_numbers_and_marks_are_explained(folders: Path) -> None:
    words = read(written(folders, worst=0)).words
    assert "Surface Dice, 1\N{NO-BREAK SPACE}mm" in words
    assert "mean of the cases" in words


def test_wide_tables_can_be_reached_without_a_mouse(folders: Path) -> None:
    text = written(folders)
    scrolls = re.findall(r'<div class="scroll"[^>]*>', text)
    assert len(scrolls) == 4
    assert all('tabindex="0" role="region" aria-label=' in one for one in scrolls)
