"""One HTML file to look at after an alignment: verdict first, then pictures, then numbers.

The file carries everything it shows: no network, no paths, no identity. It is the same, byte for
byte, for the same study and record.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medfuse.io.files import write_text
from medfuse.record import versions
from medfuse.study import AlignedStudy
from medfuse.transform import Affine, Transform
from medfuse.volume import LabelMap
from pipelines.reporting import figures, planes, views, wording
from pipelines.reporting.rendering import rendered

_WORST = ("fail", "review", "dropped", "pass", "imputed", "unjudged")


def write_page(
    aligned: AlignedStudy,
    path: str | os.PathLike[str],
    *,
    labels: LabelMap | None = None,
    record: Mapping[str, Any] | None = None,
) -> Path:
    """Write the page about ``aligned`` and return its path.

    ``labels`` (or the study's own) are drawn over the fixed volume; ``record`` is the run's
    ``Record.document()``, from which settings, versions and warnings are shown. Volumes appear
    under their public names alone. Raises ``OutputError`` where the file cannot be written.
    """
    facts = dict(record or {})
    whole = planes.content(aligned.volumes[aligned.fixed])
    sections = [_section(aligned, name, whole, facts) for name in _moving(aligned)]
    overlay = labels or aligned.labels
    context = {
        "notice": wording.NOTICE,
        "title": _title(aligned, sections),
        "overall": _overall(sections),
        "fixed": _fixed(aligned, whole, overlay),
        "sections": sections,
        "labels": None if overlay is None else _legend(overlay),
        "settings": _plain(facts.get("settings", {})) | _seed(facts),
        "inputs": facts.get("inputs", {}),
        "warnings": facts.get("warnings", []),
        "versions": facts.get("versions") or versions(),
        "recorded": record is not None,
    }
    return write_text(path, rendered("page.html", context, styles=("page.css",), script="page.js"))


def _moving(aligned: AlignedStudy) -> list[str]:
    """Every name that is to be judged: the study's other volumes, then what medfuse made."""
    names = [*aligned.study.volumes, *aligned.volumes, *aligned.dropped]
    return [name for name in dict.fromkeys(names) if name != aligned.fixed]


def _section(
    aligned: AlignedStudy, name: str, whole: planes.Content, facts: Mapping[str, Any]
) -> dict[str, Any]:
    quality = aligned.quality.get(name)
    verdict = _verdict(aligned, name)
    headline, advice = wording.VERDICTS[verdict]
    transform = aligned.transforms.get(name)
    shown = views.views(aligned, name, whole)
    reasons = list(quality.reasons) if quality is not None else []
    if name in aligned.dropped and aligned.dropped[name] not in ("; ".join(reasons), ""):
        reasons.append(aligned.dropped[name])
    section: dict[str, Any] = {
        "name": name,
        "fixed": aligned.fixed,
        "verdict": verdict,
        "headline": headline,
        "advice": advice,
        "reasons": reasons,
        "figures": [] if quality is None else wording.figure_rows(quality.figures),
        "error": None if quality is None else quality.error_mm,
        "interval": None if quality is None else quality.interval_mm,
        "motion": [],
        "matrix": None,
        "methods": None,
        "view": shown,
    }
    if transform is not None:
        found = wording.motion(transform, shown.content.centre, shown.content.points)
        section["motion"] = wording.told(found, name, aligned.fixed)
        section["methods"] = _methods(aligned, name, transform, verdict, facts)
    if isinstance(transform, Affine):
        section["matrix"] = [[f"{v:.6f}" for v in row] for row in transform.moving_from_fixed]
    return section


def _verdict(aligned: AlignedStudy, name: str) -> str:
    if name in aligned.imputed:
        return "imputed"
    if name in aligned.quality:
        return aligned.quality[name].verdict
    return "dropped" if name in aligned.dropped else "unjudged"


def _methods(
    aligned: AlignedStudy,
    name: str,
    transform: Transform,
    verdict: str,
    facts: Mapping[str, Any],
) -> str:
    settings = facts.get("settings", {})
    kind = "deformable"
    if isinstance(transform, Affine):
        kind = "rigid" if transform.is_rigid else "affine"
    return wording.methods(
        name,
        aligned.fixed,
        facts={
            "kind": kind,
            "version": (facts.get("versions") or versions())["medfuse"],
            "engine": settings.get("engine"),
            "start": settings.get("start"),
            "interpolation": settings.get("interpolation"),
            "seed": facts.get("seed"),
            "grid": wording.grid(aligned.geometry),
            "verdict": verdict,
        },
    )


def _overall(sections: list[dict[str, Any]]) -> dict[str, str]:
    """The worst verdict speaks for the page."""
    found = [section["verdict"] for section in sections]
    worst = min(found, key=_WORST.index, default="unjudged")
    headline, advice = wording.VERDICTS[worst]
    if not sections:
        advice = "There is one volume only, so there was nothing to align."
    return {"verdict": worst, "headline": headline, "advice": advice}


def _title(aligned: AlignedStudy, sections: list[dict[str, Any]]) -> str:
    names = [section["name"] for section in sections]
    if not names:
        return aligned.fixed
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed} on {aligned.fixed}"


def _fixed(aligned: AlignedStudy, whole: planes.Content, labels: LabelMap | None) -> dict[str, Any]:
    volume = aligned.volumes[aligned.fixed]
    return {
        "name": aligned.fixed,
        "grid": wording.grid(aligned.geometry),
        "window": wording.window_text(volume, planes.window(volume)),
        "pictures": views.plain(volume, whole, labels)
        if labels or len(aligned.volumes) < 2
        else [],
    }


def _legend(labels: LabelMap) -> list[dict[str, Any]]:
    present = [int(label) for label in np.flatnonzero(np.bincount(labels.array.ravel())) if label]
    return [
        {
            "name": labels.names.get(label, f"label {label}"),
            "colour": "#{:02x}{:02x}{:02x}".format(*figures.label_colour(label)),
        }
        for label in present
    ]


def _plain(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings as words; what looks like a path is not shown: a file name can be an identity."""
    shown: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            shown |= _plain(value, f"{name} ")
            continue
        text = "none" if value is None else str(value)
        shown[name] = "a file" if any(mark in text for mark in "/\\") else text
    return shown


def _seed(facts: Mapping[str, Any]) -> dict[str, str]:
    return {"seed": str(facts["seed"])} if "seed" in facts else {}
