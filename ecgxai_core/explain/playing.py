"""Playing games and judging their fits: what LIME and TimeSHAP have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgxai_core.explain.method import Explanation, Task
from ecgxai_core.games.kernels import log_shapley_kernel, size_mass
from ecgxai_core.games.links import to_link
from ecgxai_core.games.players import event_keep, lead_keep
from ecgxai_core.games.regression import Fit
from ecgxai_core.games.sampling import Coalitions, paired_coalitions, shared_lead_mass
from ecgxai_core.types import BoolArray, FloatArray, IntArray

__all__ = [
    "Fitter",
    "Game",
    "GameFit",
    "efficiency_gap",
    "event_game",
    "events_then_leads",
    "keep_strongest_leads",
    "play",
    "shapley_coalitions",
    "shared_lead_coalitions",
    "strongest",
    "top_set_converged",
]

Z_95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Game:
    """Coalitions of one game and the cells that each leaves on (``bool[n, lead, segment]``).

    ``ends`` are the cells on in the full and in the empty coalition, ``bool[2, lead, segment]``.
    """

    coalitions: Coalitions
    keep: BoolArray
    ends: BoolArray


@dataclass(frozen=True, slots=True)
class GameFit:
    """A fitted game with the values of its full and empty coalition on the link scale."""

    fit: Fit
    coalitions: int
    exact: bool
    full: float
    empty: float

    def facts(self, top_k: int) -> dict[str, Any]:
        """What diagnostics say of one game."""
        return {
            "coalitions": self.coalitions,
            "exact": self.exact,
            "held_out_r2": self.fit.held_out_r2,
            "efficiency_gap": efficiency_gap(self.fit.values, self.full, self.empty),
            "converged": self.exact or top_set_converged(self.fit.values, self.fit.errors, top_k),
        }


Fitter = Callable[[Coalitions, FloatArray, float, float], Fit]
"""(coalitions, their values, full, empty) -> fit; values on the link scale."""


def play(task: Task, games: Sequence[Game], fitter: Fitter) -> list[GameFit]:
    """Evaluate the coalitions of all games in one go, then fit each."""
    keep = np.concatenate([part for game in games for part in (game.ends, game.keep)])
    probability = task.model.probabilities(keep, task.segmentation)
    values = to_link(probability, task.params.link)
    fits, begin = [], 0
    for game in games:
        full, empty = (float(v) for v in values[begin : begin + 2])
        own = values[begin + 2 : begin + 2 + len(game.keep)]
        begin += 2 + len(game.keep)
        fit = fitter(game.coalitions, own, full, empty)
        fits.append(GameFit(fit, len(game.coalitions), game.coalitions.exact, full, empty))
    return fits


def event_game(task: Task, coalitions: Coalitions) -> Game:
    """Players = segments, all leads together."""
    n_leads = len(task.leads)
    return Game(
        coalitions,
        event_keep(coalitions.masks, n_leads),
        event_keep(_ends(coalitions.n_players), n_leads),
    )


def lead_game(task: Task, coalitions: Coalitions, segment: int) -> Game:
    """Players = leads inside one segment, the rest intact."""
    n_segments = len(task.segmentation)
    return Game(
        coalitions,
        lead_keep(coalitions.masks, segment, n_segments),
        lead_keep(_ends(coalitions.n_players), segment, n_segments),
    )


def _ends(n_players: int) -> BoolArray:
    return np.repeat([[True], [False]], n_players, axis=1)


def shared_lead_coalitions(task: Task, segment: int) -> Coalitions:
    """Lead-in-event masks that are the same for LIME and TimeSHAP (default scheme).

    Their seed names the segment by its samples and neither the method nor its parameters, so two
    methods explaining one prediction ask for the same masked records and pay for them once. Each
    method corrects its weights for the common size distribution
    (see :func:`ecgxai_core.games.sampling.shared_lead_mass`).
    """
    n_leads = len(task.leads)
    edges = task.segmentation.edges
    seed = task.seed("lead in event", int(edges[segment]), int(edges[segment + 1]))
    budget = task.params.n_lead_coalitions
    return paired_coalitions(shared_lead_mass(n_leads), budget, np.random.default_rng(seed))


def shapley_coalitions(n_players: int, budget: int, seed: int) -> Coalitions:
    """Paired coalitions with the Shapley kernel's own sizes."""
    mass = size_mass(log_shapley_kernel(n_players))
    return paired_coalitions(mass, budget, np.random.default_rng(seed))


def events_then_leads(
    task: Task,
    event_coalitions: Coalitions,
    lead_coalitions: Callable[[int], Coalitions],
    fitter: Fitter,
) -> Explanation:
    """The event game, then a lead-in-event game in each of the strongest segments.

    Parameters
    ----------
    event_coalitions
        Coalitions of segments.
    lead_coalitions
        Segment -> coalitions of leads.
    fitter
        Fits a game.
    """
    params = task.params
    (event,) = play(task, [event_game(task, event_coalitions)], fitter)
    opened = strongest(event.fit.values, params.top_events)
    task.report(1, 2, "event game")
    games = [lead_game(task, lead_coalitions(int(s)), int(s)) for s in opened]
    leads = play(task, games, fitter)
    task.report(2, 2, "lead-in-event games")

    shape = (len(task.leads), len(task.segmentation))
    weights, errors = np.zeros(shape), np.full(shape, np.nan)
    explored = np.zeros(shape, dtype=np.bool_)
    for segment, game in zip(opened, leads, strict=True):
        weights[:, segment], errors[:, segment] = game.fit.values, game.fit.errors
        explored[:, segment] = True
    explored = keep_strongest_leads(weights, explored, params.keep_leads)
    facts = [game.facts(params.converged_top_k) for game in leads]
    return Explanation(
        weights=weights,
        explored=explored,
        standard_errors=np.where(explored, errors, np.nan),
        event_values=event.fit.values,
        event_errors=event.fit.errors,
        diagnostics=_diagnostics(task, event, opened, facts),
    )


def _diagnostics(
    task: Task, event: GameFit, opened: IntArray, leads: list[dict[str, Any]]
) -> dict[str, Any]:
    top = event.facts(task.params.converged_top_k)
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
        # The map shows the leads, so they must have settled too.
        "converged": top["converged"] and all(fact["converged"] for fact in leads),
        "exact": top["exact"] and all(fact["exact"] for fact in leads),
        "explored_events": [int(s) for s in opened],
        "lead_games": [{"segment": int(s), **fact} for s, fact in zip(opened, leads, strict=True)],
    }


def strongest(values: FloatArray, count: int) -> IntArray:
    """The ``count`` players of largest ``|value|``, strongest first; ties by position."""
    order = np.argsort(-np.abs(values), kind="stable")
    return np.asarray(order[:count], dtype=np.int64)


def keep_strongest_leads(weights: FloatArray, explored: BoolArray, count: int) -> BoolArray:
    """Leads beyond the ``count`` of largest summed ``|weight|`` are marked as not explored.

    The published programme threw them away; the rest of this program must know that nothing is
    known of them, rather than read zeros.
    """
    strength = np.where(explored, np.abs(weights), 0.0).sum(axis=1)
    kept = np.zeros(len(weights), dtype=np.bool_)
    kept[strongest(strength, count)] = True
    return explored & kept[:, None]


def top_set_converged(values: FloatArray, errors: FloatArray, top_k: int) -> bool:
    """Whether the set of the ``top_k`` largest ``|value|`` is beyond sampling error.

    True where the lowest lower 95 % bound inside the set lies above the highest upper bound outside
    it, or where the set is all players.
    """
    if top_k >= len(values):
        return True
    if not np.all(np.isfinite(errors)):
        return False
    order = np.argsort(-np.abs(values), kind="stable")
    size, margin = np.abs(values)[order], Z_95 * errors[order]
    return bool((size - margin)[:top_k].min() > (size + margin)[top_k:].max())


def efficiency_gap(values: FloatArray, full: float, empty: float) -> float | None:
    """|sum of values - (v(N) - v(0))| / |v(N) - v(0)|; ``None`` where the game is worth nothing."""
    worth = full - empty
    if abs(worth) < 1e-12:
        return None
    return float(abs(float(values.sum()) - worth) / abs(worth))
