"""The report says what is in the head, in one of two languages."""

from __future__ import annotations

import pytest

from medfuse.phantom.brain import Lesion
from medfuse.phantom.words import report

LESION = Lesion("left", "temporal", (46.0, 0.0, -14.0), 23.4, 47.6)


def both(lesion: Lesion) -> tuple[str, str]:
    texts = [report(lesion, seed) for seed in range(40)]
    english = next(text for text in texts if "FINDINGS" in text)
    chinese = next(text for text in texts if "影像所见" in text)
    return english, chinese


def test_sizes_side_and_region_are_the_lesions() -> None:
    english, chinese = both(LESION)
    assert "left temporal" in english
    assert "23 mm" in english
    assert "48 mm" in english
    assert "左侧颞叶" in chinese
    assert "23 mm" in chinese
    assert "48 mm" in chinese


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_impression_names_no_other_side(side: str) -> None:
    english, chinese = both(Lesion(side, "frontal", (30.0, -42.0, 26.0), 20, 40))
    other, other_zh = ("right", "右侧") if side == "left" else ("left", "左侧")
    assert other not in english.split("IMPRESSION")[1]
    assert other_zh not in chinese.split("诊断意见")[1]


def test_a_seed_is_a_wording() -> None:
    assert report(LESION, 3) == report(LESION, 3)
    assert len({report(LESION, seed) for seed in range(60)}) == 6
    assert report(LESION, 0).endswith("\n")
