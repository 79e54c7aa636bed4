"""The flow of one case: what is checked before work, what is written, and that it repeats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medfuse.errors import GeometryError, InputError
from medfuse.geometry import Geometry
from medfuse.modality import MODALITIES
from medfuse.record import Record
from medfuse.study import Quality, Study
from medfuse.transform import Chain, Displacement
from medfuse.volume import LabelMap, Volume
from pipelines import register_case
from pipelines.output_folder import output_folder
from pipelines.register_case import Case, run_case, usable
from registration.settings import RegisterSettings, Registration
from tests.end_to_end import heads
from tests.end_to_end.conftest import answers

__all__ = ["answers"]


def volume(name: str, shear: float = 0.0) -> Volume:
    """Return a tiny head on a grid sheared by ``shear`` (tangent)."""
    affine = heads.affine(heads.SHIFT if name in {"CT", "PET"} else (0, 0, 0))
    affine[1, 2] += shear * heads.SPACING
    array = heads.appearance(name).T
    return Volume(array, Geometry.from_ras(heads.SHAPE, affine), MODALITIES[name])


def case(**options: object) -> Case:
    """Return a case of a T1, a CT and a PET."""
    study = Study("case", {name: volume(name) for name in ("T1", "CT", "PET")})
    return Case(study, "T1", **options)  # type: ignore[arg-type]


def test_nothing_is_repaired_in_a_good_case() -> None:
    given = case()
    ready, repairs = usable(given)
    assert repairs == {}
    assert all(ready.study.volumes[name] is given.study.volumes[name] for name in ("T1", "CT"))


@pytest.mark.parametrize("name", ["T1", "CT"])
def test_N10_a_sheared_grid_is_made_right_angled_once(name: str) -> None:
    volumes = {one: volume(one, 0.05 if one == name else 0) for one in ("T1", "CT", "PET")}
    ready, repairs = usable(Case(Study("case", volumes), "T1"))
    assert {key: repair.id for key, repair in repairs.items()} == {name: "N10"}
    assert "2.86 degrees" in repairs[name].what
    assert all(one.geometry.is_orthonormal for one in ready.study.volumes.values())


def test_N10_more_shear_than_a_file_may_have_is_refused() -> None:
    volumes = {"T1": volume("T1"), "CT": volume("CT", 0.2)}
    with pytest.raises(GeometryError):
        usable(Case(Study("case", volumes), "T1"))


def test_N25_the_last_volume_without_contrast_is_refused_before_the_first_is_begun() -> None:
    flat = volume("PET")
    volumes = {"T1": volume("T1"), "CT": volume("CT"), "PET": flat.with_array(flat.array * 0)}
    with pytest.raises(InputError) as caught:
        usable(Case(Study("case", volumes), "T1"))
    assert caught.value.id == "N25"


def test_S16_the_same_case_gives_the_same_bytes_but_for_its_times(
    answers: dict[str, Quality], tmp_path: Path
) -> None:
    made = []
    for name in ("a", "b"):
        with output_folder(tmp_path / name) as folder:
            run_case(case(), folder, Record("register"))
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        assert len(files) == 6
        record = json.loads((tmp_path / name / "record.json").read_text())
        assert record.pop("run")["stages"]
        made.append(
            [
                path.relative_to(tmp_path / name).as_posix() + path.read_bytes().hex()
                for path in files
                if path.name != "record.json"
            ]
            + [json.dumps(record)]
        )
    assert made[0] == made[1]


def test_a_deformable_answer_is_written_as_h5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import SimpleITK as sitk

    given = case(page=False)
    grid = given.study.volumes["T1"].geometry
    field = np.zeros((3, *grid.shape))
    field[0] = 2.0

    def bent(*_: object, settings: RegisterSettings, **__: object) -> Registration:
        transform = Chain((Displacement(field, grid),))
        return Registration(transform, Quality("pass", {"margin": np.inf}), settings)

    monkeypatch.setattr(register_case, "register", bent)
    with output_folder(tmp_path / "out") as folder:
        result = run_case(given, folder, Record("register"))
    assert [one.transform for one in result.moving] == ["CT/transform.h5", "PET/transform.h5"]
    read = sitk.ReadTransform(str(tmp_path / "out" / "CT" / "transform.h5"))
    assert read.TransformPoint((0, 0, 0)) == pytest.approx((2, 0, 0))
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["figures"]["CT"] == {"margin": None}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the page is given, in place of a page."""
    given: dict[str, object] = {}

    def write_page(aligned: object, path: Path, *, labels: LabelMap, record: dict) -> None:
        given.update(labels=labels, record=record)
        path.touch()

    monkeypatch.setattr("pipelines.reporting.page.write_page", write_page)
    return given


def shown(labels: LabelMap, folder: Path) -> None:
    """Run the case with these labels."""
    study = Study("case", case().study.volumes, labels=labels)
    with output_folder(folder) as out:
        run_case(Case(study, "T1"), out, Record("register"))


@pytest.mark.parametrize("name", ["T1", "CT"])
def test_labels_move_onto_the_page_with_the_scan_that_they_were_drawn_on(
    answers: dict[str, Quality], drawn: dict[str, object], tmp_path: Path, name: str
) -> None:
    grid = volume(name).geometry
    at = np.round(np.array(grid.shape) / 2)
    array = np.zeros(grid.shape)
    array[tuple(at.astype(int))] = 1
    shown(LabelMap(array, grid), tmp_path / "out")
    labels = drawn["labels"]
    assert isinstance(labels, LabelMap)
    assert labels.geometry.same_grid(volume("T1").geometry)
    # a moving point is the fixed one and the shift that the answers know, RAS to LPS
    shift = np.array(heads.SHIFT) * (-1, -1, 1) * (name == "CT")
    found = labels.geometry.world(np.argwhere(labels.array).mean(axis=0))
    assert np.abs(found - (grid.world(at) - shift)).max() <= heads.SPACING
    assert "run" not in drawn["record"]  # type: ignore[operator]


def test_C8_labels_on_the_grid_of_nothing_are_not_shown(
    answers: dict[str, Quality], drawn: dict[str, object], tmp_path: Path
) -> None:
    coarse = volume("CT").geometry.respace((9, 9, 9))
    shown(LabelMap(np.ones(coarse.shape), coarse), tmp_path / "out")
    assert drawn["labels"] is None
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert [(one["volume"], one["id"]) for one in record["warnings"]] == [("labels", "C8")]
