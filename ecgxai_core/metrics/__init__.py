"""How far a map can be trusted: plausibility, faithfulness, stability, sanity, complexity.

:data:`GROUPS` is the registry: one group per module, which says what it needs and computes its
scores; :data:`METRICS` describes every number by name. :func:`evaluate` is the one loop that fills
tables, pages, reports and the command line. ``references`` makes maps that know nothing, or know
the truth; ``testing`` compares methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ecgxai_core.metrics import (
    complexity,
    faithfulness,
    plausibility,
    published,
    removal,
    road,
    robustness,
    sanity,
    stability,
)
from ecgxai_core.metrics.base import (
    BESIDE,
    DRAWN_BESIDE,
    GATES,
    NEEDS,
    SIDE_TITLES,
    SIDES,
    Curves,
    Metric,
    MetricGroup,
    Subject,
    by_name,
)
from ecgxai_core.metrics.summary import summarise
from ecgxai_core.types import Map, Score, array_digest

__all__ = [
    "BESIDE",
    "DRAWN_BESIDE",
    "GATES",
    "GROUPS",
    "METRICS",
    "NEEDS",
    "SIDE_TITLES",
    "Evaluation",
    "Metric",
    "MetricGroup",
    "Subject",
    "evaluate",
    "score_columns",
    "summarise",
]

GROUPS: Mapping[str, MetricGroup] = {
    group.name: group
    for group in (
        plausibility.GROUP,
        faithfulness.GROUP,
        removal.GROUP,
        road.GROUP,
        stability.GROUP,
        robustness.GROUP,
        sanity.GROUP,
        complexity.GROUP,
        published.GROUP,
    )
}
"""Every group of metrics by its name, in the order of the tables."""

METRICS: Mapping[str, Metric] = by_name(
    replace(metric, cost=metric.cost or group.cost, needs=group.needs)
    for group in GROUPS.values()
    for metric in group.metrics
)
"""Every metric by its name."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores by map and metric, with curves and other facts by map."""

    scores: Mapping[str, Mapping[str, Score]]
    curves: Mapping[str, Curves]
    facts: Mapping[str, Mapping[str, Any]]

    def columns(self, name: str) -> dict[str, Any]:
        """Table columns of one map: facts, then each score beside what it is compared with."""
        return {**self.facts[name], **score_columns(self.scores[name].values())}


def evaluate(subject: Subject) -> Evaluation:
    """Compute every metric whose needs the subject meets.

    Parameters
    ----------
    subject
        Maps of one case, and what there is to evaluate them by.

    Returns
    -------
    For every map the scores of the groups that could be computed; groups that do not apply to a
    map, such as the robustness of a random map, are absent.
    """
    joint, place = _with_references(subject)
    scores: dict[str, dict[str, Score]] = {name: {} for name in joint.maps}
    facts: dict[str, dict[str, Any]] = {name: {} for name in subject.maps}
    curves: dict[str, Curves] = {}
    for group in GROUPS.values():
        if not all(subject.has(need) for need in group.needs):
            continue
        outcome = group.compute(joint)
        curves |= {
            name: _drawn_beside(one, place.get(name, {}), outcome.curves)
            for name, one in outcome.curves.items()
            if name in subject.maps
        }
        for name, found in outcome.scores.items():
            scores[name] |= {score.metric: score for score in found}
        for name, said in outcome.facts.items():
            if name in facts:
                facts[name] |= said
    own = {
        name: {metric: _beside(score, place.get(name, {}), scores) for metric, score in row.items()}
        for name, row in scores.items()
        if name in subject.maps
    }
    return Evaluation(own, curves, facts)


def _with_references(subject: Subject) -> tuple[Subject, dict[str, dict[str, str]]]:
    """The subject with its reference maps among the maps, and under which name each stands.

    Maps that are the same stand there once: several methods on one grid share the signal's energy.
    """
    maps = dict(subject.maps)
    known = {_content(item): name for name, item in reversed(maps.items())}
    place: dict[str, dict[str, str]] = {}
    for name, references in subject.references.items():
        for side, item in references.items():
            key = known.setdefault(_content(item), f"{name}/{side}")
            place.setdefault(name, {})[side] = key
            maps.setdefault(key, item)
    return replace(subject, maps=maps), place


def _content(item: Map) -> tuple[object, ...]:
    return item.leads, array_digest(item.edges_sec, item.weights, item.explored)


def _beside(
    score: Score, place: Mapping[str, str], scores: Mapping[str, Mapping[str, Score]]
) -> Score:
    """The score with those of the reference maps."""
    beside = {
        side: scores[place[side]][score.metric].value
        for side in METRICS[score.metric].beside
        if side in place and score.metric in scores[place[side]]
    }
    return replace(score, beside=beside) if beside else score


def _drawn_beside(one: Curves, place: Mapping[str, str], curves: Mapping[str, Curves]) -> Curves:
    """The curves of a map with those of the reference maps that are drawn with them."""
    found = {side: curves[place[side]] for side in DRAWN_BESIDE if place.get(side) in curves}
    lines = {side: (item.deletion, item.insertion) for side, item in found.items()}
    return replace(one, beside=lines) if lines else one


def score_columns(scores: Iterable[Score]) -> dict[str, float]:
    """Table columns: each score beside the numbers it must be compared with.

    ``attauc_strict`` gives ``attauc_strict``, ``attauc_strict_random``, ``..._empty``,
    ``..._energy`` and so on, in the order of :data:`SIDE_TITLES`; a metric has only the columns of
    its :attr:`Metric.columns`, and those of reference maps only where they were scored.
    """
    columns: dict[str, float] = {}
    for score in scores:
        columns[score.metric] = score.value
        known = METRICS.get(score.metric)
        for side in SIDES if known is None else known.columns:
            if side in SIDES:
                columns[f"{score.metric}_{side}"] = getattr(score, side)
            elif side in score.beside:
                columns[f"{score.metric}_{side}"] = score.beside[side]
    return columns
