"""A map in words and as rows: the text alternative of its picture, and the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.plots.beat import TypicalBeat
from ecgxai_core.types import Attribution, FusedMap

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "beat_in_words",
    "beat_leads",
    "beat_table",
    "cell_table",
    "lead_ranking",
    "map_in_words",
]

Map = Attribution | FusedMap


def lead_ranking(overlay: Map) -> list[dict[str, Any]]:
    """Leads by their share of the sum of |weight|, the largest first; ties in lead order.

    ``for_share`` is the part of a lead's |weight| that speaks for the target; ``from_sec`` and
    ``to_sec`` bound its strongest window; ``explored`` is the share of its time that was explored.
    """
    weights = np.nan_to_num(overlay.weights.astype(np.float64))
    size = np.abs(weights)
    total = size.sum() or 1.0
    density = np.abs(np.nan_to_num(overlay.density()))
    durations = overlay.durations
    rows = []
    for i, lead in enumerate(overlay.leads):
        best = int(density[i].argmax())
        mass = size[i].sum()
        found = {
            "lead": lead,
            "share": float(mass / total),
            "for_share": float(weights[i].clip(min=0).sum() / mass) if mass else float("nan"),
            "from_sec": float(overlay.edges_sec[best]) if mass else float("nan"),
            "to_sec": float(overlay.edges_sec[best + 1]) if mass else float("nan"),
            "direction": ("for" if weights[i, best] > 0 else "against") if mass else "",
            "explored": float((overlay.explored[i] * durations).sum() / durations.sum()),
        }
        rows.append(found)
    return sorted(rows, key=lambda row: -row["share"])


def map_in_words(overlay: Map, target: str, what: str) -> str:
    """One sentence with the three strongest leads and their windows."""
    parts = [
        f"lead {row['lead']} {row['from_sec']:.2f} to {row['to_sec']:.2f} s "
        f"({row['direction']}, {row['share']:.0%} of the map)"
        for row in lead_ranking(overlay)[:3]
        if row["share"] > 0
    ]
    found = "strongest in " + "; ".join(parts) if parts else "no evidence anywhere"
    return f"{what} for {target}, probability {overlay.probability:.2f}: {found}."


def cell_table(overlay: Map) -> pd.DataFrame:
    """Every cell as a row; a cell that was not explored has no weight."""
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


def beat_leads(beat: TypicalBeat) -> list[dict[str, Any]]:
    """Leads by the largest |mean| of the map over the beats, the largest first.

    ``at_ms`` is where that is, from the R peak; ``low`` to ``high`` is the band there, ``beats``
    how many beats it rests on, and ``clear`` says whether the band leaves 0 out. A lead that was
    explored in no beat has no numbers.
    """
    rows = []
    for i, lead in enumerate(beat.leads):
        size = np.nan_to_num(np.abs(beat.mean[i]), nan=-1.0)
        best = int(size.argmax())
        known = bool(size[best] >= 0)
        low, high = float(beat.low[i, best]), float(beat.high[i, best])
        rows.append(
            {
                "lead": lead,
                "at_ms": float(1000 * beat.time_sec[best]) if known else float("nan"),
                "direction": ("for" if beat.mean[i, best] > 0 else "against") if known else "",
                "mean_per_sec": float(beat.mean[i, best]),
                "low": low,
                "high": high,
                "clear": bool(low > 0 or high < 0),
                "beats": int(beat.n[i, best]),
            }
        )
    return sorted(rows, key=lambda row: -np.nan_to_num(abs(row["mean_per_sec"]), nan=-1.0))


def beat_in_words(beat: TypicalBeat, target: str, what: str) -> str:
    """One sentence with the three leads in which the mean over the beats is strongest."""
    parts = [
        f"lead {row['lead']} {row['at_ms']:.0f} ms from the R peak ({row['direction']}, "
        f"{beat.confidence:.0%} band {'leaves out' if row['clear'] else 'holds'} 0)"
        for row in beat_leads(beat)[:3]
        if row["mean_per_sec"] and np.isfinite(row["mean_per_sec"])
    ]
    found = "strongest in " + "; ".join(parts) if parts else "no evidence anywhere"
    return f"{what} for {target}, mean over {beat.n_beats} beats on their median beat: {found}."


def beat_table(beat: TypicalBeat) -> pd.DataFrame:
    """Every bin of every lead as a row."""
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
