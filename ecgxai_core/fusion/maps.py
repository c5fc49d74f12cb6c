"""Fusion by the rules of this project: dense maps, densities, one scale for all leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import ParameterError
from ecgxai_core.explainers import METHODS
from ecgxai_core.fusion.cells import Cells, combine
from ecgxai_core.fusion.families import same_family, take_signs, unsigned
from ecgxai_core.fusion.grid import on_one_grid
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
    "silent",
    "silent_warnings",
    "view",
]


def fuse(
    attributions: Sequence[Attribution],
    params: FusionParams,
    method_weights: Mapping[str, float] | None = None,
) -> FusedMap:
    """Combine attributions of one record, target, model and window into one dense map.

    Each map becomes densities on the union of all edges, divided by the largest density of its
    method (``scale``: over all leads, or lead by lead), so that cells lie in [-1, 1] and units
    cancel. An unsigned method (saliency, Grad-CAM, attention) takes the sign that the others have
    in each cell (:func:`ecgxai_core.fusion.families.take_signs`). Then cells are combined
    (:func:`ecgxai_core.fusion.cells.combine`); ``beta`` weighs those that fewer than two methods
    found, with at least ``found`` of their largest density. The weight of a fused cell is its
    density x seconds, so ``FusedMap.density()`` is the value in [-1, 1]. Nothing is cut off:
    ``tau`` and ``topk`` belong to :func:`view`, and no score of the map depends on them (unlike
    :func:`ecgxai_core.fusion.published.fuse_published`).

    A method with an empty map (all zero, or nothing explored) is left out and named, in a warning
    ``no_evidence`` and in ``diagnostics["left_out"]``. If every map is empty, none is left out and
    the fused map is empty too.

    Parameters
    ----------
    attributions
        At least one; their order does not matter (the result lists methods by name).
    params
        ``params.method_weights`` is one weight per attribution, in the order given here.
    method_weights
        Weights by method name (those of the diagnosis), used if ``params`` gives none; a method
        that is not named gets the mean of the others. A method of weight 0 is left out.

    Raises
    ------
    ParameterError
        No attribution, attributions of different records, targets, models, contrasts or windows of
        a record, or weights that are negative, all zero or of the wrong number.
    """
    chosen, weights = resolved_weights(attributions, params, method_weights)
    chosen, weights, left_out, warnings = _with_evidence(chosen, weights)
    leads, edges, raw = on_one_grid(chosen)
    methods = tuple(item.method for item in chosen)
    scaled, scales = _scaled(raw, params.scale)
    scaled = take_signs(scaled, weights, unsigned(methods))
    cells = combine(
        scaled,
        weights,
        agg=params.agg,
        beta=params.beta,
        sign_policy=params.sign_policy,
        found=_found(raw, params.found),
    )
    durations = np.diff(edges)
    groups = [item.diagnostics.get("lead_group") == "independent" for item in chosen]
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
            "lead_group": "independent" if all(groups) else "all",
            "waves": _waves(chosen, edges),
        },
        provenance=combined_provenance(chosen, weights, params),
        warnings=(*combined_warnings(chosen), *warnings, *_mixed(methods, groups)),
    )


def _waves(chosen: Sequence[Attribution], edges: FloatArray) -> list[str] | None:
    """The wave of each segment, where all maps were cut into the same ones."""
    first = chosen[0].diagnostics.get("waves")
    same = all(
        item.diagnostics.get("waves") == first and np.array_equal(item.edges_sec, edges)
        for item in chosen
    )
    return list(first) if first and same else None


def _mixed(methods: Sequence[str], groups: Sequence[bool]) -> tuple[QualityWarning, ...]:
    """A warning where some maps have independent leads and others all."""
    if all(groups) or not any(groups):
        return ()
    names = ", ".join(name for name, own in zip(methods, groups, strict=True) if own)
    return (
        QualityWarning(
            "lead_group",
            f"{names}: evidence of III, aVR, aVL and aVF counts for I and II there, and for "
            "itself in the other maps; explain all with lead_group=all to fuse like with like",
        ),
    )


def _with_evidence(
    chosen: list[Attribution], weights: FloatArray
) -> tuple[list[Attribution], FloatArray, tuple[Silent, ...], tuple[QualityWarning, ...]]:
    """Maps that are not empty with their weights, the empty ones, and the warnings."""
    nothing = silent(chosen)
    if len(nothing) == len(chosen):
        return chosen, weights, (), silent_warnings(nothing, "no method found anything")
    places = {row.place for row in nothing}
    kept = [place for place in range(len(chosen)) if place not in places]
    warned = silent_warnings(nothing, "it is left out of the fused map")
    return [chosen[place] for place in kept], weights[kept], nothing, warned


@dataclass(frozen=True, slots=True)
class FusedView:
    """What a threshold leaves of a fused map; the map itself is not changed.

    ``kept`` is ``bool[lead, cell]``; ``dropped_mass`` the share of sum |weight| that it hides.
    """

    kept: BoolArray
    top_leads: tuple[str, ...]
    dropped_mass: float


def view(fused: FusedMap, params: FusionParams) -> FusedView:
    """The cells that reach ``tau``, and the ``topk`` leads of the whole map.

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
    """The ``topk`` leads with the largest scores above 0; ties in the order of ``leads``."""
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
        contrast = [str(part.provenance.params.get("contrast")) for part in (first, item)]
        _same("contrast", *contrast)
    seen = [item.diagnostics.get("seen_sec") for item in attributions]
    known = [f"{one[0]:.3f} to {one[1]:.3f} s" for one in seen if one]  # foreign maps do not say
    for window in known[1:]:
        _same("window", known[0], window)
    weights = _weights(attributions, params, method_weights)
    rank = sorted(
        (item.method, array_digest(item.weights, item.edges_sec), index)
        for index, item in enumerate(attributions)
        if weights[index] > 0
    )
    kept = [index for *_, index in rank]
    return [attributions[index] for index in kept], np.array([weights[index] for index in kept])


def _same(field: str, one: str, other: str) -> None:
    if one != other:
        fix = "fuse explanations of one record, target, model and window"
        raise ParameterError("fusion", field, f"attributions disagree ({one} and {other})", fix)


def _weights(
    attributions: Sequence[Attribution],
    params: FusionParams,
    method_weights: Mapping[str, float] | None,
) -> list[float]:
    if params.method_weights is not None:
        given = [float(w) for w in params.method_weights]
        if len(given) != len(attributions):
            problem = f"{len(given)} weights for {len(attributions)} methods"
            fix = "give one weight per method, or none"
            raise ParameterError("fusion", "method_weights", problem, fix)
    else:
        named = {k: float(v) for k, v in (method_weights or {}).items()}
        known = [named[item.method] for item in attributions if item.method in named]
        usual = sum(known) / len(known) if known else 1.0
        given = [named.get(item.method, usual) for item in attributions]
    if not all(w >= 0 for w in given) or not 0 < sum(given) < np.inf:
        fix = "use numbers of at least 0, one of them positive"
        raise ParameterError("fusion", "method_weights", f"{given} are not weights", fix)
    return given


def _scaled(raw: FloatArray, scale: str) -> tuple[FloatArray, FloatArray]:
    """Densities over their largest magnitude, and those magnitudes ``[method, lead or 1, 1]``."""
    size = np.nan_to_num(np.abs(raw))
    peaks = size.max(axis=(1, 2) if scale == "global" else 2, keepdims=True)
    return raw / np.where(peaks > 0, peaks, 1.0), peaks


def _found(raw: FloatArray, share: float) -> BoolArray:
    """Cells whose |density| is at least this share of the method's largest over all leads."""
    size = np.nan_to_num(np.abs(raw))
    found: BoolArray = ~np.isnan(raw) & (size >= share * size.max(axis=(1, 2), keepdims=True))
    return found


def _lead_scores(
    leads: Sequence[str], weights: FloatArray, explored: BoolArray
) -> dict[str, float]:
    """Sum of |density| x seconds of every lead with an explored cell."""
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
    """How far the methods agree, by lead and over all.

    Shares of the mass (weighted mean |density| x seconds) in cells where at least two methods agree
    in sign, where they disagree, and where a single one has a weight. The mass is taken before the
    sign policy, so a disagreement stays visible even if it is dropped.
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
    names = ("agreement", "disagreement", "solo")
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

    The seed is that of the methods, or derived from all of theirs if they differ.
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


NOTHING = 1e-12
"""A map without a larger weight is empty: such weights are rounding errors on every link.

In a geometric mean or a minimum a map of zeros would turn every cell into zero, in a mean it would
halve the rest, and a map without any explored cell would still take its share of the weights."""


class Silent(NamedTuple):
    """A method whose map is empty: its place among the attributions, its name, and the reason."""

    place: int
    method: str
    why: str


def silent(attributions: Sequence[Attribution]) -> tuple[Silent, ...]:
    """Attributions that explored no cell, or have no weight beyond rounding."""
    found = []
    for place, item in enumerate(attributions):
        sizes = np.abs(item.weights[item.explored])
        if not sizes.size:
            found.append(Silent(place, item.method, "explored nothing"))
        elif sizes.max() <= NOTHING:
            found.append(Silent(place, item.method, "is zero everywhere"))
    return tuple(found)


def silent_warnings(found: Sequence[Silent], outcome: str) -> tuple[QualityWarning, ...]:
    """One warning ``no_evidence`` per method; ``outcome`` says what became of its map."""
    titles = [METHODS[r.method].title if r.method in METHODS else r.method for r in found]
    return tuple(
        QualityWarning("no_evidence", f"the map of {title} {row.why}; {outcome}")
        for title, row in zip(titles, found, strict=True)
    )
