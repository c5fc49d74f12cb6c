"""Maps that add up: hierarchical Shapley values of leads in segments (and in beats).

``level=owen``: segments > leads. The cells of a segment add up to the Shapley value that the
segment has in the event game, the map to v(record) - v(baseline). ``level=winter``: beats > waves >
leads; the waves of a beat add up to what the beat has in the game of beats.

On the logit of a network that is local until an average and one dense layer, the columns are exact
and the leads follow from every quad or from a chosen design
(:mod:`ecgxai_core.games.local.hierarchy`). Everything else is played coalition by coalition, within
a budget (:mod:`ecgxai_core.games.unions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ecgxai_core.explainers.method import Explanation, Task
from ecgxai_core.explainers.sampled_games import ends, on_grid, opened_events, strongest
from ecgxai_core.games.gaussian import Posterior, error_bound, posterior
from ecgxai_core.games.local.hierarchy import LocalMap
from ecgxai_core.games.masked import LinearGame
from ecgxai_core.games.unions import UnionGame, beats_of, event_union_game, lead_union_game
from ecgxai_core.types import FloatArray, IntArray

__all__ = ["converged", "explain_hierarchy", "relative_error"]

LEAST_ERROR = 0.02
"""Largest error on the link that is negligible, however small the map is."""

STAGES = (31, 63, 95, 127, 159, 191, 223, 255, 319, 383)
"""Rows of the local design after which the error is checked; with the first row near powers of two,
where designs are best balanced."""

FIRST_SHOWN = 15
"""Rows after which the first map is shown where somebody looks; convergence is not checked there.
On a record of 82 waves it is 21 % off (its own limit: 34 %), at under two thirds of the work of the
first stage."""

LOCAL_EVENTS = 1024
"""Most coalitions of an event game that are put together from the local engine's table."""

LOCAL_LEADS = 1024
"""Most coalitions of leads a segment that are put together from pieces."""


def explain_hierarchy(task: Task) -> Explanation:
    """Owen or Winter values, as ``task.params.level`` says."""
    linear = task.model.linear_game(task.segmentation, task.params.link)
    return _sampled(task) if linear is None else _local(task, linear)


def relative_error(variances: FloatArray, values: FloatArray) -> float:
    """Upper limit (95 %) of the error of a map over the map's own norm.

    Infinite for a map of zeros that is not exact.
    """
    bound, size = error_bound(variances), float(np.linalg.norm(values))
    if bound == 0.0:
        return 0.0
    return bound / size if size > 0.0 else float("inf")


def converged(variances: FloatArray, values: FloatArray, most: float) -> bool:
    """Whether an error is small relative to the map, or negligible on the link."""
    return relative_error(variances, values) <= most or error_bound(variances) <= LEAST_ERROR


def _groups(task: Task) -> IntArray | None:
    """The beat of each segment for ``level=winter``; ``None`` for ``level=owen``."""
    return beats_of(task.segmentation) if task.params.level == "winter" else None


class _Columns(NamedTuple):
    """Values of segments and their variances, ``float64[segment]``, and what they took.

    ``ends`` are the values of the full and of the empty coalition.
    """

    values: FloatArray
    variances: FloatArray
    coalitions: int
    exact: bool
    ends: tuple[float, float]


class _Leads(NamedTuple):
    """Values of leads in the opened segments and standard errors, ``float64[player, opened]``."""

    opened: IntArray
    values: FloatArray
    errors: FloatArray
    coalitions: int
    exact: bool


def _explanation(
    task: Task, columns: _Columns, leads: _Leads, own_scale: bool = False
) -> Explanation:
    """``own_scale``: values are on the logit itself, where nothing is clipped."""
    variances, most = leads.errors**2, task.params.target_error
    error = relative_error(variances, leads.values)
    worth = columns.ends[0] - columns.ends[1]
    return replace(
        on_grid(task, leads.opened, leads.values, leads.errors),
        event_values=columns.values,
        event_errors=np.sqrt(columns.variances),
        worth=worth if own_scale else None,
        diagnostics={
            "relative_error": error if np.isfinite(error) else None,
            "converged": converged(variances, leads.values, most),
            "exact": columns.exact and leads.exact,
            "coalitions": {"event": columns.coalitions, "lead": leads.coalitions},
            "held_out_r2": {"event": None, "lead": None},
            "efficiency_gap": abs(float(columns.values.sum()) - worth) / max(abs(worth), 1e-12),
            "events_converged": converged(columns.variances, columns.values, most),
            "explored_events": [int(s) for s in leads.opened],
            **({"unclipped": True} if own_scale else {}),
        },
    )


def _local(task: Task, linear: LinearGame) -> Explanation:
    """Exact columns; rows of the design are added until the map has converged."""
    limit = linear.limit(task.params.max_lead_coalitions)
    groups, target = _groups(task), task.params.target_error
    wanted, said = limit, "leads"

    def mapped(rows: int) -> LocalMap:
        more = wanted - rows  # beside the rows of all leads together, which are known
        return linear.map(
            rows, groups, lambda done, of: task.report(done, max(of, of + more), said)
        )

    if task.preview is not None and min(limit, STAGES[0]) > FIRST_SHOWN:
        task.show(_of_design(task, linear, mapped(FIRST_SHOWN)))
    for rows in [*(stage for stage in STAGES if stage < limit), limit]:
        found = mapped(rows)
        if rows == limit or converged(found.errors**2, found.values, target):
            break
        error = relative_error(found.errors**2, found.values)
        wanted, said = _rows_wanted(rows, limit, error / target), f"leads, {error:.0%} error so far"
        if task.preview is not None:
            task.show(_of_design(task, linear, found))
    return _of_design(task, linear, found)


def _rows_wanted(rows: int, limit: int, excess: float) -> int:
    """Rows after which the map will about have converged: its error falls as one over them."""
    return int(min(limit, np.ceil(rows * min(excess, limit))))


def _of_design(task: Task, linear: LinearGame, found: LocalMap) -> Explanation:
    n_segments = len(task.segmentation)
    ends = linear.worth, 0.0
    columns = _Columns(found.columns, np.zeros(n_segments), 2**n_segments, True, ends)
    passes = linear.evaluations(found.rows)
    leads = _Leads(np.arange(n_segments), found.values, found.errors, passes, found.exact)
    return _explanation(task, columns, leads, own_scale=True)


def _sampled(task: Task) -> Explanation:
    """Any model: columns, then the leads of the strongest segments, each game within its budget."""
    params, groups = task.params, _groups(task)
    columns = _columns(task, groups)
    task.report(1, 2, "segments")
    opened = strongest(columns.values, opened_events(task))
    games = [_lead_game(task, int(segment), groups) for segment in opened]
    budget, limit = params.n_lead_coalitions, params.max_lead_coalitions
    if limit is None:
        local = task.model.is_local(task.segmentation)
        limit = max(budget, LOCAL_LEADS if local else 0)
    while True:
        fits = [
            fit.summing_to(float(columns.values[s]), float(columns.variances[s]))
            for fit, s in zip(_played(task, games, budget), opened, strict=True)
        ]
        values = np.stack([fit.values for fit in fits]).T
        errors = np.stack([fit.errors for fit in fits]).T
        used = [min(game.complete, budget // game.corners) for game in games]
        coalitions = sum(count * game.corners for count, game in zip(used, games, strict=True))
        exact = used == [game.complete for game in games]
        leads = _Leads(opened, values, errors, coalitions, exact)
        if exact or 2 * budget > limit or converged(errors**2, values, params.target_error):
            break
        if task.preview is not None:
            task.show(_explanation(task, columns, leads))
        budget *= 2
    task.report(2, 2, "leads")
    return _explanation(task, columns, leads)


def _columns(task: Task, groups: IntArray | None) -> _Columns:
    """Shapley values of segments, or of beats and then of their waves."""
    n_leads, n_segments = len(task.leads), len(task.segmentation)
    if groups is None:
        closed = task.model.event_game(task.segmentation, task.params.link)
        values = None if closed is None else closed.shapley()
        if closed is not None and values is not None:
            full, empty = (float(value) for value in closed.values(ends(n_segments)))
            return _Columns(values, np.zeros(n_segments), 2**n_segments, True, (full, empty))
    parts = [np.array([s]) for s in range(n_segments)]
    beats = parts if groups is None else [np.flatnonzero(groups == g) for g in np.unique(groups)]
    top = event_union_game(beats, [], n_leads)
    fit, known, count = _event_fit(task, top)
    exact = count >= top.complete * top.corners
    if len(beats) == n_segments:
        return _Columns(fit.values, fit.errors**2, count, exact, known)
    values, variances = np.zeros(n_segments), np.zeros(n_segments)
    for place, beat in enumerate(beats):
        others = [other for other in beats if other is not beat]
        game = event_union_game([parts[s] for s in beat], others, n_leads)
        budget = max(2 * game.corners, task.params.n_coalitions // len(beats))
        (own,) = _played(task, [game], budget)
        own = own.summing_to(float(fit.values[place]), float(fit.covariance[place, place]))
        values[beat], variances[beat] = own.values, own.errors**2
        used = min(game.complete, budget // game.corners)
        count += used * game.corners
        exact = exact and used == game.complete
    return _Columns(values, variances, count, exact, known)


def _event_fit(task: Task, game: UnionGame) -> tuple[Posterior, tuple[float, float], int]:
    """The plain game of segments or beats, its ends, and the coalitions that it took."""
    params = task.params
    local = task.model.is_local(task.segmentation)
    budget = max(params.n_coalitions, LOCAL_EVENTS if local else 0)
    limit = params.max_coalitions or budget
    full, empty, *_ = (float(value) for value in task.values(game.keep(game.design(1))))
    while True:
        (fit,) = _played(task, [game], budget)
        fit = fit.summing_to(full - empty)
        used = min(budget, game.complete * game.corners)
        settled = converged(fit.errors**2, fit.values, params.target_error)
        if settled or used < budget or 2 * budget > limit:
            return fit, (full, empty), used
        budget *= 2


def _lead_game(task: Task, segment: int, groups: IntArray | None) -> UnionGame:
    n_segments = len(task.segmentation)
    others = [np.array([s]) for s in range(n_segments) if s != segment]
    orders = [others]
    if groups is not None:
        own = groups[segment]
        orders = [
            [one for one in others if groups[one[0]] == own],
            [np.flatnonzero(groups == g) for g in np.unique(groups) if g != own],
        ]
    return lead_union_game(segment, task.model.player_rows, len(task.leads), orders)


def _played(task: Task, games: Sequence[UnionGame], budget: int) -> list[Posterior]:
    designs = [game.design(max(1, budget // game.corners)) for game in games]
    keep = [game.keep(rows) for game, rows in zip(games, designs, strict=True)]
    values = task.values(np.concatenate(keep))
    parts = np.split(values, np.cumsum([len(part) for part in keep])[:-1])
    return [
        posterior(rows, game.quads(part), game.contexts)
        for game, rows, part in zip(games, designs, parts, strict=True)
    ]
