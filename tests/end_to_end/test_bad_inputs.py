"""Hostile inputs on the command line: an exit code, one line, and nothing written or changed.

The rows of ``docs/errors.md`` are tested one by one beside the readers; here a file of each kind
goes through the door.
"""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from tests.end_to_end import heads
from tests.end_to_end.conftest import Run
from tests.medfuse.io import dicom_maker

Make = Callable[[Path], Path]


def nifti(folder: Path, values: np.ndarray | None = None, name: str = "bad.nii") -> Path:
    """Save a head, or other values on its grid, with nibabel."""
    array = heads.appearance("CT") if values is None else values
    nib.save(nib.Nifti1Image(array, heads.affine()), folder / name)
    return folder / name


def patched(offset: int, code: str, *values: object) -> Make:
    """Return a maker of a NIfTI file with other bytes at ``offset``."""

    def make(folder: Path) -> Path:
        path = nifti(folder)
        data = bytearray(path.read_bytes())
        struct.pack_into(code, data, offset, *values)
        path.write_bytes(data)
        return path

    return make


def cut(part: float, name: str = "bad.nii.gz") -> Make:
    """Return a maker of a file of which only a part is there."""

    def make(folder: Path) -> Path:
        path = nifti(folder, name=name)
        path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
        return path

    return make


def flipped(folder: Path) -> Path:
    """Return a gzip file with a wrong checksum."""
    path = nifti(folder, name="bad.nii.gz")
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)
    return path


def holding(values: object) -> Make:
    """Return a maker of a NIfTI file that holds these values everywhere, or this array."""
    return lambda folder: nifti(folder, np.broadcast_to(np.asarray(values), heads.SHAPE).copy())


def two_forms(folder: Path) -> Path:
    """Return a file whose sform and qform disagree."""
    image = nib.Nifti1Image(heads.appearance("CT"), heads.affine())
    image.set_qform(heads.affine((50, 0, 0)), 1)
    image.set_sform(heads.affine(), 2)
    nib.save(image, folder / "bad.nii")
    return folder / "bad.nii"


def no_forms(folder: Path) -> Path:
    """Return a file that does not say where it lies."""
    image = nib.Nifti1Image(heads.appearance("CT"), None)
    image.set_qform(None, 0)
    image.set_sform(None, 0)
    nib.save(image, folder / "bad.nii")
    return folder / "bad.nii"


def text(payload: bytes, name: str = "bad.nii.gz") -> Make:
    """Return a maker of a file with these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(payload)
        return folder / name

    return make


def pipe(folder: Path) -> Path:
    """Return a named pipe, which hangs whoever opens it."""
    os.mkfifo(folder / "bad.nii")
    return folder / "bad.nii"


def dangling(folder: Path) -> Path:
    """Return a link to nothing."""
    (folder / "bad.nii").symlink_to("nowhere")
    return folder / "bad.nii"


def image(name: str, old: bytes = b"", new: bytes = b"") -> Make:
    """Return a maker of an NRRD or MetaImage file with an edited header."""

    def make(folder: Path) -> Path:
        made = sitk.GetImageFromArray(heads.appearance("CT"))
        sitk.WriteImage(made, folder / name)
        raw = (folder / name).read_bytes()
        assert old in raw
        (folder / name).write_bytes(raw.replace(old, new, 1))
        return folder / name

    return make


def series(edit: Callable[[int, Dataset], None], count: int = 10) -> Make:
    """Return a maker of an edited DICOM series."""
    return lambda folder: dicom_maker.series(folder / "series", edit, count=count)


def tagged(k: int | None = None, **values: object) -> Make:
    """Return a maker of a series with these tags in slice ``k``, or in all."""

    def edit(number: int, made: Dataset) -> None:
        for keyword, value in values.items():
            if k in (None, number):
                setattr(made, keyword, value)

    return series(edit)


def without(k: int, keyword: str) -> Make:
    """Return a maker of a series with one tag missing in slice ``k``."""

    def edit(number: int, made: Dataset) -> None:
        if number == k:
            delattr(made, keyword)

    return series(edit)


def gap(folder: Path) -> Path:
    """Return a series with a slice removed."""
    path = dicom_maker.series(folder / "series")
    (path / "004.dcm").unlink()
    return path


def two_series(folder: Path) -> Path:
    """Return a folder of two series."""
    path = dicom_maker.series(folder / "series", count=5)

    def other(_: int, made: Dataset) -> None:
        made.SeriesInstanceUID += "9"

    dicom_maker.series(path / "more", other, count=5)
    return path


REFUSED: dict[str, tuple[str, Make]] = {
    "gzip cut": ("N1", cut(0.5)),
    "gzip without its end": ("N2", lambda folder: cut_end(folder)),
    "gzip checksum": ("N3", flipped),
    "file cut": ("N4", cut(0.5, "bad.nii")),
    "magic": ("N5", patched(344, "4s", b"xyz\0")),
    "no voxels": ("N6", patched(42, "<h", 0)),
    "no number in the affine": ("N7", patched(280, "<4f", np.nan, 0, 0, 0)),
    "singular": ("N8", patched(280, "<4f", 0, 0, 0, 0)),
    "sheared": ("N10", patched(284, "<f", 2.0)),
    "two places": ("N11", two_forms),
    "no place": ("N12", no_forms),
    "unknown type": ("N18", patched(70, "<h", 4096)),
    "complex": ("N19", holding(np.complex64(1 + 1j))),
    "too large for float32": ("N21", holding(1e300)),
    "flat": ("N25", holding(np.float32(7))),
    "no number": ("N26", holding(np.float32(np.nan))),
    "bomb": ("N28", patched(42, "<3h", 30000, 30000, 30000)),
    "link to nothing": ("N40", dangling),
    "pipe": ("N42", pipe),
    "empty": ("N43", text(b"")),
    "web page": ("N48", text(b"<!DOCTYPE html><html></html>")),
    "packed web page": ("N48", text(gzip.compress(b"<!DOCTYPE html><html></html>"))),
    "git-lfs": ("N48", text(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
    "zip": ("D28", text(b"PK\x03\x04" + bytes(100), "bad.zip")),
    "data file elsewhere": ("R2", image("bad.mhd", b"bad.raw", b"../../etc/passwd")),
    "nrrd data file elsewhere": ("R3", image("bad.nhdr", b"bad.raw", b"/etc/passwd")),
    "mirrored": ("R9", image("bad.mha", b"Spacing = 1 1 1", b"Spacing = -1 1 1")),
    "two series": ("D1", two_series),
    "gap": ("D3", gap),
    "same position twice": ("D4", tagged(4, ImagePositionPatient=[-20.0, -30.0, 49.0])),
    "no position": ("D10", without(3, "ImagePositionPatient")),
    "no pixels": ("D12", without(3, "PixelData")),
    "slope of nothing": ("D18", tagged(RescaleSlope="0")),
    "spacing of nothing": ("D36", tagged(PixelSpacing=[0.0, 0.0])),
    "two patients": ("D2", tagged(3, PatientID="ANOTHER", PatientName="ANOTHER^NAME")),
}  # fmt: skip


def cut_end(folder: Path) -> Path:
    """Return a gzip file without its closing bytes."""
    path = nifti(folder, name="bad.nii.gz")
    path.write_bytes(path.read_bytes()[:-4])
    return path


def fingerprint(folder: Path) -> dict[str, object]:
    """Return every path below a folder with its bytes, where it has some."""
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_moving_scan_is_refused_before_any_work(medfuse: Run, scans: Path, what: str) -> None:
    row, make = REFUSED[what]
    (scans / "in").mkdir()
    (scans / "out").mkdir()
    bad = make(scans / "in").relative_to(scans)
    before = fingerprint(scans)
    said = medfuse("register", "T1.nii.gz", f"{bad}:CT", "--out", "out")
    assert said.code == 3
    assert said.out == ""
    assert len(said.err) == 1
    assert said.err[0].startswith(f"medfuse: error[{row}]: {bad}"), said.err
    for secret in ("PLANTED", "ANOTHER", dicom_maker.BIRTH):
        assert secret not in said.err[0]
    assert fingerprint(scans) == before


@pytest.mark.parametrize("what", ["gzip cut", "bomb", "gap", "data file elsewhere", "web page"])
def test_convert_refuses_the_same(medfuse: Run, scans: Path, what: str) -> None:
    row, make = REFUSED[what]
    bad = make(scans)
    before = fingerprint(scans)
    said = medfuse("convert", bad, "out.nii.gz")
    assert said.code == 3
    assert len(said.err) == 1
    assert f"error[{row}]" in said.err[0]
    assert fingerprint(scans) == before


HOSTILE_TRANSFORMS: dict[str, tuple[str, bytes]] = {
    "singular": ("X2", b"AffineTransform_double_3_3|0 0 0 0 0 0 0 0 0 0 0 0|0 0 0"),
    "no number": ("X3", b"AffineTransform_double_3_3|nan 0 0 0 1 0 0 0 1 0 0 0|0 0 0"),
    "unknown": ("X4", b"SpiralTransform_double_3_3|1|0"),
    "too few numbers": ("X6", b"AffineTransform_double_3_3|1 0 0|0 0 0"),
    "reflection": ("X10", b"AffineTransform_double_3_3|-1 0 0 0 1 0 0 0 1 0 0 0|0 0 0"),
    "empty": ("X11", b""),
}


@pytest.mark.parametrize("what", HOSTILE_TRANSFORMS)
def test_a_bad_transform_is_refused(medfuse: Run, scans: Path, what: str) -> None:
    row, payload = HOSTILE_TRANSFORMS[what]
    if payload:
        kind, parameters, fixed = payload.decode().split("|")
        lines = ("#Insight Transform File V1.0", "#Transform 0", f"Transform: {kind}")
        payload = "\n".join(
            (*lines, f"Parameters: {parameters}", f"FixedParameters: {fixed}", "")
        ).encode()
    (scans / "bad.tfm").write_bytes(payload)
    before = fingerprint(scans)
    words = ("--moving", "CT.nii.gz", "--onto", "T1.nii.gz", "--out", "out.nii.gz")
    said = medfuse("apply", "bad.tfm", *words)
    assert said.code == 3
    assert len(said.err) == 1
    assert said.err[0].startswith(f"medfuse: error[{row}]: bad.tfm: ")
    said = medfuse("register", "T1.nii.gz", "CT.nii.gz", "--start", "bad.tfm", "--out", "out")
    assert said.code == 3
    assert fingerprint(scans) == before


def test_N45_names_of_all_kinds(medfuse: Run, scans: Path) -> None:
    for name in ("a b.nii.gz", "头.nii.gz", "-rf.nii.gz", "%s.nii.gz", "a\nb.nii.gz", "~x.nii.gz"):
        (scans / name).write_bytes((scans / "CT.nii.gz").read_bytes())
        said = medfuse("convert", "--overwrite", "--", name, "out.nii.gz")
        assert (said.code, said.err) == (0, []), name
        (scans / name).write_bytes(b"")
        said = medfuse("inspect", "--", name)
        assert said.code == 3
        assert len(said.err) == 1


def test_N13_a_repair_is_said_once_and_recorded_without_the_path(
    medfuse: Run, scans: Path, answers: dict[str, object]
) -> None:
    image = nib.Nifti1Image(heads.appearance("CT"), heads.affine())
    image.set_qform(heads.affine() * [[0.001], [0.001], [0.001], [1]], 1)
    image.set_sform(heads.affine() * [[0.001], [0.001], [0.001], [1]], 1)
    image.header.set_xyzt_units("meter")
    nib.save(image, scans / "secret_ct.nii")
    said = medfuse("register", "T1.nii.gz", "secret_ct.nii", "--out", "out", "--no-page")
    assert said.code == 0
    assert len(said.err) == 1
    assert said.err[0].startswith("medfuse: warning[N13]: secret_ct.nii: ")
    record = (scans / "out" / "record.json").read_text()
    assert '"volume": "CT"' in record
    assert '"id": "N13"' in record
    assert "secret" not in record
