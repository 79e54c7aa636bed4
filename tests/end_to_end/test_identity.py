"""D33: a planted name, number and birth date go into nothing that is written or said."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from medfuse.study import Quality
from tests.end_to_end import heads
from tests.end_to_end.conftest import Run, Said
from tests.medfuse.io import dicom_maker

SECRETS = (
    b"ZZPHI", b"19330303", b"03.03.1933", b"1933-03-03", b"PLANTED",
    dicom_maker.SERIES.encode(), dicom_maker.STUDY.encode(), dicom_maker.FRAME.encode(),
)  # fmt: skip


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of scans with an identity in headers, file names and folder names."""

    def plant(_: int, made: Dataset) -> None:
        made.PatientName = "ZZPHI^NAME"
        made.PatientBirthDate = "19330303"
        made.PatientID = "ZZPHI-ID"
        made.InstitutionName = "ZZPHI HOSPITAL"
        made.SeriesDescription = "ZZPHI head"
        made.add_new(0x00111010, "LO", "ZZPHI private")

    home = tmp_path / "in" / "ZZPHI_NAME_1933-03-03"
    dicom_maker.series(home / "dicom", plant)
    heads.write(home, "T1", "ZZPHI_19330303_T1w.nii.gz")
    heads.write(home, "CT", "ZZPHI_19330303_ct.nii.gz")
    monkeypatch.chdir(tmp_path)
    return home.relative_to(tmp_path)


def leaks(folder: Path) -> list[str]:
    """Return what of the identity stands in the files below a folder, packed ones too."""
    found = []
    for path in sorted(folder.rglob("*")):
        named = path.name.encode()
        data = path.read_bytes() if path.is_file() else b""
        if data[:2] == b"\x1f\x8b":
            data += gzip.decompress(data)
        found += [f"{path}: {word!r}" for word in SECRETS if word in data or word in named]
    return found


def test_D33_registration_writes_no_identity(
    medfuse: Run, planted: Path, answers: dict[str, Quality]
) -> None:
    answers["CT"] = Quality("review", {"margin": 1.0}, ("weak",))
    t1, ct = planted / "ZZPHI_19330303_T1w.nii.gz", planted / "ZZPHI_19330303_ct.nii.gz"
    said = medfuse("register", t1, ct, planted / "dicom", "--out", "files")
    assert said.code == 0, said.err
    assert quiet(said)
    (planted / "ZZPHI_19330303_ct.nii.gz").unlink()
    said = medfuse("register", planted, "--out", "folder")
    assert said.code == 0, said.err
    assert quiet(said)
    assert leaks(Path("files")) == leaks(Path("folder")) == []
    assert (Path("files") / "page.html").is_file()


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii", "ct.nrrd", "ct.mha"])
def test_D33_conversion_writes_no_identity(medfuse: Run, planted: Path, name: str) -> None:
    Path("out").mkdir()
    said = medfuse("convert", planted / "dicom", Path("out") / name)
    assert said.code == 0
    assert quiet(said)
    assert leaks(Path("out")) == []


def test_D33_inspection_tells_of_the_scan_and_not_of_the_patient(
    medfuse: Run, planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(planted)
    for words in (("inspect", "dicom"), ("inspect", "dicom", "--json")):
        said = medfuse(*words)
        assert said.code == 0
        assert quiet(said)


def test_D33_an_error_in_a_header_quotes_no_header(
    medfuse: Run, planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(planted)
    (Path("dicom") / "004.dcm").unlink()
    for words in (("convert", "dicom", "ct.nii.gz"), ("inspect", "dicom")):
        said = medfuse(*words)
        assert said.code == 3
        assert quiet(said)


def quiet(said: Said) -> bool:
    """Tell whether neither stream names the patient; a series UID is how a series is picked."""
    text = (said.out + "\n".join(said.err)).encode()
    return not any(word in text for word in SECRETS[:5] if b"PLANTED" not in word)
