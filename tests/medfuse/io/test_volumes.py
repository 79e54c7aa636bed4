"""The door: formats by content, modalities, options, round trips, and every real volume file."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medfuse.errors import InputError, OutputError, Repair, UsageError
from medfuse.geometry import Geometry
from medfuse.io.locators import Locator
from medfuse.io.volumes import (
    WRITTEN,
    read_labels,
    read_volume,
    recognise,
    stem,
    suffix,
    write_labels,
    write_volume,
)
from medfuse.modality import MODALITIES
from medfuse.volume import LabelMap, Volume

SHAPE = (6, 7, 8)
SETS = (
    "odd_headers",
    "open_ms_longitudinal",
    "open_ms_mni",
    "spm_mni_templates",
    "sts_ct_mr_pet",
    "dicom_dicom2nifti",
    "pyradiomics",
    "dcmqi_ct_seg",
)


@pytest.fixture
def volume() -> Volume:
    """Return an oblique, anisotropic, left-handed volume."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [10, -25, 140], degrees=True).as_matrix() * [
        3.0,
        0.8,
        -0.7,
    ]
    matrix[:3, 3] = [12.5, -80.0, 31.0]
    values = np.random.default_rng(2).normal(50, 400, SHAPE).astype("f4")
    return Volume(values, Geometry(SHAPE, matrix), MODALITIES["CT"])


@pytest.fixture
def labels(volume: Volume) -> LabelMap:
    """Return a label map on the same grid."""
    array = np.random.default_rng(2).integers(0, 400, SHAPE).astype("u2")
    return LabelMap(array, volume.geometry, {1: "lesion"})


@pytest.mark.parametrize("end", [*WRITTEN, ".NII.GZ"])
def test_round_trip(tmp_path: Path, volume: Volume, labels: LabelMap, end: str) -> None:
    path = write_volume(volume, tmp_path / f"scan_ct{end}")
    again = read_volume(path)
    assert np.array_equal(again.array, volume.array)
    assert again.geometry.same_grid(volume.geometry, tolerance=1e-4)
    assert (again.modality.name, again.unit) == ("CT", "HU")
    assert again.source is not None
    assert again.source.path == str(path)
    assert again.source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert again.source.repairs == ()

    path = write_labels(labels, tmp_path / f"labels{end}")
    back = read_labels(path, names={1: "lesion"})
    assert np.array_equal(back.array, labels.array)
    assert back.geometry.same_grid(labels.geometry, tolerance=1e-4)
    assert dict(back.names) == {1: "lesion"}


@pytest.mark.parametrize("end", WRITTEN)
def test_others_read_what_we_write(tmp_path: Path, volume: Volume, end: str) -> None:
    path = write_volume(volume, tmp_path / f"scan{end}")
    seen = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(seen), volume.array)
    for voxel in ([0, 0, 0], [5, 6, 7], [2, 0, 5]):
        point = seen.TransformIndexToPhysicalPoint(voxel[::-1])
        np.testing.assert_allclose(point, volume.geometry.world(voxel), atol=1e-3)


@pytest.mark.parametrize("end", WRITTEN)
def test_the_same_bytes_each_time(tmp_path: Path, volume: Volume, end: str) -> None:
    one, two = (write_volume(volume, tmp_path / f"{name}{end}") for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_write_does_not_name_the_case(tmp_path: Path, volume: Volume) -> None:
    for end in WRITTEN:
        data = write_volume(volume, tmp_path / f"Doe_Jane{end}").read_bytes()
        data = gzip.decompress(data) if end.endswith("gz") else data
        assert b"Doe" not in data


@pytest.mark.parametrize("name", ["scan", "scan.png", "scan.dcm", "scan.nhdr", "scan.gz"])
def test_a_suffix_that_cannot_be_written(tmp_path: Path, volume: Volume, name: str) -> None:
    with pytest.raises(UsageError, match="end it in"):
        write_volume(volume, tmp_path / name)


def test_overwrite(tmp_path: Path, volume: Volume) -> None:
    path = write_volume(volume, tmp_path / "a.nii")
    with pytest.raises(OutputError, match="exists already"):
        write_volume(volume, path, overwrite=False)


def test_a_grid_far_from_the_origin(tmp_path: Path, volume: Volume) -> None:
    matrix = volume.geometry.world_from_voxel.copy()
    matrix[:3, 3] = 1e5 + 1 / 3
    far = volume.with_array(volume.array, Geometry(SHAPE, matrix))
    assert read_volume(write_volume(far, tmp_path / "far.nii")).geometry.same_grid(
        far.geometry, tolerance=0.1
    )


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("sub-01_ses-2_T1w.nii.gz", "T1"),
        ("sub-01_ce-gad_T1w.nii", "T1CE"),
        ("CT_image.nii.gz", "CT"),
        ("x_pet.nii", "PET"),
        ("FLAIR.nii.gz", "FLAIR"),
        ("sub-ct_T2w.v2.nii.gz", "OTHER"),
        ("scan.nii.gz", "OTHER"),
        ("T1.nii.gz.backup", "T1"),
    ],
)
def test_modality_from_the_name(tmp_path: Path, volume: Volume, name: str, modality: str) -> None:
    path = write_volume(volume, tmp_path / "a.nii").rename(tmp_path / name)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert read_volume(path).modality.name == modality


def test_modality_by_word(tmp_path: Path, volume: Volume) -> None:
    path = write_volume(volume, tmp_path / "scan_T1w.nii")
    assert read_volume(path, modality="ct").modality.name == "CT"
    assert read_volume(path, modality=MODALITIES["PET"]).unit == "unknown"
    assert read_volume(f"{path}:T2").modality.name == "T2"
    assert read_volume(f"{path}:T2", modality="CT").modality.name == "CT"  # keywords win
    assert read_volume(Locator(str(path), MODALITIES["PD"])).modality.name == "PD"
    with pytest.raises(UsageError, match="unknown modality"):
        read_volume(path, modality="xray")


def test_unknown_options(tmp_path: Path, volume: Volume) -> None:
    path = write_volume(volume, tmp_path / "scan.nii")
    with pytest.raises(UsageError, match=r"unknown option .volum. .* did you mean .volume."):
        read_volume(path, volum=1)
    assert read_volume(path, volume=None, centred=False).array.shape == SHAPE


def test_a_path_object_is_never_split(tmp_path: Path, volume: Volume) -> None:
    path = write_volume(volume, tmp_path / "a.nii").rename(tmp_path / "scan:CT")
    assert read_volume(path).array.shape == SHAPE
    assert read_volume(str(path)).source.path == str(path)  # type: ignore[union-attr]


def test_errors_name_the_file_as_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nib.save(nib.Nifti1Image(np.zeros((3, 3), "f4"), np.eye(4)), "flat.nii")
    with pytest.raises(InputError) as caught:
        read_volume("flat.nii:CT")
    assert str(caught.value).startswith("flat.nii: is 2-D")


def test_repairs_are_told_at_the_callers_line(tmp_path: Path, volume: Volume) -> None:
    path = write_volume(volume, tmp_path / "a.nii").rename(tmp_path / "a.nii.gz")
    with pytest.warns(Repair) as caught:
        read_volume(path)
    assert caught[0].filename == __file__
    with pytest.warns(Repair) as caught:
        read_labels(write_labels_named_wrongly(tmp_path))
    assert caught[0].filename == __file__


def write_labels_named_wrongly(folder: Path) -> Path:
    """Write plain NIfTI labels under a name that says gzip."""
    made = LabelMap(np.ones((2, 2, 2), "u2"), Geometry((2, 2, 2), np.eye(4)))
    return write_labels(made, folder / "b.nii").rename(folder / "b.nii.gz")


@pytest.mark.parametrize(
    ("name", "end", "rest"),
    [
        ("a.nii.gz", ".nii.gz", "a"),
        ("A.NII", ".nii", "A"),
        ("a.b.mha", ".mha", "a.b"),
        ("a.txt", None, "a.txt"),
        ("a", None, "a"),
    ],
)
def test_suffix_and_stem(name: str, end: str | None, rest: str) -> None:
    assert suffix(Path(name)) == end
    assert stem(Path(name)) == rest


def test_recognise(tmp_path: Path, volume: Volume) -> None:
    for end, kind in ((".nii.gz", "NIfTI"), (".nrrd", "NRRD or MHA"), (".mha", "NRRD or MHA")):
        path = write_volume(volume, tmp_path / f"a{end}").rename(tmp_path / "nameless")
        assert recognise(path) == (kind, path, ())
    (tmp_path / "slice").write_bytes(bytes(128) + b"DICM" + bytes(100))
    assert recognise(tmp_path / "slice")[0] == recognise(tmp_path)[0] == "DICOM"


def facts() -> list[tuple[str, dict]]:
    """List the reference numbers of all volume files, where the real scans are there."""
    root = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("MEDFUSE_TEST_DATA", root / ".." / "shared" / "data"))
    listed = []
    for name in SETS:
        path = folder / name / "facts.json"
        if path.is_file():
            images = json.loads(path.read_text("utf-8"))["images"]
            listed += [(f"{name}/{image['path']}", image) for image in images]
    return [(path, image) for path, image in listed if not path.endswith(".mgz")]


@pytest.mark.parametrize(("path", "fact"), facts(), ids=[path for path, _ in facts()])
def test_real_files_against_their_facts(real_data: Path, path: str, fact: dict) -> None:
    """Affine, corners, values and labels as nibabel and SimpleITK computed them."""
    count = fact["shape"][3] if len(fact["shape"]) > 3 else 1
    read = [
        read_volume(real_data / path, **({} if count == 1 else {"volume": n})) for n in range(count)
    ]
    geometry = read[0].geometry
    assert geometry.shape == tuple(fact["shape"][2::-1])
    np.testing.assert_allclose(geometry.to_ras(), fact["affine_ras"], atol=2e-6)
    np.testing.assert_allclose(geometry.spacing[::-1], fact["spacing_mm"][:3], atol=1e-5)
    assert geometry.orientation == fact["axcodes"]
    for corner, ras in fact["corner_voxels_world_ras_mm"].items():
        i, j, k = (int(n) for n in corner.split(",")[:3])
        found = geometry.world([k, j, i]) * [-1, -1, 1]
        np.testing.assert_allclose(found, ras, atol=2e-3)

    values = np.stack([one.array for one in read]).astype("f8")
    known = fact["intensity"]
    for name in ("min", "max", "mean", "std"):
        assert getattr(values, name)() == pytest.approx(known[name], rel=2e-6, abs=2e-6), name
    assert np.count_nonzero(values) == known["nonzero_voxels"]
    assert read[0].source is not None
    assert read[0].source.sha256 == fact["sha256"]
    if "labels" in fact:
        check_labels(real_data / path, fact["labels"])


def check_labels(path: Path, known: dict) -> None:
    """Hold the labels of a file against their counts and centroids."""
    found = read_labels(path)
    present = [int(label) for label in np.unique(found.array) if label]
    assert present == sorted(int(label) for label in known)
    for label, fact in known.items():
        voxels = np.argwhere(found.array == int(label))
        assert len(voxels) == fact["voxels"]
        centroid = found.geometry.world(voxels.mean(axis=0)) * [-1, -1, 1]
        np.testing.assert_allclose(centroid, fact["centroid_world_ras_mm"], atol=1e-3)


def test_mgh_is_refused_with_a_word(real_data: Path) -> None:
    with pytest.raises(InputError, match="none of the formats"):
        read_volume(real_data / "odd_headers" / "test.mgz")


@pytest.mark.slow
def test_a_large_ct_is_read_in_1200_mb(tmp_path: Path) -> None:
    """512 x 512 x 400 int16: no float64 of the whole, no second copy."""
    header = nib.Nifti1Header()
    header.set_data_shape((512, 512, 400))
    header.set_data_dtype("i2")
    header.set_sform(np.eye(4), 1)
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = 352, 1, -1024
    path = tmp_path / "ct.nii.gz"
    plane = np.random.default_rng(0).integers(0, 3000, (512, 512), dtype="<i2").tobytes()
    with gzip.open(path, "wb", compresslevel=0) as stream:
        stream.write(header.binaryblock + bytes(4))
        for _ in range(400):
            stream.write(plane)
    script = textwrap.dedent(
        f"""
        import resource
        from medfuse.io.volumes import read_volume
        volume = read_volume({str(path)!r})
        assert volume.array.shape == (400, 512, 512) and volume.array.min() == -1024
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        """
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 1200


def test_reading_loads_neither_nibabel_nor_simpleitk(tmp_path: Path, volume: Volume) -> None:
    path = write_volume(volume, tmp_path / "scan.nii.gz")
    script = textwrap.dedent(
        f"""
        import sys
        from medfuse.io.volumes import read_volume, write_volume
        write_volume(read_volume({str(path)!r}), {str(tmp_path / "out.nii.gz")!r})
        slow = {{"nibabel", "SimpleITK", "pydicom", "scipy", "torch"}}
        print(sorted(slow & sys.modules.keys()))
        """
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_dicom_through_the_same_door(real_data: Path) -> None:
    folder = real_data / "dicom_dicom2nifti" / "ge" / "anatomical"
    series = read_volume(folder / "001")
    truth = read_volume(folder / "001_ground_truth.nii.gz")
    assert series.modality.name == "MR"
    moved = series.geometry.voxel(truth.geometry.world([1, 100, 30]))
    at = tuple(int(n) for n in np.rint(moved))
    np.testing.assert_allclose(moved, at, atol=0.01)
    assert series.array[at] == truth.array[1, 100, 30]
    named = read_volume(f"{folder / '001'}:T1")
    assert named.modality.name == "T1"
    assert named.source is not None
    assert named.source.path == str(folder / "001")
    with pytest.raises(UsageError, match="means nothing for DICOM"):
        read_volume(folder / "001", xform="sform")
    with pytest.raises(UsageError, match="means nothing here"):
        read_volume(folder / "001", segment=1)


def test_one_time_point_of_a_dicom_series(real_data: Path) -> None:
    folder = real_data / "dicom_dicom2nifti" / "philips" / "fmri"
    with pytest.raises(InputError) as caught:
        read_volume(folder / "001")
    assert caught.value.id == "D39"
    for n in range(4):
        ours = read_volume(f"{folder / '001'}:volume={n}")
        truth = read_volume(folder / "001_ground_truth.nii.gz", volume=n)
        assert np.array_equal(np.sort(ours.array, None), np.sort(truth.array, None))


def test_dicom_segmentation_through_the_same_door(real_data: Path) -> None:
    folder = real_data / "dcmqi_ct_seg"
    ours, theirs = read_labels(folder / "liver.dcm"), read_labels(folder / "liver_seg.nrrd")
    assert ours.array.sum() == theirs.array.sum() == 107_098
    assert ours.geometry.same_grid(theirs.geometry)
    assert np.array_equal(ours.array, theirs.array)
    assert read_labels(folder / "liver.dcm", names={1: "Leber"}).names[1] == "Leber"
    one = read_labels(f"{folder / 'partial_overlaps.dcm'}:segment=2")
    assert set(np.unique(one.array)) == {0, 2}
    for read, path in ((read_volume, "liver.dcm"), (read_labels, "ct-3slice")):
        with pytest.raises(InputError) as caught:
            read(folder / path)  # type: ignore[operator]
        assert caught.value.id == "D45"
