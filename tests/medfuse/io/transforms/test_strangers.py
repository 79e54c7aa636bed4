"""Files of other kinds are named, with what to do about them."""

from __future__ import annotations

import pytest

from medfuse.io.transforms import strangers

FSL = b"1.0  0.0 0.0  -3.5 \n0 1 0 2e-1\n0 0 1 .5\n0 0 0 1\n"


@pytest.mark.parametrize(
    ("raw", "what", "hint"),
    [
        (FSL, "FSL", "-fsl2ras"),
        (FSL.replace(b" \n", b"\r\n"), "FSL", "c3d_affine_tool"),
        (b"<!DOCTYPE html><html>", "web page", "download"),
        (b"  <HTML>", "web page", "download"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs", "git lfs pull"),
        (b'(Transform "EulerTransform")\n(NumberOfParameters 6)\n', "elastix", "ITK transform"),
        (b"// elastix\n\n(NumberOfParameters 6)\n", "elastix", "ITK transform"),
        (b"type      = 1\nnxforms   = 1\n", "LTA", "lta_convert"),
        (b"MNI Transform File\nTransform_Type = Linear;\n", "MINC", "convert"),
        (b"\x00\x01\x02" * 40, "no transform file", ".tfm"),
        (b"1 2 3\n", "no transform file", ".tfm"),
    ],
)
def test_what_a_stranger_is(raw: bytes, what: str, hint: str) -> None:
    error = strangers.refusal(raw, "t.mat")
    assert error.id == "X11"
    assert what in error.what
    assert hint in error.hint
