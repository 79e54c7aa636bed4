"""The header of NIfTI-1 and NIfTI-2, field by field, and what it may not say.

Cox et al. 2004 and Cox 2014 (nifti1.h, nifti2.h). It is read here rather than by nibabel, because
importing nibabel costs more than reading a head; nibabel is the oracle in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medfuse.errors import InputError, Repair
from medfuse.io.files import MAX_VOXELS

HEAD = 544  # bytes of the longer header, NIfTI-2, and its four for extensions

_FIELDS_1 = {
    "sizeof_hdr": (0, "i4"),
    "dim": (40, "(8,)i2"),
    "datatype": (70, "i2"),
    "bitpix": (72, "i2"),
    "pixdim": (76, "(8,)f4"),
    "vox_offset": (108, "f4"),
    "scl_slope": (112, "f4"),
    "scl_inter": (116, "f4"),
    "xyzt_units": (123, "u1"),
    "descrip": (148, "S80"),
    "qform_code": (252, "i2"),
    "sform_code": (254, "i2"),
    "quatern": (256, "(3,)f4"),
    "qoffset": (268, "(3,)f4"),
    "srow": (280, "(3,4)f4"),
    "magic": (344, "S4"),
}
_FIELDS_2 = {
    "sizeof_hdr": (0, "i4"),
    "magic": (4, "S8"),
    "datatype": (12, "i2"),
    "bitpix": (14, "i2"),
    "dim": (16, "(8,)i8"),
    "pixdim": (104, "(8,)f8"),
    "vox_offset": (168, "i8"),
    "scl_slope": (176, "f8"),
    "scl_inter": (184, "f8"),
    "descrip": (240, "S80"),
    "qform_code": (344, "i4"),
    "sform_code": (348, "i4"),
    "quatern": (352, "(3,)f8"),
    "qoffset": (376, "(3,)f8"),
    "srow": (400, "(3,4)f8"),
    "xyzt_units": (500, "i4"),
}
_LAYOUTS = {348: _FIELDS_1, 540: _FIELDS_2}
MAGIC = {348: b"n+1", 540: b"n+2\0\r\n\x1a\n"}
DATATYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_COMPLEX, _COLOUR = {32, 1792, 2048}, {128, 2304}


@dataclass(frozen=True, eq=False)
class Header:
    """What a NIfTI header declares, checked: ``shape`` (I, J, K), ``count`` volumes of it.

    ``voxels`` is the type in the file (with its byte order), ``offset`` where the voxels begin,
    ``slope`` None where nothing is to be scaled; ``fields`` are the header's own.
    """

    shape: tuple[int, int, int]
    count: int
    voxels: np.dtype[np.generic]
    offset: int
    slope: float | None
    inter: float
    fields: np.void
    repairs: tuple[Repair, ...]

    @property
    def volume_size(self) -> int:
        """Bytes of one volume."""
        i, j, k = self.shape
        return i * j * k * self.voxels.itemsize

    @property
    def size(self) -> int:
        """Bytes that the file must hold, inflated."""
        return self.offset + self.volume_size * self.count

    @property
    def header_size(self) -> int:
        """348 for NIfTI-1, 540 for NIfTI-2."""
        return int(self.fields["sizeof_hdr"])


def layout(size: int, order: str = "<") -> np.dtype[np.void]:
    """Return the fields of a header of ``size`` bytes as a numpy type."""
    fields = _LAYOUTS[size]
    return np.dtype(
        {
            "names": [*fields],
            "formats": [code for _, code in fields.values()],
            "offsets": [offset for offset, _ in fields.values()],
            "itemsize": size,
        }
    ).newbyteorder(order)  # type: ignore[arg-type]


def declared_size(head: bytes) -> tuple[int, str]:
    """Return the header's size (348, 540; 0 if this is no NIfTI) and its byte order."""
    for order, name in (("<", "little"), (">", "big")):
        size = int.from_bytes(head[:4], name)  # type: ignore[arg-type]
        if size in _LAYOUTS:
            return size, order
    return 0, "<"


def parse(head: bytes, path: Path) -> Header:
    """Check a header (``head``: the first ``HEAD`` bytes, inflated) and return what it declares.

    Raises ``InputError``: N4, N5, N6, N14, N18-N20, N22, N24, N28, N36, N37.
    """
    fields = _fields(head, path)
    repairs: list[Repair] = []
    shape, count = _shape(fields, path)
    voxels = _voxel_type(fields, path, repairs)
    offset = _offset(fields, path, repairs)
    slope, inter = _scaling(fields, path, repairs)
    return Header(shape, count, voxels, offset, slope, inter, fields, tuple(repairs))


def check_extensions(data: bytes, header: Header, path: Path) -> None:
    """Check that the extensions end before the voxels; one that does not hides or shifts them."""
    place = header.header_size + 4
    if not data[header.header_size]:
        return
    if header.offset < place + 8:
        raise InputError(
            f"has extensions, but its voxels are said to begin at byte {header.offset}, before "
            "one could end",
            where=path,
            hint="write the file again with the tool that added them",
            id="N35",
        )
    length_type = np.dtype("i4").newbyteorder(header.fields.dtype["dim"].base.byteorder)
    while place + 8 <= header.offset:
        length = int(np.frombuffer(data, length_type, 1, place)[0])
        if length == 0:  # padding
            return
        if not 8 <= length <= header.offset - place:
            raise InputError(
                f"an extension of {length} bytes does not end before the voxels "
                f"(byte {header.offset})",
                where=path,
                id="N35",
            )
        place += length


def _fields(head: bytes, path: Path) -> np.void:
    size, order = declared_size(head)
    if len(head) < size + 4:
        raise InputError(
            f"the file is cut ({len(head)} bytes are there, its header alone has {size + 4})",
            where=path,
            hint="copy it again from where it came",
            id="N4",
        )
    fields: np.void = np.frombuffer(head, layout(size, order), 1)[0]
    magic = bytes(fields["magic"])
    if magic in (b"ni1", b"ni2"):
        raise InputError(
            "is one half of a .hdr/.img pair", where=path, hint="convert it to .nii", id="N5"
        )
    if magic != MAGIC[size]:
        raise InputError(
            "is not NIfTI: the magic word is wrong (an Analyze file does not say where it lies)",
            where=path,
            hint="convert it from the original scan again",
            id="N5",
        )
    return fields


def _shape(fields: np.void, path: Path) -> tuple[tuple[int, int, int], int]:
    rank = int(fields["dim"][0])
    if not 1 <= rank <= 7:
        raise InputError(f"declares {rank} dimensions", where=path, id="N6")
    dim = [int(n) for n in fields["dim"][1 : rank + 1]]
    if min(dim) < 1:
        raise InputError(f"declares the sizes {dim}: not all are positive", where=path, id="N6")
    if rank < 3:
        raise InputError(
            f"is {rank}-D, a volume needs 3-D", where=path, hint="stack its slices", id="N22"
        )
    if any(n > 1 for n in dim[4:]):
        raise InputError(
            f"holds vectors or tensors (sizes {dim}), not one value a voxel",
            where=path,
            hint="give a scan, or use it as a transform if it is a displacement field",
            id="N24",
        )
    count = dim[3] if rank > 3 else 1
    voxels = dim[0] * dim[1] * dim[2] * count
    if voxels > MAX_VOXELS:
        raise InputError(f"declares {voxels} voxels, more than {MAX_VOXELS}", where=path, id="N28")
    return (dim[0], dim[1], dim[2]), count


def _voxel_type(fields: np.void, path: Path, repairs: list[Repair]) -> np.dtype[np.generic]:
    code, bits = int(fields["datatype"]), int(fields["bitpix"])
    if code in _COMPLEX:
        raise InputError("holds complex numbers", where=path, hint="give the magnitude", id="N19")
    if code in _COLOUR:
        raise InputError("holds colours", where=path, hint="give one value a voxel", id="N20")
    if code not in DATATYPES:
        raise InputError(f"holds voxels of the unknown type {code}", where=path, id="N18")
    kind = np.dtype(DATATYPES[code])
    if bits != 8 * kind.itemsize:
        what = f"the header gives {bits} bits to voxels of {8 * kind.itemsize}; the type counts"
        repairs.append(Repair(what, id="N18"))
    return kind.newbyteorder(fields.dtype["dim"].base.byteorder)


def _offset(fields: np.void, path: Path, repairs: list[Repair]) -> int:
    least = int(fields["sizeof_hdr"]) + 4
    value = float(fields["vox_offset"])
    if value == 0:
        repairs.append(Repair(f"the voxels are said to begin at 0; {least} is meant", id="N36"))
        return least
    if not np.isfinite(value) or value != int(value):
        raise InputError(f"says that its voxels begin at byte {value}", where=path, id="N37")
    if value < least:
        raise InputError(
            f"says that its voxels begin at byte {value:.0f}, inside the header",
            where=path,
            id="N36",
        )
    return int(value)


def _scaling(fields: np.void, path: Path, repairs: list[Repair]) -> tuple[float | None, float]:
    slope, inter = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope == 0:
        if inter != 0:
            what = f"slope 0 means no scaling; the intercept {inter:g} is ignored"
            repairs.append(Repair(what, id="N15"))
        return None, 0.0
    if not np.isfinite(slope):
        repairs.append(Repair(f"the slope is {slope}; the values are not scaled", id="N14"))
        return None, 0.0
    if not np.isfinite(inter):
        raise InputError(f"the intercept of its values is {inter}", where=path, id="N14")
    return (None, 0.0) if (slope, inter) == (1.0, 0.0) else (slope, inter)
