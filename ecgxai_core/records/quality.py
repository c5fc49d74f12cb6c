"""Named quality warnings: what is odd about a record that is kept nevertheless.

Codes raised here: ``flat_lead``, ``flat_part``, ``saturated``, ``large_amplitude``, ``nan_run``,
``mixed_gain``, ``limb_leads_inconsistent``, ``damaged_samples``, ``few_leads``, ``short_record``,
``long_record``, ``unusual_rate``, ``unknown_code``, and those of
:mod:`ecgxai_core.signal.quality`. The readers add ``checksum``, ``units_assumed``, ``mixed_zero``,
``duplicate_dx``, ``unreadable_dx``, ``odd_age`` and, for DICOM, ``several_groups`` and
``channel_skew``; all of them ``leads_left_out``, ``leads_derived`` and ``lead_turned``.

``nan_run`` is the one that a reader of :attr:`Record.signal` must know about: samples that the
device did not record are NaN there. Whoever feeds a model replaces short gaps by interpolation
and refuses long ones; nothing else in a record is ever NaN, and nothing is ever infinite.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ecgxai_core.signal.quality import signal_warnings
from ecgxai_core.types import STANDARD_LEADS, Float32Array, QualityWarning

__all__ = ["check_labels", "check_signal", "longest_run"]

FLAT_MV = 0.005
"""Peak-to-peak below which a lead holds nothing: half the least count of most devices."""
FLAT_PART_SEC = 1.0
PLATEAU_SEC = 0.04
PLATEAU_SAMPLES = 8
"""A clipped lead stays on its extreme for longer than any wave's peak does."""
RAIL_SAMPLES = 3
LARGE_MV = 20.0
LIMB_MV = 0.05
"""I + III - II and the other limb-lead sums are within 0.0075 mV in sound records; swapped leads
exceed this."""
SHORT_SEC = 5.0
LONG_SEC = 60.0
DAMAGED_STEPS, DAMAGED_MOST = 5, 3
"""Steps of the converter beyond which a sample is out of line, and how many samples may be so: with
more of them it is the leads that differ, or the processing."""

USUAL_RATES = frozenset(
    {100, 120, 125, 128, 150, 180, 200, 240, 250, 256, 257, 300, 360, 400, 480, 500, 512, 600}
    | {720, 750, 960, 977, 1000, 1024, 1200, 1250, 2000, 2048, 4000, 5000, 8000, 10_000}
)
"""Hz, of devices and of the databases of PhysioNet. Nothing else in a file protects the rate, so
one wrong digit in it is told by this."""

_LIMB_RULES: tuple[tuple[str, tuple[tuple[str, float], ...]], ...] = (
    ("II", (("I", 1.0), ("III", 1.0))),
    ("aVR", (("I", -0.5), ("II", -0.5))),
    ("aVL", (("I", 0.5), ("III", -0.5))),
    ("aVF", (("II", 0.5), ("III", 0.5))),
)
"""Einthoven's law and Goldberger's augmented leads (Malmivuo & Plonsey 1995, chapter 15)."""


def check_signal(
    signal: Float32Array,
    leads: Sequence[str],
    fs: float,
    gains: Sequence[float],
    rails: npt.ArrayLike,
) -> tuple[QualityWarning, ...]:
    """Look at a signal; nothing is changed.

    Parameters
    ----------
    signal
        ``float32[lead, sample]``, mV, NaN where nothing was recorded.
    leads, fs
        Names of the rows; sampling rate, Hz.
    gains
        Counts per mV of each lead.
    rails
        ``float[lead, 2]``, mV: the least and greatest value that the file can hold.
    """
    found: dict[str, list[str]] = {}
    for row, lead, rail in zip(signal, leads, np.asarray(rails, np.float64), strict=True):
        for code in _lead_codes(row, fs, rail):
            found.setdefault(code, []).append(lead)
    texts = {
        "flat_lead": f"varies by less than {FLAT_MV * 1000:g} uV",
        "flat_part": f"does not change for {FLAT_PART_SEC:g} s or more",
        "saturated": "stays on its extreme value, or on the limit of the format",
        "large_amplitude": f"exceeds {LARGE_MV:g} mV",
        "nan_run": _nan_text(signal, fs),
    }
    warnings = [
        QualityWarning(code, text, tuple(found[code]))
        for code, text in texts.items()
        if code in found
    ]
    warnings += _between_leads(signal, leads, gains)
    warnings += signal_warnings(signal, fs, leads)
    if fs not in USUAL_RATES:
        text = (
            f"is sampled at {fs:g} Hz, a rate that devices hardly use: compare it with the source"
        )
        warnings.append(QualityWarning("unusual_rate", text))
    seconds = signal.shape[1] / fs
    if seconds < SHORT_SEC:
        warnings.append(QualityWarning("short_record", f"is only {seconds:.2f} s long"))
    if seconds > LONG_SEC:
        warnings.append(QualityWarning("long_record", f"is {seconds:.0f} s long"))
    return tuple(warnings)


def _lead_codes(row: Float32Array, fs: float, rail: npt.NDArray[np.float64]) -> list[str]:
    """What is odd about one lead (``float32[sample]``)."""
    gap = np.isnan(row)
    codes = ["nan_run"] if gap.any() else []
    if gap.all():
        return [*codes, "flat_lead"]
    low, high = float(np.nanmin(row)), float(np.nanmax(row))
    if max(-low, high) > LARGE_MV:
        codes.append("large_amplitude")
    if high - low < FLAT_MV:
        return [*codes, "flat_lead"]
    if longest_run(row[1:] == row[:-1]) + 1 >= FLAT_PART_SEC * fs:
        codes.append("flat_part")
    plateau = max(PLATEAU_SAMPLES, PLATEAU_SEC * fs)
    tolerance = 1e-6 * float(np.abs(rail).max())
    on_rail = np.count_nonzero(row <= rail[0] + tolerance) + np.count_nonzero(
        row >= rail[1] - tolerance
    )
    clipped = max(longest_run(row == np.float32(edge)) for edge in (low, high)) >= plateau
    if on_rail >= RAIL_SAMPLES or clipped:
        codes.append("saturated")
    return codes


def longest_run(mask: npt.NDArray[np.bool_]) -> int:
    """Length of the longest stretch of ``True``."""
    steps = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return int((steps[1::2] - steps[::2]).max(initial=0))


def _nan_text(signal: Float32Array, fs: float) -> str:
    longest = max((longest_run(np.isnan(row)) for row in signal), default=0)
    return f"has no samples for up to {longest / fs:.3f} s at a time"


def _between_leads(
    signal: Float32Array, leads: Sequence[str], gains: Sequence[float]
) -> list[QualityWarning]:
    """What shows only when leads are compared."""
    warnings = []
    if len(set(gains)) > 1:
        warnings.append(QualityWarning("mixed_gain", "leads have different gains", tuple(leads)))
    missing = tuple(lead for lead in STANDARD_LEADS if lead not in leads)
    if missing:
        warnings.append(QualityWarning("few_leads", "of the 12 leads these are missing", missing))
    rows = dict(zip(leads, signal, strict=True))
    broken = _broken_limb_rules(rows)
    if broken:
        counts = {
            lead: row * np.float32(gain / max(gains))
            for lead, row, gain in zip(leads, signal, gains, strict=True)
        }
        cause = "leads may be swapped" if _broken_limb_rules(counts) else _WRONG_GAINS
        text = (
            f"limb leads contradict each other by up to {max(broken.values()):.2f} mV "
            f"(II = I + III, aVR, aVL, aVF): {cause}"
        )
        warnings.append(QualityWarning("limb_leads_inconsistent", text, tuple(broken)))
    else:
        warnings += _damaged_samples(rows, 1 / min(gains))
    return warnings


def _damaged_samples(rows: Mapping[str, Float32Array], step: float) -> list[QualityWarning]:
    """Single samples at which limb leads contradict each other that agree everywhere else.

    A checksum cannot see two samples of one lead that have changed places.
    """
    found: dict[str, int] = {}
    for lead, error in _limb_errors(rows):
        limit = max(DAMAGED_STEPS * step, 3 * float(np.nanquantile(error, 0.999)))
        count = int(np.count_nonzero(error > limit))
        if 0 < count <= DAMAGED_MOST:
            found[lead] = count
    if not found:
        return []
    text = (
        f"at {max(found.values())} samples the limb leads contradict each other, although they "
        "agree everywhere else: these samples may be damaged"
    )
    return [QualityWarning("damaged_samples", text, tuple(found))]


_WRONG_GAINS = "they agree in counts, so the gains of the file are wrong"
"""LUDB is such a set: its leads were stored on one scale, its gains normalise each lead alone."""


def _limb_errors(rows: Mapping[str, Float32Array]) -> Iterator[tuple[str, Float32Array]]:
    """Leads that others determine, and by how many mV they differ at each sample."""
    for lead, terms in _LIMB_RULES:
        if lead in rows and all(term in rows for term, _ in terms):
            expected = sum((np.float32(w) * rows[term] for term, w in terms), np.float32(0))
            error = np.abs(rows[lead] - expected)
            if not np.isnan(error).all():
                yield lead, error


def _broken_limb_rules(rows: Mapping[str, Float32Array]) -> dict[str, float]:
    """Leads that differ from what the others say, and by how many mV at most."""
    worst = {lead: float(np.nanmax(error)) for lead, error in _limb_errors(rows)}
    return {lead: most for lead, most in worst.items() if most > LIMB_MV}


def check_labels(
    labels: Sequence[str] | None, known_codes: Collection[str]
) -> tuple[QualityWarning, ...]:
    """Warn of labels that are not in ``known_codes``."""
    unknown = [label for label in labels or () if label not in known_codes]
    if not unknown:
        return ()
    shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    return (QualityWarning("unknown_code", f"labels not in the table of codes: {shown}"),)
