"""Lead names: what files write, and the one way this program writes them; leads that others give.

Names of the 12 leads in other languages and standards are known; channels that are no standard lead
(Frank's, the back, the right chest) are left out by name; limb leads that a file does not have are
computed from two that it has. Each of these is said in a named warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RecordError
from ecgxai_core.types import (
    DERIVED_LEADS,
    INDEPENDENT_LEADS,
    STANDARD_LEADS,
    Float32Array,
    QualityWarning,
)

__all__ = [
    "DERIVED_LEADS",
    "INDEPENDENT_LEADS",
    "LEAD_NUMBERS",
    "MAX_CHANNELS",
    "Arrangement",
    "DerivedLead",
    "arrange",
    "derive_limb_leads",
    "extra_channel",
    "lead_name",
    "signed_lead",
]

LEAD_NUMBERS: Mapping[int, str] = MappingProxyType(
    {
        1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
        3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6",
        9: "V7", 10: "V2R", 11: "V3R", 12: "V4R", 13: "V5R", 14: "V6R", 15: "V7R",
        16: "X", 17: "Y", 18: "Z", 65: "-aVR", 66: "V8", 67: "V9", 68: "V8R", 69: "V9R",
    }
)  # fmt: skip
"""Lead numbers of SCP-ECG (EN 1064, 5.6.3), which ISO/IEEE 11073-10101 (MDC) and DICOM share."""

MAX_CHANNELS = 64
"""Of a file, those that are left out included; DICOM's General ECG has 24 at most."""

_LIMB_FACTORS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"I": (1.0, 0.0), "II": (0.0, 1.0), **DERIVED_LEADS}
)
_CHEST = INDEPENDENT_LEADS[2:]
_FLAT_MV = 0.005
"""A lead that varies by less gives no other lead."""

_MAX_NAME = 60
_BY_UPPER = {
    **{lead.upper(): lead for lead in STANDARD_LEADS},
    "DI": "I", "DII": "II", "DIII": "III", "D1": "I", "D2": "II", "D3": "III",
    **{f"C{n}": f"V{n}" for n in range(1, 7)},
}  # fmt: skip
"""Spanish and Portuguese write DI or D1; German and the IEC C1 (IEC 60601-2-25)."""
_MDC_PREFIX = "MDC_ECG_LEAD_"
_WORDS_BEFORE = {"LEAD", "ECG", "EKG", "ABLEITUNG", "DERIVACION", "DERIVACIÓN", "DERIVATION"}
_WORDS_AFTER = {"(EINTHOVEN)", "(GOLDBERGER)", "(WILSON)"}
_EXTRA = re.compile(r"V[XYZ]|[XYZ]|V[789]|V\d{1,2}R|C[789]|C\d{1,2}R", re.ASCII)


def lead_name(text: str) -> str | None:
    """Standard name of a lead (``"AVR"``, ``"DII"``, ``"C3"``, ``"Lead aVR"``), else ``None``."""
    found = signed_lead(text)
    return found[0] if found and found[1] > 0 else None


def signed_lead(text: str) -> tuple[str, int] | None:
    """Standard name and sign of a lead: ``"-aVR"`` is ``("aVR", -1)``; ``None`` for no lead."""
    core = _core(text)
    if core in _BY_UPPER:
        return _BY_UPPER[core], 1
    turned = core.removeprefix("-").removeprefix("MINUS ").strip()
    if turned != core and turned == "AVR":  # the one lead that is written turned round
        return "aVR", -1
    return None


def extra_channel(text: str) -> str | None:
    """Name of a known channel that is none of the 12 leads (``"vx"``, ``"V7"``, ``"V3R"``)."""
    core = _core(text)
    return core if _EXTRA.fullmatch(core) else None


def _core(text: str) -> str:
    """The name itself, in capitals, without words that only say that it is a lead."""
    if len(text) > _MAX_NAME:
        return ""
    words = text.upper().removeprefix(_MDC_PREFIX).split()
    if len(words) > 1 and words[0] in _WORDS_BEFORE:
        words = words[1:]
    if len(words) > 1 and words[-1] in _WORDS_AFTER:
        words = words[:-1]
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Which channels of a file are read, in the order of ``STANDARD_LEADS``.

    Attributes
    ----------
    leads
        Standard names.
    positions
        Position of each lead among the channels of the file.
    signs
        -1 where the file has the lead turned round (Cabrera's -aVR), else 1.
    warnings
        ``leads_left_out`` and ``lead_turned``, where they apply.
    """

    leads: tuple[str, ...]
    positions: tuple[int, ...]
    signs: tuple[int, ...]
    warnings: tuple[QualityWarning, ...]


def arrange(where: str, names: Sequence[str], channel: str = "signal") -> Arrangement:
    """Put the channels of a file in standard order; leave out those that are no standard lead.

    Parameters
    ----------
    where
        The file, for errors.
    names
        As the file writes them.
    channel
        What the format calls a channel, for errors.

    Raises
    ------
    RecordError
        A lead occurs twice; no channel is a standard lead; or a name is neither a standard lead nor
        a known other channel, while a standard lead is missing: it may be that one.
    """
    seen: dict[str, tuple[int, int]] = {}
    left_out: list[str] = []
    unknown: list[int] = []
    for position, text in enumerate(names):
        found = signed_lead(text)
        if found is None:
            extra = extra_channel(text)
            left_out.append(extra or text[:_MAX_NAME])
            unknown += [] if extra else [position]
        elif found[0] in seen:
            problem = f"lead {found[0]} occurs twice"
            fix = "name each lead once"
            raise RecordError(where, f"{channel} {position + 1}, lead", problem, fix)
        else:
            seen[found[0]] = (position, found[1])
    if (unknown and len(seen) < len(STANDARD_LEADS)) or not seen:
        at = unknown[0] if unknown else 0
        text = names[at] if names else ""
        problem = f"{text!r} is none of the 12 standard leads"
        fix = f"name the lead as one of {' '.join(STANDARD_LEADS)}"
        raise RecordError(where, f"{channel} {at + 1}, lead", problem, fix)
    leads = tuple(lead for lead in STANDARD_LEADS if lead in seen)
    warnings = []
    if left_out:
        text = f"channels that are none of the 12 leads are left out: {', '.join(left_out)}"
        warnings.append(QualityWarning("leads_left_out", text))
    turned = tuple(lead for lead in leads if seen[lead][1] < 0)
    if turned:
        text = "the file has the lead with the opposite sign; it was turned round"
        warnings.append(QualityWarning("lead_turned", text, turned))
    return Arrangement(
        leads,
        tuple(seen[lead][0] for lead in leads),
        tuple(seen[lead][1] for lead in leads),
        tuple(warnings),
    )


@dataclass(frozen=True, slots=True)
class DerivedLead:
    """``lead = factors[0] * sources[0] + factors[1] * sources[1]``."""

    lead: str
    sources: tuple[str, str]
    factors: tuple[float, float]


def derive_limb_leads(
    signal: Float32Array, leads: Sequence[str]
) -> tuple[Float32Array, tuple[str, ...], tuple[DerivedLead, ...], tuple[QualityWarning, ...]]:
    """Compute limb leads that are missing or hold no sample from two that are there.

    Any two of the six limb leads give the other four (Einthoven's law; Goldberger's leads). A
    missing lead is added only where that completes the twelve; a lead that is there without samples
    is always computed where two others allow it.

    Parameters
    ----------
    signal
        ``float32[lead, sample]``, mV, NaN where nothing was recorded.
    leads
        Standard names of its rows, in the order of ``STANDARD_LEADS``.

    Returns
    -------
    tuple
        Signal and lead names with the derived ones in their places, how each was derived, and the
        warning ``leads_derived`` where there are any.
    """
    rows = dict(zip(leads, signal, strict=True))
    empty = {lead for lead in _LIMB_FACTORS if lead in rows and np.isnan(rows[lead]).all()}
    absent = {lead for lead in _LIMB_FACTORS if lead not in rows}
    if not all(lead in rows for lead in _CHEST):
        absent = set()
    sources = [lead for lead in _LIMB_FACTORS if lead in rows and _varies(rows[lead])][:2]
    if not empty | absent or len(sources) < 2:
        return signal, tuple(leads), (), ()
    one, two = sources
    inverse = np.linalg.inv(np.array([_LIMB_FACTORS[one], _LIMB_FACTORS[two]]))
    derived = []
    for lead in (x for x in STANDARD_LEADS if x in empty | absent):
        first, second = (float(f) for f in np.array(_LIMB_FACTORS[lead]) @ inverse)
        derived.append(DerivedLead(lead, (one, two), (first, second)))
        rows[lead] = (first * rows[one].astype(np.float64) + second * rows[two]).astype(np.float32)
    ordered = tuple(lead for lead in STANDARD_LEADS if lead in rows)
    text = f"not in the file, or without samples there; computed from {one} and {two}"
    warning = QualityWarning("leads_derived", text, tuple(d.lead for d in derived))
    return np.stack([rows[lead] for lead in ordered]), ordered, tuple(derived), (warning,)


def _varies(row: npt.NDArray[np.float32]) -> bool:
    """Whether a lead (``float32[sample]``) holds more than a line."""
    known = row[~np.isnan(row)]
    return bool(len(known)) and float(known.max() - known.min()) >= _FLAT_MV
