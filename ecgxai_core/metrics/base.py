"""How a metric describes itself, and how scores become columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ecgxai_core.types import Attribution, FusedMap, Score

__all__ = ["Category", "Direction", "Map", "Metric", "by_name", "score_columns"]

Map = Attribution | FusedMap
"""What a metric judges: anything with ``leads``, ``edges_sec``, ``weights`` and ``density()``."""

Category = Literal["plausibility", "faithfulness", "stability", "sanity", "complexity"]
Direction = Literal["higher", "lower", "none"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number means, for tables, plots and help.

    Attributes
    ----------
    name, title
        Name in :class:`~ecgxai_core.types.Score` and tables; short title for people.
    direction
        Which way is better; ``"none"`` where neither is.
    category
        What is judged.
    chance
        What a map without knowledge reaches, in words.
    undefined
        When the value is NaN.
    source
        Where the definition comes from.
    cost
        What it takes beyond the map itself, in forward passes or explanations; empty = what is
        usual in its category.
    """

    name: str
    title: str
    direction: Direction
    category: Category
    chance: str
    undefined: str
    source: str = ""
    cost: str = ""


def by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """A plain registry; a name given twice is a fault of the program."""
    registry: dict[str, Metric] = {}
    for metric in metrics:
        if metric.name in registry:
            raise ValueError(f"two metrics are called {metric.name}")
        registry[metric.name] = metric
    return registry


def score_columns(scores: Iterable[Score]) -> dict[str, float]:
    """Table columns: each score beside the numbers it must be judged against.

    ``attauc_strict`` gives ``attauc_strict``, ``attauc_strict_random``, ``..._empty`` and
    ``..._ceiling``; what a metric does not have is NaN.
    """
    columns: dict[str, float] = {}
    for score in scores:
        columns[score.metric] = score.value
        for side in ("random", "empty", "ceiling"):
            columns[f"{score.metric}_{side}"] = getattr(score, side)
    return columns
