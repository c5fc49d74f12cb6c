"""The published ECG-XAI fusion of spans, for comparison (profile ``reference``).

Unlike :func:`ecgxai_core.fusion.fuse` it divides every lead by its own maximum, drops small spans,
merges similar neighbours, and applies method weights to the lead scores only. The weight of a span
is a level: leads rank by seconds x |level|.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion.cells import Cells, combine
from ecgxai_core.fusion.grid import common_leads, union_edges
from ecgxai_core.fusion.maps import (
    combined_provenance,
    combined_warnings,
    resolved_weights,
    silent,
    silent_warnings,
)
from ecgxai_core.params import FusionParams
from ecgxai_core.types import Attribution, FloatArray, FusedMap, Map

__all__ = ["Span", "SpanFusion", "fuse_published", "fuse_spans", "spans_of"]

Span = tuple[float, float, float]
"""Start (s), end (s), level."""

_MERGE_GAP_SEC = 0.02 + 1e-9  # 20 ms, rounding of the borders aside
_MERGE_DIFFERENCE = 0.15


@dataclass(frozen=True, slots=True)
class SpanFusion:
    """Fused spans by lead, blended lead scores, and the leads that rank highest."""

    spans: Mapping[str, tuple[Span, ...]]
    lead_scores: Mapping[str, float]
    top_leads: tuple[str, ...]


def fuse_spans(
    methods: Sequence[Mapping[str, Sequence[Sequence[float]]]],
    params: FusionParams,
    method_weights: Sequence[float] | None = None,
    lead_scores: Sequence[Mapping[str, float]] | None = None,
) -> SpanFusion:
    """Fuse the spans of several methods as published.

    Parameters
    ----------
    methods
        For each method, lead -> spans (start, end, weight); spans of one lead do not overlap.
    params
        ``agg``, ``beta``, ``tau``, ``tau_mode``, ``topk``, ``sign_policy``.
    method_weights
        One weight per method, by default those of ``params``; they apply to the lead scores, not to
        the spans.
    lead_scores
        For each method, lead -> score; by default the sum of the lead's |weights|.

    Returns
    -------
    Leads without any span left are absent from ``spans``.
    """
    spans: dict[str, tuple[Span, ...]] = {}
    for lead in common_leads([tuple(method) for method in methods]):
        edges, cells = _lead_cells([method.get(lead, ()) for method in methods], params)
        merged = _merged(_kept(edges, cells, params))
        if merged:
            spans[lead] = merged
    mass = {lead: sum((b - a) * abs(w) for a, b, w in found) for lead, found in spans.items()}
    scores = lead_scores or [
        {lead: sum(abs(span[2]) for span in found) for lead, found in method.items()}
        for method in methods
    ]
    weights = method_weights or params.method_weights or [1.0] * len(methods)
    if len(weights) != len(methods):
        problem = f"{len(weights)} weights for {len(methods)} methods"
        fix = "give one weight per method, or none"
        raise ParameterError("fusion", "method_weights", problem, fix)
    return SpanFusion(
        spans=spans,
        lead_scores=_blended(scores, weights),
        top_leads=tuple(sorted(mass, key=lambda lead: (-mass[lead], lead))[: params.topk]),
    )


def spans_of(item: Map, levels: npt.NDArray[Any] | None = None) -> dict[str, tuple[Span, ...]]:
    """The explored cells of a map as published spans, by lead.

    ``levels`` are ``[lead, cell]``; by default the weights of the cells.
    """
    edges = item.edges_sec
    levels = item.weights if levels is None else levels
    return {
        lead: tuple(
            (float(edges[c]), float(edges[c + 1]), float(levels[row, c]))
            for c in np.flatnonzero(item.explored[row])
        )
        for row, lead in enumerate(item.leads)
        if item.explored[row].any()
    }


def fuse_published(
    attributions: Sequence[Attribution],
    params: FusionParams,
    method_weights: Mapping[str, float] | None = None,
) -> FusedMap:
    """The published fusion as a :class:`FusedMap`, so that it can be drawn and scored as others.

    A cell's density is the level of the span that covers it; cells whose span was dropped are
    explored and zero, as in the published programme. So ``tau`` and ``tau_mode`` change this map
    and its scores; ``topk`` changes only which leads are named. ``agreement`` is that of the cells
    before anything was dropped. As published, a method with an empty map is not left out; a warning
    names it.
    """
    chosen, weights = resolved_weights(attributions, params, method_weights)
    nothing = silent_warnings(silent(chosen), "published fusion lets it weaken the others")
    by_method = [spans_of(item) for item in chosen]
    result = fuse_spans(by_method, params, [float(w) for w in weights])
    leads = common_leads([item.leads for item in chosen])
    edges = union_edges([item.edges_sec for item in chosen])
    middles = (edges[:-1] + edges[1:]) / 2
    levels = np.zeros((len(leads), len(middles)))
    explored = np.zeros(levels.shape, dtype=np.bool_)
    agreement = np.zeros(levels.shape, dtype=np.int8)
    for row, lead in enumerate(leads):
        own = [spans.get(lead, ()) for spans in by_method]
        cells = _combined([_levels(spans, middles) for spans in own], params)
        explored[row], agreement[row] = cells.present > 0, cells.agreement
        levels[row] = np.nan_to_num(_levels(result.spans.get(lead, ()), middles))
    return FusedMap(
        record=chosen[0].record,
        target=chosen[0].target,
        methods=tuple(item.method for item in chosen),
        probability=chosen[0].probability,
        leads=leads,
        edges_sec=edges,
        weights=(levels * np.diff(edges)).astype(np.float32),
        explored=explored,
        agreement=agreement,
        lead_scores=result.lead_scores,
        top_leads=result.top_leads,
        diagnostics={
            "published": True,
            "method_weights": [float(w) for w in weights / weights.sum()],
        },
        provenance=combined_provenance(chosen, weights, params),
        warnings=(*combined_warnings(chosen), *nothing),
    )


def _levels(spans: Sequence[Sequence[float]], times: FloatArray) -> FloatArray:
    """``float64[time]``: the level of the span that covers each time; NaN between spans."""
    levels = np.full(len(times), np.nan)
    for start, stop, level in spans:
        levels[(times > start) & (times < stop)] = level
    return levels


def _lead_cells(
    by_method: Sequence[Sequence[Sequence[float]]], params: FusionParams
) -> tuple[FloatArray, Cells]:
    """The cells of one lead between all span borders, each method divided by its largest level."""
    borders = [np.array([edge for span in spans for edge in span[:2]]) for spans in by_method]
    edges = np.unique(np.concatenate(borders))
    middles = (edges[:-1] + edges[1:]) / 2
    values = []
    for spans in by_method:
        peak = max((abs(span[2]) for span in spans), default=0.0)
        values.append(_levels(spans, middles) / (peak if peak > 0 else 1.0))
    return edges, _combined(values, params)


def _combined(values: Sequence[FloatArray], params: FusionParams) -> Cells:
    agg, beta, sign_policy = params.agg, params.beta, params.sign_policy
    ones = np.ones(len(values))
    return combine(np.stack(values), ones, agg=agg, beta=beta, sign_policy=sign_policy)


def _kept(edges: FloatArray, cells: Cells, params: FusionParams) -> list[Span]:
    """The cells that are not zero and reach ``tau``."""
    durations: npt.NDArray[np.float64] = np.diff(edges)
    size = np.abs(cells.values) * (durations if params.tau_mode == "mass" else 1.0)
    return [
        (float(edges[c]), float(edges[c + 1]), float(cells.values[c]))
        for c in np.flatnonzero((size >= params.tau) & (cells.values != 0))
    ]


def _merged(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Merge near neighbours of almost equal level; the level is the duration-weighted mean."""
    merged: list[Span] = []
    for start, stop, level in spans:
        if merged:
            first, last, before = merged[-1]
            mean = (abs(level) + abs(before)) / 2
            if start - last <= _MERGE_GAP_SEC and abs(level - before) <= _MERGE_DIFFERENCE * mean:
                old, new = last - first, stop - start
                merged[-1] = (first, stop, (before * old + level * new) / (old + new))
                continue
        merged.append((start, stop, level))
    return tuple(merged)


def _blended(scores: Sequence[Mapping[str, float]], weights: Sequence[float]) -> dict[str, float]:
    """Each method's lead scores over their sum, blended by the normalised method weights."""
    blended: dict[str, float] = {}
    for method, weight in zip(scores, weights, strict=True):
        total = sum(method.values())
        for lead, score in method.items():
            part = weight / sum(weights) * score / total if total > 0 else 0.0
            blended[lead] = blended.get(lead, 0.0) + part
    return blended
