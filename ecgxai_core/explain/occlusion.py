"""Occlusion: what the value loses when one part is masked (Zeiler & Fergus, ECCV 2014)."""

from __future__ import annotations

import numpy as np

from ecgxai_core.explain.cells import spread_over_leads
from ecgxai_core.explain.method import Explanation, Method, Task
from ecgxai_core.games.links import to_link
from ecgxai_core.games.players import event_keep
from ecgxai_core.types import BoolArray, FloatArray

__all__ = ["OCCLUSION", "explain_occlusion"]


def explain_occlusion(task: Task) -> Explanation:
    """value(intact) - value(one part masked), on the link scale, for every part in one batch.

    ``occlusion_level`` says what a part is. ``cell``: one lead in one segment, the map's own grid.
    ``window``: a segment in all leads, shared evenly among them. ``lead``: a lead over the whole
    record, shared among its segments by duration. Windows and leads are measured at every level:
    the event values are those of the windows, and ``lead_values`` stand in the diagnostics, of the
    leads that are masked by themselves.

    One part is masked while all others are there, so evidence that the record holds twice (every
    beat, every derived lead) may show nowhere; Shapley values share it.
    """
    n_leads, n_segments = len(task.leads), len(task.segmentation)
    shape = (n_leads, n_segments)
    level = task.params.occlusion_level
    parts = [np.ones((1, *shape), dtype=np.bool_), _windows(*shape), _leads(*shape)]
    if level == "cell":
        parts.append(_cells(*shape))
    keep = np.concatenate(parts)
    task.report(0, 1, f"{len(keep)} masked records")
    value = to_link(task.model.probabilities(keep, task.segmentation), task.params.link)
    task.report(1, 1, f"{len(keep)} masked records")
    lost = value[0] - value[1:]
    explored = np.zeros(shape, dtype=np.bool_)
    explored[task.model.player_rows] = True
    windows, leads = lost[:n_segments], lost[n_segments : n_segments + n_leads]
    if level == "cell":
        weights = np.where(explored, lost[n_segments + n_leads :].reshape(shape), 0.0)
    elif level == "window":
        weights = spread_over_leads(windows, n_leads)
        explored[:] = True  # a window is masked in all leads, whoever follows
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


def _windows(n_leads: int, n_segments: int) -> BoolArray:
    return event_keep(~np.eye(n_segments, dtype=np.bool_), n_leads)


def _leads(n_leads: int, n_segments: int) -> BoolArray:
    return np.repeat(~np.eye(n_leads, dtype=np.bool_)[:, :, None], n_segments, axis=2)


def _cells(n_leads: int, n_segments: int) -> BoolArray:
    n_cells = n_leads * n_segments
    return (~np.eye(n_cells, dtype=np.bool_)).reshape(n_cells, n_leads, n_segments)


OCCLUSION = Method(
    name="occlusion",
    title="Occlusion",
    family="occlusion",
    signed=True,
    uses=("segments", "window_sec", "baseline", "link", "engine", "lead_group", "occlusion_level"),
    description="what the prediction loses when one cell, window or lead is masked",
    run=explain_occlusion,
)
