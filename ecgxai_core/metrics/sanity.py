"""Sanity: does a map depend on what the model learned?

A map that stays the same when the weights of the model are randomised shows the record, or the
method, and not the model (Adebayo et al. 2018, arXiv 1810.03292). The same question is asked with
a model trained on shuffled labels: it saw the same records and learned nothing true of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgxai_core.metrics.base import Metric, MetricGroup, Outcome, Subject
from ecgxai_core.metrics.similarity import map_spearman
from ecgxai_core.types import Map, Score

__all__ = ["GROUP", "MOST_ALIKE", "sanity"]

MOST_ALIKE = 0.5
"""|Spearman| with the map of a model without knowledge from which on a map is flagged. A
convention: a quarter of the variance of the ranks does not come from what the model learned."""


@dataclass(frozen=True, slots=True)
class Sanity:
    """What randomising did to a map.

    ``stages``: layer up to which the weights were randomised, and |Spearman| with the original map,
    in the order of the cascade. ``repeat``: |Spearman| with a map of the same model under another
    seed, NaN where it was not made; a method that is not reproducible cannot pass. ``scores``:
    ``randomisation_similarity`` (all layers randomised), ``randomisation_cascade`` (mean over the
    stages, NaN where one of them is undefined), ``shuffled_similarity`` (model of shuffled labels),
    ``self_similarity`` (``repeat``). ``reason``: why the map is flagged: it is alike under a model
    without knowledge, or the test is inconclusive; empty where it is not flagged.
    """

    stages: tuple[tuple[str, float], ...]
    repeat: float
    scores: tuple[Score, ...]
    reason: str

    @property
    def flagged(self) -> bool:
        """Whether the map does not pass."""
        return bool(self.reason)


def sanity(
    original: Map,
    cascade: Sequence[tuple[str, Map]],
    *,
    shuffled: Map | None = None,
    repeat: Map | None = None,
) -> Sanity:
    """Compare a map with those of models without knowledge, for the same record and target.

    Parameters
    ----------
    original
        Map of the model.
    cascade
        (layer, map) with the weights randomised from the output down to that layer; the last with
        all of them (:func:`ecgxai_core.models.randomised.cascade`).
    shuffled
        Map of a model trained on shuffled labels.
    repeat
        Map of the model itself with another seed.

    Notes
    -----
    Magnitudes of correlations: an inverted map shows the same picture. A constant map under the
    randomised model has no ranks: NaN, and it is no evidence against the map.
    """
    stages = tuple((name, _alike(original, item)) for name, item in cascade)
    full = stages[-1][1] if stages else np.nan
    along = [value for _, value in stages]
    other = _alike(original, shuffled) if shuffled is not None else np.nan
    again = _alike(original, repeat) if repeat is not None else np.nan
    scores = (
        Score("randomisation_similarity", full, 0.0),
        Score("randomisation_cascade", float(np.mean(along)) if along else np.nan, 0.0),
        Score("shuffled_similarity", other, 0.0),
        Score("self_similarity", again, 0.0, ceiling=1.0),
    )
    reason = _reason(original, full, other, again)
    return Sanity(stages, again, scores, reason)


def _alike(one: Map, other: Map) -> float:
    return abs(map_spearman(one, other))


def _reason(original: Map, full: float, shuffled: float, again: float) -> str:
    weights = np.nan_to_num(original.density())
    if np.ptp(weights) <= 0:
        return "the map has no order: it cannot depend on the model"
    if full >= MOST_ALIKE:
        return f"much the same map ({full:.2f}) with all weights of the model randomised"
    if shuffled >= MOST_ALIKE:
        return f"much the same map ({shuffled:.2f}) from a model trained on shuffled labels"
    if again < MOST_ALIKE:
        return f"the method is not reproducible ({again:.2f}): the test is inconclusive"
    return ""


_UNDEFINED = "a map without any order"
_SOURCE = "Adebayo et al. 2018, arXiv 1810.03292; Hedstroem et al. 2023, arXiv 2401.06465"

_METRICS = (
    Metric(
        "randomisation_similarity", "Similarity to the randomised model's map", "lower", "sanity",
        "0 (near 0 is right)", _UNDEFINED, _SOURCE, "one explanation of a randomised model",
        ("random",),
    ),
    Metric(
        "randomisation_cascade", "The same, mean over layers", "lower", "sanity",
        "0 (near 0 is right)", _UNDEFINED, _SOURCE, "one explanation a layer", ("random",),
    ),
    Metric(
        "shuffled_similarity", "Similarity to the map of shuffled labels", "lower", "sanity",
        "0 (near 0 is right)", f"{_UNDEFINED}, or no such model", _SOURCE,
        "one trained model, one explanation", ("random",),
    ),
    Metric(
        "self_similarity", "Similarity to the same method with another seed", "higher", "sanity",
        "0", f"{_UNDEFINED}, or not repeated", _SOURCE, "one explanation", ("random", "ceiling"),
    ),
)  # fmt: skip


def _of(subject: Subject) -> Outcome:
    assert subject.cascade is not None
    found = {
        name: sanity(
            subject.maps[name],
            stages,
            repeat=subject.repeats.get(name),
            shuffled=subject.shuffled.get(name),
        )
        for name, stages in subject.cascade.items()
    }
    return Outcome(
        {name: item.scores for name, item in found.items()},
        facts={name: {"sanity_flagged": item.reason} for name, item in found.items()},
    )


GROUP = MetricGroup("sanity", _METRICS, ("randomised",), _of)
