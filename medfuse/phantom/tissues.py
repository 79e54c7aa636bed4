"""The tissues of the phantom, and the labels a user sees."""

from __future__ import annotations

from enum import IntEnum


class Tissue(IntEnum):
    """What a voxel of the phantom is made of."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BONE = 4
    MARROW = 5
    CSF = 6
    GREY = 7
    WHITE = 8
    STRIATUM = 9
    THALAMUS = 10
    PALLIDUM = 11
    CEREBELLAR_GREY = 12
    CEREBELLAR_WHITE = 13
    BRAIN_STEM = 14
    DURA = 15
    VITREOUS = 16
    LENS = 17
    MUCOSA = 18
    TOOTH = 19
    CARTILAGE = 20
    BLOOD = 21
    GLAND = 22
    OEDEMA = 23
    RIM = 24
    CORE = 25
    CALCIUM = 26
    VENTRICLE = 27
    FACE_MARROW = 28
    CORD = 29


BRAIN = (
    Tissue.GREY,
    Tissue.WHITE,
    Tissue.STRIATUM,
    Tissue.THALAMUS,
    Tissue.PALLIDUM,
    Tissue.CEREBELLAR_GREY,
    Tissue.CEREBELLAR_WHITE,
    Tissue.BRAIN_STEM,
    Tissue.OEDEMA,
    Tissue.RIM,
    Tissue.CORE,
)

LABEL_NAMES: dict[int, str] = {
    1: "grey matter",
    2: "white matter",
    3: "cerebrospinal fluid",
    4: "ventricles",
    5: "deep grey matter",
    6: "cerebellum",
    7: "brain stem",
    8: "oedema",
    9: "enhancing tumour",
    10: "necrotic core",
    11: "skull",
    12: "soft tissue",
}

LABEL_OF: dict[Tissue, int] = {
    Tissue.AIR: 0,
    Tissue.SKIN: 12,
    Tissue.FAT: 12,
    Tissue.MUSCLE: 12,
    Tissue.BONE: 11,
    Tissue.MARROW: 11,
    Tissue.CSF: 3,
    Tissue.GREY: 1,
    Tissue.WHITE: 2,
    Tissue.STRIATUM: 5,
    Tissue.THALAMUS: 5,
    Tissue.PALLIDUM: 5,
    Tissue.CEREBELLAR_GREY: 6,
    Tissue.CEREBELLAR_WHITE: 6,
    Tissue.BRAIN_STEM: 7,
    Tissue.DURA: 3,
    Tissue.VITREOUS: 12,
    Tissue.LENS: 12,
    Tissue.MUCOSA: 12,
    Tissue.TOOTH: 11,
    Tissue.CARTILAGE: 12,
    Tissue.BLOOD: 12,
    Tissue.GLAND: 12,
    Tissue.OEDEMA: 8,
    Tissue.RIM: 9,
    Tissue.CORE: 10,
    Tissue.CALCIUM: 12,  # of the pineal gland and the choroid plexus
    Tissue.VENTRICLE: 4,
    Tissue.FACE_MARROW: 11,
    Tissue.CORD: 12,
}
