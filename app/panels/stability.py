"""The extra-beat experiment on the open record, as the Stability page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from app.data import services, work
from app.panels import explain
from app.shell import frame, jobs
from app.shell.state import View
from ecgxai_core.errors import ExplanationError
from ecgxai_core.metrics import METRICS
from ecgxai_core.pipeline.answers import stability_answer
from ecgxai_core.pipeline.compare import moved
from ecgxai_core.pipeline.extra_beat import ExtraBeatTest, cached_extra_beat_test
from ecgxai_core.plots.maps import MapPanel, Trace
from ecgxai_core.types import Record

if TYPE_CHECKING:
    import pandas as pd


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


def score_rows(found: ExtraBeatTest, view: View) -> pd.DataFrame:
    """Scores of every map, one row per score, with its references."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "map": explain.method_title(name),
                "metric": METRICS[score.metric].title,
                "value": score.value,
                "random": score.random,
                "best possible": score.ceiling,
            }
            for name, scores in found.scores(view.parameters.stability).items()
            for score in scores
        ]
    )


def aligned(
    found: ExtraBeatTest, record: Record, method: str
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
    values, again = np.where(one.explorable[:, None], values, 0.0), other.drawn_density()
    peak = max(float(np.nanmax(np.abs(m), initial=0.0)) for m in (values, again)) or 1.0
    panels = [
        MapPanel("Map of the original, moved with it", one.leads, edges, values / peak),
        MapPanel("Map with the extra beat", other.leads, other.edges_sec, again / peak),
    ]
    return traces, panels, time_map.inserted


def answer(found: ExtraBeatTest, view: View, method: str) -> str:
    """The test in one sentence, and how many beats it compares; plain text."""
    one, other = found.original[method], found.changed[method]
    scores = {score.metric: score for score in found.scores(view.parameters.stability)[method]}
    alike = scores["spearman"]
    row = {
        "probability": one.probability,
        "probability_extra_beat": other.probability,
        "prediction_stayed": (one.probability >= 0.5) == (other.probability >= 0.5),
        "spearman": alike.value,
        "spearman_random": alike.random,
    }
    beats, n = found.compared(method)
    counted = f"{len(beats)} of {n} beats were compared; the others are hatched."
    return f"{stability_answer(explain.method_title(method), row)} {counted}"


def cards(rows: pd.DataFrame, title: str) -> None:
    """The scores of one map; the answer above them names the probabilities. Six of them: they stand
    in rows of six, three or two, and none alone."""
    with st.container(horizontal=True):
        for row in rows[rows["map"] == title].to_dict("records"):
            value, random = float(row["value"]), float(row["random"])
            known, chance = value == value, random == random
            st.metric(
                str(row["metric"]),
                _number(value) if known else "–",
                f"{value - random:+.3f} vs random" if known and chance else None,
                border=True, height="stretch",
            )  # fmt: skip
    st.caption(
        "Random: what an unrelated ranking of the same leads and beats is expected to score."
    )


def _number(value: float) -> str:
    """A share or a count."""
    return f"{value:.0f}" if value > 1 and value == round(value) else f"{value:.3f}"
