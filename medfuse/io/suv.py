"""PET activity as standardised uptake value by body weight (SUVbw), g/ml.

SUVbw = activity (Bq/ml) * weight (g) / dose (Bq). With DecayCorrection START the activity is that
at the start of the scan, so the dose is decayed to it; with ADMIN both are that of the injection.
Dates and times are looked at only to subtract one from the other. (QIBA's vendor-neutral rules;
DICOM PS3.3 C.8.9.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from medfuse.errors import DicomError, InputError
from medfuse.io.dicom_header import PHILIPS_PET, Header
from medfuse.volume import Volume

_DAY = timedelta(hours=24)
_NIGHT = timedelta(hours=12)  # a clock that is so far ahead is that of the day before
_PLAUSIBLE = {  # kg, Bq, s
    "PatientWeight": (0.2, 500.0),
    "RadionuclideTotalDose": (1e5, 1e11),
    "RadionuclideHalfLife": (60.0, 1e6),
}
_HALF_LIVES = {  # s, by the words of RadionuclideCodeSequence
    ("18", "fluorine"): 6586.2,
    ("11", "carbon"): 1223.4,
    ("13", "nitrogen"): 597.9,
    ("15", "oxygen"): 122.2,
    ("68", "gallium"): 4062.6,
    ("82", "rubidium"): 75.5,
    ("64", "copper"): 45723.6,
    ("89", "zirconium"): 282276.0,
    ("124", "iodine"): 360806.0,
}
_NO_DATE = "20000101"  # where dates were taken away, the clocks alone must do
_KINDS = {  # SUVType, in words of our own: what stands in a header goes no further
    "": "bw",
    "BW": "bw",
    "LBM": "lbm",
    "LBMJANMA": "lbm",
    "LBMJAMES128": "lbm",
    "BSA": "bsa",
    "IBW": "ibw",
}
_FOR_ALL = ("DecayCorrection", "PatientWeight", "SUVType")
_OF_THE_DOSE = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartDateTime",
    "RadiopharmaceuticalStartTime",
)
_CREATOR, _SUV_FACTOR, _ACTIVITY_FACTOR = PHILIPS_PET


@dataclass(frozen=True)
class Uptake:
    """What the rescaled values of a PET series are to be multiplied by, and what they are then.

    ``missing`` names the tags (missing or implausible) without which there is no SUV; the
    ``factor`` then leads to ``unit`` only.
    """

    factor: float
    unit: str
    missing: tuple[str, ...] = ()


def uptake(headers: Sequence[Header], *, where: object) -> Uptake:
    """Return how the values of a PET series become SUVbw, from the headers of all its slices.

    Raises ``DicomError`` where the slices disagree about the units, the patient or the dose (D19),
    or the scan starts before the injection or more than 24 hours after it (D20).
    """
    _agree(headers, where)
    first = headers[0]
    unit = first.text("Units").upper()
    if unit == "GML":
        kind = _KINDS.get(first.text("SUVType").upper())
        if kind == "bw":
            return Uptake(1.0, "SUVbw")
        if kind is None:
            return Uptake(1.0, "unknown", ("SUVType BW",))
        return Uptake(1.0, f"SUV{kind}", (f"SUVType BW (it is {kind.upper()})",))
    if unit == "CNTS":
        return _counts(headers, where)
    if unit == "BQML":
        return _by_weight(headers, 1.0, where)
    return Uptake(1.0, "unknown", ("Units",))


def _agree(headers: Sequence[Header], where: object) -> None:
    """Check that all slices say the same of what one factor for all is made of (D19)."""
    first = _said(headers[0])
    for header in headers[1:]:
        odd = [name for name, value in _said(header).items() if value != first[name]]
        if odd:
            raise DicomError(
                f"the slices have different {odd[0]}",
                where=where,
                hint="put the slices of each scan into a folder of its own",
                id="D19",
            )


def _said(header: Header) -> dict[str, object]:
    dose = header.item("RadiopharmaceuticalInformationSequence")
    said: dict[str, object] = {"Units": header.text("Units").upper()}
    for holder, names in ((header, _FOR_ALL), (dose, _OF_THE_DOSE)):
        for name in names:
            text = holder.text(name).upper() if holder else ""
            said[name] = float(text) if re.fullmatch(r"\d+(\.\d*)?", text) else text
    return said


def require_suv(volume: Volume) -> Volume:
    """Return ``volume`` where its values are SUVbw.

    Raises ``InputError`` (D19) where they are not: with the tags that a series lacked.
    """
    if volume.unit == "SUVbw":
        return volume
    source = volume.source
    why = next((r.what for r in source.repairs if r.id == "D19"), "") if source else ""
    said = "an unknown unit" if volume.unit == "unknown" else volume.unit
    raise InputError(
        f"the values are in {said}, not SUVbw" + (f" ({why})" if why else ""),
        where=source.path if source else None,
        hint="export the series again with these tags"
        if why
        else "read the PET from its DICOM series: other files seldom say the unit of their values",
        id="D19",
    )


def _counts(headers: Sequence[Header], where: object) -> Uptake:
    """Philips counts: a private factor leads to SUV at once, another to Bq/ml."""
    first = headers[0]
    if first.text(_CREATOR).upper().startswith("PHILIPS"):
        factor = first.number(_SUV_FACTOR)
        if factor:
            return Uptake(factor, "SUVbw")
        factor = first.number(_ACTIVITY_FACTOR)
        if factor:
            return _by_weight(headers, factor, where)
    return Uptake(1.0, "counts", ("(7053,1000) or (7053,1009)",))


def _by_weight(headers: Sequence[Header], to_activity: float, where: object) -> Uptake:
    first = headers[0]
    given = first.item("RadiopharmaceuticalInformationSequence")
    found, missing = {}, []
    for name, (low, high) in _PLAUSIBLE.items():
        holder = first if name == "PatientWeight" else given
        value = holder.number(name) if holder else None
        if value is None or not low <= value <= high:
            missing.append(name if value is None else f"{name} (implausible)")
        else:
            found[name] = value
    if given and _other_nuclide(given, found.get("RadionuclideHalfLife")):
        missing.append("RadionuclideHalfLife (not that of the nuclide)")
    decay = first.text("DecayCorrection").upper()
    delay = 0.0
    if decay == "START":
        delay, unknown = _delay(headers, given, where)
        missing += unknown
    elif decay != "ADMIN":
        missing.append("DecayCorrection (it is NONE)" if decay == "NONE" else "DecayCorrection")
    if missing:
        return Uptake(to_activity, "Bq/ml", tuple(missing))
    left = found["RadionuclideTotalDose"] * 2.0 ** (-delay / found["RadionuclideHalfLife"])
    return Uptake(to_activity * found["PatientWeight"] * 1000.0 / left, "SUVbw")


def _other_nuclide(given: Header, half_life: float | None) -> bool:
    """Tell whether the half-life is certainly not that of the nuclide that is named."""
    code = given.item("RadionuclideCodeSequence")
    words = re.findall(r"\d+|[a-z]+", code.text("CodeMeaning").lower()) if code else []
    known = next((life for key, life in _HALF_LIVES.items() if set(key) <= set(words)), None)
    return bool(known and half_life and abs(half_life / known - 1) > 0.05)


def _delay(
    headers: Sequence[Header], given: Header | None, where: object
) -> tuple[float, list[str]]:
    """Return the seconds from injection to scan start, and the tags that this lacks."""
    zone = _zone(headers[0].text("TimezoneOffsetFromUTC"))
    if zone is None:
        zone = _zone(headers[0].text("AcquisitionDateTime"))
    scanned, dated = _scan_start(headers, zone)
    injected = _injection(given, scanned, dated, zone) if given and scanned else None
    if not scanned:
        return 0.0, ["SeriesTime or AcquisitionTime"]
    if not injected:
        stamp = given.text("RadiopharmaceuticalStartDateTime") if given else ""
        lost = zone is None and _zone(stamp) is not None  # its zone is known, the scan's is not
        return 0.0, ["TimezoneOffsetFromUTC" if lost else "RadiopharmaceuticalStartDateTime"]
    delay = scanned - injected
    if not timedelta(0) <= delay <= _DAY:
        hours = delay.total_seconds() / 3600
        raise DicomError(
            f"the scan starts {hours:.1f} hours after the injection, which cannot be",
            where=where,
            hint="correct RadiopharmaceuticalStartDateTime, SeriesTime or AcquisitionTime",
            id="D20",
        )
    return delay.total_seconds(), []


def _scan_start(headers: Sequence[Header], zone: timedelta | None) -> tuple[datetime | None, bool]:
    """Return the earliest of the series' and all slices' own times, and whether it has a date."""
    dated = any(
        header.text(name)
        for header in headers
        for name in ("AcquisitionDateTime", "AcquisitionDate", "SeriesDate")
    )
    times = []
    for header in headers:
        series_day = header.text("SeriesDate") or _NO_DATE
        series = _moment(series_day + header.text("SeriesTime"))
        own_day = header.text("AcquisitionDate")
        own = _moment(header.text("AcquisitionDateTime"), zone) or _moment(
            (own_day or series_day) + header.text("AcquisitionTime")
        )
        if own and series and not own_day and series - own > _NIGHT:
            own += _DAY  # the series began before midnight, the slice after it
        times += [time for time in (series, own) if time]
    return min(times, default=None), dated


def _injection(
    given: Header, scanned: datetime, dated: bool, zone: timedelta | None
) -> datetime | None:
    stamp = _moment(given.text("RadiopharmaceuticalStartDateTime"), zone)
    if stamp and dated:
        return stamp
    clock = f"{stamp:%H%M%S}" if stamp else given.text("RadiopharmaceuticalStartTime")
    injected = _moment(f"{scanned:%Y%m%d}{clock}")
    if injected and injected - scanned >= _NIGHT:
        return injected - _DAY  # the dose before midnight, the scan after it
    return injected


def _zone(text: str) -> timedelta | None:
    """Return how far a clock is ahead of UTC by the end of a text (``+0100``), if it says so."""
    found = re.search(r"([+-])(\d{2})(\d{2})$", text)
    if not found:
        return None
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -ahead if found[1] == "-" else ahead


def _moment(text: str, zone: timedelta | None = None) -> datetime | None:
    """Return a DICOM date and time (DT, or DA followed by TM) by the clock of the scan.

    One that names its zone is None where the ``zone`` of that clock is not known.
    """
    pattern = r"(\d{8})(\d{2})(\d{2})?(\d{2})?(?:\.(\d{1,6})\d*)?(?:[+-]\d{4})?"
    found = re.fullmatch(pattern, text.replace(":", ""))
    if not found:
        return None
    day, hour, minute, second, fraction = found.groups()
    try:
        start = datetime.strptime(day + hour + (minute or "00") + (second or "00"), "%Y%m%d%H%M%S")
    except ValueError:
        return None
    start += timedelta(microseconds=int((fraction or "0").ljust(6, "0")))
    own = _zone(text)
    if own is None:
        return start
    return None if zone is None else start - own + zone
