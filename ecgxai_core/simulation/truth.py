"""Ground truth of a simulated record: wave borders, and where each mechanism shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ecgxai_core.simulation.mechanisms import Mechanism
from ecgxai_core.types import STANDARD_LEADS, BoolArray, FloatArray, frozen_array

__all__ = ["WINDOWS", "Interval", "Mark", "Truth", "Waves", "build_truth", "painted"]

Window = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Waves:
    """Wave borders of every beat in seconds, ``float64[beat]``; NaN = the beat has no such wave.

    ``kind`` is ``"ordinary"``, ``"atrial"`` (premature), ``"ventricular"`` (premature) or
    ``"paced"``. ``r_peak`` is the maximum of the QRS dipole, ``spike`` the pacing spike.
    """

    kind: tuple[str, ...]
    p_onset: FloatArray
    p_peak: FloatArray
    p_offset: FloatArray
    qrs_onset: FloatArray
    r_peak: FloatArray
    qrs_offset: FloatArray
    t_onset: FloatArray
    t_peak: FloatArray
    t_offset: FloatArray
    spike: FloatArray

    def __post_init__(self) -> None:
        for name in self.names():
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of the border arrays."""
        return tuple(item.name for item in fields(Waves) if item.name != "kind")

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, keep: Sequence[int]) -> Waves:
        """A subset of the beats."""
        index = np.asarray(keep, dtype=np.int64)
        arrays = {name: getattr(self, name)[index] for name in self.names()}
        return Waves(kind=tuple(self.kind[i] for i in index), **arrays)


@dataclass(frozen=True, slots=True)
class Mark:
    """The shortcut artefact: a rectangular mark in one chest lead."""

    lead: str
    start: float
    stop: float
    mv: float


@dataclass(frozen=True, slots=True)
class Interval:
    """``[start, stop)`` seconds in some leads; ``role`` is ``"primary"`` or ``"secondary"``."""

    leads: tuple[str, ...]
    start: float
    stop: float
    mechanism: str
    role: str = "primary"


@dataclass(frozen=True, slots=True)
class Truth:
    """Where the planted mechanisms show.

    Attributes
    ----------
    mask
        ``bool[lead, sample]``: the primary evidence of the requested mechanisms, in standard lead
        order. Sinus rhythm counts only if it was requested or nothing else was.
    intervals
        Primary and secondary evidence of every planted mechanism.
    fs
        Sampling rate of the mask, Hz.
    """

    mask: BoolArray
    intervals: tuple[Interval, ...]
    fs: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", frozen_array(self.mask, np.bool_))

    def mask_for(self, mechanism: str, *, secondary: bool = False) -> BoolArray:
        """Mask ``bool[lead, sample]`` of one mechanism, optionally with its secondary evidence."""
        roles = ("primary", "secondary") if secondary else ("primary",)
        chosen = [i for i in self.intervals if i.mechanism == mechanism and i.role in roles]
        return painted(chosen, self.mask.shape[1], self.fs)


def painted(intervals: Sequence[Interval], n: int, fs: float) -> BoolArray:
    """Mask ``bool[lead, sample]`` of the samples that lie in an interval of their lead."""
    mask = np.zeros((len(STANDARD_LEADS), n), dtype=np.bool_)
    for interval in intervals:
        # 1e-9: a border on a sample includes that sample despite rounding error.
        first = max(int(np.ceil(interval.start * fs - 1e-9)), 0)
        stop = min(int(np.ceil(interval.stop * fs - 1e-9)), n)
        for lead in interval.leads:
            mask[STANDARD_LEADS.index(lead), first:stop] = True
    return mask


def _from_to(
    start: str, stop: str, *, after: float = 0.0, lasting: float | None = None, kind: str = ""
) -> Callable[[Waves, int], Window | None]:
    """A window from ``after`` seconds behind one border to another, or of a fixed length; of one
    kind of beat only, if given."""

    def window(waves: Waves, i: int) -> Window | None:
        if kind and waves.kind[i] != kind:
            return None
        first = float(getattr(waves, start)[i])
        last = float(getattr(waves, stop)[i]) if lasting is None else first + lasting
        return first + after, last

    return window


def _tq(waves: Waves, i: int) -> Window | None:
    """From the end of T to the next QRS, where atrial activity is isolated."""
    if i + 1 >= len(waves):
        return None
    start, stop = float(waves.t_offset[i]), float(waves.qrs_onset[i + 1])
    return (start, stop) if stop - start >= 0.04 else None


WINDOWS: dict[str, Callable[[Waves, int], Window | None]] = {
    "p": _from_to("p_onset", "qrs_onset"),
    "pr": _from_to("p_onset", "qrs_onset"),
    "qrs": _from_to("qrs_onset", "qrs_offset"),
    # from 60 ms after the QRS onset, when normal activation is nearly complete
    "qrs_late": _from_to("qrs_onset", "qrs_offset", after=0.060),
    # a pathological Q wave lasts 30 ms or more
    "q": _from_to("qrs_onset", "qrs_offset", lasting=0.045),
    "st": _from_to("qrs_offset", "t_peak"),
    "t": _from_to("t_onset", "t_offset"),
    "tq": _tq,
    "atrial_p": _from_to("p_onset", "qrs_onset", kind="atrial"),
    "ventricular_qrst": _from_to("qrs_onset", "t_offset", kind="ventricular"),
    "spike_qrs": _from_to("spike", "qrs_offset"),
}
"""Parts of the beat in which a mechanism can show; the artefact's ``mark`` has its own time."""

_ANY_BEAT = {"atrial_p", "ventricular_qrst", "tq"}


def build_truth(
    plan: Sequence[Mechanism],
    asked: Sequence[str],
    waves: Waves,
    mark: Mark | None,
    n: int,
    fs: float,
) -> Truth:
    """Intervals of every mechanism of the plan, clipped to the record, and their mask.

    ``waves`` includes beats that only partly lie within the record.
    """
    found: list[Interval] = []
    for row in plan:
        if row.window == "mark":
            if mark is not None:
                found.append(Interval((mark.lead,), mark.start, mark.stop, row.name))
            continue
        for i in range(len(waves)):
            # A premature ventricular beat does not show what the ordinary beats show.
            if row.window not in _ANY_BEAT and waves.kind[i] == "ventricular":
                continue
            window = WINDOWS[row.window](waves, i)
            if window is None or not np.all(np.isfinite(window)):
                continue
            start, stop = max(window[0], 0.0), min(window[1], n / fs)
            if stop <= start:
                continue
            found.append(Interval(row.leads, start, stop, row.name))
            if row.secondary:
                found.append(Interval(row.secondary, start, stop, row.name, "secondary"))
    primary = [i for i in found if i.role == "primary" and i.mechanism in asked]
    return Truth(painted(primary, n, fs), tuple(found), fs)
