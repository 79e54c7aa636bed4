"""``PATH:CT,key=value``: what is an option, what is a name, what is a mistake."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medfuse.errors import UsageError
from medfuse.io.locators import Locator, locate, option
from medfuse.io.volumes import read_volume, write_volume
from medfuse.modality import MODALITIES

CT = MODALITIES["CT"]


@pytest.mark.parametrize(
    ("text", "path", "modality", "options"),
    [
        ("scan.nii.gz", "scan.nii.gz", None, {}),
        ("scan.nii.gz:CT", "scan.nii.gz", CT, {}),
        ("scan.nii.gz:ct", "scan.nii.gz", CT, {}),
        ("scan.nii.gz:t1w", "scan.nii.gz", MODALITIES["T1"], {}),
        ("dicom/:series=1.2.3", "dicom/", None, {"series": "1.2.3"}),
        ("dicom:PET,series=1.2.3,volume=2", "dicom", MODALITIES["PET"], None),
        ("a:stack=1,gaps=ok", "a", None, {"stack": "1", "gaps": "ok"}),
        ("a:xform=qform", "a", None, {"xform": "qform"}),
        ("a:centred=ok", "a", None, {"centred": "ok"}),
        ("seg.dcm:segment=3", "seg.dcm", None, {"segment": "3"}),
        ("a:b:CT", "a:b", CT, {}),
        ("12:30.nii", "12:30.nii", None, {}),
        ("at 12:30/scan.nii", "at 12:30/scan.nii", None, {}),
        ("name:", "name:", None, {}),
        (":CT", ":CT", None, {}),
        ("a:nonsense", "a:nonsense", None, {}),
        ("", "", None, {}),
    ],
)
def test_locate(text: str, path: str, modality: object, options: dict[str, str] | None) -> None:
    found = locate(text)
    assert (found.path, found.modality) == (path, modality)
    assert options is None or dict(found.options) == options


def test_a_file_of_the_whole_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scan:CT").touch()
    assert locate("scan:CT") == Locator("scan:CT")
    Path("scan:volume=1").symlink_to("nothing")  # even where the link is dead
    assert locate("scan:volume=1") == Locator("scan:volume=1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a:sereis=1.2", "unknown option 'sereis' of an input; did you mean 'series'"),
        ("a:volume=-1", "volume=-1 is not understood; write volume=K"),
        ("a:volume=two", "write volume=K"),
        ("a:xform=both", "write xform=sform or xform=qform"),
        ("a:gaps=yes", "write gaps=ok"),
        ("a:CTT,volume=1", "unknown modality 'CTT'; did you mean CT"),
        ("a:volume=1,volume=2", "given twice"),
        ("a:volume=1,CT", "'CT' is not of the form key=value; the modality comes first"),
        ("a:series=", "write series=UID"),
    ],
)
def test_mistakes(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        locate(text)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_wrong_modality_behind_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    path.touch()
    with pytest.raises(UsageError, match="unknown modality 'FLAIRR'; did you mean FLAIR"):
        locate(f"{path}:FLAIRR")
    with pytest.raises(UsageError):
        locate(f"{path}:what is this")


def test_options_are_checked_in_a_locator_too() -> None:
    assert Locator("a", CT, {"gaps": "ok"}).options["gaps"] == "ok"
    with pytest.raises(UsageError):
        Locator("a", None, {"gap": "ok"})
    with pytest.raises(TypeError):
        Locator("a").options["gaps"] = "ok"  # type: ignore[index]


def test_keyword_values_become_text() -> None:
    assert option("volume", 3) == "3"
    assert option("gaps", True) == "ok"
    with pytest.raises(UsageError):
        option("gaps", False)


def test_a_unit_that_the_file_does_not_say_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4)), path)
    assert read_volume(f"{path}:PET").unit == "unknown"
    assert read_volume(f"{path}:PET,unit=SUVbw").unit == "SUVbw"
    assert read_volume(f"{path}:PET,unit=Bq/ml").unit == "Bq/ml"
    assert read_volume(path, modality="PET", unit="SUVbw").unit == "SUVbw"
    written = write_volume(read_volume(f"{path}:PET,unit=SUVbw"), tmp_path / "suv_pet.nii.gz")
    assert read_volume(written).unit == "SUVbw"
    with pytest.raises(UsageError, match="unit=SUVbw, unit=HU"):
        read_volume(f"{path}:PET,unit=furlongs")
