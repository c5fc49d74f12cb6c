"""The published ECG-XAI scores, for comparison only: token AttAUC, targeted deletion.

A token is one lead x one R peak x one of the class's own window kinds, so these scores test leads
and hardly times (:mod:`ecgxai_core.metrics.plausibility` tests both). A map's score for a token is
the sum of overlap seconds x |density|.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecgxai_core.diagnoses import Diagnosis, windows_sec
from ecgxai_core.fusion.published import spans_of
from ecgxai_core.games.players import Game
from ecgxai_core.metrics.base import Direction, Metric, MetricGroup, Outcome, Subject
from ecgxai_core.metrics.orders import player_rows
from ecgxai_core.metrics.plausibility import with_prior
from ecgxai_core.metrics.ranking import auc_midranks
from ecgxai_core.metrics.raster import overlap_sec
from ecgxai_core.params import EvaluationParams
from ecgxai_core.types import (
    STANDARD_LEADS,
    BoolArray,
    FloatArray,
    IntArray,
    Map,
    Score,
    Segmentation,
    content_seed,
)

__all__ = ["GROUP", "targeted_deletion", "token_attauc", "token_scores", "tokens_of"]

SHARES = (0.05, 0.1, 0.2, 0.3)
"""Shares of the plausible tokens' duration that targeted deletion removes."""

N_ORDERS = 5
"""Random orders of implausible tokens that the faithfulness gain is measured against."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """All tokens of one record and diagnosis.

    ``lead`` ``int64[token]`` index into ``leads``; ``intervals`` ``float64[token, 2]`` seconds;
    ``strict``, ``lenient``, ``prior`` ``bool[token]``: the lead is in that list (and, for the
    prior, the window kind too).
    """

    leads: tuple[str, ...]
    lead: IntArray
    intervals: FloatArray
    strict: BoolArray
    lenient: BoolArray
    prior: BoolArray


def tokens_of(
    diagnosis: Diagnosis | None,
    r_peaks_sec: npt.ArrayLike,
    heart_rate: float,
    leads: Sequence[str] = STANDARD_LEADS,
) -> Tokens:
    """Tokens of a diagnosis around R peaks (s); none for a diagnosis without evidence rows."""
    peaks = np.asarray(r_peaks_sec, np.float64).reshape(-1)
    kinds = diagnosis.windows if diagnosis else ()
    windows = np.array([windows_sec(kind, diagnosis, heart_rate) for kind in kinds]).reshape(-1, 2)
    one_lead = (peaks[:, None, None] + windows[None]).reshape(-1, 2)
    n = len(one_lead)

    def in_list(names: Sequence[str]) -> BoolArray:
        return np.repeat(np.array([lead in names for lead in leads], dtype=np.bool_), n)

    preferred = diagnosis.prior_windows if diagnosis else ()
    in_window = np.tile(np.array([k in preferred for k in kinds], dtype=np.bool_), len(peaks))
    return Tokens(
        leads=tuple(leads),
        lead=np.repeat(np.arange(len(leads)), n),
        intervals=np.tile(one_lead, (len(leads), 1)),
        strict=in_list(diagnosis.strict_leads if diagnosis else ()),
        lenient=in_list(diagnosis.lenient_leads if diagnosis else ()),
        prior=in_list(diagnosis.prior_leads if diagnosis else ()) & np.tile(in_window, len(leads)),
    )


def token_scores(spans: Mapping[str, Sequence[Sequence[float]]], tokens: Tokens) -> FloatArray:
    """``float64[token]``: sum of overlap seconds x |level| of the lead's spans."""
    scores = np.zeros(len(tokens.lead))
    for row, lead in enumerate(tokens.leads):
        own = np.asarray(spans.get(lead, ()), np.float64).reshape(-1, 3)
        mine = tokens.lead == row
        shared = overlap_sec(tokens.intervals[mine], own[:, :2])
        scores[mine] = shared @ np.abs(own[:, 2])
    return scores


def token_attauc(scores: FloatArray, tokens: Tokens, priors: bool = False) -> tuple[Score, ...]:
    """AttAUC over tokens against the strict and lenient leads, as published.

    With ``priors`` also of scores blended with the prior (:func:`..plausibility.with_prior`);
    their ``empty`` is what the prior alone scores, and shows that they say nothing of the map.
    """
    found = []
    for kind, truth in (("strict", tokens.strict), ("lenient", tokens.lenient)):
        value = auc_midranks(scores, truth)
        sure = 0.5 if np.isfinite(value) else np.nan
        found.append(Score(f"token_attauc_{kind}", value, sure, sure))
    if priors:
        for kind, truth in (("strict", tokens.strict), ("lenient", tokens.lenient)):
            value = auc_midranks(with_prior(scores, tokens.prior), truth)
            empty = auc_midranks(tokens.prior, truth)
            found.append(Score(f"token_attauc_{kind}_priors", value, empty=empty))
    return tuple(found)


def targeted_deletion(
    maps: Mapping[str, Map],
    tokens: Tokens,
    game: Game,
    segmentation: Segmentation,
    params: EvaluationParams,
) -> dict[str, tuple[Score, ...]]:
    """The published targeted deletion AUC and faithfulness gain.

    The plausible tokens (lenient leads, which comes closest to the published numbers) are removed
    by falling score until 5, 10, 20 and 30 % of their duration is gone. ``targeted_deletion_auc``
    is the area under the probability from 0 to 0.3; ``faithfulness_gain`` the mean over the four
    shares of the probability after removing as much of randomly ordered implausible tokens (mean
    of ``N_ORDERS`` orders) minus that after removing the map's. Equal scores leave in a seeded
    random order. Costs ``4 (N_ORDERS + maps + 1)`` forward passes.

    ``empty`` is the all-zero map: plausible tokens in that random order. NaN where there are no
    plausible or no implausible tokens.
    """
    names = ("targeted_deletion_auc", "faithfulness_gain")
    shown = _shown(tokens, segmentation, [game.leads[row] for row in player_rows(game)])
    plausible = np.flatnonzero(tokens.lenient & shown)
    implausible = np.flatnonzero(~tokens.lenient & shown)
    if len(plausible) == 0 or len(implausible) == 0:
        return {name: tuple(Score(metric, np.nan) for metric in names) for name in maps}
    grid, columns = _token_grid(tokens, segmentation)
    rows = {
        row: game.leads.index(lead) for row, lead in enumerate(tokens.leads) if lead in game.leads
    }
    rng = np.random.default_rng(_seed(maps, tokens, params))
    ties = rng.permutation(len(plausible))
    duration = np.diff(tokens.intervals, axis=1)[:, 0]
    amounts = np.array(SHARES) * duration[plausible].sum()
    orders = {
        name: plausible[np.lexsort((ties, -scores[plausible]))]
        for name, item in maps.items()
        for scores in [token_scores(spans_of(item, item.density()), tokens)]
    }
    sequences = [*orders.values(), plausible[np.argsort(ties)]]
    sequences += [rng.permutation(implausible) for _ in range(N_ORDERS)]
    keep = np.ones((1 + len(sequences) * len(SHARES), len(game.leads), len(grid)), dtype=np.bool_)
    for place, order in enumerate(sequences):
        gone = np.cumsum(duration[order])
        for step, amount in enumerate(amounts):
            record = keep[1 + place * len(SHARES) + step]
            for token in order[: 1 + int(np.searchsorted(gone, amount - 1e-9))]:
                record[rows[int(tokens.lead[token])], columns[token, 0] : columns[token, 1]] = False
    values = game.probabilities(keep, grid)
    by_order = values[1:].reshape(len(sequences), len(SHARES))
    random = by_order[len(maps) + 1 :].mean(axis=0)
    aucs = [float(np.trapezoid([values[0], *curve], [0.0, *SHARES])) for curve in by_order]
    gains = [float((random - curve).mean()) for curve in by_order]
    empty = len(maps)
    return {
        name: tuple(
            Score(metric, numbers[place], empty=numbers[empty])
            for metric, numbers in zip(names, (aucs, gains), strict=True)
        )
        for place, name in enumerate(maps)
    }


def _columns(tokens: Tokens, segmentation: Segmentation) -> IntArray:
    """``int64[token, 2]``: samples of every token, clipped to what the model saw."""
    samples = np.round((tokens.intervals - segmentation.origin_sec) * segmentation.fs)
    return np.clip(samples.astype(np.int64), segmentation.edges[0], segmentation.edges[-1])


def _shown(tokens: Tokens, segmentation: Segmentation, leads: Sequence[str]) -> BoolArray:
    """Tokens in ``leads`` of which the model saw at least one sample."""
    seen: BoolArray = np.diff(_columns(tokens, segmentation), axis=1)[:, 0] > 0
    has_lead = np.array([lead in leads for lead in tokens.leads], dtype=np.bool_)
    return seen & has_lead[tokens.lead]


def _token_grid(tokens: Tokens, segmentation: Segmentation) -> tuple[Segmentation, IntArray]:
    """A segmentation at all token borders, and the segments ``[first, stop)`` of every token."""
    samples = _columns(tokens, segmentation)
    ends = [int(segmentation.edges[0]), int(segmentation.edges[-1])]
    edges = np.unique(np.concatenate((samples.reshape(-1), ends)))
    grid = Segmentation("tokens", edges, segmentation.fs, segmentation.origin_sec)
    return grid, np.searchsorted(edges, samples).astype(np.int64)


def _seed(maps: Mapping[str, Map], tokens: Tokens, params: EvaluationParams) -> int:
    first = next(iter(maps.values()))
    digest = first.provenance.record_digest
    return content_seed("targeted", digest, first.target, len(tokens.lead), params.seed)


_NO_TOKENS = "no evidence rows, no R peak, or all (or no) leads in the list"
_DESCRIBED: tuple[tuple[str, str, Direction, str, str], ...] = (
    ("token_attauc_strict", "Token AttAUC (strict)", "higher", "plausibility", "0.5"),
    ("token_attauc_lenient", "Token AttAUC (lenient)", "higher", "plausibility", "0.5"),
    ("token_attauc_strict_priors", "Token AttAUC (strict), with priors: a trap", "none",
     "plausibility", "the empty map's own score"),
    ("token_attauc_lenient_priors", "Token AttAUC (lenient), with priors: a trap", "none",
     "plausibility", "the empty map's own score"),
    ("targeted_deletion_auc", "Targeted deletion AUC (0-0.3)", "lower", "faithfulness",
     "the empty map's own score"),
    ("faithfulness_gain", "Faithfulness gain", "higher", "faithfulness",
     "the empty map's own score"),
)  # fmt: skip

_METRICS = tuple(
    Metric(
        name,
        title,
        direction,
        "plausibility" if category == "plausibility" else "faithfulness",
        chance,
        _NO_TOKENS,
        "published ECG-XAI",
        "none" if category == "plausibility" else f"4 ({N_ORDERS} + 1) forward passes, 4 a map",
        sides=("random", "empty") if chance == "0.5" else ("empty",),
    )
    for name, title, direction, category, chance in _DESCRIBED
)


def _of(subject: Subject) -> Outcome:
    assert subject.whole is not None
    tokens = tokens_of(subject.diagnosis, subject.peaks_sec, subject.heart_rate)
    deleted: dict[str, tuple[Score, ...]] = {}
    for maps, game in subject.played():
        deleted |= targeted_deletion(maps, tokens, game, subject.whole, subject.params)
    localised: dict[str, tuple[Score, ...]] = dict.fromkeys(subject.maps, ())
    if subject.params.tokens == "published":
        for name, item in subject.maps.items():
            scores = token_scores(spans_of(item, item.density()), tokens)
            localised[name] = token_attauc(scores, tokens, subject.params.priors)
    return Outcome({name: (*localised[name], *deleted[name]) for name in subject.maps})


GROUP = MetricGroup("published", _METRICS, ("game",), _of)
