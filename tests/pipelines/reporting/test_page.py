"""The page holds what it must, and nothing that it must not."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medfuse.errors import OutputError
from medfuse.record import Record
from medfuse.study import AlignedStudy, Quality, Study
from medfuse.transform import Displacement
from medfuse.volume import LabelMap, Source
from pipelines.reporting import figures
from pipelines.reporting.page import write_page

LONGEST = figures._LONGEST
pytestmark = pytest.mark.usefixtures("small_pictures")


class Seen(HTMLParser):
    """Collects tags, attributes and the visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open[-1:]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def recorded(aligned: AlignedStudy) -> dict[str, object]:
    """A record as the command line makes it."""
    record = Record("register", {"transform": "rigid", "engine": "mi", "start": "auto"}, seed=5)
    for name, volume in aligned.study.volumes.items():
        record.add_input(name, volume)
    record.warn("CT", "D7", "the slices were tilted by 12 degrees")
    return record.document()


def page(tmp_path: Path, aligned: AlignedStudy, **options: object) -> Seen:
    """Write a page and read it back."""
    made = write_page(aligned, tmp_path / "page.html", **options)
    assert made == tmp_path / "page.html"
    return Seen(made.read_text("utf-8"))


def test_the_page_says_all_that_it_must(tmp_path: Path, scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT", "PET")
    seen = page(tmp_path, aligned, record=recorded(aligned))
    assert seen.text.index("CT and PET on T1") < seen.text.index("What was measured")
    for words in (
        "Pass", "turned by 20.0°", "Overlap", "93 %", "no other pose found", "0.123 mm",
        "Good looks like", "Contours of CT aligned on T1", "Checkerboard T1 / PET",
        "PET in colour on T1", "CT as it came", "skin (−300 HU)", "window −100 to 200 HU",
        "[D7]", "tilted by 12 degrees", "seed 5", "global search", "SimpleITK", "LPS",
    ):  # fmt: skip
        assert words in seen.text, words
    assert seen.text.count("Research software, not a medical device") == 2
    assert seen.text.startswith("Pass: CT and PET on T1")


def test_the_page_stands_alone(tmp_path: Path, scenes: SimpleNamespace) -> None:
    """No network: nothing is fetched, and the page's own policy forbids it."""
    write_page(scenes.aligned("CT"), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    seen = Seen(text)
    links = [a[k] for _, a in seen.tags for k in ("src", "href", "action", "srcset") if k in a]
    assert links
    assert all(str(link).startswith(("data:image/jpeg;base64,", "#")) for link in links)
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text)
    assert not any("style" in a or any(k.startswith("on") for k in a) for _, a in seen.tags)
    policy = next(a["content"] for t, a in seen.tags if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    for kind in ("style", "script"):
        body = re.search(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_every_picture_has_a_text_and_a_size(tmp_path: Path, scenes: SimpleNamespace) -> None:
    seen = page(tmp_path, scenes.aligned("CT", "PET"))
    pictures = [attributes for tag, attributes in seen.tags if tag == "img"]
    assert len(pictures) == 5 * (6 + 7)
    assert all(p["alt"] and p["width"] and p["height"] for p in pictures)


def test_every_choice_can_be_made_without_a_mouse_or_a_script(
    tmp_path: Path, scenes: SimpleNamespace
) -> None:
    seen = page(tmp_path, scenes.aligned("CT"))
    inputs = [a for tag, a in seen.tags if tag == "input"]
    labels = {a["for"] for tag, a in seen.tags if tag == "label"}
    assert {a["type"] for a in inputs} == {"radio"}
    assert {a["id"] for a in inputs} == labels
    assert sum("checked" in a for a in inputs) == 1


def test_no_identity_reaches_the_page(tmp_path: Path, scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT")
    assert aligned.study.id == scenes.secret
    source = Source(f"/data/{scenes.secret}/ct.nii.gz", "ab" * 32, f"1.2.{scenes.secret}")
    volumes = {n: replace(v, source=source) for n, v in aligned.study.volumes.items()}
    study = Study(scenes.secret, volumes, report=f"Patient {scenes.secret}, liver")
    record = recorded(replace(aligned, study=study))
    record["settings"] = {"start": f"/data/{scenes.secret}.tfm", "masks": {"fixed": "ab12"}}
    write_page(replace(aligned, study=study), tmp_path / "page.html", record=record)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert scenes.secret not in text
    assert "/data" not in text
    assert "abababababababab" in text  # the hash is no name
    assert "start a file masks fixed ab12" in Seen(text).text


def test_what_is_written_is_escaped(tmp_path: Path, scenes: SimpleNamespace) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    aligned = scenes.aligned("CT", verdict="review", reasons=(hostile,))
    seen = page(tmp_path, aligned)
    assert hostile in seen.text
    assert [tag for tag, _ in seen.tags].count("script") == 1


@pytest.mark.parametrize(
    ("verdict", "word"), [("pass", "Pass"), ("review", "Review"), ("fail", "Fail")]
)
def test_the_verdict_comes_first(
    tmp_path: Path, scenes: SimpleNamespace, verdict: str, word: str
) -> None:
    reasons = () if verdict == "pass" else ("another pose fits almost as well",)
    seen = page(tmp_path, scenes.aligned("CT", verdict=verdict, reasons=reasons))
    assert seen.text.index(f" {word} ") < seen.text.index("As it came")
    assert any(a.get("class") == f"verdict {verdict}" for _, a in seen.tags)
    assert all(reason in seen.text for reason in reasons)


def test_the_worst_verdict_speaks_for_the_page(tmp_path: Path, scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT", "PET")
    quality = {**aligned.quality, "PET": Quality("fail", {}, ("no overlap",))}
    seen = page(tmp_path, replace(aligned, quality=quality))
    assert any(a.get("class") == "verdict fail" for _, a in seen.tags)
    assert seen.text.startswith("Fail: CT and PET on T1")


def test_dropped_imputed_and_unjudged_volumes_say_what_they_are(
    tmp_path: Path, scenes: SimpleNamespace
) -> None:
    aligned = scenes.aligned("CT", "PET", "FLAIR")
    quality = {"PET": Quality("review", {}, ("doubtful",))}
    volumes = {n: v for n, v in aligned.volumes.items() if n != "PET"}
    study = replace(
        aligned.study,
        volumes={n: v for n, v in aligned.study.volumes.items() if n != "FLAIR"},
    )
    changed = replace(
        aligned, study=study, volumes=volumes, quality=quality, dropped={"PET": "doubtful"},
        imputed=frozenset({"FLAIR"}), transforms={"PET": aligned.transforms["PET"]},
    )  # fmt: skip
    seen = page(tmp_path, changed)
    for words in ("Not judged", "doubtful", "no scanner saw it", "No scanner saw the FLAIR"):
        assert words in seen.text, words
    assert "No record was given" in seen.text


def test_a_deformed_volume_is_told_as_bent(tmp_path: Path, scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT")
    field = np.zeros((3, *aligned.geometry.shape), np.float32)
    field[0] = 4 * np.sin(np.linspace(0, 6, 40))[:, None, None]
    chain = Displacement(field, aligned.geometry).then(aligned.transforms["CT"])
    seen = page(tmp_path, replace(aligned, transforms={"CT": chain}))
    assert "It was also bent: by" in seen.text
    assert "with a deformable transform" in seen.text
    assert "The transform as numbers" not in seen.text


def test_one_volume_alone_gets_a_page(tmp_path: Path, scenes: SimpleNamespace) -> None:
    head = scenes.head()
    alone = AlignedStudy(Study("x", {"T1": head}), "T1", head.geometry, {"T1": head})
    seen = page(tmp_path, alone)
    assert "nothing to align" in seen.text
    assert sum(tag == "img" for tag, _ in seen.tags) == 5


def test_labels_are_drawn_with_a_legend(tmp_path: Path, scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT")
    array = (aligned.volumes["T1"].array > 800).astype(np.uint16) * 3
    labels = LabelMap(array, aligned.geometry, {3: "lesion", 9: "absent"})
    seen = page(tmp_path, aligned, labels=labels)
    assert "lesion" in seen.text
    assert "absent" not in seen.text


def test_the_same_study_gives_the_same_bytes(tmp_path: Path, scenes: SimpleNamespace) -> None:
    aligned = scenes.aligned("CT")
    first = write_page(aligned, tmp_path / "a.html", record=recorded(aligned)).read_bytes()
    time.sleep(0.01)
    later = recorded(aligned)
    later["run"] = {"started_utc": "2031-01-01", "seconds": 99.0, "stages": {}}
    assert write_page(aligned, tmp_path / "b.html", record=later).read_bytes() == first


def test_the_page_is_small_and_quick(
    tmp_path: Path, scenes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pictures of their full size: 3 CPU-seconds and 3 MB at most for two volumes."""
    monkeypatch.setattr(figures, "_LONGEST", LONGEST)
    aligned = scenes.aligned("CT", "PET")
    write_page(aligned, tmp_path / "warm.html")
    before = time.process_time()
    made = write_page(aligned, tmp_path / "page.html")
    assert time.process_time() - before < 3
    assert made.stat().st_size < 3e6


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path, scenes: SimpleNamespace) -> None:
    with pytest.raises(OutputError) as caught:
        write_page(scenes.aligned("CT"), tmp_path / "missing" / "page.html")
    assert caught.value.id == "S5"
    assert list(tmp_path.iterdir()) == []
