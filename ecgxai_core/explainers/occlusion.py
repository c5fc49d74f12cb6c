"""Occlusion: the drop in the value when one part is masked (Zeiler & Fergus, ECCV 2014)."""

from __future__ import annotations

import numpy as np

from ecgxai_core.explainers.cost import Cost, Size
from ecgxai_core.explainers.method import Explanation, Method, Task, spread_over_leads
from ecgxai_core.games.players import event_keep
from ecgxai_core.params import ExplainParams
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["OCCLUSION"]


def explain_occlusion(task: Task) -> Explanation:
    """value(intact) - value(one part masked), on the link scale, for every part in one batch.

    ``occlusion_level`` says what a part is. ``cell``: one lead in one segment. ``window``: a
    segment in all leads, shared evenly among them. ``lead``: a lead over the whole record, shared
    among its segments by duration. Windows and leads are measured at every level: event values are
    those of windows, ``lead_values`` among the diagnostics those of leads.

    One part is masked while all others are intact, so redundant evidence (in every beat, in derived
    leads) may not show at all; Shapley values share it.
    """
    n_leads, n_segments = len(task.leads), len(task.segmentation)
    shape = (n_leads, n_segments)
    level = task.params.occlusion_level
    parts = [
        np.ones((1, *shape), dtype=np.bool_),
        event_keep(_all_but_one(n_segments), n_leads),
        np.repeat(_all_but_one(n_leads)[:, :, None], n_segments, axis=2),
    ]
    if level == "cell":
        parts.append(_all_but_one(n_leads * n_segments).reshape(-1, *shape))
    keep = np.concatenate(parts)
    task.report(0, 1, f"{len(keep)} masked records")
    value = task.values(keep)
    task.report(1, 1, f"{len(keep)} masked records")
    lost = value[0] - value[1:]
    explored = np.zeros(shape, dtype=np.bool_)
    explored[task.model.player_rows] = True
    windows, leads = lost[:n_segments], lost[n_segments : n_segments + n_leads]
    if level == "cell":
        weights = np.where(explored, lost[n_segments + n_leads :].reshape(shape), 0.0)
    elif level == "window":
        weights = spread_over_leads(windows, n_leads)
        explored[:] = True  # a window is masked in all leads, derived ones too
    else:
        share: FloatArray = task.segmentation.durations / task.segmentation.durations.sum()
        weights = np.where(explored, leads[:, None] * share, 0.0)
    return Explanation(
        weights=weights,
        explored=explored,
        event_values=windows,
        diagnostics={
            "level": level,
            "value": float(value[0]),
            "lead_values": {task.leads[row]: float(leads[row]) for row in task.model.player_rows},
            "lead_axis": level != "window",
            "time_axis": level != "lead",
        },
    )


def _all_but_one(n: int) -> BoolArray:
    return ~np.eye(n, dtype=np.bool_)


def _cost(params: ExplainParams, size: Size) -> Cost:
    """A masked record for every window, lead and cell; cells are short pieces for local models."""
    cells = size.leads * size.segments if params.occlusion_level == "cell" else 0
    share = 1.0 if size.piece is None else size.piece
    return {"window_sec": 1 + size.segments + size.leads + cells * share}


OCCLUSION = Method(
    name="occlusion",
    title="Occlusion",
    family="occlusion",
    signed=True,
    uses=("segments", "window_sec", "baseline", "link", "engine", "lead_group", "occlusion_level"),
    description="drop in the prediction when one cell, window or lead is masked",
    run=explain_occlusion,
    cost=_cost,
)
