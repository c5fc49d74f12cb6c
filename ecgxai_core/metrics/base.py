"""How a metric describes itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ecgxai_core.types import Attribution, FusedMap

__all__ = ["SIDES", "Category", "Direction", "Map", "Metric", "Side", "by_name"]

Map = Attribution | FusedMap
"""What a metric judges: anything with ``leads``, ``edges_sec``, ``weights`` and ``density()``."""

Category = Literal["plausibility", "faithfulness", "stability", "sanity", "complexity"]
Direction = Literal["higher", "lower", "none"]
Side = Literal["random", "empty", "ceiling"]

SIDES: tuple[Side, ...] = ("random", "empty", "ceiling")
"""What a score may stand beside: fields of :class:`~ecgxai_core.types.Score`."""


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
    sides
        Which of :data:`SIDES` its scores stand beside; tables have no columns for the others.
    """

    name: str
    title: str
    direction: Direction
    category: Category
    chance: str
    undefined: str
    source: str = ""
    cost: str = ""
    sides: tuple[Side, ...] = ("random", "empty")


def by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """A plain registry; a name given twice is a fault of the program."""
    registry: dict[str, Metric] = {}
    for metric in metrics:
        if metric.name in registry:
            raise ValueError(f"two metrics are called {metric.name}")
        registry[metric.name] = metric
    return registry
