"""What a metric declares, what it needs, and what it gives.

A metric module ends with one :class:`MetricGroup`; listed in :data:`ecgxai_core.metrics.GROUPS` it
stands in every table, page and document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ecgxai_core.diagnoses import Diagnosis
from ecgxai_core.games.players import Game
from ecgxai_core.params import EvaluationParams, StabilityParams
from ecgxai_core.types import (
    Float32Array,
    FloatArray,
    Map,
    ModelInput,
    Score,
    Segmentation,
    frozen_array,
)

__all__ = [
    "BESIDE",
    "CURVE_LINES",
    "DRAWN_BESIDE",
    "GATES",
    "NEEDS",
    "SIDES",
    "SIDE_TITLES",
    "Category",
    "Curves",
    "Direction",
    "Metric",
    "MetricGroup",
    "Need",
    "Outcome",
    "Side",
    "Subject",
    "TimeMapping",
    "Trial",
    "by_name",
]

Category = Literal["plausibility", "faithfulness", "stability", "sanity", "complexity"]
Direction = Literal["higher", "lower", "none"]
Side = Literal["random", "empty", "ceiling"]
Need = Literal["map", "truth", "game", "imputation", "extra_beat", "disturbed", "randomised"]

SIDES: tuple[Side, ...] = ("random", "empty", "ceiling")
"""What a score is compared with: fields of :class:`~ecgxai_core.types.Score`."""

BESIDE = ("amplitude", "energy", "lead_shuffled", "time_shifted", "template")
"""Reference maps of a map, made by :func:`ecgxai_core.metrics.references.references_of`; their
scores stand in :attr:`Score.beside <ecgxai_core.types.Score>`."""

DRAWN_BESIDE = ("amplitude", "energy")
"""Those of them whose deletion and insertion curves are kept: the signal alone, whatever the
model."""

CURVE_LINES = ("share", "deletion", "insertion", "random_low", "random_mean", "random_high")
"""Fields of :class:`Curves` that are lines."""

GATES = ("random", "empty", "amplitude", "energy", "lead_shuffled", "time_shifted")
"""A map is called better only where it is better than each of these, paired by record. The template
is none of them: plausibility itself is built from R peaks."""

SIDE_TITLES: Mapping[str, str] = {
    "random": "random map",
    "empty": "empty map",
    "amplitude": "|amplitude|",
    "energy": "squared slope",
    "lead_shuffled": "leads shuffled",
    "time_shifted": "half a beat later",
    "template": "R-peak template",
    "ceiling": "best possible",
}
"""Name for people of everything that a score stands beside, in the order of the tables."""

NEEDS: Mapping[Need, str] = {
    "map": "the map itself",
    "truth": "a known truth (planted evidence, marks of cardiologists)",
    "game": "the model on masked records",
    "imputation": "the model on records with imputed cells",
    "extra_beat": "an explanation of the record with one beat doubled",
    "disturbed": "explanations of the record with noise, a shift and other gains",
    "randomised": "explanations of the model with randomised weights",
}
"""What a metric may need beyond parameters, in words."""


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
        What is evaluated.
    chance
        What a map without knowledge reaches, in words.
    undefined
        When the value is NaN.
    source
        Where the definition comes from.
    cost
        What it takes beyond the map itself, in forward passes or explanations; empty = as its
        group says.
    sides
        Which of :data:`SIDES` its scores are compared with; tables have no columns for the others.
    needs
        What it needs; filled in from its group.
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
    needs: tuple[Need, ...] = ()

    @property
    def beside(self) -> tuple[str, ...]:
        """Which of :data:`BESIDE` are scored too: none for what needs a second explanation."""
        if self.direction == "none" or self.category not in ("plausibility", "faithfulness"):
            return ()
        return BESIDE if self.category == "plausibility" else BESIDE[:-1]

    @property
    def columns(self) -> tuple[str, ...]:
        """Everything that the score stands beside, in the order of :data:`SIDE_TITLES`."""
        return tuple(side for side in SIDE_TITLES if side in (*self.sides, *self.beside))


class TimeMapping(Protocol):
    """The part of :class:`ecgxai_core.signal.extra_beat.TimeMap` that metrics use."""

    def forward(self, t: FloatArray) -> FloatArray:
        """Seconds in the original -> seconds in the changed record; NaN without an image."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A record that was changed and explained again: its kind, new map and map of times."""

    kind: str
    changed: Map
    time_map: TimeMapping


def by_lead_group(maps: Mapping[str, Map]) -> dict[str, dict[str, Map]]:
    """Maps by name, by the lead group that they were made with (``all``, ``independent``)."""
    found: dict[str, dict[str, Map]] = {}
    for name, item in maps.items():
        found.setdefault("independent" if item.independent else "all", {})[name] = item
    return found


@dataclass(frozen=True, slots=True)
class Subject:
    """Maps of one case, and whatever metrics may need to evaluate them.

    Attributes
    ----------
    maps
        By name, for instance ``lime``, ``timeshap`` and ``fused``.
    params, stability
        Parameters.
    diagnosis
        Where evidence is expected; ``None`` = nowhere.
    peaks_sec, heart_rate
        ``float64[beat]``: R peaks, seconds of the record; beats per minute.
    truth
        Where evidence is known to lie: lead -> ``[n, 2]`` seconds.
    games, whole
        The model on coalitions by lead group (each map is evaluated in the game that it was made
        in), and one segment over all that it saw (how seconds become samples).
    predict, model_input
        Value of model inputs ``float32[n, sample, lead]`` -> ``float64[n]``, and the model input.
    changed, time_map
        Maps of the record with an extra beat, by name, and where its moments went.
    trials
        Maps of disturbed records, by name.
    cascade, repeats, shuffled
        By name: (layer, map) with the weights randomised from the output down to that layer, the
        last with all of them; the map of the model itself with another seed; the map of a model
        trained on shuffled labels.
    references
        By name of a map: its reference maps, by the names of :data:`BESIDE`.
    """

    maps: Mapping[str, Map]
    params: EvaluationParams
    stability: StabilityParams = field(default_factory=StabilityParams)
    diagnosis: Diagnosis | None = None
    peaks_sec: FloatArray = field(default_factory=lambda: np.zeros(0))
    heart_rate: float = float("nan")
    truth: Mapping[str, npt.ArrayLike] | None = None
    games: Mapping[str, Game] | None = None
    whole: Segmentation | None = None
    predict: Callable[[Float32Array], FloatArray] | None = None
    model_input: ModelInput | None = None
    changed: Mapping[str, Map] | None = None
    time_map: TimeMapping | None = None
    trials: Mapping[str, Sequence[Trial]] | None = None
    cascade: Mapping[str, Sequence[tuple[str, Map]]] | None = None
    repeats: Mapping[str, Map] = field(default_factory=dict)
    shuffled: Mapping[str, Map] = field(default_factory=dict)
    references: Mapping[str, Mapping[str, Map]] = field(default_factory=dict)

    def played(self) -> list[tuple[dict[str, Map], Game]]:
        """The maps by the game that they were made in."""
        assert self.games is not None
        return [(maps, self.games[group]) for group, maps in by_lead_group(self.maps).items()]

    def has(self, need: Need) -> bool:
        """Whether metrics with this need can be computed."""
        parts: dict[Need, object] = {
            "map": self.maps,
            "truth": self.truth,
            "game": self.games,
            "imputation": self.predict,
            "extra_beat": self.changed,
            "disturbed": self.trials,
            "randomised": self.cascade,
        }
        return parts[need] is not None


@dataclass(frozen=True, slots=True)
class Curves:
    """Deletion and insertion curves at equal shares of the record, ends included, for plots.

    ``share`` ``float64[step + 1]``; ``deletion`` (after removing that share of top cells) and
    ``insertion`` (with only that share shown); ``random_low``, ``random_mean``, ``random_high``:
    5th percentile, mean and 95th percentile of deletion in random order (insertion in random order
    is the same seen from the other end). ``beside``: by the name of a map of the signal alone
    (:data:`DRAWN_BESIDE`), its deletion and insertion.
    """

    share: FloatArray
    deletion: FloatArray
    insertion: FloatArray
    random_low: FloatArray
    random_mean: FloatArray
    random_high: FloatArray
    beside: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in CURVE_LINES:
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a group gives: scores by map, and what else it found out by map.

    ``facts`` are columns that are no scores (texts, flags).
    """

    scores: Mapping[str, Sequence[Score]]
    curves: Mapping[str, Curves] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricGroup:
    """Metrics that are computed together.

    ``name``: registry name, that of the module; ``metrics``: descriptions, in the order of the
    tables; ``needs``: what :attr:`compute` reads of the subject beyond parameters; ``compute``:
    scores of every map that can be evaluated, NaN where undefined; ``cost``: of metrics that do not
    declare it.
    """

    name: str
    metrics: tuple[Metric, ...]
    needs: tuple[Need, ...]
    compute: Callable[[Subject], Outcome]
    cost: str = "none"


def by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """A plain registry; a name given twice is a fault of the program."""
    registry: dict[str, Metric] = {}
    for metric in metrics:
        if metric.name in registry:
            raise ValueError(f"two metrics are called {metric.name}")
        registry[metric.name] = metric
    return registry
