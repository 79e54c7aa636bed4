"""The written report of a made patient: what a radiologist would say of its lesion.

English or Chinese, drawn from the seed; side, region and sizes are those of the lesion.
"""

from __future__ import annotations

from medfuse import seeds
from medfuse.phantom.brain import Lesion

_SIDES = {"left": "左侧", "right": "右侧"}
_REGIONS = {"frontal": "额叶", "parietal": "顶叶", "temporal": "颞叶", "occipital": "枕叶"}
_OPENINGS = (
    "There is a {size} mm mass in the {side} {region} lobe",
    "In the {side} {region} lobe lies a {size} mm mass",
    "A rounded mass measuring {size} mm is seen in the {side} {region} lobe",
)
_OPENINGS_ZH = (
    "{side}{region}见一肿块，大小约 {size} mm",
    "{side}{region}可见直径约 {size} mm 的类圆形占位",
    "于{side}{region}见大小约 {size} mm 占位性病变",
)


def report(lesion: Lesion, seed: int) -> str:
    """Return the report on a head with ``lesion``, about ten lines, ending in a line break."""
    rng = seeds.rng(seed, "phantom", "words")
    if rng.random() < 0.5:
        return _english(lesion, int(rng.integers(len(_OPENINGS))))
    return _chinese(lesion, int(rng.integers(len(_OPENINGS_ZH))))


def _english(lesion: Lesion, opening: int) -> str:
    size, spread = round(lesion.size_mm), round(lesion.oedema_mm)
    first = _OPENINGS[opening].format(size=size, side=lesion.side, region=lesion.region)
    other = "right" if lesion.side == "left" else "left"
    return (
        "EXAMINATION: MRI of the head with and without contrast, CT of the head, FDG PET.\n"
        "\n"
        "FINDINGS:\n"
        f"{first}. It is hypointense on T1, with an irregularly enhancing rim and a necrotic "
        "centre that does not enhance.\n"
        f"The surrounding oedema reaches {spread} mm across and is bright on T2 and FLAIR. "
        "The rim shows increased FDG uptake.\n"
        f"No mass in the {other} hemisphere. No haemorrhage. The left lateral ventricle is larger "
        "than the right one. Calcified choroid plexus and pineal gland on CT.\n"
        "\n"
        "IMPRESSION:\n"
        f"Solitary {lesion.side} {lesion.region} mass of {size} mm with oedema, suspicious for "
        "high-grade glioma.\n"
    )


def _chinese(lesion: Lesion, opening: int) -> str:
    side, region = _SIDES[lesion.side], _REGIONS[lesion.region]
    other = _SIDES["right" if lesion.side == "left" else "left"]
    size, spread = round(lesion.size_mm), round(lesion.oedema_mm)
    first = _OPENINGS_ZH[opening].format(size=size, side=side, region=region)
    return (
        "检查：头颅 MRI 平扫及增强、头颅 CT、FDG PET。\n"
        "\n"
        "影像所见：\n"
        f"{first}，T1 呈低信号，增强后边缘不规则环形强化，中心坏死区无强化。\n"
        f"周围水肿范围约 {spread} mm，T2 及 FLAIR 呈高信号。病灶边缘 FDG 摄取增高。\n"
        f"{other}大脑半球未见肿块。未见出血。左侧侧脑室较右侧稍大。"
        "CT 示脉络丛及松果体钙化。\n"
        "\n"
        "诊断意见：\n"
        f"{side}{region}单发占位（{size} mm）伴水肿，考虑高级别胶质瘤可能。\n"
    )
