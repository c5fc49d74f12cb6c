"""How far a map can be trusted: plausibility, faithfulness, stability; rankings and summaries.

One verb a module, named like it (``plausibility.plausibility``, ``faithfulness.faithfulness``,
``stability.stability``), each giving :class:`~ecgxai_core.types.Score` values that stand beside
what a random and an empty map reach, and the best possible. ``METRICS`` describes every number by
name: title, direction, category, chance level, when it is undefined.
"""

from ecgxai_core.metrics import faithfulness as _faithfulness
from ecgxai_core.metrics import plausibility as _plausibility
from ecgxai_core.metrics import published as _published
from ecgxai_core.metrics import stability as _stability
from ecgxai_core.metrics.base import Metric, by_name, score_columns
from ecgxai_core.metrics.summary import summarise

__all__ = ["METRICS", "Metric", "score_columns", "summarise"]

METRICS = by_name(
    (
        *_plausibility.METRICS,
        *_faithfulness.METRICS,
        *_stability.METRICS,
        *_published.METRICS,
    )
)
