"""From a record to what a model sees: exactly the manifest's preprocessing and nothing else.

The steps, in their order: fill short gaps, select and order leads, resample, filter, cut the
window, units, normalise, pad. Arithmetic is float64; only the result is float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ecgxai_core.errors import ModelError, ParameterError, RecordError
from ecgxai_core.models.manifest import FilterSpec, Manifest
from ecgxai_core.types import FloatArray, ModelInput, QualityWarning, Record

__all__ = ["prepare", "rational_ratio", "resample", "zero_phase_filter"]

MAX_GAP_SEC = 0.2
"""Longest run of missing samples that is filled: shorter than any RR interval, so no beat is made
up or lost unseen; the width of a QRS complex with its PR segment."""

CINC_COUNTS_PER_MV = 1000.0
"""Gain of every record of the PhysioNet/CinC 2020 and 2021 challenges."""


@dataclass(frozen=True, slots=True)
class _Window:
    """``[first, stop)`` samples of the record at the model's rate, and of the input they fill."""

    first: int
    stop: int
    offset: int


def prepare(record: Record, manifest: Manifest, start_sec: float | None = None) -> ModelInput:
    """Apply a manifest's preprocessing to a record.

    Parameters
    ----------
    record
        Signal in mV.
    manifest
        What the model expects.
    start_sec
        Where the window starts on the record's time axis; ``None`` = the manifest's ``crop``.

    Returns
    -------
    :class:`~ecgxai_core.types.ModelInput`; its warnings say what was filled, resampled, cut or
    padded.

    Raises
    ------
    ModelError
        The record lacks a lead that the model needs.
    RecordError
        Missing samples that cannot be filled, no ADC counts for a model that takes them, a record
        too short to filter or a rate that cannot be converted.
    ParameterError
        ``start_sec`` lies outside the record.
    """
    signal = _selected(record, manifest)
    signal, gaps, warnings = _filled(signal, record, manifest)
    signal = resample(signal, _ratio(record, manifest))
    if manifest.filter is not None:
        signal = _filtered(signal, record, manifest)
    window = _window(signal.shape[1], record, manifest, start_sec)
    _refuse_long_gaps(gaps, window, record, manifest)
    seen = signal[:, window.first : window.stop]
    seen, zero, unit_warnings = _in_units(seen, record, manifest)
    mean, scale = _statistics(seen, manifest)
    values = np.zeros((manifest.samples, len(manifest.leads)), np.float64)
    stop = window.offset + window.stop - window.first
    values[window.offset : stop] = ((seen - mean[:, None]) / scale[:, None]).T
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    if not np.all(np.isfinite(narrow)):
        problem = "has values that no model can take"
        raise RecordError(record.name, "signal", problem, "check gain and units")
    return ModelInput(
        values=narrow,
        zero=((zero - mean) / scale).astype(np.float32),
        fs=manifest.fs,
        start_sec=window.first / manifest.fs,
        valid=(window.offset, stop),
        leads=manifest.leads,
        record_digest=record.digest,
        warnings=(
            *warnings,
            *_length_warnings(signal.shape[1], window, record, manifest),
            *unit_warnings,
        ),
    )


def _selected(record: Record, manifest: Manifest) -> FloatArray:
    """``float64[lead, sample]``, mV, leads in the model's order."""
    missing = [lead for lead in manifest.leads if lead not in record.leads]
    if missing:
        problem = f"the model needs {', '.join(missing)}, which the record does not have"
        fix = "use a record with these leads, or a model trained without them"
        raise ModelError(record.name, "leads", problem, fix)
    rows = [record.leads.index(lead) for lead in manifest.leads]
    return record.signal[rows].astype(np.float64)


_Gap = tuple[str, float, float]
"""A run of missing samples: lead, and its start and stop in seconds of the record."""


def _filled(
    signal: FloatArray, record: Record, manifest: Manifest
) -> tuple[FloatArray, list[_Gap], list[QualityWarning]]:
    """Replace missing samples by straight lines (the nearest value at the ends of the record)."""
    missing = ~np.isfinite(signal)
    if not missing.any():
        return signal, [], []
    filled = signal.copy()
    gaps: list[_Gap] = []
    times = np.arange(signal.shape[1])
    for row, lead in enumerate(manifest.leads):
        bad = missing[row]
        if bad.all():
            problem = "has no valid sample"
            raise RecordError(record.name, lead, problem, "leave the record out or repair the lead")
        filled[row, bad] = np.interp(times[bad], times[~bad], signal[row, ~bad])
        edges = np.flatnonzero(np.diff(np.concatenate(([0], bad.view(np.int8), [0]))))
        gaps += [(lead, a / record.fs, b / record.fs) for a, b in edges.reshape(-1, 2)]
    leads = tuple(lead for row, lead in enumerate(manifest.leads) if missing[row].any())
    share = missing.any(axis=0).mean()
    message = f"missing samples filled with straight lines ({share:.2%} of the record)"
    return filled, gaps, [QualityWarning("gaps_filled", message, leads)]


def _refuse_long_gaps(
    gaps: list[_Gap], window: _Window, record: Record, manifest: Manifest
) -> None:
    """A long gap matters only where the model looks."""
    for lead, start, stop in gaps:
        seen = start < window.stop / manifest.fs and stop > window.first / manifest.fs
        if seen and stop - start > MAX_GAP_SEC + 0.5 / record.fs:
            problem = f"{stop - start:.2f} s are missing at {start:.2f} s"
            problem += f"; at most {MAX_GAP_SEC} s are filled"
            fix = "choose another part of the record with a start time, or leave it out"
            raise RecordError(record.name, lead, problem, fix)


def rational_ratio(target_fs: float, fs: float, n_samples: int) -> Fraction | None:
    """Simplest ratio of two sampling rates that drifts less than 0.01 sample over a record.

    Rates such as 1000/3 Hz are rounded in a header; the simplest ratio undoes that.
    ``None`` where no ratio of numbers up to 100 000 fits.
    """
    exact = Fraction(target_fs) / Fraction(fs)
    for limit in (10, 100, 1000, 10_000, 100_000):
        ratio = exact.limit_denominator(limit)
        if ratio > 0 and abs(ratio - exact) * n_samples < Fraction(1, 100):
            return ratio if ratio.numerator <= 100_000 else None
    return None


def _ratio(record: Record, manifest: Manifest) -> Fraction:
    ratio = rational_ratio(manifest.fs, record.fs, record.n_samples)
    if ratio is None:
        problem = f"{record.fs:g} Hz cannot be converted to the model's {manifest.fs:g} Hz"
        fix = "correct the sampling rate, or resample the record"
        raise RecordError(record.name, "fs", problem, fix)
    return ratio


def resample(signal: FloatArray, ratio: Fraction) -> FloatArray:
    """Resample by an exact ratio with an anti-aliasing polyphase filter.

    The record is extended by odd reflection at both ends first, because the filter would otherwise
    see a step from the baseline to zero there. Sample ``j`` of the result lies at time
    ``j / ratio`` samples of the input; the length is ``ceil(n * ratio)``.

    Parameters
    ----------
    signal
        ``float64[lead, sample]``.
    ratio
        New rate over old rate.

    Notes
    -----
    ``scipy.signal.resample_poly``: linear-phase Kaiser window (beta 5), 10 periods of the slower
    rate on each side (Crochiere and Rabiner, Multirate Digital Signal Processing, 1983).
    """
    if ratio == 1:
        return signal
    from scipy.signal import resample_poly

    up, down = ratio.numerator, ratio.denominator
    length = math.ceil(signal.shape[1] * ratio)
    reach = math.ceil(10 * max(up, down) / up) + 1
    steps = math.ceil(reach / down)  # whole output samples: the extension must not shift time
    extended = np.pad(
        signal, ((0, 0), (steps * down, steps * down)), mode="reflect", reflect_type="odd"
    )
    resampled = np.asarray(resample_poly(extended, up, down, axis=1), np.float64)
    return resampled[:, steps * up : steps * up + length]


def zero_phase_filter(signal: FloatArray, spec: FilterSpec, fs: float) -> FloatArray:
    """Butterworth filter run forward and backward (second-order sections, no phase shift).

    Parameters
    ----------
    signal
        ``float64[lead, sample]``.
    spec
        Band in Hz and order of one pass.
    fs
        Sampling rate, Hz.

    Raises
    ------
    ValueError
        The signal is shorter than the filter's own extension at the ends.

    Notes
    -----
    ``scipy.signal.sosfiltfilt`` with its default odd extension, as most training code uses it
    (Gustafsson, IEEE Trans. Signal Processing 44, 1996, on the ends).
    """
    from scipy.signal import butter, sosfiltfilt

    edges = spec.edges if spec.kind == "bandpass" else spec.edges[0]
    sections = butter(spec.order, edges, btype=spec.kind, fs=fs, output="sos")
    return np.asarray(sosfiltfilt(sections, signal, axis=1), np.float64)


def _filtered(signal: FloatArray, record: Record, manifest: Manifest) -> FloatArray:
    assert manifest.filter is not None
    try:
        return zero_phase_filter(signal, manifest.filter, manifest.fs)
    except ValueError:
        problem = f"{record.duration:.3f} s are too short for the model's filter"
        raise RecordError(record.name, "length", problem, "use a longer record") from None


def _window(length: int, record: Record, manifest: Manifest, start_sec: float | None) -> _Window:
    """Which samples the model sees; ``length`` samples at the model's rate exist."""
    spare = max(0, length - manifest.samples)
    if start_sec is None:
        first = {"start": 0, "center": spare // 2, "end": spare}[manifest.crop]
    else:
        if not math.isfinite(start_sec) or not 0 <= start_sec < length / manifest.fs:
            problem = f"{start_sec:g} s lies outside the record (0 to {record.duration:g} s)"
            raise ParameterError(record.name, "start", problem, "choose a start inside the record")
        first = min(round(start_sec * manifest.fs), length - 1)
    stop = min(length, first + manifest.samples)
    free = manifest.samples - (stop - first)
    offset = {"end_zero": 0, "start_zero": free, "center_zero": free // 2}[manifest.pad]
    return _Window(first, stop, offset)


def _length_warnings(
    length: int, window: _Window, record: Record, manifest: Manifest
) -> list[QualityWarning]:
    warnings = []
    if record.fs != manifest.fs:
        text = f"resampled from {record.fs:g} Hz to the model's {manifest.fs:g} Hz"
        warnings.append(QualityWarning("resampled", text))
    taken = window.stop - window.first
    if taken < length:
        unseen = (length - taken) / manifest.fs
        start, stop = window.first / manifest.fs, window.stop / manifest.fs
        text = f"the model sees {start:.2f} to {stop:.2f} s; {unseen:.2f} s are not seen"
        warnings.append(QualityWarning("cropped", text))
    if taken < manifest.samples:
        share = 1 - taken / manifest.samples
        text = f"{share:.1%} of the model's input is padding"
        warnings.append(QualityWarning("padded", text))
    return warnings


def _in_units(
    seen: FloatArray, record: Record, manifest: Manifest
) -> tuple[FloatArray, FloatArray, list[QualityWarning]]:
    """Signal in the model's units, the value of 0 mV per lead, and warnings."""
    zero = np.zeros(len(manifest.leads))
    if manifest.units == "mV":
        return seen, zero, []
    if manifest.units == "uV":
        return seen * 1000.0, zero, []
    if manifest.adc_gain is not None:
        return seen * manifest.adc_gain, zero, []
    if record.adc_gain is None or record.adc_zero is None:
        problem = "has no ADC counts, and the model takes raw counts"
        fix = "write the counts per mV of the model's training data into the manifest ('adc_gain')"
        raise RecordError(record.name, "adc_gain", problem, fix)
    rows = [record.leads.index(lead) for lead in manifest.leads]
    gain, zero = (np.array(v, np.float64)[rows] for v in (record.adc_gain, record.adc_zero))
    if manifest.filter is not None and manifest.filter.kind != "lowpass":
        zero = np.zeros_like(zero)  # the filter removes the offset of the counts
    counts = seen * gain[:, None] + zero[:, None]
    # mV are stored as float32: undo its rounding, so that original records give whole counts again
    whole = np.rint(counts)
    rounding = np.finfo(np.float32).eps * np.maximum(1.0, np.abs(counts - zero[:, None]))
    counts = np.where(np.abs(counts - whole) <= rounding, whole, counts)
    return counts, zero, _gain_warnings(gain, manifest)


def _gain_warnings(gain: FloatArray, manifest: Manifest) -> list[QualityWarning]:
    """Raw counts carry no unit: say so where they differ from those that such models saw."""
    odd = [lead for lead, g in zip(manifest.leads, gain, strict=True) if g != CINC_COUNTS_PER_MV]
    if not odd:
        return []
    found = ", ".join(f"{g:g}" for g in sorted(set(gain.tolist())))
    text = (
        f"the model takes raw counts and the record has {found} counts per mV"
        " (PhysioNet/CinC: 1000); give 'adc_gain' in the manifest to convert"
    )
    return [QualityWarning("adc_gain", text, tuple(odd))]


def _statistics(seen: FloatArray, manifest: Manifest) -> tuple[FloatArray, FloatArray]:
    """``float64[lead]`` mean and scale; a lead without variation is only centred."""
    spec, n_leads = manifest.normalisation, len(manifest.leads)
    if spec.kind == "none":
        return np.zeros(n_leads), np.ones(n_leads)
    if spec.kind == "given":
        mean, scale = (np.asarray(v, np.float64) for v in (spec.mean, spec.scale))
        return np.broadcast_to(mean, n_leads), np.broadcast_to(scale, n_leads)
    axis = 1 if spec.kind == "per_lead" else None
    mean = np.broadcast_to(seen.mean(axis=axis), n_leads)
    scale = np.broadcast_to(seen.std(axis=axis), n_leads)
    flat = scale <= 1e-9 * np.maximum(1.0, np.abs(mean))
    return mean, np.where(flat, 1.0, scale)
