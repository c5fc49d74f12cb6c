"""A map in words and as rows: the text alternative of its picture, and the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.types import Attribution, FusedMap

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["cell_table", "lead_ranking", "map_in_words"]

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
