"""Sides: a mirror image has the other side's label, and no other."""

from __future__ import annotations

from medfuse.fusion.sides import one_sided, partners


def test_left_and_right_are_each_others_mirror_image() -> None:
    names = ["Left-Hippocampus", "brainstem", "right-hippocampus", "L caudate", "R Caudate"]
    assert partners(names) == (2, 1, 0, 4, 3)


def test_a_letter_in_a_word_is_no_side() -> None:
    assert partners(["lesion", "resion", "l_lung", "bright spot", "bleft spot"]) == (0, 1, 2, 3, 4)


def test_a_side_without_a_partner_is_told() -> None:
    assert one_sided(["left blob"]) == ("left blob",)
    assert one_sided(["left kidney", "rigth kidney", "liver"]) == ("left kidney",)
    assert one_sided(["L caudate", "R caudate", "RH-cortex"]) == ("RH-cortex",)


def test_both_sides_at_once_and_a_vertebra_have_no_side() -> None:
    assert one_sided(["left and right ventricle", "L4", "lesion", "bright spot"]) == ()
    assert one_sided(["Left-Lung", "right-lung"]) == ()


def test_left_and_right_before_or_after_a_capital_are_sides() -> None:
    names = ["LeftHippocampus", "brainstem", "RightHippocampus", "MCALeft", "MCARight"]
    assert partners(names) == (2, 1, 0, 4, 3)
    assert partners(["leftLung2", "rightLung2", "a_LeftLobe", "a_RightLobe"]) == (1, 0, 3, 2)
    assert one_sided(names) == ()
    assert one_sided(["LeftBlob", "lungRight", "leftLung"]) == ("LeftBlob", "lungRight", "leftLung")


def test_a_word_that_holds_left_or_right_is_no_side() -> None:
    names = ["Bright", "cleft", "copyright", "BrightSpot", "cleftLip", "Leftover", "Rightful"]
    assert partners([*names, "Bleft", "cright"]) == tuple(range(9))
    assert one_sided(["palatecleft", "hyperbright", "copyleft"]) == ()
    assert one_sided([*names, "LeftAndRightVentricle"]) == ()


def test_names_written_in_two_ways_are_no_pair() -> None:
    names = ["LeftLung", "rightlung", "Right Lung"]
    assert partners(names) == (0, 1, 2)
    assert one_sided(names) == ("LeftLung", "rightlung", "Right Lung")


def test_left_and_right_that_no_capital_sets_apart_are_sides() -> None:
    names = ["leftlung", "rightlung", "lungleft", "lungright", "kidney_leftupper", "LEFTLUNG2"]
    assert partners(names) == (1, 0, 3, 2, 4, 5)
    assert one_sided(names) == ("kidney_leftupper", "LEFTLUNG2")
    assert one_sided(["leftandrightventricle", "outright", "upright"]) == ()


def test_a_single_letter_is_a_side_at_a_capital() -> None:
    assert partners(["hippL", "hippR", "lThal", "rThal", "mca2L"]) == (1, 0, 3, 2, 4)
    assert one_sided(["hippL", "rThal"]) == ("hippL", "rThal")
    assert one_sided(["rCBV", "ml", "PCR", "oral", "Rim"]) == ()


def test_LT_and_RT_are_sides() -> None:
    assert partners(["Lt_lung", "Rt_lung", "KIDNEY_LT", "KIDNEY_RT"]) == (1, 0, 3, 2)
    assert one_sided(["Lt Parotid", "liver", "rib_R1"]) == ("Lt Parotid", "rib_R1")


def test_two_names_that_differ_by_L_and_R_alone_may_be_two_sides() -> None:
    """Of abbreviations nobody knows which letter is the side: who mirrors must not guess."""
    for pair in (["LK", "RK"], ["lkid", "rkid"], ["Eye_AL", "Eye_AR"], ["LICA", "RICA"]):
        assert partners(pair) == (0, 1)
        assert one_sided([*pair, "liver"]) == tuple(pair)
    assert one_sided(["LK", "RKX", "BK", "tumor", "tumol2"]) == ()
