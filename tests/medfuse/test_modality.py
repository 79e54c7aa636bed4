"""Modalities are recognised from the names that files have in the wild."""

from __future__ import annotations

import pytest

from medfuse.errors import UsageError
from medfuse.modality import MODALITIES, modality, modality_from_name


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("sub-01_ses-2_T1w", "T1"),
        ("sub-01_ce-gadolinium_T1w", "T1CE"),
        ("sub-01_T1w_post", "T1CE"),
        ("BraTS_t1ce", "T1CE"),
        ("sub-01_T2w", "T2"),
        ("sub-01_FLAIR", "FLAIR"),
        ("t2_flair", "FLAIR"),
        ("study1_T2W", "T2"),
        ("sub-01_ct", "CT"),
        ("CT_image", "CT"),
        ("sub-01_trc-FDG_pet", "PET"),
        ("mr_t1", "T1"),
        ("mri", "MR"),
        ("scan", "OTHER"),
        ("", "OTHER"),
        ("ct_and_pet", "PET"),
        ("pet_ct_fused", "OTHER"),
        ("product", "OTHER"),
        ("petra", "OTHER"),
        ("扫描_CT", "CT"),
        ("AX T1 PRE CONTRAST", "T1"),
        ("T1 W/O CONTRAST", "T1"),
        ("T1 wo contrast", "T1"),
        ("T1 non contrast", "T1"),
        ("T1 non-enhanced", "T1"),
        ("T1_noncontrast", "T1"),
        ("SAG T1 NO GAD", "T1"),
        ("T1 unenhanced", "T1"),
        ("T1 post-op", "T1"),
        ("T1 pre-op post contrast", "T1CE"),
        ("Ax T1 +C", "T1CE"),
        ("T1_C+_tra", "T1CE"),
        ("T1 POST GAD", "T1CE"),
        ("SAG T1 POST", "T1CE"),
        ("sub-01_ses-post_T1w", "T1"),
        ("sub-01_acq-post_T1w", "T1"),
        ("sub-01_ses-ct_acq-pre_ce-gad_run-2_T1w", "T1CE"),
        ("sub-01_ce-none_T1w", "T1"),
        ("sub-01_space-T2_T1w", "T1"),
        ("Ax T1 FLAIR", "MR"),
        ("t1_flair_tra", "MR"),
        ("T1 FLAIR POST", "MR"),
        ("t1_to_t2", "MR"),
    ],
)
def test_names_of_files(stem: str, name: str) -> None:
    assert modality_from_name(stem).name == name


@pytest.mark.parametrize("name", MODALITIES)
def test_every_modality_is_found_by_its_name_and_words(name: str) -> None:
    entry = MODALITIES[name]
    for word in (name, name.lower(), *entry.words, *(word.upper() for word in entry.words)):
        assert modality(word) is entry


def test_a_word_names_one_modality_only() -> None:
    words = [word for entry in MODALITIES.values() for word in {*entry.words, entry.name.lower()}]
    assert len(words) == len(set(words))


def test_an_unknown_word_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="CT") as caught:
        modality("xray")
    assert "T1CE" in caught.value.hint


def test_air_and_units() -> None:
    assert (MODALITIES["CT"].air, MODALITIES["CT"].unit) == (-1000, "HU")
    assert (MODALITIES["PET"].air, MODALITIES["PET"].unit) == (0, "SUVbw")
    assert [name for name, entry in MODALITIES.items() if entry.is_mr] == [
        "T1",
        "T1CE",
        "T2",
        "FLAIR",
        "PD",
        "MR",
    ]
    for entry in MODALITIES.values():
        for low_high in (entry.clip, entry.window):
            assert low_high is None or low_high[0] < low_high[1]
