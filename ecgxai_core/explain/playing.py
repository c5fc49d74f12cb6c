"""Playing games and judging their fits: what LIME and TimeSHAP have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from ecgxai_core.explain.method import Explanation, Task
from ecgxai_core.games.events import EventGame
from ecgxai_core.games.kernels import log_shapley_kernel, size_mass
from ecgxai_core.games.links import to_link
from ecgxai_core.games.players import event_keep, lead_keep
from ecgxai_core.games.regression import Fit
from ecgxai_core.games.sampling import Coalitions, paired_coalitions, shared_lead_mass
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import BoolArray, FloatArray, IntArray

__all__ = [
    "Fitter",
    "Game",
    "GameFit",
    "efficiency_gap",
    "event_fit",
    "event_game",
    "events_then_leads",
    "keep_strongest_leads",
    "opened_events",
    "play",
    "shapley_coalitions",
    "shared_lead_coalitions",
    "strongest",
    "top_set_converged",
]

OPENED = 5
"""Segments whose leads are explored where every coalition takes a whole pass."""

LOCAL_BUDGET = 4096
"""Coalitions of segments that are looked up in the local engine's table as a matter of course."""

R2_SAMPLE = 1024
"""Coalitions that say how additive a solved game is."""

LOCAL_LIMIT = 2**15
"""Where sampling from the table ends if the top set will not settle."""


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

    def keep(masks: BoolArray) -> BoolArray:
        leads = np.ones((len(masks), len(task.leads)), dtype=np.bool_)
        leads[:, task.model.player_rows] = masks
        return lead_keep(leads, segment, n_segments)

    return Game(coalitions, keep(coalitions.masks), keep(_ends(coalitions.n_players)))


def _ends(n_players: int) -> BoolArray:
    return np.repeat([[True], [False]], n_players, axis=1)


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
    """The event game: in closed form where the model allows it, else sampled until it settles.

    Parameters
    ----------
    coalitions
        Budget -> coalitions of segments.
    fitter, exact
        Fit sampled coalitions; solve the closed form.
    """
    params = task.params
    if params.sampling == "published":
        return play(task, [event_game(task, coalitions(params.n_coalitions))], fitter)[0]
    local = task.model.is_local(task.segmentation)
    closed = task.model.event_game(task.segmentation, params.link) if local else None
    if closed is not None:
        solved = _solved(closed, coalitions(R2_SAMPLE), fitter, exact)
        if solved is not None:
            return solved
    budget = max(params.n_coalitions, LOCAL_BUDGET if local else 0)
    limit = params.max_coalitions or (LOCAL_LIMIT if local else budget)
    while True:
        (game,) = play(task, [event_game(task, coalitions(budget))], fitter)
        if game.converged(params) or 2 * budget > limit:
            return game
        budget *= 2


def _solved(closed: EventGame, sample: Coalitions, fitter: Fitter, exact: Exact) -> GameFit | None:
    """The closed form as a fit; ``sample`` serves to say how much of the game is additive."""
    ends = closed.values(_ends(closed.n_players))
    full, empty = float(ends[0]), float(ends[1])
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

    shape = (len(task.leads), len(task.segmentation))
    weights, errors = np.zeros(shape), np.full(shape, np.nan)
    explored = np.zeros(shape, dtype=np.bool_)
    rows = task.model.player_rows
    for segment, game in zip(opened, leads, strict=True):
        weights[rows, segment], errors[rows, segment] = game.fit.values, game.fit.errors
        explored[rows, segment] = True
    explored = keep_strongest_leads(weights, explored, params.keep_leads)
    facts = [game.facts(params) for game in leads]
    return Explanation(
        weights=weights,
        explored=explored,
        standard_errors=np.where(explored, errors, np.nan),
        event_values=event.fit.values,
        event_errors=event.fit.errors,
        diagnostics=_diagnostics(task, event, opened, facts),
    )


def opened_events(task: Task) -> int:
    """How many segments are looked into: as asked for, or all where that is cheap."""
    if task.params.top_events is not None:
        return task.params.top_events
    return len(task.segmentation) if task.model.is_local(task.segmentation) else OPENED


def _lead_games(
    task: Task,
    opened: IntArray,
    lead_coalitions: Callable[[int, int], Coalitions],
    fitter: Fitter,
) -> list[GameFit]:
    """The lead-in-event games; those that have not settled are played again with twice as many."""
    params = task.params
    budget = params.n_lead_coalitions
    if params.sampling == "paired" and params.lead_group == "independent":
        budget = max(budget, 2 ** len(task.model.player_rows))  # all subsets of eight leads
    limit = params.max_lead_coalitions or budget
    done: dict[int, GameFit] = {}
    waiting = [int(segment) for segment in opened]
    while waiting:
        games = [lead_game(task, lead_coalitions(s, budget), s) for s in waiting]
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
        # The map shows the leads, so they must have settled too.
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
    """Leads beyond the ``count`` of largest summed ``|weight|`` are marked as not explored.

    The published programme threw them away; the rest of this program must know that nothing is
    known of them, rather than read zeros.
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
