"""A map in words: for people who cannot see it, and for the first sentence of a report."""

from __future__ import annotations

import numpy as np

from ecgxai_core.types import Attribution, FusedMap

__all__ = ["in_words", "lead_rows", "top_cells"]


def top_cells(item: Attribution | FusedMap, k: int = 3) -> list[tuple[str, float, float, float]]:
    """The ``k`` explored cells of largest |weight|: lead, begin and end (s), signed weight."""
    size = np.where(item.explored, np.abs(np.nan_to_num(item.weights)), -1.0)
    order = np.argsort(-size, axis=None, kind="stable")[:k]
    found = []
    for flat in order:
        lead, column = np.unravel_index(flat, size.shape)
        if size[lead, column] <= 0:
            break
        begin, end = (float(edge) for edge in item.edges_sec[column : column + 2])
        found.append((item.leads[lead], begin, end, float(item.weights[lead, column])))
    return found


def lead_rows(item: Attribution | FusedMap) -> list[tuple[str, float, float, float, float]]:
    """By lead, highest first: share of |weight|, share for, share against, share explored."""
    weights = np.nan_to_num(item.weights.astype(np.float64))
    total = float(np.abs(weights).sum()) or 1.0
    seconds = item.durations / item.durations.sum()
    rows = [
        (
            lead,
            float(np.abs(row).sum() / total),
            float(row[row > 0].sum() / total),
            float(np.abs(row[row < 0]).sum() / total),
            float(seconds[seen].sum()),
        )
        for lead, row, seen in zip(item.leads, weights, item.explored, strict=True)
    ]
    return sorted(rows, key=lambda row: -row[1])


def in_words(item: Attribution | FusedMap, target: str) -> str:
    """Probability, top cells, what was not explored and where methods disagree."""
    cells = top_cells(item)
    parts = [f"The model gives {target} a probability of {item.probability:.3f}."]
    if cells:
        named = "; ".join(
            f"{lead} from {begin:.2f} to {end:.2f} s ({'for' if weight > 0 else 'against'})"
            for lead, begin, end, weight in cells
        )
        parts.append(f"Strongest cells: {named}.")
    else:
        parts.append("The map is empty: no cell has a weight.")
    unexplored = 1.0 - float(np.mean(item.explored))
    if unexplored > 0:
        parts.append(f"{unexplored:.0%} of the cells were not explored.")
    if isinstance(item, FusedMap):
        conflict = float(np.mean(item.agreement[item.explored] == -1)) if item.explored.any() else 0
        parts.append(f"The methods disagree in sign on {conflict:.0%} of the explored cells.")
    return " ".join(parts)
