"""Where the evidence of a map lies: shares of its positive mass by lead and by wave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.beats import r_peaks
from ecgxai_core.metrics.base import Map
from ecgxai_core.metrics.raster import overlap_sec
from ecgxai_core.metrics.summary import bootstrap_mean
from ecgxai_core.params import EvaluationParams
from ecgxai_core.segments import wave_edges
from ecgxai_core.types import FloatArray, Record, content_seed
from ecgxai_core.waves import delineate

__all__ = ["WAVES", "EvidenceRow", "Share", "evidence_rows", "shares", "wave_times"]

WAVES: Mapping[str, tuple[str, ...]] = {
    "P": ("P",),
    "QRS": ("QRS",),
    "ST": ("ST",),
    "T": ("T",),
    "between": ("PR", "TP"),
}
"""Parts of a beat, and the labels of :data:`ecgxai_core.segments.WAVE_LABELS` in each."""

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Share:
    """Share of the positive mass of one map in one lead or wave, and its share of lead-seconds.

    Both are of what the method explored. NaN where the map has no positive weight, or no beat was
    found.
    """

    kind: str
    name: str
    mass: float
    time: float


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """Means over the records of one diagnosis.

    Attributes
    ----------
    target, method, kind, name
        ``kind`` is ``lead`` or ``wave``.
    mass, time
        Mean shares of positive mass and of lead-seconds.
    enrichment, low, high
        Mean over records of mass share / time share, with its interval; 1 = no more than chance.
    n
        Records in which it is defined.
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
    """``float64[n, 2]`` seconds of each of :data:`WAVES`; empty where no beat was found.

    The parts do not overlap: where a wave begins, the one before it ends.
    """
    waves = delineate(
        record.signal, record.fs, record.leads, r_peaks(record.signal, record.fs, record.leads)
    )
    if len(waves) == 0:
        return {}
    edges, labels = wave_edges(0, record.n_samples, waves, record.fs)
    spans = np.stack((edges[:-1], edges[1:]), axis=1) / record.fs
    return {
        name: spans[[label in held for label in labels]].reshape(-1, 2)
        for name, held in WAVES.items()
    }


def shares(item: Map, times: Mapping[str, FloatArray]) -> tuple[Share, ...]:
    """Shares of one map by lead, then by wave.

    Parameters
    ----------
    item
        The map. Its weight is spread evenly over each segment, so a segment that is longer than a
        wave draws the shares of both towards chance.
    times
        :func:`wave_times` of its record.
    """
    density = np.where(item.explored, np.nan_to_num(item.density()), 0.0)
    mass = np.maximum(density, 0.0) * item.durations
    seconds = item.explored * item.durations
    whole, explored = float(mass.sum()), float(seconds.sum())
    leads = [
        _share("lead", lead, float(mass[i].sum()), whole, float(seconds[i].sum()), explored)
        for i, lead in enumerate(item.leads)
    ]
    segments = np.stack((item.edges_sec[:-1], item.edges_sec[1:]), axis=1)
    waves = []
    for name in WAVES:
        inside = (
            overlap_sec(segments, times[name]).sum(axis=1)
            if times
            else np.full(len(segments), _NAN)
        )
        waves.append(
            _share(
                "wave", name, float((np.maximum(density, 0.0) * inside).sum()), whole,
                float((item.explored * inside).sum()), explored,
            )
        )  # fmt: skip
    return (*leads, *waves)


def _share(kind: str, name: str, mass: float, whole: float, sec: float, explored: float) -> Share:
    return Share(
        kind, name, mass / whole if whole > 0 else _NAN, sec / explored if explored > 0 else _NAN
    )


def evidence_rows(
    found: Iterable[tuple[str, str, Sequence[Share]]], params: EvaluationParams
) -> tuple[EvidenceRow, ...]:
    """Means by target, method and place.

    Parameters
    ----------
    found
        (target, method, shares) of every record.
    params
        Level, size and seed of the bootstrap.
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
    held = table[table[:, 1] > 0]
    ratio = held[:, 0] / held[:, 1]
    interval = bootstrap_mean(
        ratio,
        confidence=params.confidence,
        n_resamples=params.n_bootstrap,
        seed=content_seed("enrichment", list(key), params.seed),
    )
    mass, time = table.mean(axis=0) if len(table) else (_NAN, _NAN)
    mean = float(ratio.mean()) if len(ratio) else _NAN
    return EvidenceRow(
        *key, float(mass), float(time), mean, interval.low, interval.high, len(ratio)
    )
