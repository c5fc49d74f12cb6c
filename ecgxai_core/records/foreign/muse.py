"""GE MUSE in XML (``RestingECG``): 16-bit base64 waveforms of I, II, V1-V6, sometimes of more."""

from __future__ import annotations

import base64
import binascii
import re
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from ecgxai_core.records.foreign.waveform import (
    Given,
    Waveform,
    age_between,
    checked_gain,
    checked_size,
    mv_per,
    number,
    refused,
    texts,
)
from ecgxai_core.records.foreign.xml_tree import parse_xml, text_of
from ecgxai_core.records.leads import MAX_CHANNELS
from ecgxai_core.records.metadata import parse_sex
from ecgxai_core.types import QualityWarning

__all__ = ["read_muse"]

_YEARS = {
    "YEARS": 1.0, "MONTHS": 1 / 12, "WEEKS": 7 / 365.25, "DAYS": 1 / 365.25, "HOURS": 1 / 8766,
    "": 1.0,
}  # fmt: skip
_DATE = re.compile(r"(0[1-9]|1[0-2])-(\d{2})-(\d{4})", re.ASCII)
"""Month, day and year."""


def read_muse(data: bytes, where: str, given: Given) -> Waveform:
    """Read the rhythm waveform of a MUSE file, never its median beat.

    Raises
    ------
    RecordError
        There is not exactly one rhythm waveform, or a lead does not fit what is said of it.
    """
    root = parse_xml(data, where)
    waves = [w for w in root.findall("Waveform") if text_of(w, "WaveformType").lower() == "rhythm"]
    if len(waves) != 1:
        raise refused(where, "Waveform", f"holds {len(waves)} rhythm waveforms; one is read")
    wave = waves[0]
    fs = number(where, "SampleBase", text_of(wave, "SampleBase"))
    exponent = number(where, "SampleExponent", text_of(wave, "SampleExponent") or "0")
    if abs(exponent) > 6:
        raise refused(where, "SampleExponent", f"{exponent:g} is out of range")
    fs *= 10.0**exponent
    leads = wave.findall("LeadData")
    if not 1 <= len(leads) <= MAX_CHANNELS:
        raise refused(where, "LeadData", f"holds {len(leads)} leads")
    stated = text_of(wave, "NumberofLeads")
    if stated and number(where, "NumberofLeads", stated) != len(leads):
        raise refused(where, "NumberofLeads", f"says {stated[:20]!r}, but {len(leads)} follow")
    names, rows, gains, off = [], [], [], []
    for lead in leads:
        name = text_of(lead, "LeadID")
        row, gain = _lead(where, f"lead {name[:20]}", lead, fs)
        names.append(name)
        rows.append(row)
        gains.append(gain)
        off += [name] if text_of(lead, "LeadOff").upper() == "TRUE" else []
    if len({len(row) for row in rows}) > 1:
        raise refused(where, "LeadData", "the leads have different numbers of samples")
    person = root.find("PatientDemographics")
    text = f"the device marked as not connected: {', '.join(off)}"
    return Waveform(
        tuple(names),
        np.stack(rows),
        fs,
        tuple(gains),
        age=_age(where, root, person),
        sex=parse_sex(text_of(person, "Gender")),
        patient=_patient(root, person),
        warnings=(QualityWarning("channel_status", text[:200]),) if off else (),
    )


def _lead(where: str, at: str, lead: Element, fs: float) -> tuple[npt.NDArray[np.float64], float]:
    """``float64[sample]`` mV, and counts per mV."""
    if text_of(lead, "LeadSampleSize") not in ("2", ""):
        raise refused(where, f"{at}, LeadSampleSize", "is not 2 bytes")
    if number(where, f"{at}, LeadTimeOffset", text_of(lead, "LeadTimeOffset") or "0") != 0:
        raise refused(
            where, f"{at}, LeadTimeOffset", "the lead was recorded at another time than the first",
            "export the ECG with all leads recorded at the same time",
        )  # fmt: skip
    per_count = number(where, f"{at}, amplitude", text_of(lead, "LeadAmplitudeUnitsPerBit"))
    per_count *= mv_per(where, f"{at}, amplitude", text_of(lead, "LeadAmplitudeUnits"))
    gain = checked_gain(where, f"{at}, amplitude", per_count)
    try:
        body = base64.b64decode("".join(text_of(lead, "WaveFormData").split()), validate=True)
    except (binascii.Error, ValueError):
        raise refused(where, f"{at}, WaveFormData", "is no base64 text") from None
    stated = number(where, f"{at}, samples", text_of(lead, "LeadSampleCountTotal"))
    if len(body) != 2 * stated:
        raise refused(where, f"{at}, WaveFormData", f"holds {len(body)} bytes, not 2 x {stated:g}")
    checked_size(where, 1, len(body) // 2, fs)
    return np.frombuffer(body, "<i2") * per_count, gain


def _age(where: str, root: Element, person: Element | None) -> float | None:
    """Years: as they are given, else whole years from the birth to the recording."""
    years = text_of(person, "PatientAge")
    unit = _YEARS.get(text_of(person, "AgeUnits").upper())
    if years and unit:
        return number(where, "PatientAge", years) * unit
    taken = text_of(root, "TestDemographics/AcquisitionDate")
    return age_between(_date(text_of(person, "DateofBirth")), _date(taken))


def _date(text: str) -> str | None:
    found = _DATE.fullmatch(text)
    return f"{found[3]}-{found[1]}-{found[2]}" if found else None


def _patient(root: Element, person: Element | None) -> dict[str, str]:
    return texts(
        {
            "Patient": [text_of(person, "PatientFirstName"), text_of(person, "PatientLastName")],
            "Patient id": text_of(person, "PatientID"),
            "Born": text_of(person, "DateofBirth"),
            "Taken": [
                text_of(root, "TestDemographics/AcquisitionDate"),
                text_of(root, "TestDemographics/AcquisitionTime"),
            ],
        }
    )
