"""How far a map can be trusted: plausibility, faithfulness, stability, sanity, complexity.

One verb a module, named like it (``plausibility.plausibility``, ``faithfulness.faithfulness``,
``removal.removal``, ``road.road``, ``stability.stability``, ``robustness.robustness``,
``sanity.sanity``, ``complexity.complexity``), each giving :class:`~ecgxai_core.types.Score` values
that stand beside what a random and an empty map reach, and the best possible. ``METRICS``
describes every number by name: title, direction, category, chance level, cost, when it is
undefined. ``references`` makes the maps that know nothing, ``testing`` compares methods.
"""

from collections.abc import Iterable
from dataclasses import replace

from ecgxai_core.metrics import complexity as _complexity
from ecgxai_core.metrics import faithfulness as _faithfulness
from ecgxai_core.metrics import plausibility as _plausibility
from ecgxai_core.metrics import published as _published
from ecgxai_core.metrics import removal as _removal
from ecgxai_core.metrics import road as _road
from ecgxai_core.metrics import robustness as _robustness
from ecgxai_core.metrics import sanity as _sanity
from ecgxai_core.metrics import stability as _stability
from ecgxai_core.metrics.base import SIDES, Metric, by_name
from ecgxai_core.metrics.summary import summarise
from ecgxai_core.types import Score

__all__ = ["METRICS", "Metric", "score_columns", "summarise"]

_COSTS = {
    "plausibility": "none",
    "faithfulness": "n_random (steps - 1) forward passes a record, 4 (steps - 1) a map",
    "stability": "one explanation of the changed record",
}
"""Of metrics that do not say it themselves."""

METRICS = by_name(
    metric if metric.cost else replace(metric, cost=_COSTS[metric.category])
    for metric in (
        *_plausibility.METRICS,
        *_faithfulness.METRICS,
        *_removal.METRICS,
        *_road.METRICS,
        *_stability.METRICS,
        *_robustness.METRICS,
        *_sanity.METRICS,
        *_complexity.METRICS,
        *_published.METRICS,
    )
)


def score_columns(scores: Iterable[Score]) -> dict[str, float]:
    """Table columns: each score beside the numbers it must be judged against.

    ``attauc_strict`` gives ``attauc_strict``, ``attauc_strict_random``, ``..._empty`` and
    ``..._ceiling``; a metric has only the columns of its :attr:`Metric.sides`.
    """
    columns: dict[str, float] = {}
    for score in scores:
        columns[score.metric] = score.value
        known = METRICS.get(score.metric)
        for side in SIDES if known is None else known.sides:
            columns[f"{score.metric}_{side}"] = getattr(score, side)
    return columns
