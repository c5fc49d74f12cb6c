"""HL7 annotated ECG (aECG, HL7 v3 PORT_MT020001): the rhythm, never the representative beat."""

from __future__ import annotations

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

__all__ = ["read_aecg"]

_LEAD = "MDC_ECG_LEAD_"
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_DIGITS = frozenset("+-0123456789 \t\r\n")
_REPORTED_AGE = "21612-7"
"""LOINC."""
_YEARS = {"a": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25, "h": 1 / 8766}


def read_aecg(data: bytes, where: str, given: Given) -> Waveform:
    """Read the first rhythm series of an aECG file.

    Raises
    ------
    RecordError
        The file holds no rhythm of at least one lead with a rate, a scale and equal lengths.
    """
    root = parse_xml(data, where)
    sequences = _rhythm(where, root)
    fs = 1.0 / _increment(where, sequences)
    leads = [s for s in sequences if s.find("code[@code]").get("code", "").startswith(_LEAD)]  # type: ignore[union-attr]
    if not 1 <= len(leads) <= MAX_CHANNELS:
        raise refused(where, "sequence", f"holds {len(leads)} leads")
    names, rows, gains = [], [], []
    for sequence in leads:
        name = sequence.find("code").get("code", "").removeprefix(_LEAD)  # type: ignore[union-attr]
        row, gain = _lead(where, f"lead {name[:20]}", sequence)
        names.append(name)
        rows.append(row)
        gains.append(gain)
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise refused(where, "digits", "the leads have different numbers of samples")
    checked_size(where, len(rows), len(rows[0]), fs)
    person = root.find(".//subjectDemographicPerson")
    gender = person.find("administrativeGenderCode") if person is not None else None
    return Waveform(
        tuple(names),
        np.stack(rows),
        fs,
        tuple(gains),
        age=_age(where, root, person),
        sex=parse_sex(gender.get("code", "")) if gender is not None else None,
        patient=_patient(root, person),
    )


def _rhythm(where: str, root: Element) -> list[Element]:
    """The sequences of the one rhythm that the file holds."""
    series = [s for s in root.findall("component/series") if _code(s) in ("RHYTHM", "")]
    if not series:
        raise refused(where, "series", "holds no rhythm", "export the ECG with its rhythm waveform")
    sets = [x for s in series for x in s.findall("component/sequenceSet") if _has_leads(x)]
    if len(sets) != 1:
        raise refused(
            where, "sequenceSet", f"holds {len(sets)} sets of leads; exactly one can be read",
            "export the ECG with all leads recorded at the same time",
        )  # fmt: skip
    return [s for s in sets[0].findall("component/sequence") if s.find("code") is not None]


def _code(element: Element) -> str:
    code = element.find("code")
    return code.get("code", "") if code is not None else ""


def _has_leads(sequences: Element) -> bool:
    return any(_code(s).startswith(_LEAD) for s in sequences.findall("component/sequence"))


def _increment(where: str, sequences: list[Element]) -> float:
    """Seconds between two samples."""
    times = [s for s in sequences if _code(s) in ("TIME_ABSOLUTE", "TIME_RELATIVE")]
    found = [s.find("value/increment") for s in times]
    increment = found[0] if len(found) == 1 else None
    if increment is None:
        raise refused(where, "increment", "the file does not give one time between samples")
    unit = _SECONDS.get(increment.get("unit", ""))
    value = number(where, "increment", increment.get("value"))
    if unit is None or value <= 0:
        raise refused(where, "increment", "is no positive time in s, ms or us")
    return value * unit


def _lead(where: str, at: str, sequence: Element) -> tuple[npt.NDArray[np.float64], float]:
    """``float64[sample]`` mV, and counts per mV."""
    value = sequence.find("value")
    scale, origin = (
        (value.find("scale"), value.find("origin")) if value is not None else (None, None)
    )
    if scale is None:
        raise refused(where, f"{at}, scale", "is missing")
    per_count = number(where, f"{at}, scale", scale.get("value"))
    per_count *= mv_per(where, f"{at}, scale", scale.get("unit"))
    gain = checked_gain(where, f"{at}, scale", per_count)
    start = 0.0
    if origin is not None:
        start = number(where, f"{at}, origin", origin.get("value"))
        start *= mv_per(where, f"{at}, origin", origin.get("unit")) if start else 0.0
    text = text_of(value, "digits")
    if not _DIGITS.issuperset(text):
        raise refused(where, f"{at}, digits", "holds something else than whole numbers")
    try:
        counts = np.array([int(word) for word in text.split()], dtype=np.int32)
    except (ValueError, OverflowError):
        raise refused(where, f"{at}, digits", "holds something else than whole numbers") from None
    return counts.astype(np.float64) * per_count + start, gain


def _age(where: str, root: Element, person: Element | None) -> float | None:
    for observation in root.iter("relatedObservation"):
        value = observation.find("value")
        if _code(observation) == _REPORTED_AGE and value is not None:
            unit = _YEARS.get(value.get("unit", ""))
            if unit:
                return number(where, "age", value.get("value")) * unit
    birth, taken = (
        person.find("birthTime") if person is not None else None,
        root.find("effectiveTime/center"),
    )
    if taken is None:
        taken = root.find("effectiveTime/low")
    if birth is None or taken is None:
        return None
    return age_between(birth.get("value"), taken.get("value"))


def _patient(root: Element, person: Element | None) -> dict[str, str]:
    subject, taken = root.find(".//trialSubject/id"), root.find("effectiveTime/*")
    birth = person.find("birthTime") if person is not None else None
    return texts(
        {
            "Patient": text_of(person, "name"),
            "Patient id": subject.get("extension") if subject is not None else None,
            "Born": birth.get("value") if birth is not None else None,
            "Taken": taken.get("value") if taken is not None else None,
        }
    )
