"""Labels a user sees cover the tissues."""

from __future__ import annotations

from medfuse.phantom.tissues import BRAIN, LABEL_NAMES, LABEL_OF, Tissue


def test_every_tissue_has_a_label_and_every_label_a_name_and_a_tissue() -> None:
    assert set(LABEL_OF) == set(Tissue)
    assert set(LABEL_OF.values()) - {0} == set(LABEL_NAMES)
    assert LABEL_OF[Tissue.AIR] == 0


def test_the_brain_is_no_soft_tissue() -> None:
    outside = {"skull", "soft tissue", "cerebrospinal fluid", "ventricles"}
    assert not outside & {LABEL_NAMES[LABEL_OF[tissue]] for tissue in BRAIN}
