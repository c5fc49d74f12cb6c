"""What a map adds up to, against what the method explains: one measurement for every method."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgxai_core.explainers.method import Explanation, Method, Task
from ecgxai_core.types import BoolArray

__all__ = ["map_gap"]

TINY = 1e-9
"""Least difference of two values, on the link, that a gap is a share of."""


def map_gap(task: Task, method: Method, found: Explanation) -> dict[str, Any]:
    """How far the weights of a map fail to add up to v(record) - v(baseline).

    Completeness of Sundararajan et al., ICML 2017 (proposition 1), which is efficiency for Shapley
    values; measured on the map itself, also for methods that do not promise it.

    Returns
    -------
    ``map_sum``, the sum of the explored weights; ``map_worth``, the difference that the method
    explains, on its link; ``map_gap``, |sum - worth| / max(|worth|, 1e-9); ``map_gap_reason`` says
    why a gap is ``None``.
    """
    explored = found.explored
    total = float(found.weights[explored].sum()) if method.signed else None
    reason = _no_gap(task, method, found)
    if reason is not None or total is None:
        return {"map_sum": total, "map_worth": None, "map_gap": None, "map_gap_reason": reason}
    worth = _played(task) if found.worth is None else found.worth
    gap = abs(total - worth) / max(abs(worth), TINY)
    return {"map_sum": total, "map_worth": worth, "map_gap": gap, "map_gap_reason": None}


def _no_gap(task: Task, method: Method, found: Explanation) -> str | None:
    """Why there is no gap to be measured, if so."""
    if not method.signed:
        return "weights are sizes, which add up to nothing in particular"
    if found.worth is None and "baseline" not in method.uses:
        return "the method compares the record with no baseline"
    # derived leads are no players, and a segment's weight may lie on all leads
    missing = int(np.count_nonzero(~found.explored[task.model.player_rows]))
    if missing:
        cells = len(task.model.player_rows) * len(task.segmentation)
        return f"{missing} of {cells} cells are not explored"
    return None


def _played(task: Task) -> float:
    """v(record) - v(baseline) as the games play it."""
    ends: BoolArray = np.ones((2, len(task.leads), len(task.segmentation)), dtype=np.bool_)
    ends[1] = False
    record, baseline = (float(value) for value in task.values(ends))
    return record - baseline
