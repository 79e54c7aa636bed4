"""What is asked of a segmentation, and the table of volumes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import ModelError, UsageError
from medfuse.geometry import Geometry
from medfuse.nets.modelfile import Region
from medfuse.volume import LabelMap
from pipelines.segment import (
    Models,
    SegmentSettings,
    choices,
    file_names,
    volumes_ml,
    write_volumes,
)
from tests.pipelines.toy_model import CARD, truth, write_model


def test_all_that_the_model_knows_is_used_unless_asked_otherwise() -> None:
    assert choices(CARD, SegmentSettings()) == [("T1", "T2", "PET")]
    assert choices(CARD, SegmentSettings(only=("PET", "T1"))) == [("T1", "PET")]


def test_subsets_are_all_but_the_empty_one() -> None:
    found = choices(CARD, SegmentSettings(subsets=True))
    assert len(found) == len(set(found)) == 2**3 - 1
    assert found[-1] == ("T1", "T2", "PET")


def test_a_required_scan_is_in_every_subset() -> None:
    found = choices(replace(CARD, required=("T2",)), SegmentSettings(subsets=True))
    assert len(found) == 4
    assert all("T2" in some for some in found)


def test_what_the_model_does_not_know_cannot_be_chosen() -> None:
    with pytest.raises(UsageError, match="does not know CT"):
        choices(CARD, SegmentSettings(only=("CT",)))
    with pytest.raises(UsageError, match="apart"):
        SegmentSettings(only=("T1",), subsets=True)


def test_a_mirror_that_a_model_cannot_take_is_refused_before_any_work() -> None:
    card = replace(CARD, labels=(Region("left lesion", (1,)),))
    with pytest.raises(UsageError, match="leave --tta out"):
        choices(card, SegmentSettings(tta=True))


def test_volumes_of_regions_count_every_value() -> None:
    card = replace(
        CARD, activation="sigmoid", labels=(Region("whole", (4, 9)), Region("core", (9,)))
    )
    grid = Geometry(truth().shape, np.diag([1.0, 2.0, 5.0, 1.0]))
    found = volumes_ml(LabelMap(truth(), grid), card)
    assert found == {"whole": pytest.approx(75 * 0.01), "core": pytest.approx(4 * 0.01)}


def test_no_two_labels_share_a_file() -> None:
    found = file_names(["lesion", "blob +", "blob (", "Blob__", "blob__-2", "ü/..", ""])
    assert found["lesion"] == "lesion"
    assert len({name.casefold() for name in found.values()}) == len(found) == 7
    assert not any(set(name) & set("/ +(") for name in found.values())


def test_the_table_lists_what_lies_in_the_folder(tmp_path: Path) -> None:
    for place, used in (("b", ["T1"]), ("a", ["T1", "T2"]), ("T2/a", ["T2"])):
        (tmp_path / place).mkdir(parents=True)
        record = {"command": "segment", "used": used, "volumes_ml": {"lesion": 1.5}}
        (tmp_path / place / "record.json").write_text(json.dumps(record))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "record.json").write_text('{"command": "register"}')
    lines = write_volumes(tmp_path).read_text().splitlines()
    assert lines[0] == "case,used,label,ml"
    assert sorted(lines[1:]) == ["a,T1+T2,lesion,1.5", "a,T2,lesion,1.5", "b,T1,lesion,1.5"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "not json", "[1]", "7", "{}", "[" * 100_000, '{"command": "segment"}'),
        '{"command": "segment", "used": ["T1"], "volumes_ml": [1]}',
        '{"command": "segment", "used": [1], "volumes_ml": {"lesion": 1}}',
        '{"command": "segment", "used": ["T1"], "volumes_ml": {"lesion": null}}',
    ],
)
def test_a_record_of_another_program_is_not_in_the_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "record.json").write_text(text)
    assert write_volumes(tmp_path).read_text().splitlines() == ["case,used,label,ml"]


def test_models_are_loaded_once_with_their_checksums(tmp_path: Path) -> None:
    paths = [str(write_model(tmp_path / f"{n}.mfm", seed=n)) for n in range(2)]
    made = Models.load(paths)
    assert len(made.segmenters) == 2
    document = made.document()
    assert len(set(document["sha256"])) == 2
    assert document["labels"] == {"lesion": [4], "core": [9]}
    assert document["trained_on"] == {"studies": 3}
    assert str(tmp_path) not in json.dumps(document)


def test_a_model_does_not_count_twice(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.mfm")
    shutil.copy(path, tmp_path / "b.mfm")
    for other in ("a.mfm", "b.mfm"):
        with pytest.raises(UsageError, match="same model"):
            Models.load([str(path), str(tmp_path / other)])


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mfm").write_bytes(b"<html>")
    with pytest.raises(ModelError):
        Models.load([str(tmp_path / "a.mfm")])
