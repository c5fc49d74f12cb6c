"""TimeSHAP: Shapley values of segments, of leads inside segments, and of cells.

Bento et al., KDD 2021, on KernelSHAP (Lundberg & Lee, NeurIPS 2017). Unlike there, time is not
pruned: an ECG classifier has no recency order.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ecgxai_core.errors import ExplanationError
from ecgxai_core.explainers.cost import (
    OPENED,
    Cost,
    Size,
    event_passes,
    games_cost,
    lead_passes,
)
from ecgxai_core.explainers.hierarchical import explain_hierarchy
from ecgxai_core.explainers.method import Explanation, Method, Task
from ecgxai_core.explainers.sampled_games import (
    Fitter,
    GameFit,
    event_fit,
    events_then_leads,
    keep_strongest_leads,
    play,
    shapley_coalitions,
    shared_lead_coalitions,
    strongest,
)
from ecgxai_core.games.designs import SHIPPED_ROWS
from ecgxai_core.games.kernels import log_binomial, log_shapley_kernel
from ecgxai_core.games.local.hierarchy import CORNERS
from ecgxai_core.games.local.sums import EventGame
from ecgxai_core.games.players import cell_keep, cell_players
from ecgxai_core.games.regression import Fit, fit_ridge, fit_shapley
from ecgxai_core.games.sampling import Coalitions, published_shapley_coalitions
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import FloatArray

__all__ = ["TIMESHAP", "published_shapley_weights", "shapley_weights"]

PUBLISHED_ANCHOR = 1000.0
"""Weight of the full and the empty coalition in the published regression."""


EIGHT, USUAL_ERROR, FEWEST_ROWS = 8, 0.05, 31
USUAL_ROWS = {False: 95, True: 319}
"""Rows of the local design where maps of waves have an error of :data:`USUAL_ERROR`, for up to
:data:`EIGHT` leads and for more (``tests/benchmarks/bench_windows.py``); the error falls about as
one over the rows."""

LAYER_BY_LAYER = 0.6
"""Recomputed operations over those of whole passes, in the same benchmark."""


def shapley_weights(coalitions: Coalitions) -> FloatArray:
    """``float64[n]``: Shapley kernel over sampling rate, mean 1 (the constraints have weight 0)."""
    log_weight = log_shapley_kernel(coalitions.n_players)[coalitions.sizes] - coalitions.log_rate
    top = log_weight.max()
    if not np.isfinite(top):
        return np.zeros(len(coalitions))
    weights = np.exp(log_weight - top)
    return np.asarray(weights / weights.mean())


def published_shapley_weights(coalitions: Coalitions) -> FloatArray:
    """``float64[n]``: (n - 1) / (C (n - C)) for C players on, 1000 for the full and empty one.

    Equally many masks of each size stand for all masks of that size, so the binomial of the
    Shapley kernel drops out.
    """
    n_players = coalitions.n_players
    sizes = coalitions.sizes
    weights = np.full(len(sizes), PUBLISHED_ANCHOR)
    inner = (sizes > 0) & (sizes < n_players)
    log_weight = log_shapley_kernel(n_players) + log_binomial(n_players, np.arange(n_players + 1))
    weights[inner] = np.exp(log_weight[sizes[inner]])
    return weights


def explain_timeshap(task: Task) -> Explanation:
    """Shapley values of segments and of their leads, or of cells, as ``level`` says."""
    params = task.params
    levels = {"cell": _cells, "lead_in_event": _leads_in_events}
    preview = task.preview

    def named(found: Explanation) -> Explanation:
        facts = {**found.diagnostics, "level": params.level, "lead_priors": None}
        return replace(found, diagnostics=facts)

    if preview is not None:
        task = replace(task, preview=lambda found: preview(named(found)))
    return named(levels.get(params.level, explain_hierarchy)(task))


def _leads_in_events(task: Task) -> Explanation:
    def leads_of(segment: int, budget: int) -> Coalitions:
        if task.params.sampling == "paired":
            return shared_lead_coalitions(task, segment, budget)
        return _coalitions(task, len(task.model.player_rows), budget, segment)

    return events_then_leads(task, _events(task), leads_of, _fitter(task))


def _events(task: Task) -> GameFit:
    def coalitions_of(budget: int) -> Coalitions:
        return _coalitions(task, len(task.segmentation), budget, "event")

    return event_fit(task, coalitions_of, _fitter(task), exact_shapley)


def exact_shapley(game: EventGame) -> tuple[FloatArray, float] | None:
    """Shapley values of the event game and the value of its empty coalition, without sampling."""
    values = game.shapley()
    if values is None:
        return None
    nothing = np.zeros((1, game.n_players), dtype=np.bool_)
    return values, float(game.values(nothing)[0])


def _cells(task: Task) -> Explanation:
    """One game over the cells of the strongest segments; every other segment is one player.

    Its budget is that of the lead-in-event games which it replaces. With ``top_events`` at least
    the number of segments, every cell is a player.
    """
    params = task.params
    if params.lead_group == "independent":
        raise ExplanationError(
            task.record.name, "level", "cells have no independent leads", "use level=lead_in_event"
        )
    event = _events(task)
    task.report(1, 2, "event game")
    n_leads, n_segments = len(task.leads), len(task.segmentation)
    opened = strongest(event.fit.values, params.top_events or OPENED)
    player = cell_players(n_leads, n_segments, np.sort(opened))
    coalitions = _coalitions(
        task, int(player.max()) + 1, len(opened) * params.n_lead_coalitions, "cells"
    )
    (cell,) = play(task, [(coalitions, lambda on: cell_keep(on, player))], _fitter(task))
    task.report(2, 2, "cell game")

    explored = np.zeros((n_leads, n_segments), dtype=np.bool_)
    explored[:, opened] = True
    weights, errors = cell.fit.values[player], cell.fit.errors[player]
    explored = keep_strongest_leads(weights, explored, params.keep_leads)
    top, facts = event.facts(params), cell.facts(params)
    return Explanation(
        weights=weights,
        explored=explored,
        standard_errors=np.where(explored, errors, np.nan),
        event_values=event.fit.values,
        event_errors=event.fit.errors,
        diagnostics={
            "coalitions": {"event": top["coalitions"], "cell": facts["coalitions"]},
            "held_out_r2": {"event": top["held_out_r2"], "cell": facts["held_out_r2"]},
            "efficiency_gap": facts["efficiency_gap"],
            "converged": facts["converged"],
            "exact": top["exact"] and facts["exact"],
            "explored_events": [int(s) for s in opened],
            "cell_game": {"players": coalitions.n_players, **facts},
        },
    )


def _coalitions(task: Task, n_players: int, budget: int, purpose: str | int) -> Coalitions:
    seed = task.seed("timeshap", purpose)
    if task.params.sampling == "published":
        return published_shapley_coalitions(n_players, budget, np.random.default_rng(seed))
    return shapley_coalitions(n_players, budget, seed)


def _fitter(task: Task) -> Fitter:
    ridge = task.params.ridge_timeshap

    def published(coalitions: Coalitions, values: FloatArray, full: float, empty: float) -> Fit:
        del full, empty  # anchored by their weight
        return fit_ridge(coalitions, values, published_shapley_weights(coalitions), ridge)

    def constrained(coalitions: Coalitions, values: FloatArray, full: float, empty: float) -> Fit:
        weights = shapley_weights(coalitions)
        return fit_shapley(coalitions, values, weights, empty=empty, full=full, ridge=ridge)

    return published if task.params.sampling == "published" else constrained


def _cost(params: ExplainParams, size: Size) -> Cost:
    """As LIME's games; cells are played with whole passes. Hierarchies of a local network take the
    table and passes for every ``span``-th segment until they converge (:data:`USUAL_ROWS`); all
    others the games of the strongest segments.
    """
    if params.level == "lead_in_event":
        return games_cost(params, size)
    if params.level != "cell" and size.piece is not None:
        limit = params.max_lead_coalitions or CORNERS * SHIPPED_ROWS
        rows = USUAL_ROWS[size.players > EIGHT] * USUAL_ERROR / params.target_error
        usual = LAYER_BY_LAYER * CORNERS * max(FEWEST_ROWS, rows)
        most = min(limit, usual, 2 ** (size.players + size.span))
        return {"": 2.0**size.span, "max_lead_coalitions": float(size.span * most)}
    if params.level != "cell":
        return {**event_passes(params, size), **lead_passes(params, size)}
    opened = min(size.segments, params.top_events or OPENED)
    return {**event_passes(params, size), "n_lead_coalitions": opened * params.n_lead_coalitions}


TIMESHAP = Method(
    name="timeshap",
    title="TimeSHAP",
    family="perturbation",
    signed=True,
    uses=(
        "segments", "window_sec", "baseline", "link", "engine", "lead_group", "n_coalitions",
        "max_coalitions",
        "n_lead_coalitions", "max_lead_coalitions", "top_events", "level", "target_error",
        "ridge_timeshap", "sampling", "keep_leads", "converged_top_k", "converged_level", "seed",
    ),
    description="Shapley values: fair shares of what the record adds to the baseline's value",
    run=explain_timeshap,
    cost=_cost,
    gap="efficiency_gap",
)  # fmt: skip
