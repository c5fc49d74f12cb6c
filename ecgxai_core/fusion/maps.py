"""Fusion by the rules of this project: dense, as densities, on a global scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ParameterError
from ecgxai_core.fusion.cells import Cells, combine
from ecgxai_core.fusion.evidence import Silent, silent, silent_warnings
from ecgxai_core.fusion.families import same_family, take_signs, unsigned
from ecgxai_core.fusion.grid import common_leads, density_on, union_edges
from ecgxai_core.params import FusionParams
from ecgxai_core.types import (
    Attribution,
    BoolArray,
    FloatArray,
    FusedMap,
    Provenance,
    QualityWarning,
    array_digest,
    content_seed,
)
from ecgxai_core.version import code_version

__all__ = [
    "FusedView",
    "combined_provenance",
    "combined_warnings",
    "fuse",
    "rank_leads",
    "resolved_weights",
    "view",
]


def fuse(
    attributions: Sequence[Attribution],
    params: FusionParams,
    method_weights: Mapping[str, float] | None = None,
) -> FusedMap:
    """Combine attributions of one record, target and model into one dense map.

    Each method is turned into densities on the union of all edges and divided by its largest
    density (``scale``: over all leads, or lead by lead), so that cells lie in [-1, 1] and the
    methods' units cancel. A method without signs (saliency, Grad-CAM, attention) takes in each cell
    the sign that the others find (:func:`ecgxai_core.fusion.families.take_signs`). Then cells
    combine as in :func:`ecgxai_core.fusion.cells.combine`.
    The weight of a fused cell is its density x seconds, so ``FusedMap.density()`` is the value
    in [-1, 1]. Nothing is cut off: ``tau`` and ``topk`` belong to :func:`view`, and no score
    computed from the map depends on ``tau``.

    A method that found nothing (all zero, or nothing explored) is left out and named, in a warning
    ``no_evidence`` and in ``diagnostics["left_out"]``; only where no method found anything is
    nothing left out, and the map says nothing either.

    Parameters
    ----------
    attributions
        At least one; their order does not matter (methods stand in the result by name).
    params
        ``params.method_weights`` is one weight an attribution, in the order given here.
    method_weights
        Weights by method name (the diagnosis's own), used where ``params`` gives none; a method
        not named gets the mean of those that are. A method of weight 0 is left out.

    Raises
    ------
    ParameterError
        No attribution, attributions of different records, targets or models, or weights that are
        negative, all zero or of the wrong number.
    """
    chosen, weights = resolved_weights(attributions, params, method_weights)
    chosen, weights, left_out, warnings = _with_evidence(chosen, weights)
    leads = common_leads([item.leads for item in chosen])
    edges = union_edges([item.edges_sec for item in chosen])
    raw = np.stack([density_on(item, leads, edges) for item in chosen])
    methods = tuple(item.method for item in chosen)
    scaled, scales = _scaled(raw, params.scale)
    scaled = take_signs(scaled, weights, unsigned(methods))
    cells = combine(
        scaled, weights, agg=params.agg, beta=params.beta, sign_policy=params.sign_policy
    )
    durations = np.diff(edges)
    fused = cells.values * durations
    explored = cells.present > 0
    lead_scores = _lead_scores(leads, fused, explored)
    return FusedMap(
        record=chosen[0].record,
        target=chosen[0].target,
        methods=methods,
        probability=chosen[0].probability,
        leads=leads,
        edges_sec=edges,
        weights=fused.astype(np.float32),
        explored=explored,
        agreement=cells.agreement,
        lead_scores=lead_scores,
        top_leads=rank_leads(lead_scores, leads, params.topk),
        diagnostics={
            **_consensus(leads, scaled, weights, cells, durations),
            "method_weights": [float(w) for w in weights / weights.sum()],
            "left_out": [{"method": row.method, "why": row.why} for row in left_out],
            "scales": [[float(s) for s in np.unique(scale)] for scale in scales],
            "same_family": [list(group) for group in same_family(methods)],
            "explored_share": float((explored * durations).sum() / (durations.sum() * len(leads))),
        },
        provenance=combined_provenance(chosen, weights, params),
        warnings=(*combined_warnings(chosen), *warnings),
    )


def _with_evidence(
    chosen: list[Attribution], weights: FloatArray
) -> tuple[list[Attribution], FloatArray, tuple[Silent, ...], tuple[QualityWarning, ...]]:
    """Those that found something with their weights, those left out, and what people are told."""
    nothing = silent(chosen)
    if len(nothing) == len(chosen):
        return chosen, weights, (), silent_warnings(nothing, "no method found anything")
    places = {row.place for row in nothing}
    kept = [place for place in range(len(chosen)) if place not in places]
    told = silent_warnings(nothing, "it is left out of the fused map")
    return [chosen[place] for place in kept], weights[kept], nothing, told


@dataclass(frozen=True, slots=True)
class FusedView:
    """What a threshold leaves of a fused map; the map itself stays whole.

    ``kept`` is ``bool[lead, cell]``; ``dropped_mass`` the share of sum |weight| that it hides.
    """

    kept: BoolArray
    top_leads: tuple[str, ...]
    dropped_mass: float


def view(fused: FusedMap, params: FusionParams) -> FusedView:
    """Which cells reach ``tau``, and the ``topk`` leads of the whole map.

    ``tau_mode`` ``abs`` compares |density|, which lies in [0, 1]; ``mass`` compares |density| x
    seconds. Cells that were not explored are never kept.
    """
    mass = np.abs(fused.weights.astype(np.float64))
    size = mass if params.tau_mode == "mass" else np.abs(fused.density())
    kept: BoolArray = fused.explored & (np.nan_to_num(size) >= params.tau)
    total = float(np.nansum(mass))
    dropped = float(np.nansum(np.where(kept, 0.0, mass))) / total if total > 0 else 0.0
    return FusedView(kept, rank_leads(fused.lead_scores, fused.leads, params.topk), dropped)


def rank_leads(scores: Mapping[str, float], leads: Sequence[str], topk: int) -> tuple[str, ...]:
    """The ``topk`` leads of largest score above 0; equal scores in the order of ``leads``."""
    order = {name: place for place, name in enumerate(leads)}
    named = [name for name, score in scores.items() if score > 0]
    return tuple(sorted(named, key=lambda name: (-scores[name], order[name]))[:topk])


def resolved_weights(
    attributions: Sequence[Attribution],
    params: FusionParams,
    method_weights: Mapping[str, float] | None,
) -> tuple[list[Attribution], FloatArray]:
    """Attributions of positive weight in canonical order (method, content), and their weights."""
    if not attributions:
        raise ParameterError("fusion", "attributions", "there are none", "give at least one")
    first = attributions[0]
    for item in attributions[1:]:
        for field in ("record", "target"):
            _same(field, getattr(first, field), getattr(item, field))
        for field in ("record_digest", "model_digest"):
            _same(field, getattr(first.provenance, field), getattr(item.provenance, field))
        against = [str(part.provenance.params.get("against")) for part in (first, item)]
        _same("against", *against)
    weights = _weights(attributions, params, method_weights)
    rank = sorted(
        (item.method, _content(item) if len(attributions) > 1 else "", index)
        for index, item in enumerate(attributions)
        if weights[index] > 0
    )
    kept = [index for *_, index in rank]
    return [attributions[index] for index in kept], np.array([weights[index] for index in kept])


def _content(item: Attribution) -> str:
    """Digest of the map, to tell two attributions of one method apart."""
    return array_digest(item.weights, item.edges_sec)


def _same(field: str, one: str, other: str) -> None:
    if one != other:
        raise ParameterError(
            "fusion",
            field,
            f"attributions disagree ({one} and {other})",
            "fuse explanations of one record, target and model",
        )


def _weights(
    attributions: Sequence[Attribution],
    params: FusionParams,
    method_weights: Mapping[str, float] | None,
) -> list[float]:
    """One weight an attribution, in the given order."""
    if params.method_weights is not None:
        given = [float(w) for w in params.method_weights]
        if len(given) != len(attributions):
            raise ParameterError(
                "fusion",
                "method_weights",
                f"{len(given)} weights for {len(attributions)} methods",
                "give one weight a method, or none",
            )
    else:
        named = {k: float(v) for k, v in (method_weights or {}).items()}
        known = [named[item.method] for item in attributions if item.method in named]
        usual = sum(known) / len(known) if known else 1.0
        given = [named.get(item.method, usual) for item in attributions]
    if not all(w >= 0 for w in given) or not 0 < sum(given) < np.inf:
        raise ParameterError(
            "fusion",
            "method_weights",
            f"{given} are not weights",
            "use numbers of at least 0, one of them positive",
        )
    return given


def _scaled(raw: FloatArray, scale: str) -> tuple[FloatArray, FloatArray]:
    """Densities over their largest magnitude, and those magnitudes ``[method, lead or 1, 1]``."""
    size = np.nan_to_num(np.abs(raw))
    peaks = size.max(axis=(1, 2) if scale == "global" else 2, keepdims=True)
    return raw / np.where(peaks > 0, peaks, 1.0), peaks


def _lead_scores(
    leads: Sequence[str], weights: FloatArray, explored: BoolArray
) -> dict[str, float]:
    """Sum of |density| x seconds of every lead of which something was explored."""
    sums = np.abs(weights).sum(axis=1)
    return {
        name: float(score)
        for name, score, seen in zip(leads, sums, np.any(explored, axis=1).tolist(), strict=True)
        if seen
    }


def _consensus(
    leads: Sequence[str],
    scaled: FloatArray,
    weights: FloatArray,
    cells: Cells,
    durations: FloatArray,
) -> dict[str, Any]:
    """How much of what the methods gave (weighted mean |density| x seconds) they agree on.

    Shares of the mass in cells where at least two methods agree in sign, where they conflict, and
    where one method stands alone; by lead and over all. The mass is taken before the sign policy,
    so a conflict stays visible even where it is dropped.
    """
    there = ~np.isnan(scaled)
    column = weights[:, None, None]
    total = (there * column).sum(axis=0)
    given = (column * np.nan_to_num(np.abs(scaled))).sum(axis=0) / np.where(total > 0, total, 1.0)
    mass = given * durations
    kinds: npt.NDArray[np.int8] = np.array([2, -1, 1], dtype=np.int8)
    parts = (mass * (cells.agreement == kinds[:, None, None])).sum(axis=2)
    by_lead = mass.sum(axis=1)
    shares = parts / np.where(by_lead > 0, by_lead, 1.0)
    whole = parts.sum(axis=1) / (by_lead.sum() if by_lead.sum() > 0 else 1.0)
    names = ("agreement", "conflict", "solo")
    return {
        **{name: float(value) for name, value in zip(names, whole, strict=True)},
        "leads": {
            lead: {
                "mass": float(by_lead[row]),
                **{name: float(shares[kind, row]) for kind, name in enumerate(names)},
            }
            for row, lead in enumerate(leads)
        },
    }


def combined_provenance(
    chosen: Sequence[Attribution], weights: FloatArray, params: FusionParams
) -> Provenance:
    """Provenance of a fusion: that of every method, and how they were fused.

    The seed is the methods' common one, or one derived from all of theirs.
    """
    seeds = sorted({item.provenance.seed for item in chosen})
    return Provenance(
        record_digest=chosen[0].provenance.record_digest,
        model_digest=chosen[0].provenance.model_digest,
        params={
            "fusion": params.as_key(),
            "methods": [
                {"method": item.method, "weight": float(w), **item.provenance.as_dict()}
                for item, w in zip(chosen, weights, strict=True)
            ],
        },
        seed=seeds[0] if len(seeds) == 1 else content_seed("fusion", seeds),
        code_version=code_version(),
    )


def combined_warnings(chosen: Sequence[Attribution]) -> tuple[QualityWarning, ...]:
    """All warnings of all methods, each once."""
    return tuple(dict.fromkeys(warning for item in chosen for warning in item.warnings))
