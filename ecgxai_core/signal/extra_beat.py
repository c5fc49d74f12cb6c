"""Changes to a record that should not matter, each with the map that relates it to the original."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ExplanationError
from ecgxai_core.signal.beats import rr_midpoints
from ecgxai_core.types import (
    Float32Array,
    FloatArray,
    IntArray,
    QualityWarning,
    Record,
    content_seed,
)

__all__ = ["Augmented", "TimeMap", "extra_beat"]

_STEP_MV = 1.0  # more than baseline wander between two beats; a loose electrode


@dataclass(frozen=True, slots=True)
class TimeMap:
    """Where each moment of the original lies in a record into which a stretch was inserted.

    Attributes
    ----------
    cut_sec
        Time at which the stretch was inserted, in both records.
    inserted_sec
        Length of the stretch, seconds.
    duration_sec
        Length of the original, seconds.
    """

    cut_sec: float
    inserted_sec: float
    duration_sec: float

    @property
    def inserted(self) -> tuple[float, float]:
        """Start and stop of the inserted stretch, in seconds of the augmented record."""
        return self.cut_sec, self.cut_sec + self.inserted_sec

    def forward(self, times: npt.ArrayLike, side: Literal["left", "right"] = "right") -> FloatArray:
        """Seconds in the original to seconds in the augmented record.

        Parameters
        ----------
        times
            ``float64[n]``, seconds.
        side
            What becomes of the cut itself: ``"right"``, it moves behind the inserted stretch (the
            start of what follows); ``"left"``, it stays (the end of what precedes).

        Returns
        -------
        ``float64[n]``; NaN where the original has no such time.
        """
        t = np.asarray(times, np.float64)
        # a cut that was computed by another sum may differ in its last bits
        later = t >= self.cut_sec - 1e-9 if side == "right" else t > self.cut_sec + 1e-9
        inside = (t >= -1e-9) & (t <= self.duration_sec + 1e-9)
        return np.asarray(np.where(inside, t + later * self.inserted_sec, np.nan), np.float64)

    def images(self, times: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
        """All places of moments of the original: those of the doubled beat have two.

        The inserted stretch is a copy of what precedes it.

        Returns
        -------
        ``float64[n]`` rising, seconds of the augmented record, and ``int64[n]``, the moment that
        each is an image of.
        """
        t = np.asarray(times, np.float64)
        moved = t + (t >= self.cut_sec - 1e-9) * self.inserted_sec
        twice = (t > self.cut_sec - self.inserted_sec + 1e-9) & (t < self.cut_sec - 1e-9)
        copied = np.flatnonzero(twice)
        found = np.concatenate([moved, t[copied] + self.inserted_sec])
        order = np.argsort(found, kind="stable")
        return found[order], np.concatenate([np.arange(len(t)), copied])[order]

    def backward(self, times: npt.ArrayLike) -> FloatArray:
        """Seconds in the augmented record to seconds in the original; NaN in the inserted part."""
        t = np.asarray(times, np.float64)
        start, stop = self.inserted
        back = np.where(t < start - 1e-9, t, t - self.inserted_sec)
        inserted = (t >= start - 1e-9) & (t < stop - 1e-9)
        outside = (t < -1e-9) | (t > self.duration_sec + self.inserted_sec + 1e-9)
        return np.asarray(np.where(inserted | outside, np.nan, back), np.float64)


@dataclass(frozen=True, slots=True)
class Augmented:
    """An augmented record and how it relates to its original.

    Attributes
    ----------
    record
        The new record; its warnings contain code ``"augmented"``, and ``"seam_step"`` where the
        baseline differs by more than 1 mV between the two sides of the seam.
    time_map
        From seconds of the original to seconds of ``record``.
    beat
        Which of the given R peaks was doubled.
    source_sec
        Start and stop of the doubled beat in the original.
    blended_sec
        Start and stop, in ``record``, of the samples that are a blend of two places of the
        original; every other sample is an exact copy of one.
    """

    record: Record
    time_map: TimeMap
    beat: int
    source_sec: tuple[float, float]
    blended_sec: tuple[float, float]


def extra_beat(
    record: Record,
    r_peaks: npt.ArrayLike,
    seed: int,
    blend_sec: float,
    within_sec: tuple[float, float] | None = None,
) -> Augmented:
    """Double one inner beat: cut it out half-way to its neighbours and insert it after itself.

    The copy's end meets the samples that follow it in the original too, so the only seam is where
    the copy begins. There the signal fades (half a cosine) from the original going on to the copy
    with its own run-in. All leads are treated alike and the blend is linear, so the limb-lead
    identities (III = II - I, ...) hold as well as in the original.

    Parameters
    ----------
    record
        The original.
    r_peaks
        ``int[n]``, its R peaks in samples.
    seed
        User seed; the beat is drawn from it and from the record's content, nothing else.
    blend_sec
        Length of the fade, seconds; shortened where the record has no room for it.
    within_sec
        Only beats that lie wholly in this part of the record are doubled, such as the part that a
        model sees; ``None`` = any inner beat.

    Raises
    ------
    ExplanationError
        Fewer than three R peaks, or no inner beat in ``within_sec``.
    """
    start, stop, beat = _drawn_beat(record, r_peaks, seed, within_sec)
    signal, blended = _doubled(record.signal, start, stop, round(blend_sec * record.fs))
    fs = record.fs
    augmented = replace(
        record,
        name=f"{record.name}_extra_beat",
        signal=signal,
        warnings=(*record.warnings, *_warnings(record, start, stop)),
    )
    return Augmented(
        record=augmented,
        time_map=TimeMap(stop / fs, (stop - start) / fs, record.duration),
        beat=beat,
        source_sec=(start / fs, stop / fs),
        blended_sec=(blended[0] / fs, blended[1] / fs),
    )


def _warnings(record: Record, start: int, stop: int) -> list[QualityWarning]:
    """That the record was changed, and where the fade hides a large step."""
    low, high = start / record.fs, stop / record.fs
    found = [QualityWarning("augmented", f"the beat at {low:.2f} to {high:.2f} s was doubled")]
    steps = np.abs(record.signal[:, stop] - record.signal[:, start])
    leads = tuple(name for name, step in zip(record.leads, steps, strict=True) if step > _STEP_MV)
    if leads:
        message = f"the baseline steps by up to {steps.max():.1f} mV where the copy begins"
        found.append(QualityWarning("seam_step", message, leads))
    return found


def _drawn_beat(
    record: Record, r_peaks: npt.ArrayLike, seed: int, within_sec: tuple[float, float] | None
) -> tuple[int, int, int]:
    """Start and stop sample of the drawn beat, and its number among the R peaks."""
    peaks: IntArray = np.unique(np.asarray(r_peaks, np.int64))
    if peaks.size < 3:
        raise ExplanationError(
            record.name,
            "extra beat",
            f"{peaks.size} R peaks were found; an inner beat needs 3",
            "leave this record out of the stability experiment",
        )
    cuts = rr_midpoints(peaks)
    starts, stops = cuts[:-1], cuts[1:]
    low, high = within_sec if within_sec is not None else (0.0, record.duration)
    inside = (starts >= low * record.fs - 0.5) & (stops <= high * record.fs + 0.5)
    choices = np.flatnonzero(inside & (starts >= 0) & (stops < record.n_samples))
    if choices.size == 0:
        raise ExplanationError(
            record.name,
            "extra beat",
            f"no inner beat lies between {low:.2f} and {high:.2f} s",
            "leave this record out of the stability experiment",
        )
    rng = np.random.default_rng(content_seed("extra_beat", record.digest, seed))
    chosen = int(rng.choice(choices))
    return int(starts[chosen]), int(stops[chosen]), chosen + 1


def _doubled(
    signal: Float32Array, start: int, stop: int, blend: int
) -> tuple[Float32Array, tuple[int, int]]:
    """Insert samples ``[start, stop)`` again at ``stop``; returns the blended range too."""
    n_samples = signal.shape[1]
    out = np.concatenate([signal[:, :stop], signal[:, start:]], axis=1)
    # both streams must exist over the whole fade: one goes on after `stop`, one runs up to `start`
    blend = max(0, min(blend, 2 * start, 2 * (n_samples - stop), stop - start))
    low = stop - blend // 2
    high = low + blend
    if blend:
        going_on = signal[:, low:high].astype(np.float64)
        coming_in = signal[:, low - stop + start : high - stop + start].astype(np.float64)
        weight = 0.5 - 0.5 * np.cos(np.pi * (np.arange(blend) + 0.5) / blend)
        out[:, low:high] = going_on + weight * (coming_in - going_on)
    return out, (low, high)
