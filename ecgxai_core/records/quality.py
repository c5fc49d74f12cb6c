"""Named quality warnings: what is odd about a record that is kept nevertheless.

Codes raised here: ``flat_lead``, ``flat_part``, ``saturated``, ``large_amplitude``, ``nan_run``,
``mixed_gain``, ``limb_leads_inconsistent``, ``implausible_amplitude``, ``few_leads``,
``short_record``, ``long_record``, ``unknown_code``. The readers add ``checksum``,
``units_assumed``, ``duplicate_dx``, ``unreadable_dx``, ``odd_age`` and, for DICOM,
``several_groups`` and ``channel_skew``.

``nan_run`` is the one that a reader of :attr:`Record.signal` must know about: samples that the
device did not record are NaN there. Whoever feeds a model replaces short gaps by interpolation
and refuses long ones; nothing else in a record is ever NaN, and nothing is ever infinite.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

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
IMPLAUSIBLE_MV = 3.0
"""Typical swing of a lead (geometric mean over the leads of the median over seconds) that no heart
makes. Of 19,634 records of PTB-XL (folds 1-9, 100 Hz) 5 exceed it; stored five times too large, as
where a header says 200 counts per mV of data at 1000, 98 % of them do.
"""
IMPLAUSIBLE_LEADS = 6
"""Fewer leads say little: one chest lead of a large heart swings by more than 5 mV."""
LIMB_MV = 0.05
"""I + III - II and its kin are within 0.0075 mV in sound records; swapped leads exceed this."""
SHORT_SEC = 5.0
LONG_SEC = 60.0

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
    warnings += _amplitude_warnings(signal, fs)
    seconds = signal.shape[1] / fs
    if seconds < SHORT_SEC:
        warnings.append(QualityWarning("short_record", f"is only {seconds:.2f} s long"))
    if seconds > LONG_SEC:
        warnings.append(QualityWarning("long_record", f"is {seconds:.0f} s long"))
    return tuple(warnings)


def _amplitude_warnings(signal: Float32Array, fs: float) -> list[QualityWarning]:
    """Whether all leads together are too large for a heart: the gain of the file is wrong then.

    Every lead counts by the ratio to its usual size (geometric mean), so neither a large heart in
    the chest leads nor a spike in one lead is taken for a wrong gain; a wrong gain moves them all.
    """
    swings = _typical_swings(signal, fs)
    swings = swings[swings >= FLAT_MV]
    if len(swings) < IMPLAUSIBLE_LEADS:
        return []
    typical = float(np.exp(np.log(swings).mean()))
    if typical <= IMPLAUSIBLE_MV:
        return []
    text = (
        f"swings by {typical:.1f} mV in a typical lead; hearts stay below {IMPLAUSIBLE_MV:g} mV: "
        "the gain of the file is probably wrong"
    )
    return [QualityWarning("implausible_amplitude", text)]


def _typical_swings(signal: Float32Array, fs: float) -> npt.NDArray[np.float64]:
    """``float64[lead]``: median over whole seconds of the peak-to-peak value; NaN without one."""
    width = max(1, round(fs))
    n = signal.shape[1] // width
    swings = np.full(len(signal), np.nan)
    for lead, row in enumerate(signal[:, : n * width].reshape(len(signal), n, width)):
        seconds = row[~np.isnan(row).any(axis=1)]
        if len(seconds):
            swings[lead] = np.median(seconds.max(axis=1) - seconds.min(axis=1))
    return swings


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
    broken = _broken_limb_rules(dict(zip(leads, signal, strict=True)))
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
    return warnings


_WRONG_GAINS = "they agree in counts, so the gains of the file are wrong"
"""LUDB is such a set: its leads were stored on one scale, its gains normalise each lead alone."""


def _broken_limb_rules(rows: Mapping[str, Float32Array]) -> dict[str, float]:
    """Leads that differ from what the others say, and by how many mV at most."""
    broken: dict[str, float] = {}
    for lead, terms in _LIMB_RULES:
        if lead in rows and all(term in rows for term, _ in terms):
            expected = sum((np.float32(w) * rows[term] for term, w in terms), np.float32(0))
            error = np.abs(rows[lead] - expected)
            worst = 0.0 if np.isnan(error).all() else float(np.nanmax(error))
            if worst > LIMB_MV:
                broken[lead] = worst
    return broken


def check_labels(
    labels: Sequence[str] | None, known_codes: Collection[str]
) -> tuple[QualityWarning, ...]:
    """Warn of labels that are not in ``known_codes``."""
    unknown = [label for label in labels or () if label not in known_codes]
    if not unknown:
        return ()
    shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    return (QualityWarning("unknown_code", f"labels not in the table of codes: {shown}"),)
