"""Sides: a mirror image has the other side's label, and no other."""

from __future__ import annotations

from medfuse.fusion.sides import partners


def test_left_and_right_are_each_others_mirror_image() -> None:
    names = ["Left-Hippocampus", "brainstem", "right-hippocampus", "L caudate", "R Caudate"]
    assert partners(names) == (2, 1, 0, 4, 3)


def test_a_letter_in_a_word_is_no_side() -> None:
    assert partners(["lesion", "resion", "l_lung", "bright spot", "bleft spot"]) == (0, 1, 2, 3, 4)
