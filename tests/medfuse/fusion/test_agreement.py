"""Agreement: the scan of another patient, of noise or moved is named, and nobody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from medfuse.fusion.agreement import agreement, drop_odd
from medfuse.geometry import Geometry
from medfuse.io.volumes import read_volume
from medfuse.modality import MODALITIES
from medfuse.resampling import resample
from medfuse.study import AlignedStudy, Study
from medfuse.volume import Volume

NAMES = ("T1", "T1CE", "T2", "FLAIR")
GRID = Geometry((32, 32, 32), np.eye(4)[:, [2, 1, 0, 3]])


def body(seed: int) -> dict[str, Volume]:
    """Return four contrasts of one made body: organs in all, a lesion in each one's own place."""
    rng = np.random.default_rng([seed, 5])
    place = np.moveaxis(np.indices(GRID.shape), 0, -1) - 15.5

    def ball(centre: npt.ArrayLike, radius: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        inside: npt.NDArray[np.bool_] = (((place - centre) / radius) ** 2).sum(-1) < 1
        return inside

    outline = ball(rng.uniform(-1, 1, 3), rng.uniform(11, 14, 3))
    organs = [ball(rng.uniform(-6, 6, 3), rng.uniform(3, 6, 3)) & outline for _ in range(3)]
    made = {}
    for name in NAMES:
        values = outline * rng.uniform(0.4, 0.6)
        for organ in organs:
            values[organ] = rng.uniform(0.2, 0.9)
        values[ball(rng.uniform(-6, 6, 3), 2.2)] = 1.3
        values = ndimage.gaussian_filter(values, 0.5) + 0.05 * rng.normal(size=GRID.shape)
        made[name] = Volume(values, GRID, MODALITIES[name])
    return made


def spoilt(volume: Volume, other: Volume, how: str) -> Volume:
    rng = np.random.default_rng(9)
    if how == "foreign":
        return other
    if how == "noise":
        values = rng.normal(volume.array.mean(), volume.array.std(), volume.array.shape)
        return volume.with_array(values)
    return volume.with_array(ndimage.shift(volume.array, (3, -4, 3), order=0))


@pytest.mark.parametrize("seed", range(4))
def test_scans_of_one_body_agree(seed: int) -> None:
    found = agreement(body(seed))
    assert (dict(found.odd), dict(found.doubtful)) == ({}, {})
    assert len(found.scores) == 6
    assert min(found.scores.values()) > 0.2


@pytest.mark.parametrize("how", ["foreign", "noise", "moved"])
@pytest.mark.parametrize("seed", range(4))
def test_the_one_that_is_spoilt_is_named(seed: int, how: str) -> None:
    scans, name = body(seed), NAMES[seed]
    scans[name] = spoilt(scans[name], body(seed + 100)[name], how)
    assert list(agreement(scans).odd) == [name]


def test_which_side_is_bright_does_not_matter() -> None:
    scans = body(1)
    scans["T2"] = scans["T2"].with_array(1.5 - scans["T2"].array)
    assert dict(agreement(scans).odd) == {}


def test_with_two_scans_nothing_is_dropped_and_the_doubt_is_said() -> None:
    scans = {"T1": body(1)["T1"], "T2": body(7)["T2"]}
    aligned = AlignedStudy(Study("case", scans), "T1", GRID, scans)
    kept, found = drop_odd(aligned)
    assert set(kept.volumes) == {"T1", "T2"}
    assert set(found.doubtful) == {"T1", "T2"}
    assert "T1, T2" in found.doubtful["T1"]


def test_where_nobody_agrees_nobody_is_odd() -> None:
    scans = {name: body(20 + n)[name] for n, name in enumerate(NAMES[:3])}
    found = agreement(scans)
    assert dict(found.odd) == {}
    assert set(found.doubtful) == set(scans)


def test_scans_of_other_kinds_are_not_judged() -> None:
    scans = body(1)
    foreign = body(50)["T1"].array
    for name in ("CT", "PET"):
        scans[name] = Volume(foreign, GRID, MODALITIES[name])
    found = agreement(scans)
    assert (dict(found.odd), dict(found.doubtful)) == ({}, {})
    assert not any("CT" in pair or "PET" in pair for pair in found.scores)


def test_what_was_dropped_keeps_its_reason_and_what_we_made_is_not_judged() -> None:
    scans = body(2)
    scans["FLAIR"] = spoilt(scans["FLAIR"], body(102)["FLAIR"], "foreign")
    aligned = AlignedStudy(Study("case", scans), "T1", GRID, scans, dropped={"PET": "no overlap"})
    kept, _ = drop_odd(aligned)
    assert set(kept.volumes) == {"T1", "T1CE", "T2"}
    assert set(kept.dropped) == {"PET", "FLAIR"}
    assert "another anatomy" in kept.dropped["FLAIR"]
    made = AlignedStudy(aligned.study, "T1", GRID, scans, imputed=frozenset({"FLAIR"}))
    assert set(drop_odd(made)[0].volumes) == set(NAMES)


def test_a_scan_that_shows_too_little_is_not_judged() -> None:
    scans = body(1)
    speck = np.zeros(GRID.shape)
    speck[10:14, 10:14, 10:14] = 1
    scans["T2"] = scans["T2"].with_array(speck)
    found = agreement(scans)
    assert (dict(found.odd), dict(found.doubtful)) == ({}, {})
    assert len(found.scores) == 3


def test_a_scan_without_contrast_agrees_with_none() -> None:
    scans = body(1)
    scans["T2"] = scans["T2"].with_array(np.ones(GRID.shape))
    assert list(agreement(scans).odd) == ["T2"]


@pytest.mark.parametrize("swapped", ["T1", "T2", "FLAIR"])
def test_the_scan_of_another_registered_brain_is_named(real_data: Path, swapped: str) -> None:
    """Two patients in one MNI space: outlines agree, the folds of the brain do not."""
    folder = real_data / "open_ms_mni"
    names = ("T1", "T2", "FLAIR")
    mine = {n: read_volume(folder / "patient07" / f"{n}.nii.gz", modality=n) for n in names}
    grid = mine["T1"].geometry.respace((2, 2, 2))
    scans = {name: resample(volume, grid) for name, volume in mine.items()}
    assert dict(agreement(scans).odd) == {}
    other = read_volume(folder / "patient26" / f"{swapped}.nii.gz", modality=swapped)
    scans[swapped] = resample(other, grid)
    assert list(agreement(scans).odd) == [swapped]
