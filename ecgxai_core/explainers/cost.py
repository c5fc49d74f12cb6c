"""Estimated cost of an explanation in forward passes, before it is computed.

An upper estimate: passes that methods share are counted for each, and games that converge early as
if they did not. Parts are named by the parameter that drives them, so that an error can say which
one to lower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecgxai_core.params import ExplainParams
from ecgxai_core.stopping import GRADIENT_PASSES

__all__ = [
    "FEW",
    "OPENED",
    "TABLE_PASSES",
    "Cost",
    "Size",
    "event_passes",
    "games_cost",
    "gradient_cost",
    "lead_passes",
    "opened_segments",
]

Cost = Mapping[str, float]
"""Forward passes by the parameter that drives them; ``""`` = none does."""

TABLE_PASSES = 8
"""Passes that fill the local engine's table of wholly masked segments, as a rule."""

OPENED = 5
"""Segments whose leads are explored where every coalition takes a whole pass."""

FEW = 30
"""So many segments are all explored where the map is to add up, whatever a coalition takes."""

WAVES_PER_SEC, BEATS_PER_SEC = 12.0, 2.0
"""Segments of a fast heart."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a prediction's grid looks like, as far as it decides the cost.

    ``leads``, ``segments``: rows and columns of the grid; ``players``: rows that are masked by
    themselves; ``piece``: share of a whole pass that a record masked in one segment takes with the
    local engine, ``None`` = every masked record takes a whole pass; ``span``: most segments that
    one position of a local network sees.
    """

    leads: int
    players: int
    segments: int
    piece: float | None
    span: int = 1

    @classmethod
    def of(
        cls,
        params: ExplainParams,
        seconds: float,
        segment_sec: float,
        leads: int = 12,
        field_sec: float | None = None,
    ) -> Size:
        """The grid that parameters give.

        Parameters
        ----------
        seconds
            What the model sees of the record.
        segment_sec
            Length of uniform segments of the diagnosis.
        field_sec
            What one position of a local network sees; ``None`` = the network is not local.
        """
        window = params.window_sec or segment_sec
        per_sec = {"uniform": 1 / window, "beat": BEATS_PER_SEC}
        local = params.engine == "auto" and field_sec is not None
        kind = "beat" if params.segments == "auto" and not local else params.segments
        segments = max(1, round(seconds * per_sec.get(kind, WAVES_PER_SEC)))
        piece, span = None, 1
        if params.engine == "auto" and field_sec is not None:
            length = seconds / segments
            piece = min(1.0, 2 * (length + field_sec) / seconds)
            span = min(segments, int(field_sec / length) + 2)
        players = 8 if params.lead_group == "independent" and leads == 12 else leads
        return cls(leads, players, segments, piece, span)


def event_passes(params: ExplainParams, size: Size) -> Cost:
    """The event game: a table with the local engine, else every round until convergence."""
    if params.sampling == "published":
        return {"n_coalitions": params.n_coalitions}
    if size.piece is not None:
        return {"": TABLE_PASSES}
    limit = params.max_coalitions or params.n_coalitions
    name = "max_coalitions" if limit > params.n_coalitions else "n_coalitions"
    return {name: _rounds(params.n_coalitions, limit, size.segments)}


def opened_segments(params: ExplainParams, segments: int, local: bool) -> int:
    """How many segments are explored: as given, or all where that is cheap (``local``) or where the
    map is to add up and they are few.
    """
    if params.top_events is not None:
        return min(segments, params.top_events)
    few = params.level in ("owen", "winter") and segments <= FEW
    return segments if local or few else min(segments, OPENED)


def lead_passes(params: ExplainParams, size: Size) -> Cost:
    """The lead-in-event games of every segment that is explored."""
    each = params.n_lead_coalitions
    if params.sampling == "paired" and params.lead_group == "independent":
        each = max(each, 2**size.players)
    limit = max(each, params.max_lead_coalitions or each)
    if params.sampling == "published":
        limit = each
    opened = opened_segments(params, size.segments, size.piece is not None)
    share = 1.0 if size.piece is None else size.piece
    name = "max_lead_coalitions" if limit > each else "n_lead_coalitions"
    return {name: opened * _rounds(each, limit, size.players) * share}


def games_cost(params: ExplainParams, size: Size) -> Cost:
    """The event game, and the lead-in-event games of the segments that are explored."""
    return {**event_passes(params, size), **lead_passes(params, size)}


def gradient_cost(params: ExplainParams, size: Size) -> Cost:
    """One gradient."""
    del params, size
    return {"": GRADIENT_PASSES}


def _rounds(first: int, limit: int, players: int) -> float:
    """Masks of a game that doubles from ``first`` up to ``limit``; no mask is played twice."""
    total, budget = float(first), first
    while budget < limit:
        budget = min(2 * budget, limit)
        total += budget
    return min(total, 2.0**players)
