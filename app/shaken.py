"""The extra-beat experiment on the open record, as the Stability page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app import frame, jobs, review, services
from app.state import View
from ecgxai_core.errors import ExplanationError
from ecgxai_core.metrics import METRICS
from ecgxai_core.pipeline.comparing import moved
from ecgxai_core.pipeline.explanation import explained
from ecgxai_core.pipeline.shaking import Shaken, cached_shaken, shake, stability_scores
from ecgxai_core.plots.maps import MapPanel, Trace
from ecgxai_core.types import Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["aligned", "cards", "experiment", "score_rows"]


def experiment(view: View, record: Record) -> Shaken | None:
    """The experiment: from the cache, or after the job that the reader starts."""
    code, chosen, store = services.target(view), services.classifier(view), services.store(view)
    params, data, start = view.parameters, services.data_set(view), view.start
    try:
        found = cached_shaken(
            record, chosen, code, params, store, methods=params.methods, start_sec=start
        )
    except ExplanationError as error:
        frame.empty("This record cannot be shaken.", str(error))
        return None
    if found is not None:
        return found
    scope = data.path if data is not None and data.own else ""
    key = f"shake:{scope}:{record.digest}:{chosen.digest}:{code}:{start}:"
    key += params.model_dump_json()
    job = jobs.get(key)
    if job is not None and job.state != "done":
        jobs.show(job)
        return None
    if job is not None:
        done: Shaken = job.result
        return done

    def work(progress: jobs.Progress) -> Shaken:
        first = explained(
            record,
            chosen,
            code,
            params,
            store,
            methods=params.methods,
            start_sec=start,
            progress=progress,
        )
        return shake(record, chosen, code, first, params, store, progress=progress)

    frame.empty(
        "The extra-beat experiment has not been run on this record.",
        "One beat is doubled, the record is explained again, and both maps are compared beat by "
        "beat; in the background.",
    )
    if st.button("Run the experiment", type="primary", icon=":material/play_arrow:"):
        jobs.start(key, f"Doubling a beat of {record.name}", work)
        st.rerun()
    return None


def score_rows(found: Shaken, view: View) -> pd.DataFrame:
    """Scores of every map, a row a score, beside chance."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "map": review.method_title(name),
                "metric": METRICS[score.metric].title,
                "value": score.value,
                "random": score.random,
                "best possible": score.ceiling,
            }
            for name, scores in stability_scores(found, view.parameters.stability).items()
            for score in scores
        ]
    )


def aligned(
    found: Shaken, record: Record, method: str
) -> tuple[list[Trace], list[MapPanel], tuple[float, float]]:
    """Traces and maps of both records on the time axis of the changed one, and the new beat."""
    one, other = found.original[method], found.changed[method]
    time_map = found.augmented.time_map
    lead = "II" if "II" in record.leads else record.leads[0]
    row = record.leads.index(lead)
    seconds = np.arange(record.n_samples) / record.fs
    later = np.arange(found.augmented.record.n_samples) / record.fs
    gap = int(np.searchsorted(seconds, time_map.cut_sec - 1e-9))
    broken = np.insert(record.signal[row].astype(float), gap, np.nan)
    times = np.insert(time_map.forward(seconds), gap, time_map.cut_sec)
    traces = [
        Trace(f"Original, lead {lead}, moved behind the new beat", times, broken),
        Trace(f"With the extra beat, lead {lead}", later, found.augmented.record.signal[row]),
    ]
    edges, values = moved(one, time_map)
    peak = max(float(np.nanmax(np.abs(m), initial=0.0)) for m in (values, other.density())) or 1.0
    panels = [
        MapPanel("Map of the original, moved with it", one.leads, edges, values / peak),
        MapPanel("Map with the extra beat", other.leads, other.edges_sec, other.density() / peak),
    ]
    return traces, panels, time_map.inserted


def cards(rows: pd.DataFrame, title: str, before: float, after: float) -> None:
    """The scores of one map, and what the model says of both records."""
    mine = rows[rows["map"] == title]
    with st.container(horizontal=True):
        st.metric(
            "Probability", f"{after:.3f}", _by_the_beat(after - before), border=True,
            delta_color="off", delta_arrow="off", help="of the record with the extra beat",
        )  # fmt: skip
        for row in mine.to_dict("records"):
            value, random = float(row["value"]), float(row["random"])
            known, chance = value == value, random == random
            st.metric(
                str(row["metric"]),
                f"{value:.3f}" if known else "–",
                f"{value - random:+.3f} vs chance" if known and chance else None,
                border=True,
            )


def _by_the_beat(change: float) -> str:
    return "not moved by the beat" if abs(change) < 5e-4 else f"{change:+.3f} by the beat"
