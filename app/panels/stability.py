"""The extra-beat experiment on the open record, as the Stability page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app.data import services, work
from app.panels import record_maps
from app.shell import frame, jobs
from app.shell.state import View
from ecgxai_core.errors import ExplanationError
from ecgxai_core.metrics import METRICS
from ecgxai_core.pipeline.compare import moved
from ecgxai_core.pipeline.extra_beat import (
    ExtraBeatTest,
    cached_extra_beat_test,
    prediction_stayed,
)
from ecgxai_core.pipeline.headlines import (
    beats_compared,
    stability_details,
    stability_headline,
)
from ecgxai_core.plots.extra_beat import Side, extra_beat_figure
from ecgxai_core.plots.paper import PaperStyle
from ecgxai_core.plots.words import lead_ranking
from ecgxai_core.types import Record, Score

if TYPE_CHECKING:
    import plotly.graph_objects as go

_WIDE_PX, _PHONE_PX, _PHONE_SEC = 1100, 340, 4.0
"""Expected width of the picture, and how many seconds of it a phone shows."""


def experiment(view: View, record: Record) -> ExtraBeatTest | None:
    """The experiment: from the cache, or after the job that the reader starts."""
    case, params, store = services.case(view, record), view.parameters, services.store(view)
    try:
        found = cached_extra_beat_test(case, params, store, methods=params.methods)
    except ExplanationError as error:
        frame.empty("The extra-beat test cannot be run on this record.", str(error))
        return None
    if found is not None:
        return found
    key = services.job_key("extra-beat", view, record, params.model_dump_json())

    def begin() -> None:
        jobs.start(
            key, f"Doubling a beat of {record.name}", work.extra_beat,
            services.case_file(view, record), params, cost=services.unit_passes(view),
        )  # fmt: skip

    result: ExtraBeatTest | None = frame.offer(
        key, "Run the experiment", begin, "The extra-beat test has not been run on this record.",
        "In the background one beat is doubled, the record is explained again, and both maps are "
        "compared beat by beat.",
    )  # fmt: skip
    return result


def score_table(found: ExtraBeatTest, view: View, method: str) -> None:
    """Every score of every map, the scores as rows; random is that of the map in view."""
    import pandas as pd

    scores = found.scores(view.parameters.stability)
    whole = pd.DataFrame(
        [
            {
                "map": record_maps.method_title(name),
                "metric": METRICS[score.metric].title,
                "value": score.value,
                "random": score.random,
                "best possible": score.ceiling,
            }
            for name, own in scores.items()
            for score in own
        ]
    )
    shown = pd.DataFrame(
        [
            {
                "score": _TITLES.get(score.metric, METRICS[score.metric].title),
                **{record_maps.method_title(name): _text(found, name, own[row])
                   for name, own in scores.items()},
                "random": f"{score.random:.2f}" if score.random == score.random else "–",
            }
            for row, score in enumerate(scores[method])
        ]
    )  # fmt: skip
    column = st.column_config
    frame.table(
        shown, "stability-scores", f"{found.original[method].record}_extra_beat.csv",
        height="content",
        hint=f"Random: what an unrelated ranking of the same leads and beats scores "
        f"({record_maps.method_title(method)}). A region is a lead in a beat.",
        whole=whole,
        column_config={
            "score": column.TextColumn("Score"), "random": column.TextColumn("Random"),
        },
    )  # fmt: skip


_TITLES = {
    "spearman": "Rank agreement (Spearman)",
    "jaccard_at_k": "Same strongest regions (Jaccard@k)",
    "weighted_jaccard": "Same shares (weighted Jaccard)",
    "rbo_ext": "Same top of the ranking (RBO, extrapolated)",
}


def _text(found: ExtraBeatTest, name: str, score: Score) -> str:
    """A score with two decimals; of the beats how many."""
    if score.metric == "regions_compared":
        fates = found.fates(name)
        return f"{fates.count('compared')} of {len(fates)}"
    return f"{score.value:.2f}" if score.value == score.value else "–"


def picture(found: ExtraBeatTest, record: Record, view: View, method: str) -> go.Figure:
    """Both records with their maps on the time axis of the changed one."""
    lead = lead_ranking(found.original[method])[0]["lead"]
    narrow, inserted = frame.on_phone(), found.augmented.time_map.inserted
    style = PaperStyle(theme=frame.colours(), width_px=_PHONE_PX if narrow else _WIDE_PX)
    span = None
    if narrow:
        last = found.augmented.record.duration
        first = min(max(0.0, sum(inserted) / 2 - _PHONE_SEC / 2), last - _PHONE_SEC)
        span = (max(0.0, first), min(first + _PHONE_SEC, last))
    sides, peak = _sides(found, record, method, lead)
    return extra_beat_figure(
        sides, lead, style, inserted_sec=inserted, compared_sec=found.compared(method)[0],
        least=_hidden_below(view, peak), span_sec=span,
    )  # fmt: skip


def _sides(
    found: ExtraBeatTest, record: Record, method: str, lead: str
) -> tuple[list[Side], float]:
    """The two records for the picture, and the density at which their colours are full."""
    one, other = found.original[method], found.changed[method]
    time_map, changed = found.augmented.time_map, found.augmented.record
    row = record.leads.index(lead)
    seconds = np.arange(record.n_samples) / record.fs
    gap = int(np.searchsorted(seconds, time_map.cut_sec - 1e-9))
    broken = np.insert(record.signal[row].astype(float), gap, np.nan)
    times = np.insert(time_map.forward(seconds), gap, time_map.cut_sec)
    edges, values = moved(one, time_map)
    values, again = np.where(one.explorable[:, None], values, 0.0), other.drawn_density()
    peak = max(float(np.nanmax(np.abs(m), initial=0.0)) for m in (values, again)) or 1.0
    later = np.arange(changed.n_samples) / changed.fs
    return [
        Side("Original, shifted to make room for the added beat", times, broken,
             one.leads, edges, values / peak),
        Side("With the added beat, explained again", later, changed.signal[row].astype(float),
             other.leads, other.edges_sec, again / peak),
    ], peak  # fmt: skip


def _hidden_below(view: View, peak: float) -> float:
    """``tau`` as a share of the largest density, as the viewer hides cells."""
    if view.fusion.tau_mode != "abs":
        return 0.0
    return min(1.0, view.fusion.tau / peak)


def answer(found: ExtraBeatTest, view: View, method: str) -> tuple[str, str]:
    """The test in one sentence, and what else came of it; plain text."""
    one, other = found.original[method], found.changed[method]
    scores = {score.metric: score for score in found.scores(view.parameters.stability)[method]}
    manifest = services.classifier(view).manifest
    row = {
        "probability": one.probability,
        "probability_extra_beat": other.probability,
        "prediction_stayed": prediction_stayed(one, other, manifest, view.parameters),
    }
    for name in ("spearman", "jaccard_at_k"):
        row |= {name: scores[name].value, f"{name}_random": scores[name].random}
    tops = tuple(
        [line["lead"] for line in lead_ranking(item)[: view.fusion.topk] if line["share"] > 0]
        for item in (one, other)
    )
    details = stability_details(row, (tops[0], tops[1]))
    counted = f"{beats_compared(found.fates(method))}."
    return stability_headline(record_maps.method_title(method), row), f"{details} {counted}"
