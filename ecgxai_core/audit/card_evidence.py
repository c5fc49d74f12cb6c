"""Distribution of a map's evidence: shares of its positive mass by lead and by wave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.bootstrap import interval_of
from ecgxai_core.metrics.raster import overlap_sec
from ecgxai_core.params import EvaluationParams
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.signal.delineation import delineate
from ecgxai_core.signal.segments import wave_edges
from ecgxai_core.types import FloatArray, Map, Record

__all__ = ["WAVES", "EvidenceRow", "Share", "evidence_rows", "shares", "wave_times"]

WAVES: Mapping[str, tuple[str, ...]] = {
    "P": ("P",),
    "QRS": ("QRS",),
    "ST": ("ST",),
    "T": ("T",),
    "between": ("PR", "TP"),
}
"""Parts of a beat, with the labels of :data:`ecgxai_core.signal.segments.WAVE_LABELS` in each."""


@dataclass(frozen=True, slots=True)
class Share:
    """Share of a map's positive mass in one lead or wave, and the share of lead-seconds there.

    Both refer to explored cells. NaN if the map has no positive weight or no beat was found.
    """

    kind: str
    name: str
    mass: float
    time: float


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """Means over the records of one diagnosis.

    ``kind`` is ``lead`` or ``wave``; ``mass``, ``time``: mean shares of positive mass and of
    lead-seconds; ``enrichment``, ``low``, ``high``: mean over the ``n`` records in which it is
    defined of mass share / time share, with its interval; 1 = chance level.
    """

    target: str
    method: str
    kind: str
    name: str
    mass: float
    time: float
    enrichment: float
    low: float
    high: float
    n: int


def wave_times(record: Record) -> dict[str, FloatArray]:
    """Intervals of each of :data:`WAVES`, ``float64[n, 2]`` s; empty if no beat was found.

    The parts do not overlap: each wave ends where the next begins.
    """
    waves = delineate(
        record.signal, record.fs, record.leads, r_peaks(record.signal, record.fs, record.leads)
    )
    if len(waves) == 0:
        return {}
    edges, labels = wave_edges(0, record.n_samples, waves, record.fs)
    spans = np.stack((edges[:-1], edges[1:]), axis=1) / record.fs
    return {
        name: spans[[label in members for label in labels]].reshape(-1, 2)
        for name, members in WAVES.items()
    }


def shares(item: Map, times: Mapping[str, FloatArray]) -> tuple[Share, ...]:
    """Shares of one map by lead, then by wave (``times``: :func:`wave_times` of its record).

    Weight is spread evenly over each segment, so segments longer than a wave bring its share closer
    to chance.
    """
    density = np.where(item.explored, np.nan_to_num(item.density()), 0.0)
    positive = np.maximum(density, 0.0)
    mass, seconds = positive * item.durations, item.explored * item.durations
    total, explored = mass.sum(), seconds.sum()

    def share(kind: str, name: str, part: float, time: float) -> Share:
        mass_share = float(part / total) if total > 0 else np.nan
        return Share(kind, name, mass_share, float(time / explored) if explored > 0 else np.nan)

    leads = [share("lead", lead, *pair) for lead, *pair in zip(
        item.leads, mass.sum(axis=1), seconds.sum(axis=1), strict=True)]  # fmt: skip
    segments = np.stack((item.edges_sec[:-1], item.edges_sec[1:]), axis=1)
    waves = []
    for name in WAVES:
        inside = np.full(len(segments), np.nan)
        if times:
            inside = overlap_sec(segments, times[name]).sum(axis=1)
        waves.append(share("wave", name, (positive * inside).sum(), (item.explored * inside).sum()))
    return (*leads, *waves)


def evidence_rows(
    found: Iterable[tuple[str, str, Sequence[Share]]], params: EvaluationParams
) -> tuple[EvidenceRow, ...]:
    """Means by target, method and place, from (target, method, shares) of every record.

    ``params`` give level, size and seed of the bootstrap.
    """
    groups: dict[tuple[str, str, str, str], list[Share]] = {}
    for target, method, parts in found:
        for part in parts:
            groups.setdefault((target, method, part.kind, part.name), []).append(part)
    return tuple(_row(key, parts, params) for key, parts in groups.items())


def _row(
    key: tuple[str, str, str, str], parts: Sequence[Share], params: EvaluationParams
) -> EvidenceRow:
    table = np.array([(part.mass, part.time) for part in parts], np.float64)
    table = table[np.isfinite(table).all(axis=1)]
    timed = table[table[:, 1] > 0]
    ratio = timed[:, 0] / timed[:, 1]
    interval = interval_of(ratio, params, "enrichment", list(key))
    mass, time = table.mean(axis=0) if len(table) else (np.nan, np.nan)
    mean = float(ratio.mean()) if len(ratio) else np.nan
    return EvidenceRow(*key, float(mass), float(time), mean, *interval, len(ratio))
