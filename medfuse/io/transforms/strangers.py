"""Files that are no ITK transforms: what they look like, and what to do with them."""

from __future__ import annotations

import re

from medfuse.errors import InputError

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_MATRIX = re.compile(rf"\s*{_NUMBER}(?:[ \t]+{_NUMBER}){{3}}\s*(?:\n|$)")


def refusal(raw: bytes, where: object) -> InputError:
    """Return the error that names what a file with the bytes ``raw`` seems to be (X11)."""
    text = raw[:4096].decode("utf-8", "replace").lstrip("\ufeff")
    for what, hint, is_it in _STRANGERS:
        if is_it(text):
            return InputError(f"looks like {what}", where=where, hint=hint, id="X11")
    return InputError(
        "is no transform file that medfuse knows",
        where=where,
        hint="give an ITK transform (.tfm, .txt, .mat or .h5)",
        id="X11",
    )


def _is_matrix(text: str) -> bool:
    rows = [row + "\n" for row in text.strip().splitlines()]
    return len(rows) in {3, 4} and all(_MATRIX.fullmatch(row) for row in rows)


_STRANGERS = (
    (
        "a web page",
        "download the file itself",
        lambda text: re.match(r"\s*<(!doctype|html|\?xml)", text, re.IGNORECASE),
    ),
    (
        "a git-lfs pointer",
        "fetch the file with: git lfs pull",
        lambda text: text.startswith("version https://git-lfs"),
    ),
    (
        "a 4x4 matrix of FSL (FLIRT) or greedy, whose meaning needs both images",
        "convert it with: c3d_affine_tool -ref FIXED -src MOVING FILE -fsl2ras -oitk out.tfm "
        "(greedy's without -fsl2ras)",
        _is_matrix,
    ),
    (
        "a parameter file of elastix",
        "write it as an ITK transform, with ITKTransformOutputFileNameExtension tfm",
        lambda text: re.match(r'\s*(//.*\n\s*)*\(\w+ ["\d]', text),
    ),
    (
        "an LTA file of FreeSurfer",
        "convert it with: lta_convert --inlta FILE --outitk out.tfm",
        lambda text: re.search(r"^type\s*=\s*\d", text, re.MULTILINE) and "nxforms" in text,
    ),
    (
        "a transform file of MNI/MINC",
        "convert it to an ITK transform first",
        lambda text: text.startswith("MNI Transform File"),
    ),
)
