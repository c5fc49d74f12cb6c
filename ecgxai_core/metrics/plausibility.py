"""Plausibility: does a map fall where cardiology expects the evidence?

The truth G is every bin in the diagnosis's leads and windows around the R peaks; all other bins
that the model saw are negatives, so both leads and times are tested. Where only independent leads
are masked, the derived leads are left out, and a diagnosis that is read off limb leads alone, some
of them derived (axis, anterior fascicular block, low voltage), has no truth: evidence in a derived
lead counts for I and for II, so every limb lead that is left would be evidence.

Cells that were not explored count as zero; the explored share and scores over explored bins only
are given as well. No prior enters a score, except those named ``_priors``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecgxai_core.diagnoses import Diagnosis, windows_sec
from ecgxai_core.metrics.base import SIDES, Metric, MetricGroup, Outcome, Subject
from ecgxai_core.metrics.ranking import (
    auc_midranks,
    pointing_game,
    precision_at_k,
    rank_accuracy,
    relevance_mass,
)
from ecgxai_core.metrics.raster import (
    Raster,
    RasterMap,
    beat_windows,
    mask_from_intervals,
    raster_for,
    rasterise,
)
from ecgxai_core.params import EvaluationParams
from ecgxai_core.records.leads import DERIVED_LEADS
from ecgxai_core.types import BoolArray, FloatArray, Map, Score

__all__ = ["GROUP", "evidence_masks", "localisation", "plausibility", "with_prior"]

PRIOR_SHARE = 0.8
"""Share of the lead prior in the published blend; used only to show what it does."""

_UNDEFINED = (
    "no evidence rows, no R peak, every bin (or none) is evidence, or eight independent leads "
    "stand for limb leads that they cannot tell apart"
)


def plausibility(
    item: Map,
    diagnosis: Diagnosis | None,
    r_peaks_sec: npt.ArrayLike,
    heart_rate: float,
    params: EvaluationParams,
) -> tuple[Score, ...]:
    """Every localisation score of a map against the diagnosis's strict and lenient leads.

    Parameters
    ----------
    item
        The map; only what the model saw (its edges) is scored.
    diagnosis
        Row of the table; ``None`` or one without evidence gives NaN.
    r_peaks_sec, heart_rate
        R peaks, seconds of the record; beats per minute (fast rhythms have a shorter window before
        the QRS).
    params
        ``raster_sec``, ``precision_k``, ``priors``.

    Returns
    -------
    ``coverage``, then for ``strict`` and ``lenient`` leads the scores of :func:`localisation`,
    and with ``params.priors`` the two AttAUCs of scores blended with the lead prior.
    """
    raster = raster_for(item, params.raster_sec)
    drawn = rasterise(item, raster)
    masks = evidence_masks(raster, diagnosis, r_peaks_sec, heart_rate)
    share = float(drawn.explored.mean()) if drawn.explored.size else np.nan
    scores = [Score("coverage", share, ceiling=1.0)]
    for kind, mask in masks.items():
        scores += localisation(drawn, mask, params.precision_k, kind)
    if params.priors and diagnosis is not None:
        windows = [windows_sec(kind, diagnosis, heart_rate) for kind in diagnosis.prior_windows]
        intervals = beat_windows(r_peaks_sec, windows)
        prior = mask_from_intervals(raster, dict.fromkeys(diagnosis.prior_leads, intervals))
        for kind, mask in masks.items():
            value = auc_midranks(with_prior(np.abs(drawn.scores), prior), mask)
            alone = auc_midranks(prior, mask)  # what the prior scores without any map
            scores.append(Score(f"attauc_{kind}_priors", value, empty=alone))
    return tuple(scores)


def evidence_masks(
    raster: Raster, diagnosis: Diagnosis | None, r_peaks_sec: npt.ArrayLike, heart_rate: float
) -> dict[str, BoolArray]:
    """``strict`` and ``lenient`` -> ``bool[lead, bin]``: where evidence is expected.

    Nowhere for leads that the raster cannot tell apart (see the module).
    """
    leads: Mapping[str, Sequence[str]] = {
        "strict": diagnosis.strict_leads if diagnosis else (),
        "lenient": diagnosis.lenient_leads if diagnosis else (),
    }
    kinds = diagnosis.windows if diagnosis else ()
    windows = [windows_sec(kind, diagnosis, heart_rate) for kind in kinds]
    intervals = beat_windows(r_peaks_sec, windows)
    return {
        name: mask_from_intervals(
            raster, {} if _collapse(own, raster) else dict.fromkeys(own, intervals)
        )
        for name, own in leads.items()
    }


def _collapse(expected: Sequence[str], raster: Raster) -> bool:
    """Whether all expected leads are limb leads, some of which only I and II stand for."""
    followed = set(DERIVED_LEADS) - set(raster.leads)
    return bool(followed & set(expected)) and set(expected) <= {"I", "II", *DERIVED_LEADS}


def localisation(
    drawn: RasterMap, mask: BoolArray, precision_k: int, suffix: str
) -> tuple[Score, ...]:
    """All localisation scores of one map against one truth mask ``bool[lead, bin]``.

    Each score comes with ``random`` (its expectation over maps without information: 0.5 for an
    AUC, |G| / n for a share), ``empty`` (the all-zero map) and ``ceiling`` (the best that any map
    on this grid reaches if it explores the same cells and calls the rest zero: cells ordered by
    their share of truth, which is the optimal order, Fawcett 2006). The ``_explored`` scores rank
    explored bins only. AttAUC, precision and rank accuracy take signed weights: what speaks
    against the diagnosis is no evidence for it.
    """
    oracle = _oracle(drawn, mask)

    def scored(spec: _Spec, where: BoolArray, suffix: str) -> Score:
        name, truth = f"{spec.name}_{suffix}", mask[where]
        if not truth.any() or truth.all():
            return Score(name, np.nan)
        best = oracle[where]
        if spec.peak:
            seen = np.where(drawn.explored[where], best, -np.inf)
            best = ((seen == seen.max()) & np.isfinite(seen)).astype(np.float64)
        return Score(
            name,
            value=spec.function(drawn.scores[where], truth, precision_k),
            random=spec.chance(float(truth.mean())),
            empty=spec.function(np.zeros(len(truth)), truth, precision_k),
            ceiling=spec.function(best, truth, precision_k),
        )

    everywhere: BoolArray = np.ones(mask.shape, dtype=np.bool_)
    scores = [scored(spec, everywhere, suffix) for spec in _SPECS]
    explored = [spec for spec in _SPECS if spec.explored_too]
    return (*scores, *(scored(spec, drawn.explored, f"{suffix}_explored") for spec in explored))


@dataclass(frozen=True, slots=True)
class _Spec:
    """One localisation metric: its function of (scores, mask, k), and what is known of it."""

    name: str
    title: str
    function: Callable[[FloatArray, BoolArray, int], float]
    chance: Callable[[float], float]
    chance_text: str
    source: str
    explored_too: bool = False
    peak: bool = False
    extra_undefined: str = ""


_SPECS = (
    _Spec(
        "attauc", "AttAUC", lambda s, g, k: auc_midranks(s, g), lambda share: 0.5, "0.5",
        "Fawcett 2006", explored_too=True,
    ),
    _Spec(
        "precision", "Precision@k", precision_at_k, lambda share: share, "|G| / n",
        "ties averaged in expectation", explored_too=True,
    ),
    _Spec(
        "relevance_mass", "Relevance mass", lambda s, g, k: relevance_mass(s, g),
        lambda share: share, "|G| / n", "Arras et al. 2022, arXiv 2003.07258", peak=True,
        extra_undefined="; no positive weight",
    ),
    _Spec(
        "rank_accuracy", "Rank accuracy", lambda s, g, k: rank_accuracy(s, g),
        lambda share: share, "|G| / n", "Arras et al. 2022, arXiv 2003.07258",
    ),
    _Spec(
        "pointing", "Pointing game", lambda s, g, k: pointing_game(s, g), lambda share: 0.0, "0",
        "Zhang et al. 2018, minus |G| / n",
    ),
)  # fmt: skip


def _oracle(drawn: RasterMap, mask: BoolArray) -> FloatArray:
    """``float64[lead, bin]``: the cell's share of truth minus that of all unexplored bins."""
    n_cells = int(drawn.cell.max()) + 1 if drawn.cell.size else 1
    rows = np.arange(len(mask))[:, None]
    index = (rows * n_cells + drawn.cell).reshape(-1)
    length = len(mask) * n_cells
    count = np.bincount(index, minlength=length)
    hits = np.bincount(index, weights=mask.reshape(-1).astype(np.float64), minlength=length)
    share = (hits / np.maximum(count, 1))[index].reshape(mask.shape)
    unseen = mask[~drawn.explored]
    zero = float(unseen.mean()) if unseen.size else 0.0
    return np.where(drawn.explored, share - zero, 0.0)


def with_prior(scores: npt.ArrayLike, prior: npt.ArrayLike) -> FloatArray:
    """Scores over their maximum, blended with a 0/1 prior as published: 0.8 prior + 0.2 score.

    Only for demonstration: ranked against the leads that the prior prefers, an all-zero map scores
    0.85.
    """
    values = np.asarray(scores, np.float64)
    peak = float(values.max(initial=0.0))
    return np.asarray(
        PRIOR_SHARE * np.asarray(prior, np.float64)
        + (1 - PRIOR_SHARE) * (values / (peak if peak > 0 else 1.0))
    )


def _described() -> tuple[Metric, ...]:
    """Descriptions of everything that :func:`plausibility` and :func:`localisation` return.

    ``truth`` is where evidence is known to lie: planted mechanisms, cardiologists' marks.
    """
    found = [
        Metric(
            "coverage", "Share explored", "none", "plausibility", "-", "never", sides=("ceiling",)
        ),
    ]
    for kind in ("strict", "lenient", "truth"):
        for spec in _SPECS:
            for tail, words in (("", ""), ("_explored", ", explored bins only")):
                if tail and not spec.explored_too:
                    continue
                found.append(
                    Metric(
                        f"{spec.name}_{kind}{tail}",
                        f"{spec.title} ({kind}{words})",
                        "higher",
                        "plausibility",
                        spec.chance_text,
                        _UNDEFINED + spec.extra_undefined,
                        spec.source,
                        sides=("random", "ceiling") if spec.peak else SIDES,
                    )
                )
        if kind == "truth":
            continue
        found.append(
            Metric(
                f"attauc_{kind}_priors",
                f"AttAUC ({kind}) with lead priors in the scores: a trap, not a result",
                "none",
                "plausibility",
                "the empty map's own score",
                _UNDEFINED,
                "published ECG-XAI",
                sides=("empty",),
            )
        )
    return tuple(found)


_METRICS = _described()


def _of(subject: Subject) -> Outcome:
    """With ``tokens="published"`` the published scores take the place of these."""
    params = subject.params
    scores: dict[str, tuple[Score, ...]] = {}
    for name, item in subject.maps.items():
        found: tuple[Score, ...] = ()
        if params.tokens == "raster":
            found = plausibility(
                item, subject.diagnosis, subject.peaks_sec, subject.heart_rate, params
            )
        if subject.truth is not None:
            raster = raster_for(item, params.raster_sec)
            mask = mask_from_intervals(raster, subject.truth)
            found += localisation(rasterise(item, raster), mask, params.precision_k, "truth")
        scores[name] = found
    return Outcome(scores)


GROUP = MetricGroup("plausibility", _METRICS, ("map",), _of)
