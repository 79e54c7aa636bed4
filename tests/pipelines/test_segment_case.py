"""One case from folder to folder: right voxels, right grid, whatever scans there are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from medfuse.errors import (
    GeometryError,
    InputError,
    ModelError,
    OutputError,
    ResourceError,
    UsageError,
)
from medfuse.fusion.agreement import Agreement
from medfuse.fusion.needs import memory_needed
from medfuse.geometry import Geometry
from medfuse.io.dicom_write import write_series
from medfuse.io.volumes import read_volume
from medfuse.modality import MODALITIES
from medfuse.nets.modelfile import ModelCard, Region
from medfuse.study import AlignedStudy
from medfuse.volume import Volume
from pipelines.cases import list_cases
from pipelines.segment import Segmented, SegmentSettings
from pipelines.segment_case import Place, segment_case
from tests.pipelines.test_cases import registered
from tests.pipelines.toy_model import CARD, SHAPE, labels_in, models, truth, write_case


def run(
    folder: Path, out: Path, *, overwrite: bool = False, card: ModelCard = CARD, **options: Any
) -> list[Segmented]:
    (case,) = list_cases([str(folder)])
    out.mkdir(exist_ok=True)
    place = Place(out, overwrite)
    return list(segment_case(case, models(card), place, settings=SegmentSettings(**options)))


def test_labels_volumes_and_record(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "sub-001")
    (result,) = run(folder, tmp_path / "out")
    home = tmp_path / "out" / "sub-001"
    np.testing.assert_array_equal(labels_in(home / "labels.nii.gz"), truth())
    np.testing.assert_allclose(
        nib.load(home / "labels.nii.gz").affine, nib.load(folder / "T1.nii.gz").affine
    )
    assert result.volumes_ml == {
        "lesion": pytest.approx(71 * 0.006),
        "core": pytest.approx(4 * 0.006),
    }
    assert result.repairs == ()
    record = json.loads((home / "record.json").read_text())
    assert record["command"] == "segment"
    assert record["labels"] == {"4": "lesion", "9": "core"}
    assert record["volumes_ml"] == result.document()["volumes_ml"]
    assert record["used"] == list(CARD.modalities)
    assert record["model"]["sha256"] == ["0" * 64]
    assert "not a medical device" in record["intended_use"]
    assert str(tmp_path) not in (home / "record.json").read_text()


def test_M11_a_missing_scan_is_gone_without_and_said(tmp_path: Path) -> None:
    (result,) = run(write_case(tmp_path / "a", ("T2",)), tmp_path / "out")
    assert (result.used, result.missing) == (("T2",), ("T1", "PET"))
    assert [repair.id for repair in result.repairs] == ["M11"]
    record = json.loads((tmp_path / "out" / "a" / "record.json").read_text())
    assert record["warnings"][0]["id"] == "M11"
    np.testing.assert_array_equal(labels_in(tmp_path / "out" / "a" / "labels.nii.gz"), truth())


def test_a_case_with_nothing_of_the_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        run(write_case(tmp_path / "a", ("FLAIR",)), tmp_path / "out")
    assert caught.value.id == "M11"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("subsets", [True, False])
def test_M11_a_case_without_a_scan_that_the_model_requires_is_refused(
    tmp_path: Path, subsets: bool
) -> None:
    """Of its scans no subset can be segmented: nothing written must not pass for success."""
    card = replace(CARD, required=("T2",))
    folder = write_case(tmp_path / "a", ("T1", "PET"))
    with pytest.raises(ModelError, match="needs T2, which is missing") as caught:
        run(folder, tmp_path / "out", card=card, subsets=subsets)
    assert caught.value.id == "M11"
    assert list((tmp_path / "out").iterdir()) == []


def test_only_some_scans_can_be_used(tmp_path: Path) -> None:
    (result,) = run(write_case(tmp_path / "a"), tmp_path / "out", only=("PET",))
    assert result.used == ("PET",)
    assert result.repairs == (), "it was asked for, so nobody needs to be warned"


def test_every_subset_has_its_folder(tmp_path: Path) -> None:
    results = run(write_case(tmp_path / "a", ("T1", "PET")), tmp_path / "out", subsets=True)
    assert [one.folder for one in results] == ["T1/a", "PET/a", "T1+PET/a"]
    for one in results:
        np.testing.assert_array_equal(
            labels_in(tmp_path / "out" / one.folder / "labels.nii.gz"), truth()
        )


def test_subsets_are_compared_once_and_none_holds_the_odd_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, ...]] = []

    def t2_is_foreign(aligned: AlignedStudy) -> tuple[AlignedStudy, Agreement]:
        seen.append(tuple(aligned.volumes))
        kept = {name: one for name, one in aligned.volumes.items() if name != "T2"}
        found = Agreement({}, {"T2": "shows another anatomy"}, {})
        return replace(aligned, volumes=kept, dropped={"T2": "foreign"}), found

    monkeypatch.setattr("medfuse.fusion.segmenter.drop_odd", t2_is_foreign)
    results = run(write_case(tmp_path / "a"), tmp_path / "out", subsets=True)
    assert [one.folder for one in results] == ["T1/a", "PET/a", "T1+PET/a"]
    assert len(seen) == 1
    for one in results:
        record = json.loads((tmp_path / "out" / one.folder / "record.json").read_text())
        assert record["dropped"] == {"T2": "foreign"}
        assert any("left out" in repair.what for repair in one.repairs)
        assert "agreement" in {warning["id"] for warning in record["warnings"]}


@pytest.mark.parametrize("onto", [None, "T1"])
def test_a_scan_of_another_anatomy_is_not_said_to_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, onto: str | None
) -> None:
    """Labels may go onto its grid all the same: the transforms say where it lies."""

    def t1_is_foreign(aligned: AlignedStudy) -> tuple[AlignedStudy, Agreement]:
        kept = {name: one for name, one in aligned.volumes.items() if name != "T1"}
        found = Agreement({}, {"T1": "shows another anatomy"}, {})
        return replace(aligned, volumes=kept, dropped={"T1": "foreign"}), found

    monkeypatch.setattr("medfuse.fusion.segmenter.drop_odd", t1_is_foreign)
    (result,) = run(write_case(tmp_path / "a"), tmp_path / "out", onto=onto)
    assert (result.used, result.missing) == (("T2", "PET"), ("T1",))
    record = json.loads((tmp_path / "out" / "a" / "record.json").read_text())
    assert (record["used"], record["grid_of"]) == (["T2", "PET"], "T1")
    assert record["dropped"] == {"T1": "foreign"}
    np.testing.assert_array_equal(labels_in(tmp_path / "out" / "a" / "labels.nii.gz"), truth())


def test_probabilities_lie_beside(tmp_path: Path) -> None:
    run(write_case(tmp_path / "a"), tmp_path / "out", probabilities=True, tta=True)
    found = labels_in(tmp_path / "out" / "a" / "probabilities" / "lesion.nii.gz")
    assert found.min() >= 0
    np.testing.assert_array_equal(found > 0.5, truth() == 4)


def test_probabilities_of_labels_whose_names_are_alike_stay_apart(tmp_path: Path) -> None:
    card = replace(CARD, labels=(Region("blob +", (4,)), Region("blob (", (9,))))
    run(write_case(tmp_path / "a"), tmp_path / "out", card=card, probabilities=True)
    folder = tmp_path / "out" / "a" / "probabilities"
    found = [labels_in(folder / f"{name}.nii.gz") > 0.5 for name in ("blob__", "blob__-2")]
    for value, probable in zip((4, 9), found, strict=True):
        np.testing.assert_array_equal(probable, truth() == value)


def test_C9_scans_on_two_grids_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="medfuse register"):
        run(write_case(tmp_path / "a", shift=2.0), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_labels_go_back_onto_a_moving_scans_own_grid(tmp_path: Path) -> None:
    """The T2 lies 4 mm beside the T1; its own voxels show the same lesion at the same indices."""
    folder = write_case(tmp_path / "a", shift=4.0)
    home = registered(tmp_path / "aligned", folder, shift=4.0)
    run(folder, tmp_path / "out", transforms=str(home), onto="T2")
    path = tmp_path / "out" / "a" / "labels.nii.gz"
    np.testing.assert_array_equal(labels_in(path), truth())
    np.testing.assert_allclose(nib.load(path).affine, nib.load(folder / "T2.nii.gz").affine)
    assert "aligned" not in (tmp_path / "out" / "a" / "record.json").read_text()


def test_what_cannot_be_put_onto_is_refused(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a")
    with pytest.raises(UsageError, match="no CT to put labels onto"):
        run(folder, tmp_path / "out", onto="CT")
    home = registered(tmp_path / "aligned", folder, verdict="fail")
    with pytest.raises(UsageError, match="T2 was dropped"):
        run(folder, tmp_path / "out", onto="T2", transforms=str(home))


def dicom_case(folder: Path) -> Path:
    bright = np.select([truth() == 4, truth() == 9], [1.0, 3.0], 0.0).astype(np.float32)
    matrix = np.zeros((4, 4))
    matrix[2, 0], matrix[1, 1], matrix[0, 2], matrix[3, 3] = 3.0, 2.0, 1.0, 1.0
    volume = Volume(bright, Geometry(SHAPE, matrix), MODALITIES["T1"])
    write_series(volume, folder / "t1", patient="PHANTOM^TEST")
    return folder


def test_a_dicom_seg_refers_to_the_series(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (result,) = run(dicom_case(tmp_path / "a"), tmp_path / "out", dicom=True)
    made = pydicom.dcmread(tmp_path / "out" / "a" / "labels.dcm")
    source = pydicom.dcmread(next((tmp_path / "a" / "t1").iterdir()))
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert {repair.id for repair in result.repairs} == {"M11", "D47"}


def test_a_dicom_seg_of_no_series_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--dicom needs a DICOM series"):
        run(write_case(tmp_path / "a"), tmp_path / "out", dicom=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_earlier_result_stays_unless_it_may_go(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a")
    run(folder, tmp_path / "out", probabilities=True)
    before = (tmp_path / "out" / "a" / "labels.nii.gz").read_bytes()
    with pytest.raises(OutputError):
        run(folder, tmp_path / "out")
    run(folder, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "a" / "labels.nii.gz").read_bytes() == before
    assert list((tmp_path / "out" / "a" / "probabilities").iterdir()) == [], "none were asked for"


def test_S4_a_listed_label_map_is_not_written_over(tmp_path: Path) -> None:
    folder = write_case(tmp_path / "a")
    table = tmp_path / "all.csv"
    table.write_text("subject,T1,label\na,a/T1.nii.gz,a/labels.nii.gz\n")
    (case,) = list_cases([str(table)])
    before = (folder / "labels.nii.gz").read_bytes()
    with pytest.raises(OutputError) as caught:
        list(
            segment_case(
                case, models(), Place(tmp_path, overwrite=True), settings=SegmentSettings()
            )
        )
    assert caught.value.id == "S4"
    assert (folder / "labels.nii.gz").read_bytes() == before


def test_too_little_memory_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.segment_case.free_memory", lambda: 1000)
    with pytest.raises(ResourceError, match="GB of memory"):
        run(write_case(tmp_path / "a"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_probabilities_count_in_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two labels of 960 voxels in float32 are 7680 bytes more than the label map alone takes."""
    folder = write_case(tmp_path / "a")
    geometry = read_volume(folder / "T1.nii.gz").geometry
    free = memory_needed(geometry, CARD) + 7679
    monkeypatch.setattr("pipelines.segment_case.free_memory", lambda: free)
    run(folder, tmp_path / "out")
    with pytest.raises(ResourceError, match="GB of memory"):
        run(folder, tmp_path / "more", probabilities=True)
    assert list((tmp_path / "more").iterdir()) == []
