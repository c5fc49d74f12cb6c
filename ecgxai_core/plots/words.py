"""Maps as text and tables: the text alternative of a figure, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.errors import ParameterError
from ecgxai_core.signal.segments import waves_of_map
from ecgxai_core.types import FusedMap, Map, Record, Segmentation, probability_text

if TYPE_CHECKING:
    import pandas as pd

    from ecgxai_core.fusion.median_beat import MedianBeat

__all__ = [
    "answer_in_words",
    "beat_in_words",
    "beat_leads",
    "beat_table",
    "cell_table",
    "check_record",
    "lead_ranking",
    "listed",
    "map_in_words",
    "named_leads",
    "wave_shares",
]


def check_record(item: Map, record: Record) -> None:
    """Refuse to draw a map on another record's trace.

    Raises
    ------
    ParameterError
        The digests differ.
    """
    if item.provenance.record_digest != record.digest:
        raise ParameterError(
            "map", item.record, f"is not a map of record {record.name} as it is here",
            "give the record that was explained",
        )  # fmt: skip


def lead_ranking(overlay: Map) -> list[dict[str, Any]]:
    """Leads by their share of the sum of |weight|, in descending order; ties in lead order.

    ``for_share`` is the fraction of a lead's |weight| that is evidence for the target; ``from_sec``
    and ``to_sec`` bound its strongest segment; ``explored`` is the fraction of time explored. Leads
    that follow others in this map are left out.
    """
    weights = np.nan_to_num(overlay.weights.astype(np.float64))
    size = np.abs(weights)
    total = size.sum() or 1.0
    density = np.abs(np.nan_to_num(overlay.density()))
    durations = overlay.durations
    rows = []
    for i, lead in enumerate(overlay.leads):
        if not overlay.explorable[i]:
            continue
        best = int(density[i].argmax())
        mass = size[i].sum()
        rows.append({
            "lead": lead,
            "share": float(mass / total),
            "for_share": float(weights[i].clip(min=0).sum() / mass) if mass else float("nan"),
            "from_sec": float(overlay.edges_sec[best]) if mass else float("nan"),
            "to_sec": float(overlay.edges_sec[best + 1]) if mass else float("nan"),
            "direction": ("for" if weights[i, best] > 0 else "against") if mass else "",
            "explored": float((overlay.explored[i] * durations).sum() / durations.sum()),
        })  # fmt: skip
    return sorted(rows, key=lambda row: -row["share"])


def map_in_words(overlay: Map, target: str, what: str) -> str:
    """One sentence with the three strongest leads and their strongest segments."""
    parts = [
        f"lead {row['lead']} {row['from_sec']:.2f} to {row['to_sec']:.2f} s "
        f"({row['direction']}, {row['share']:.0%} of the map)"
        for row in lead_ranking(overlay)[:3]
        if row["share"] > 0
    ]
    found = "strongest in " + "; ".join(parts) if parts else "no evidence anywhere"
    return f"{what} for {target}, probability {probability_text(overlay.probability)}: {found}."


_LEAST_SHARE = 0.005
"""Of the map; a lead with less is printed as 0 % and not named."""

_MOST_TIED = 3
"""So many more leads than asked for are named because they tie with the last one."""

_BOTH_SIDES = (0.4, 0.6)
"""A lead with this share of its evidence for the target speaks on both sides."""

_WORTH_PLACING = 0.05
"""Evidence for, or against, of this share is given a place: a lead is named for it."""

_IN_WAVE = {
    "P": "in the P wave", "PR": "in the PR segment", "QRS": "in the QRS complex",
    "ST": "in the ST segment", "T": "in the T wave", "TP": "between T and P",
}  # fmt: skip


def _side(row: Mapping[str, Any]) -> str:
    """On which side the evidence of a lead lies."""
    low, high = _BOTH_SIDES
    return "for" if row["for_share"] >= high else "against" if row["for_share"] <= low else "both"


def named_leads(overlay: Map, topk: int = 5) -> list[dict[str, Any]]:
    """The leads that an answer names, as rows of :func:`lead_ranking`; a picture marks the same.

    They are the first ``topk``. Leads that are printed with the same share are all named, or none
    of them where they are many. If a twentieth of the evidence or more speaks for, or against, and
    none of the named leads does so, the first that does is named too.
    """
    rows = [row for row in lead_ranking(overlay) if row["share"] >= _LEAST_SHARE]
    named = _with_ties(rows, topk, topk + _MOST_TIED)
    for_share = sum(row["share"] * row["for_share"] for row in rows)
    for side, share in (("for", for_share), ("against", 1 - for_share)):
        if share >= _WORTH_PLACING and named and side not in map(_side, named):
            named += _with_ties([r for r in rows if _side(r) == side], 1, _MOST_TIED)
    return named


def _with_ties(rows: list[dict[str, Any]], count: int, most: int) -> list[dict[str, Any]]:
    """The first rows, and those that are printed with the share of the last; if that makes too
    many, only those with a larger share."""
    shares = [f"{row['share']:.0%}" for row in rows]
    last = shares[min(count, len(rows)) - 1] if rows else ""
    kept = max(count, len(shares) - shares[::-1].index(last)) if rows else 0
    return rows[:kept] if kept <= most else rows[: shares.index(last)]


def answer_in_words(
    overlay: Map,
    waves: Segmentation | None = None,
    *,
    signed: bool = True,
    topk: int = 5,
    unseen: str = "",
) -> str:
    """Which leads and waves speak for the target and which against it, and what limits the map: one
    or two sentences, plain text.

    Parameters
    ----------
    overlay
        The map.
    waves
        The record's waves. They are named only where the map's segments lie within waves: a window
        that cuts through beats says nothing about them.
    signed
        Whether weights tell for from against; off for methods that give magnitudes.
    topk
        How many leads are named: :func:`named_leads`.
    unseen
        What the model cannot see, as a clause; empty = nothing is said.
    """
    if not np.any(np.nan_to_num(overlay.weights)):
        return "The map is empty: the method found no evidence."
    how = _balance_in_words(overlay) if signed else "this method does not tell for from against"
    where = _waves_in_words(wave_shares(overlay, waves))
    rest = "; ".join(filter(None, (how, where, _limit_in_words(overlay), unseen)))
    leads = _leads_in_words(named_leads(overlay, topk), signed)
    return f"{leads}. {rest[0].upper()}{rest[1:]}."


def _leads_in_words(rows: Sequence[Mapping[str, Any]], signed: bool) -> str:
    """``Evidence for: V1 25% and V6 17%; against: aVF 9%``."""
    if not rows:
        return "No lead stands out: the evidence is spread over all of them"
    if not signed:
        return f"Evidence: {_shares(rows)}"
    sides = {"for": "for", "against": "against", "both": "on both sides"}
    groups = {words: [row for row in rows if _side(row) == side] for side, words in sides.items()}
    said = "; ".join(f"{words}: {_shares(own)}" for words, own in groups.items() if own)
    return f"Evidence {said}"


def _balance_in_words(overlay: Map) -> str:
    weights = np.nan_to_num(overlay.weights.astype(np.float64))
    in_favour = float(weights.clip(min=0).sum() / np.abs(weights).sum())
    return f"in all, {in_favour:.0%} speaks for the diagnosis and {1 - in_favour:.0%} against"


def _shares(rows: Sequence[Mapping[str, Any]]) -> str:
    return listed([f"{row['lead']} {row['share']:.0%}" for row in rows])


def _waves_in_words(parts: Mapping[str, float]) -> str:
    """Where in the beat the largest part of the evidence lies."""
    if not parts:
        return ""
    name = max(parts, key=lambda wave: parts[wave])
    return f"the largest part lies {_IN_WAVE.get(name, f'in {name}')} ({parts[name]:.0%})"


def _limit_in_words(overlay: Map) -> str:
    """How far a map can be relied on, as far as it says so itself."""
    if overlay.diagnostics.get("converged") is False:
        return "the method has not converged, so the order of cells may change"
    if not isinstance(overlay, FusedMap) or len(overlay.methods) < 2:
        return ""
    agree = float(overlay.diagnostics.get("agreement", float("nan")))
    if not np.isfinite(agree):
        return ""
    return f"the {len(overlay.methods)} methods agree in sign on {agree:.0%}"


def wave_shares(overlay: Map, waves: Segmentation | None = None) -> dict[str, float]:
    """Share of a map's sum of |weight| by wave; empty where its segments cut through waves.

    Which wave a segment belongs to: :func:`ecgxai_core.signal.segments.waves_of_map`.
    """
    labels = waves_of_map(overlay, waves)
    if labels is None:
        return {}
    size = np.abs(np.nan_to_num(overlay.weights.astype(np.float64))).sum(axis=0)
    total = float(size.sum()) or 1.0
    shares: dict[str, float] = {}
    for name, mass in zip(labels, size, strict=True):
        if name:
            shares[name] = shares.get(name, 0.0) + float(mass) / total
    return shares


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def cell_table(overlay: Map) -> pd.DataFrame:
    """One row per cell; unexplored cells have no weight."""
    import pandas as pd

    leads, segments = overlay.weights.shape
    edges = overlay.edges_sec
    frame = pd.DataFrame(
        {
            "lead": np.repeat(np.array(overlay.leads, dtype=object), segments),
            "from_sec": np.tile(edges[:-1], leads).round(4),
            "to_sec": np.tile(edges[1:], leads).round(4),
            "weight": overlay.weights.ravel(),
            "weight_per_sec": overlay.density().ravel(),
            "explored": overlay.explored.ravel(),
        }
    )
    if isinstance(overlay, FusedMap):
        frame["agreement"] = overlay.agreement.ravel()
    return frame


def beat_leads(beat: MedianBeat) -> list[dict[str, Any]]:
    """Leads by their largest |mean| of the map over the beats, in descending order.

    ``at_ms`` is its time from the R peak, known to within half a segment (``within_ms``); ``low``
    to ``high`` the band there, ``beats`` the number of beats averaged, and ``clear`` whether the
    band excludes 0. A lead that was not explored in any beat has no numbers.
    """
    rows = []
    for i, lead in enumerate(beat.leads):
        size = np.nan_to_num(np.abs(beat.mean[i]), nan=-1.0)
        best = int(size.argmax())
        known = bool(size[best] >= 0)
        low, high = float(beat.low[i, best]), float(beat.high[i, best])
        rows.append({
            "lead": lead,
            "at_ms": float(1000 * beat.time_sec[best]) if known else float("nan"),
            "within_ms": 500.0 * beat.segment_sec,
            "direction": ("for" if beat.mean[i, best] > 0 else "against") if known else "",
            "mean_per_sec": float(beat.mean[i, best]),
            "low": low,
            "high": high,
            "clear": bool(low > 0 or high < 0),
            "beats": int(beat.n[i, best]),
        })  # fmt: skip
    return sorted(rows, key=lambda row: -np.nan_to_num(abs(row["mean_per_sec"]), nan=-1.0))


def beat_in_words(beat: MedianBeat, target: str, what: str) -> str:
    """One sentence with the three leads of strongest mean over the beats."""
    parts = [
        f"lead {row['lead']} {row['at_ms']:.0f} ± {row['within_ms']:.0f} ms from the R peak "
        f"({row['direction']}, "
        f"{beat.confidence:.0%} band {'excludes' if row['clear'] else 'includes'} 0)"
        for row in beat_leads(beat)[:3]
        if row["mean_per_sec"] and np.isfinite(row["mean_per_sec"])
    ]
    found = "strongest in " + "; ".join(parts) if parts else "no evidence anywhere"
    return f"{what} for {target}, mean over {beat.n_beats} beats on their median beat: {found}."


def beat_table(beat: MedianBeat) -> pd.DataFrame:
    """One row per lead and bin."""
    import pandas as pd

    leads, bins = beat.signal.shape
    return pd.DataFrame(
        {
            "lead": np.repeat(np.array(beat.leads, dtype=object), bins),
            "ms_from_r": np.tile((1000 * beat.time_sec).round(1), leads),
            "median_mv": beat.signal.ravel().round(4),
            "mean_per_sec": beat.mean.ravel(),
            "low": beat.low.ravel(),
            "high": beat.high.ravel(),
            "beats": beat.n.ravel(),
        }
    )
