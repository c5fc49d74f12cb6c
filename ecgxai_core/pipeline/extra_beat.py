"""The extra-beat experiment on one record: explain it again with one beat doubled, and compare."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError
from ecgxai_core.metrics import GROUPS
from ecgxai_core.metrics.base import Subject
from ecgxai_core.metrics.stability import beat_intervals, match
from ecgxai_core.models.manifest import Manifest
from ecgxai_core.params import EvaluationParams, Profile, StabilityParams
from ecgxai_core.pipeline.explain import (
    Explained,
    cached_explained,
    explained,
)
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.signal.beats import r_peaks
from ecgxai_core.signal.extra_beat import Augmented, extra_beat
from ecgxai_core.store.cache import Store
from ecgxai_core.types import FloatArray, IntArray, Map, Score, content_seed

__all__ = [
    "ExtraBeatTest",
    "Fate",
    "cached_extra_beat_test",
    "extra_beat_if_possible",
    "extra_beat_test",
    "prediction_stayed",
]

log = logging.getLogger(__name__)

Fate = Literal["compared", "not seen", "pushed out", "altered"]
"""Of a beat: it was compared; the original explanation does not see it whole; the added beat moved
it out of the model's input; its length differs after the change."""

_SEEN_SEC = 1e-6


@dataclass(frozen=True, slots=True)
class ExtraBeatTest:
    """Maps of a record (``original``) and of the same record with one beat doubled (``changed``).

    Maps are named by method, and ``fused``. ``peaks`` are the R peaks of the original, samples.
    """

    augmented: Augmented
    peaks: IntArray
    original: Mapping[str, Map]
    changed: Mapping[str, Map]

    def scores(self, params: StabilityParams) -> Mapping[str, Sequence[Score]]:
        """Stability of every map, by its name."""
        subject = Subject(
            maps=self.original,
            params=EvaluationParams(),
            stability=params,
            peaks_sec=self.peaks / self.augmented.record.fs,
            changed=self.changed,
            time_map=self.augmented.time_map,
        )
        return GROUPS["stability"].compute(subject).scores

    def compared(self, name: str) -> tuple[FloatArray, int]:
        """The beats that one map's scores compare, and how many there were to compare.

        Returns
        -------
        ``float64[beat, 2]``: borders of each, s of the changed record; and how many beats the
        original explanation saw whole.
        """
        one, other = self.original[name], self.changed[name]
        peaks = self.peaks / self.augmented.record.fs
        found = match(one, other, peaks, self.augmented.time_map)
        middle = found.beats.mean(axis=1, keepdims=True)
        width = np.diff(found.beats, axis=1) / 2
        centre = self.augmented.time_map.forward(middle.reshape(-1)).reshape(-1, 1)
        return np.hstack((centre - width, centre + width)), found.n_beats

    def fates(self, name: str) -> tuple[Fate, ...]:
        """What became of every beat of the original where one map is compared."""
        one, other, time_map = self.original[name], self.changed[name], self.augmented.time_map
        peaks = self.peaks / self.augmented.record.fs
        compared = match(one, other, peaks, time_map).beats
        first, last = float(one.edges_sec[0]) - _SEEN_SEC, float(one.edges_sec[-1]) + _SEEN_SEC
        found: list[Fate] = []
        for start, stop in beat_intervals(peaks):
            if np.any(np.abs(compared - (start, stop)).max(axis=1) < _SEEN_SEC):
                found.append("compared")
            elif start < first or stop > last:
                found.append("not seen")
            else:
                moved = float(time_map.forward(stop, side="left")) > other.edges_sec[-1] + _SEEN_SEC
                found.append("pushed out" if moved else "altered")
        return tuple(found)

    def to_frame(self, params: StabilityParams | None = None) -> pd.DataFrame:
        """One row per map and metric: ``map``, ``metric``, ``value``, ``chance``, ``reachable``."""
        scores = self.scores(params or StabilityParams())
        rows = [
            (name, score.metric, score.value, score.random, score.ceiling)
            for name, found in scores.items()
            for score in found
        ]
        return pd.DataFrame(rows, columns=["map", "metric", "value", "chance", "reachable"])


def extra_beat_test(
    case: Case,
    found: Explained,
    profile: Profile,
    store: Store,
    progress: Progress = no_progress,
) -> ExtraBeatTest:
    """Explain the changed record as the original (``found``) was, through the cache.

    ``progress`` is called with (done, total, what).

    Raises
    ------
    ExplanationError
        Too few beats.
    """
    peaks, changed, other = _changed(case, found, profile)
    again = explained(other, profile, store, tuple(found.attributions), progress)
    return ExtraBeatTest(changed, peaks, found.maps, again.maps)


def extra_beat_if_possible(
    case: Case,
    found: Explained,
    profile: Profile,
    store: Store,
    progress: Progress = no_progress,
) -> ExtraBeatTest | None:
    """:func:`extra_beat_test`; ``None``, and a note in the log, for a record with too few beats."""
    try:
        return extra_beat_test(case, found, profile, store, progress)
    except ExplanationError as error:
        log.info("%s: no extra-beat test: %s", case.record.name, error)
        return None


def prediction_stayed(before: Map, after: Map, manifest: Manifest, profile: Profile) -> bool:
    """Whether the model calls the target both times, or neither time.

    By the threshold of the class, 0.5 where the model has none; the profile ``reference`` keeps to
    0.5, so that its tables stay what they were.
    """
    limits = {} if profile.name == "reference" else manifest.thresholds or {}
    least = limits.get(before.target, 0.5)
    return bool((before.probability >= least) == (after.probability >= least))


def cached_extra_beat_test(
    case: Case, profile: Profile, store: Store, methods: Sequence[str] | None = None
) -> ExtraBeatTest | None:
    """The test where the cache has all of it, else ``None``; nothing is computed.

    Raises
    ------
    ExplanationError
        Too few beats.
    """
    found = cached_explained(case, profile, store, methods)
    if found is None:
        return None
    peaks, changed, other = _changed(case, found, profile)
    again = cached_explained(other, profile, store, methods)
    return None if again is None else ExtraBeatTest(changed, peaks, found.maps, again.maps)


def _changed(case: Case, found: Explained, profile: Profile) -> tuple[IntArray, Augmented, Case]:
    """R peaks (samples), the changed record, and its case: the same window, the same question."""
    record = case.record
    peaks = r_peaks(record.signal, record.fs, record.leads)
    seen = float(found.fused.edges_sec[0]), float(found.fused.edges_sec[-1])
    seed = content_seed("extra_beat", record.digest, profile.stability.seed)
    changed = extra_beat(record, peaks, seed, profile.stability.blend_sec, seen)
    return peaks, changed, case.disturbed(changed.record, changed.time_map, seen[0])
