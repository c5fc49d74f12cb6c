"""The effect of two fusion parameters on the scores, over one record or many.

Explanations come from the cache; only the fusion and its scores are computed again. ``tau`` changes
what is shown, and a score only under the profile ``reference`` (see :mod:`ecgxai_core.fusion`); the
measure ``shown`` is the share of the map that reaches ``tau``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError, ParameterError
from ecgxai_core.fusion import view
from ecgxai_core.metrics.base import by_lead_group
from ecgxai_core.metrics.faithfulness import faithfulness
from ecgxai_core.metrics.plausibility import plausibility
from ecgxai_core.metrics.stability import stability
from ecgxai_core.params import FusionParams, Profile, choices
from ecgxai_core.pipeline.evaluation import Beats, beats_of, game_of
from ecgxai_core.pipeline.explain import cached_explained, fused_map
from ecgxai_core.pipeline.extra_beat import ExtraBeatTest, cached_extra_beat_test
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.store.cache import Store
from ecgxai_core.types import Attribution, FloatArray, FusedMap, Map, Score

__all__ = ["MEASURES", "SWEPT", "Axis", "Sweep", "cached_case", "default_axis", "sweep"]

SWEPT: tuple[str, ...] = (
    "agg",
    "beta",
    "found",
    "sign_policy",
    "scale",
    "method_weights",
    "tau",
    "tau_mode",
)
"""Fusion parameters that can be swept; ``method_weights`` as the share of one method, of which the
others get equal parts of the rest."""

MEASURES: Mapping[str, str] = {
    "attauc_strict": "AttAUC (strict)",
    "attauc_lenient": "AttAUC (lenient)",
    "precision_strict": "Precision@k (strict)",
    "spearman": "Stability: Spearman",
    "weighted_jaccard": "Stability: weighted Jaccard",
    "deletion_gain": "Deletion gain",
    "shown": "Share of the map shown",
}
"""Measure -> name for people; higher is better for all of them."""

_PLAUSIBLE = ("attauc_strict", "attauc_lenient", "precision_strict")
_STABLE = ("spearman", "weighted_jaccard")
_WEIGHTS = "method_weights"


@dataclass(frozen=True, slots=True)
class Axis:
    """One parameter and the values it takes.

    Values of ``method_weights`` are shares of ``method``, by default of the first that is fused.
    """

    name: str
    values: tuple[Any, ...]
    method: str | None = None

    def applied(
        self, params: FusionParams, value: Any, methods: Sequence[str] = ()
    ) -> FusionParams:
        """The parameters with this one set to a value; ``methods`` are fused, in that order."""
        if self.name != _WEIGHTS:
            return params.updated(**{self.name: value})
        place, rest = self._place(methods), round((1 - value) / (len(methods) - 1), 6)
        weights = [rest] * len(methods)
        weights[place] = value
        return params.updated(method_weights=tuple(weights))

    def value_in(self, params: FusionParams, methods: Sequence[str] = ()) -> Any:
        """The value that parameters have here; ``None`` for weights of which no value gives the
        ratios, such as those of the diagnosis."""
        if self.name != _WEIGHTS:
            return getattr(params, self.name)
        given = params.method_weights
        if given is None or len(given) != len(methods):
            return None
        share: FloatArray = np.array(given, np.float64) / (sum(given) or 1.0)
        others = np.delete(share, self._place(methods))
        return float(share[self._place(methods)]) if np.ptp(others) < 1e-5 else None

    def _place(self, methods: Sequence[str]) -> int:
        if len(methods) < 2:
            raise ParameterError(
                "sweep", _WEIGHTS, "needs at least two methods", "fuse more methods"
            )
        if self.method is not None and self.method not in methods:
            raise ParameterError(
                "sweep", self.method, "is not fused", f"use one of {', '.join(methods)}"
            )
        return 0 if self.method is None else list(methods).index(self.method)


@dataclass(frozen=True, slots=True)
class CachedCase:
    """A case with its cached explanations, and the extra-beat test where the cache has it."""

    case: Case
    attributions: Mapping[str, Attribution]
    beats: Beats
    extra_beat: ExtraBeatTest | None


class Peak(NamedTuple):
    """A grid point: values of the two parameters, and the measure there."""

    x: Any
    y: Any
    value: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """Result of :func:`sweep`.

    ``frame`` has one row per grid point and measure: both parameters (``x``, ``y``), ``measure``,
    ``n`` (records with a value), ``mean`` and ``chance``. ``records`` were used, and ``methods``
    fused.
    """

    x: Axis
    y: Axis
    frame: pd.DataFrame
    records: int
    methods: tuple[str, ...] = ()

    def grid(self, measure: str) -> FloatArray:
        """``float64[y value, x value]``: means; NaN where there are none."""
        rows = self.frame[self.frame["measure"] == measure]
        return rows["mean"].to_numpy(np.float64).reshape(len(self.y.values), len(self.x.values))

    def chance(self, measure: str) -> float:
        """Mean chance level of a measure; NaN where it has none."""
        values = self.frame.loc[self.frame["measure"] == measure, "chance"].dropna()
        return float(values.mean()) if len(values) else float("nan")

    def measures(self) -> tuple[str, ...]:
        """Those that have at least one value."""
        return tuple(name for name in MEASURES if np.isfinite(self.grid(name)).any())

    def peak(self, measure: str) -> Peak:
        """The best grid point; the first where several tie."""
        values = self.grid(measure)
        row, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
        return Peak(self.x.values[column], self.y.values[row], float(values[row, column]))

    def best(self, measure: str, base: FusionParams) -> FusionParams:
        """``base`` with the two parameters of the best grid point."""
        peak = self.peak(measure)
        return self.y.applied(self.x.applied(base, peak.x, self.methods), peak.y, self.methods)


def default_axis(name: str, steps: int = 5, method: str | None = None) -> Axis:
    """All choices of a parameter, or evenly spaced values between its bounds.

    ``tau`` goes from 0 to 0.2, where maps are still seen; ``method`` is whose weight changes.

    Raises
    ------
    ParameterError
        A parameter that cannot be swept.
    """
    if name not in SWEPT:
        raise ParameterError("sweep", name, "cannot be swept", f"use {', '.join(SWEPT)}")
    if options := choices(FusionParams, name):
        return Axis(name, tuple(options))
    top = 0.2 if name == "tau" else 1.0
    return Axis(name, tuple(round(top * i / (steps - 1), 4) for i in range(steps)), method)


def cached_case(
    case: Case, profile: Profile, store: Store, methods: Sequence[str] | None = None
) -> CachedCase | None:
    """A case whose explanations the cache has, or ``None``; nothing is explained here."""
    found = cached_explained(case, profile, store, methods)
    if found is None:
        return None
    try:
        test = cached_extra_beat_test(case, profile, store, methods)
    except ExplanationError:
        test = None  # too few beats for the test: the other measures still stand
    return CachedCase(case, found.attributions, beats_of(case.record), test)


def sweep(
    cases: Sequence[CachedCase],
    x: Axis,
    y: Axis,
    profile: Profile,
    *,
    deletion: bool = False,
    progress: Progress = no_progress,
) -> Sweep:
    """Fuse and evaluate every case at every grid point.

    Parameters
    ----------
    cases, x, y
        At least one case, and two different parameters.
    profile
        All other parameters.
    deletion
        Compute the deletion gain too, which needs forward passes.
    progress
        Called with (done, total, what).

    Raises
    ------
    ParameterError
        No case, one parameter twice, cases with different methods, or weights of fewer than two.
    """
    if not cases:
        raise ParameterError("sweep", "records", "there are none", "explain some records first")
    if x.name == y.name:
        raise ParameterError("sweep", x.name, "is given twice", "choose two parameters")
    methods = tuple(cases[0].attributions)
    if any(tuple(case.attributions) != methods for case in cases):
        raise ParameterError(
            "sweep", "methods", "records were explained by different ones", "use the same for all"
        )
    settings = [
        y.applied(x.applied(profile.fusion, b, methods), a, methods)
        for a, b in product(y.values, x.values)
    ]
    found: list[dict[tuple[int, str], tuple[float, float]]] = []
    for number, case in enumerate(cases):
        progress(number, len(cases), case.case.record.name)
        found.append(_case_scores(case, settings, profile, deletion))
    progress(len(cases), len(cases), "")
    rows = []
    for place, (a, b) in enumerate(product(y.values, x.values)):
        for measure in MEASURES:
            pairs = [scores[place, measure] for scores in found if (place, measure) in scores]
            values = np.array([pair for pair in pairs if np.isfinite(pair[0])], np.float64)
            mean, chance = values.mean(axis=0) if len(values) else (np.nan, np.nan)
            rows.append(
                {x.name: b, y.name: a, "measure": measure}
                | {"n": len(values), "mean": float(mean), "chance": float(chance)}
            )
    return Sweep(x, y, pd.DataFrame(rows), len(cases), methods)


def _case_scores(
    case: CachedCase, settings: Sequence[FusionParams], profile: Profile, deletion: bool
) -> dict[tuple[int, str], tuple[float, float]]:
    """(grid point, measure) -> value and chance level, of one record."""
    scores: dict[tuple[int, str], tuple[float, float]] = {}
    maps: dict[str, Map] = {}
    for place, params in enumerate(settings):
        chosen = profile.updated(fusion=params)
        fused = fused_map(case.attributions, chosen)
        maps[str(place)] = fused
        for score in _evaluated(case, fused, chosen):
            scores[place, score.metric] = score.value, score.random
        scores[place, "shown"] = 1 - view(fused, params).dropped_mass, float("nan")
    if deletion:
        for place, value in _gains(case, maps, profile):
            scores[place, "deletion_gain"] = value, 0.0
    return scores


def _evaluated(case: CachedCase, fused: FusedMap, profile: Profile) -> Iterator[Score]:
    diagnosis = case.case.diagnosis
    beats = case.beats
    for score in plausibility(fused, diagnosis, beats.seconds, beats.rate, profile.evaluation):
        if score.metric in _PLAUSIBLE:
            yield score
    if case.extra_beat is None:
        return
    again = {name: case.extra_beat.changed[name] for name in case.attributions}
    changed = fused_map(cast("dict[str, Attribution]", again), profile)
    time_map = case.extra_beat.augmented.time_map
    for score in stability(fused, changed, beats.seconds, time_map, profile.stability):
        if score.metric in _STABLE:
            yield score


def _gains(
    case: CachedCase, maps: Mapping[str, Map], profile: Profile
) -> Iterator[tuple[int, float]]:
    """Deletion gain of every map; all maps share the random orders."""
    (group,) = by_lead_group(maps)  # all are fused from the same attributions
    game, whole = game_of(case.case, profile.explain.updated(lead_group=group))
    for place, found in faithfulness(maps, game, whole, profile.evaluation).items():
        gain = next(score for score in found.scores if score.metric == "deletion_gain")
        yield int(place), gain.value
