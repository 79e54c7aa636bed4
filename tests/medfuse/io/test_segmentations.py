"""One verb for both ways to keep a segmentation: as a map, and as DICOM SEG."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from medfuse.errors import GeometryError, OutputError
from medfuse.io.segmentations import write_segmentation
from medfuse.volume import LabelMap
from tests.medfuse.io.test_dicom_seg_write import labels_on, oblique


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_suffix_of_a_map_writes_a_map(suffix: str, tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    path = write_segmentation(labels_on(source), tmp_path / f"seg{suffix}", source=source)
    assert b"PHANTOM" not in path.read_bytes()
    if suffix.startswith(".nii"):
        found = np.asarray(nib.load(path).dataobj).T
        np.testing.assert_array_equal(found, labels_on(source).array)


def test_dcm_writes_a_segmentation_object(tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    path = write_segmentation(labels_on(source), tmp_path / "seg.dcm", source=source)
    assert pydicom.dcmread(path).Modality == "SEG"


@pytest.mark.parametrize("name", ["seg.dcm", "seg.nii.gz"])
def test_C8_labels_on_another_grid_are_refused(name: str, tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    labels = labels_on(source)
    elsewhere = LabelMap(labels.array, labels.geometry.moved(np.eye(4) + np.eye(4, k=3)))
    with pytest.raises(GeometryError) as caught:
        write_segmentation(elsewhere, tmp_path / name, source=source)
    assert caught.value.id == "C8"


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    source = oblique(tmp_path / "series")
    for name in ("seg.dcm", "seg.nii.gz"):
        write_segmentation(labels_on(source), tmp_path / name, source=source)
        with pytest.raises(OutputError):
            write_segmentation(labels_on(source), tmp_path / name, source=source, overwrite=False)
        write_segmentation(labels_on(source), tmp_path / name, source=source)
