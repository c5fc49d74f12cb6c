"""Sampled games and their fits, shared by LIME and TimeSHAP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri

from ecgxai_core.explainers.cost import opened_segments
from ecgxai_core.explainers.method import Explanation, Task
from ecgxai_core.games.kernels import log_shapley_kernel, size_mass
from ecgxai_core.games.local.sums import EventGame
from ecgxai_core.games.players import event_keep, lead_keep
from ecgxai_core.games.regression import Fit
from ecgxai_core.games.sampling import Coalitions, paired_coalitions, shared_lead_mass
from ecgxai_core.params import ExplainParams
from ecgxai_core.stopping import check_stop
from ecgxai_core.types import BoolArray, FloatArray, IntArray

__all__ = [
    "Fitter",
    "GameFit",
    "efficiency_gap",
    "ends",
    "event_fit",
    "events_then_leads",
    "keep_strongest_leads",
    "on_grid",
    "opened_events",
    "play",
    "shapley_coalitions",
    "shared_lead_coalitions",
    "strongest",
    "top_set_converged",
]

LOCAL_BUDGET = 4096
"""Coalitions of segments that are looked up in the local engine's table by default."""

R2_SAMPLE = 1024
"""Coalitions on which the additivity of a solved game is measured."""

LOCAL_LIMIT = 2**15
"""Most coalitions from the table where the top set does not converge."""


@dataclass(frozen=True, slots=True)
class GameFit:
    """A fitted game with the values of its full and empty coalition on the link scale."""

    fit: Fit
    coalitions: int
    exact: bool
    full: float
    empty: float

    def converged(self, params: ExplainParams) -> bool:
        """Whether the top set is beyond sampling error."""
        return self.exact or top_set_converged(
            self.fit.values, self.fit.errors, params.converged_top_k, params.converged_level
        )

    def facts(self, params: ExplainParams) -> dict[str, Any]:
        """What diagnostics say of one game."""
        return {
            "coalitions": self.coalitions,
            "exact": self.exact,
            "held_out_r2": self.fit.held_out_r2,
            "efficiency_gap": efficiency_gap(self.fit.values, self.full, self.empty),
            "converged": self.converged(params),
        }


Fitter = Callable[[Coalitions, FloatArray, float, float], Fit]
"""(coalitions, their values, full, empty) -> fit; values on the link scale."""

Exact = Callable[[EventGame], "tuple[FloatArray, float] | None"]
"""Exact weights of segments and their intercept from the event game, or ``None``."""


Keep = Callable[[BoolArray], BoolArray]
"""Coalitions of players ``bool[n, player]`` -> cells that are on, ``bool[n, lead, segment]``."""


def play(task: Task, games: Sequence[tuple[Coalitions, Keep]], fitter: Fitter) -> list[GameFit]:
    """Evaluate the coalitions of all games in one go, then fit each."""
    keep = [on(np.concatenate([ends(own.n_players), own.masks])) for own, on in games]
    values = task.values(np.concatenate(keep))
    fits = []
    for (coalitions, _), found in zip(
        games, np.split(values, np.cumsum([len(part) for part in keep])[:-1]), strict=True
    ):
        check_stop()
        full, empty = float(found[0]), float(found[1])
        fit = fitter(coalitions, found[2:], full, empty)
        fits.append(GameFit(fit, len(coalitions), coalitions.exact, full, empty))
    return fits


def ends(n_players: int) -> BoolArray:
    """``bool[2, player]``: the full and the empty coalition."""
    return np.repeat([[True], [False]], n_players, axis=1)


def _segment_keep(task: Task) -> Keep:
    """Players = segments, all leads together."""
    return lambda masks: event_keep(masks, len(task.leads))


def _lead_keep(task: Task, segment: int) -> Keep:
    """Players = leads inside one segment, the rest intact."""

    def keep(masks: BoolArray) -> BoolArray:
        leads = np.ones((len(masks), len(task.leads)), dtype=np.bool_)
        leads[:, task.model.player_rows] = masks
        return lead_keep(leads, segment, len(task.segmentation))

    return keep


def shared_lead_coalitions(task: Task, segment: int, budget: int) -> Coalitions:
    """Lead-in-event masks that are the same for LIME and TimeSHAP (default scheme).

    Their seed names the segment by its samples and neither the method nor its parameters, so two
    methods explaining one prediction ask for the same masked records and pay for them once. Each
    method corrects its weights for the common size distribution
    (see :func:`ecgxai_core.games.sampling.shared_lead_mass`).
    """
    n_leads = len(task.model.player_rows)
    edges = task.segmentation.edges
    seed = task.seed("lead in event", int(edges[segment]), int(edges[segment + 1]))
    return paired_coalitions(shared_lead_mass(n_leads), budget, np.random.default_rng(seed))


def shapley_coalitions(n_players: int, budget: int, seed: int) -> Coalitions:
    """Paired coalitions with the Shapley kernel's own sizes."""
    mass = size_mass(log_shapley_kernel(n_players))
    return paired_coalitions(mass, budget, np.random.default_rng(seed))


def event_fit(
    task: Task, coalitions: Callable[[int], Coalitions], fitter: Fitter, exact: Exact
) -> GameFit:
    """The event game: in closed form where the model allows it, else sampled until it converges.

    Parameters
    ----------
    coalitions
        Budget -> coalitions of segments.
    fitter, exact
        Fit sampled coalitions; solve the closed form.
    """
    params = task.params
    if params.sampling == "published":
        return play(task, [(coalitions(params.n_coalitions), _segment_keep(task))], fitter)[0]
    local = task.model.is_local(task.segmentation)
    closed = task.model.event_game(task.segmentation, params.link) if local else None
    if closed is not None:
        solved = _solved(closed, coalitions(R2_SAMPLE), fitter, exact)
        if solved is not None:
            return solved
    budget = max(params.n_coalitions, LOCAL_BUDGET if local else 0)
    limit = params.max_coalitions or (LOCAL_LIMIT if local else budget)
    while True:
        (game,) = play(task, [(coalitions(budget), _segment_keep(task))], fitter)
        if game.converged(params) or 2 * budget > limit:
            return game
        budget *= 2


def _solved(closed: EventGame, sample: Coalitions, fitter: Fitter, exact: Exact) -> GameFit | None:
    """The closed form as a fit; ``sample`` serves to say how much of the game is additive."""
    full, empty = (float(value) for value in closed.values(ends(closed.n_players)))
    solved = exact(closed)
    if solved is None:
        return None
    values, intercept = solved
    r2 = fitter(sample, closed.values(sample.masks), full, empty).held_out_r2
    fit = Fit(values, np.zeros(len(values)), intercept, r2)
    return GameFit(fit, 2**closed.n_players, True, full, empty)


def events_then_leads(
    task: Task,
    event: GameFit,
    lead_coalitions: Callable[[int, int], Coalitions],
    fitter: Fitter,
) -> Explanation:
    """A lead-in-event game in each of the strongest segments, after the event game.

    Parameters
    ----------
    event
        The event game.
    lead_coalitions
        (segment, budget) -> coalitions of leads.
    fitter
        Fits a game.
    """
    params = task.params
    opened = strongest(event.fit.values, opened_events(task))
    task.report(1, 2, "event game")
    leads = _lead_games(task, opened, lead_coalitions, fitter)
    task.report(2, 2, "lead-in-event games")
    values = np.stack([game.fit.values for game in leads], axis=1)
    errors = np.stack([game.fit.errors for game in leads], axis=1)
    facts = [game.facts(params) for game in leads]
    return replace(
        on_grid(task, opened, values, errors),
        event_values=event.fit.values,
        event_errors=event.fit.errors,
        diagnostics=_diagnostics(task, event, opened, facts),
    )


def on_grid(task: Task, opened: IntArray, values: FloatArray, errors: FloatArray) -> Explanation:
    """Leads of the opened segments as a map, with standard errors.

    ``values`` and ``errors`` are ``float64[player, opened]``. All but the strongest
    ``params.keep_leads`` leads are marked as not explored.
    """
    cells = np.ix_(task.model.player_rows, opened)
    shape = (len(task.leads), len(task.segmentation))
    weights, spread = np.zeros(shape), np.full(shape, np.nan)
    explored = np.zeros(shape, dtype=np.bool_)
    weights[cells], spread[cells], explored[cells] = values, errors, True
    explored = keep_strongest_leads(weights, explored, task.params.keep_leads)
    return Explanation(weights, explored, np.where(explored, spread, np.nan))


def opened_events(task: Task) -> int:
    """How many segments are explored: as given, or all where that is cheap."""
    local = task.model.is_local(task.segmentation)
    return opened_segments(task.params, len(task.segmentation), local)


def _lead_games(
    task: Task,
    opened: IntArray,
    lead_coalitions: Callable[[int, int], Coalitions],
    fitter: Fitter,
) -> list[GameFit]:
    """The lead-in-event games; those that have not converged are repeated with twice as many."""
    params = task.params
    budget = params.n_lead_coalitions
    if params.sampling == "paired" and params.lead_group == "independent":
        budget = max(budget, 2 ** len(task.model.player_rows))  # all subsets of eight leads
    limit = params.max_lead_coalitions or budget
    done: dict[int, GameFit] = {}
    waiting = [int(segment) for segment in opened]
    while waiting:
        games = [(lead_coalitions(s, budget), _lead_keep(task, s)) for s in waiting]
        done.update(zip(waiting, play(task, games, fitter), strict=True))
        if budget >= limit or params.sampling == "published":
            break
        waiting = [segment for segment in waiting if not done[segment].converged(params)]
        budget = min(2 * budget, limit)
    return [done[int(segment)] for segment in opened]


def _diagnostics(
    task: Task, event: GameFit, opened: IntArray, leads: list[dict[str, Any]]
) -> dict[str, Any]:
    top = event.facts(task.params)
    r2 = [fact["held_out_r2"] for fact in leads if fact["held_out_r2"] is not None]
    return {
        "coalitions": {
            "event": top["coalitions"],
            "lead": sum(fact["coalitions"] for fact in leads),
        },
        "held_out_r2": {
            "event": top["held_out_r2"],
            "lead": float(np.median(r2)) if r2 else None,
        },
        "efficiency_gap": top["efficiency_gap"],
        # The map shows the leads, so they must have converged too.
        "converged": top["converged"] and all(fact["converged"] for fact in leads),
        "events_converged": top["converged"],
        "leads_converged": sum(fact["converged"] for fact in leads),
        "exact": top["exact"] and all(fact["exact"] for fact in leads),
        "explored_events": [int(s) for s in opened],
        "lead_games": [{"segment": int(s), **fact} for s, fact in zip(opened, leads, strict=True)],
    }


def strongest(values: FloatArray, count: int) -> IntArray:
    """The ``count`` players of largest ``|value|``, strongest first; ties by position."""
    order = np.argsort(-np.abs(values), kind="stable")
    return np.asarray(order[:count], dtype=np.int64)


def keep_strongest_leads(weights: FloatArray, explored: BoolArray, count: int) -> BoolArray:
    """Mark leads beyond the ``count`` of largest summed ``|weight|`` as not explored.

    The published programme dropped them; here they are not explored, rather than zero.
    """
    strength = np.where(explored, np.abs(weights), 0.0).sum(axis=1)
    kept = np.zeros(len(weights), dtype=np.bool_)
    kept[strongest(strength, count)] = True
    return explored & kept[:, None]


def top_set_converged(
    values: FloatArray, errors: FloatArray, top_k: int, level: float = 0.95
) -> bool:
    """Whether the set of the ``top_k`` largest ``|value|`` is beyond sampling error.

    True where the lowest lower bound (two-sided, normal, ``level``) inside the set lies above the
    highest upper bound outside it, or where the set is all players.
    """
    if top_k >= len(values):
        return True
    if not np.all(np.isfinite(errors)):
        return False
    order = np.argsort(-np.abs(values), kind="stable")
    size, margin = np.abs(values)[order], float(ndtri((1 + level) / 2)) * errors[order]
    return bool((size - margin)[:top_k].min() > (size + margin)[top_k:].max())


def efficiency_gap(values: FloatArray, full: float, empty: float) -> float | None:
    """|sum of values - (v(N) - v(0))| / |v(N) - v(0)|; ``None`` where the game is worth nothing."""
    worth = full - empty
    if abs(worth) < 1e-12:
        return None
    return float(abs(float(values.sum()) - worth) / abs(worth))
