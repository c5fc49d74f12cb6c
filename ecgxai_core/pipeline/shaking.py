"""The extra-beat experiment on one record: explain it again with one beat doubled, and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecgxai_core.augment import Augmented, extra_beat
from ecgxai_core.beats import r_peaks
from ecgxai_core.metrics.stability import stability
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import Profile, StabilityParams
from ecgxai_core.pipeline.explanation import (
    FUSED_METHODS,
    Explained,
    cached_attributions,
    explained,
    fused_map,
)
from ecgxai_core.pipeline.prediction import Progress, no_progress
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Attribution, FusedMap, IntArray, Record, Score, content_seed

__all__ = ["Shaken", "cached_shaken", "shake", "shaken_record", "stability_scores"]

Map = Attribution | FusedMap


@dataclass(frozen=True, slots=True)
class Shaken:
    """Maps of a record (``original``) and of the same record with one beat doubled (``changed``).

    Maps are named by method, and ``fused``. ``peaks`` are the R peaks of the original, samples.
    """

    augmented: Augmented
    peaks: IntArray
    original: Mapping[str, Map]
    changed: Mapping[str, Map]


def shaken_record(
    record: Record, peaks: npt.ArrayLike, seen_sec: tuple[float, float], params: StabilityParams
) -> Augmented:
    """The record with one beat doubled inside the part that the model sees.

    Raises
    ------
    ExplanationError
        Too few beats.
    """
    seed = content_seed("extra_beat", record.digest, params.seed)
    return extra_beat(record, peaks, seed, params.blend_sec, seen_sec)


def shake(
    record: Record,
    classifier: Classifier,
    target: str,
    found: Explained,
    profile: Profile,
    store: Store,
    *,
    peaks: npt.NDArray[np.int64] | None = None,
    progress: Progress = no_progress,
) -> Shaken:
    """Explain the changed record as the original was, through the cache.

    Parameters
    ----------
    record, target, found
        The original and its explanations.
    peaks
        R peaks of the original, samples; found where they are not given.
    progress
        Called with (done, total, what).

    Raises
    ------
    ExplanationError
        Too few beats.
    """
    peaks = r_peaks(record.signal, record.fs, record.leads) if peaks is None else peaks
    seen = _seen(found.fused)
    changed = shaken_record(record, peaks, seen, profile.stability)
    again = explained(
        changed.record,
        classifier,
        target,
        profile,
        store,
        methods=tuple(found.attributions),
        start_sec=seen[0],
        progress=progress,
    )
    return Shaken(changed, peaks, _maps(found), _maps(again))


def cached_shaken(
    record: Record,
    classifier: Classifier,
    target: str,
    profile: Profile,
    store: Store,
    *,
    methods: Sequence[str] = FUSED_METHODS,
    start_sec: float | None = None,
) -> Shaken | None:
    """The experiment where the cache has all of it, else ``None``; nothing is computed.

    Raises
    ------
    ExplanationError
        Too few beats.
    """
    params = {method: profile.for_method(method) for method in methods}
    one = cached_attributions(record, classifier, target, params, store, start_sec=start_sec)
    if len(one) < len(params):
        return None
    peaks = r_peaks(record.signal, record.fs, record.leads)
    found = Explained(one, fused_map(one, profile))
    seen = _seen(found.fused)
    changed = shaken_record(record, peaks, seen, profile.stability)
    two = cached_attributions(changed.record, classifier, target, params, store, start_sec=seen[0])
    if len(two) < len(params):
        return None
    return Shaken(changed, peaks, _maps(found), _maps(Explained(two, fused_map(two, profile))))


def stability_scores(shaken: Shaken, params: StabilityParams) -> dict[str, tuple[Score, ...]]:
    """Scores of every map, by its name."""
    fs = shaken.augmented.record.fs
    return {
        name: stability(
            item, shaken.changed[name], shaken.peaks / fs, shaken.augmented.time_map, params
        )
        for name, item in shaken.original.items()
    }


def _maps(found: Explained) -> dict[str, Map]:
    return {**found.attributions, "fused": found.fused}


def _seen(fused: FusedMap) -> tuple[float, float]:
    """The part of the record that was explained, seconds."""
    return float(fused.edges_sec[0]), float(fused.edges_sec[-1])
