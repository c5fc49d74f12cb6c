"""ROAD: remove and debias (Rong et al., ICML 2022, arXiv 2202.00449), on f and not on the argmax.

Masked cells are replaced by an interpolation of their neighbours, not by a baseline, so that their
removal leaves no edges that a network could use. In Rong's images a pixel becomes the mean of its
neighbours; along time the solution of that system is the straight line, and leads have no
neighbours (their order is a convention), so a removed stretch of a lead becomes the line between
the samples that border it, plus noise. At an end of the record the line is level; a lead that is
removed as a whole becomes its value at 0 mV.

Where a map was made with independent leads, III, aVR, aVL and aVF are not imputed by themselves,
which would make an ECG that cannot exist: they follow what was imputed in I and II.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.games.leads import check_limbs, follow_limbs
from ecgxai_core.metrics.base import Metric, MetricGroup, Outcome, Subject, by_lead_group
from ecgxai_core.metrics.orders import Cells, Removals
from ecgxai_core.params import EvaluationParams
from ecgxai_core.records.leads import DERIVED_LEADS
from ecgxai_core.types import (
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    Map,
    ModelInput,
    Score,
    Segmentation,
    content_seed,
)

__all__ = ["GROUP", "NOISE", "imputed", "road"]

SHARES: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
"""Shares of the record that are removed, most relevant first and least relevant first."""

NOISE = 0.01
"""Standard deviation of the noise over that of the lead.

The published code (``NoisyLinearImputer`` of road_evaluation) adds noise of standard deviation 0.01
to images on a scale of about 1; a lead's own spread stands for that scale here.
"""

_CHUNK = 64  # records imputed and predicted at a time

Predict = Callable[[Float32Array], FloatArray]
"""``float32[n, sample, lead]`` -> ``float64[n]``: the target's probability."""


def road(
    maps: Mapping[str, Map],
    predict: Predict,
    model_input: ModelInput,
    segmentation: Segmentation,
    params: EvaluationParams,
) -> dict[str, tuple[Score, ...]]:
    """ROAD of several maps of one record.

    Parameters
    ----------
    maps
        By name; evaluated on one grid, the union of their edges.
    predict
        Probability of the target for model inputs.
    model_input, segmentation
        What the model sees, and any segmentation of it.
    params
        ``n_random`` (half as many random orders, each read from both ends), ``seed``.

    Returns
    -------
    For every map ``road_morf``, the mean probability over :data:`SHARES` with the most relevant
    cells removed first (lower is better), ``road_lerf``, with the least relevant first (higher is
    better), and ``road_gap``, the second minus the first: 0 for a random order. With independent
    leads (one such map, and all are evaluated so) all NaN if the limb leads, as the
    model sees them, do not obey Einthoven's law.
    """
    follow = any(item.independent for item in maps.values())
    if follow and not _obeys(model_input):
        names = ("road_morf", "road_lerf", "road_gap")
        return {name: tuple(Score(metric, float("nan")) for metric in names) for name in maps}
    leads = model_input.leads
    players = np.array(
        [row for row, lead in enumerate(leads) if not (follow and lead in DERIVED_LEADS)], np.int64
    )
    plan = Removals(Cells.of(maps, leads, segmentation, params, "road", players))
    cells = plan.cells
    random = [_places(plan, [order]) for order in cells.random[: max(1, params.n_random // 2)]]
    asked = {name: _places(plan, cells.falling(cells.density(item))) for name, item in maps.items()}
    noise = _noise(model_input, np.random.default_rng(content_seed("road", cells.seed)))
    removed = ~plan.keep()
    parts = []
    for begin in range(0, len(removed), _CHUNK):
        records = imputed(model_input, cells.grid, removed[begin : begin + _CHUNK], noise)
        if follow:
            records = follow_limbs(records, model_input.values, leads)
        parts.append(predict(records))
    probability = np.concatenate(parts)
    chance = float(np.mean([_means(probability, both) for both in random]))
    found: dict[str, tuple[Score, ...]] = {}
    for name, both in asked.items():
        most, least = _means(probability, both)
        found[name] = (
            Score("road_morf", most, chance, chance),
            Score("road_lerf", least, chance, chance),
            Score("road_gap", least - most, 0.0, 0.0),
        )
    return found


def _obeys(model_input: ModelInput) -> bool:
    """Whether III, aVR, aVL and aVF can follow I and II in what the model sees."""
    try:
        check_limbs(model_input)
    except ExplanationError:
        return False
    return True


_Places = tuple[list[list[int]], list[list[int]]]
"""Places in the results, by share and order: most relevant removed first, and least relevant."""


def _places(plan: Removals, orders: Sequence[IntArray]) -> _Places:
    turned = [order[::-1] for order in orders]
    return [plan.top(orders, s) for s in SHARES], [plan.top(turned, s) for s in SHARES]


def _means(probability: FloatArray, both: _Places) -> tuple[float, float]:
    """Mean probability with the most, and with the least relevant cells removed first.

    Sorted, so that where both ask for the same records they are equal to the last bit.
    """
    most, least = (np.sort(probability[places], axis=None).mean() for places in both)
    return float(most), float(least)


def imputed(
    model_input: ModelInput, grid: Segmentation, removed: BoolArray, noise: FloatArray
) -> Float32Array:
    """Records with removed cells replaced by noisy lines.

    ``removed`` ``bool[n, lead, segment]`` on ``grid``, leads in the order of the model input;
    ``noise`` ``float64[sample, lead]`` is added where something was removed.

    Returns
    -------
    ``float32[n, sample, lead]``.
    """
    values = model_input.values
    first, stop = int(grid.edges[0]), int(grid.edges[-1])
    out = np.repeat(values[None], len(removed), axis=0)
    gone = np.repeat(removed, np.diff(grid.edges), axis=2)
    time = np.arange(stop - first)
    for row, leads in enumerate(gone):
        for lead in np.flatnonzero(leads.any(axis=1)):
            hole = leads[lead]
            part = values[first:stop, lead].astype(np.float64)
            if hole.all():
                line = np.full(len(part), float(model_input.zero[lead]))
            else:
                line = np.interp(time, time[~hole], part[~hole])
            filled = line + noise[first:stop, lead]
            out[row, first:stop, lead] = np.where(hole, filled, part)
    return out


def _noise(model_input: ModelInput, rng: np.random.Generator) -> FloatArray:
    first, stop = model_input.valid
    spread = model_input.values[first:stop].std(axis=0, dtype=np.float64)
    return np.asarray(NOISE * spread * rng.standard_normal(model_input.values.shape))


_SOURCE = "Rong et al. 2022 (ROAD), arXiv 2202.00449"
_UNDEFINED = "independent leads, and limb leads that do not obey Einthoven's law"
_COST = (
    "6 n_random forward passes per record, 12 per map (24 with ties); not shared with other metrics"
)

_METRICS = (
    Metric(
        "road_morf", "ROAD, most relevant first", "lower", "faithfulness",
        "mean of the random orders", _UNDEFINED, _SOURCE, _COST,
    ),
    Metric(
        "road_lerf", "ROAD, least relevant first", "higher", "faithfulness",
        "mean of the random orders", _UNDEFINED, _SOURCE, _COST,
    ),
    Metric(
        "road_gap", "ROAD, least minus most", "higher", "faithfulness", "0", _UNDEFINED, _SOURCE,
        _COST,
    ),
)  # fmt: skip


def _of(subject: Subject) -> Outcome:
    assert subject.predict is not None
    assert subject.model_input is not None
    assert subject.whole is not None
    found: dict[str, tuple[Score, ...]] = {}
    for maps in by_lead_group(subject.maps).values():
        found |= road(maps, subject.predict, subject.model_input, subject.whole, subject.params)
    return Outcome(found)


GROUP = MetricGroup("road", _METRICS, ("imputation",), _of)
