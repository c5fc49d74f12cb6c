"""The Model page: performance, cases to review, training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.data import services, work
from app.shell import controls, frame, jobs
from app.shell.frame import escaped, target_name
from app.shell.state import View
from ecgxai_core.audit.model_quality import (
    FAILURE_KINDS,
    ModelQuality,
    class_table,
    confusion_of,
    curve_tables,
    failure_table,
)
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.models.manifest import free_names_note
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.plots.model_charts import (
    calibration_chart,
    confusion_chart,
    precision_recall_chart,
    roc_chart,
    training_chart,
)
from ecgxai_core.training.figures import curves
from ecgxai_core.training.runs import METRICS, TrainingRun, find_runs, run_table

_UNIT: dict[str, Any] = {"min_value": 0.0, "max_value": 1.0, "format": "%.3f"}
_MOST_FOLDERS = 6


def model_facts(view: View) -> None:
    """Input and classes of the model, notes of its manifest, and its card."""
    choice, manifest = services.model(view), services.classifier(view).manifest
    assert choice is not None
    seconds = manifest.samples / manifest.fs
    facts = (
        f"{len(manifest.classes)} classes · input {seconds:g} s at {manifest.fs:g} Hz, "
        f"{len(manifest.leads)} leads, {manifest.units} · {manifest.source}"
    )
    st.caption(escaped(facts))
    if note := free_names_note(manifest.classes):
        st.caption(f":material/info: {escaped(note)}.")
    if manifest.reach:
        st.caption(f":material/visibility: {escaped(manifest.reach)}")
    card = choice.path.parent / (manifest.card or "")
    if manifest.card and card.is_file() and card.parent == choice.path.parent:
        with st.expander("Model card: data, results, limits"):
            st.code(card.read_text("utf-8", "replace")[:30_000], language=None, wrap_lines=True)


def quality(view: View, found: Predictions) -> ModelQuality:
    """The evaluated model; until the job has ended the page shows its progress and ends."""
    choice = services.model(view)
    assert choice is not None
    digest = hash((tuple(info.digest for info in found.records), found.classes))
    job = jobs.start(
        f"model-quality:{view.data}:{services.classifier(view).digest}:{digest}",
        "Evaluating the model", work.model_quality,
        jobs.Earlier(services.predictions_key(view)), choice.path, again=False,
    )  # fmt: skip
    if job.state == "failed":
        frame.empty(job.error, "The rest of the dashboard works without labels.")
        st.stop()
    result: ModelQuality = jobs.wait(job)
    return result


def how_good(view: View, evaluated: ModelQuality) -> None:
    """Scores of every class, and the curves of one."""
    n = len(evaluated.evaluated.names)
    st.markdown(
        f"**{n} labelled records**"
        + (" · :orange-badge[simulated, not patients]" if evaluated.synthetic else "")
    )
    st.caption(
        "95 % intervals are of resampled records. A class with few records has a wide interval; "
        "scores on records that the model was trained on say nothing about new ones."
    )
    column = st.column_config
    scores = ("AUROC", "AUPRC", "F1", "sensitivity", "specificity")
    others = ("AUROC low", "AUROC high", "calibration error", "threshold")
    frame.table(
        class_table(evaluated), "model-classes", "model_per_class.csv",
        column_config={name: column.ProgressColumn(name, **_UNIT) for name in scores}
        | {name: column.NumberColumn(name, format="%.3f") for name in others},
    )  # fmt: skip
    code = _class_choice(view, evaluated)
    row, tables = evaluated.results["per_class"][code], curve_tables(evaluated, code)
    name, theme = target_name(code), frame.colours()
    left, right = st.columns(2)
    with left:
        _chart("ROC", roc_chart(tables["roc"], row["auroc"], theme), "roc", tables["roc"],
               f"ROC curve of {name}: area {row['auroc']:.3f} over {n} records.")  # fmt: skip
        _chart("Calibration", calibration_chart(tables["calibration"], theme), "calibration",
               tables["calibration"],
               f"Calibration of {name}: {row['ece']:.3f} off the diagonal.")  # fmt: skip
    with right:
        share = row["positives"] / max(n, 1)
        figure = precision_recall_chart(tables["precision_recall"], row["auprc"], share, theme)
        _chart("Precision and recall", figure, "precision-recall", tables["precision_recall"],
               f"Precision against recall of {name}: mean precision {row['auprc']:.3f}; "
               f"guessing reaches {share:.3f}.")  # fmt: skip
        counts = confusion_of(evaluated, code)
        words = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in counts.items())
        _chart("Confusion", confusion_chart(counts, row["threshold"], theme), "confusion",
               pd.DataFrame([counts]), f"Confusion of {name}: {words}.")  # fmt: skip


def _chart(title: str, figure: Any, key: str, numbers: pd.DataFrame, alt: str) -> None:
    st.subheader(title)
    frame.figure(figure, f"model-{key}", alt, numbers, file_name=f"model_{key}")


def _class_choice(view: View, evaluated: ModelQuality) -> str:
    codes, first = evaluated.evaluated.classes, services.target(view)
    index = codes.index(first) if first in codes else 0
    return st.selectbox("Class", codes, index, key="model-class", format_func=target_name)


def cases_to_review(view: View, evaluated: ModelQuality) -> None:
    """Records predicted wrongly, or only just right; a click opens the record."""
    code = _class_choice(view, evaluated)
    kind = controls.pick(
        "Records", list(FAILURE_KINDS), "confidently_wrong", "failure-kind",
        format_func=FAILURE_KINDS.__getitem__,
        help="on the wrong side of the threshold, farthest first; or right, but close to it",
    )  # fmt: skip
    rows = failure_table(evaluated, code, kind)
    if rows.empty:
        frame.empty(f"None for {target_name(code)} in this data set.", "Choose another class.")
        return
    row = frame.picked_row(
        rows, f"failures-{code}-{kind}", f"{kind}_{code}.csv",
        hint="Click a row to open the record.",
        column_config={"probability": st.column_config.ProgressColumn("Probability", **_UNIT)},
    )  # fmt: skip
    if row is not None:
        frame.go_to("explain", record=str(row["record"]), target=code)


def training_runs() -> None:
    """Curves of the training runs in the operator's model folders."""
    runs: list[TrainingRun] = []
    for folder in services.folders().models[:_MOST_FOLDERS]:
        try:
            runs += [run for run in find_runs(folder) if run.history]
        except EcgXaiError as error:
            st.warning(escaped(error))
    if not runs:
        frame.empty(
            "There are no training runs in the model folders.",
            "Train with 'ecgxai train CONFIG --data DATA --out RUN', and put RUN into a folder "
            "of models on the Settings page.",
        )
        return
    frame.table(pd.DataFrame(run_table(runs)), "training-runs", "training_runs.csv")
    titles = {f"{run.name} ({Path(run.path).parent.name})": run for run in runs}
    chosen = st.multiselect("Runs", list(titles), default=list(titles)[:4], key="training-chosen")
    metric = controls.pick("Metric", list(METRICS), "auroc", "training-metric")
    lines = curves([titles[name] for name in chosen], metric)
    if lines:
        words = f"{metric} over epochs for {', '.join(line.title for line in lines)}."
        numbers = pd.concat(
            [pd.DataFrame({"run": c.title, "epoch": c.epochs, metric: c.values}) for c in lines]
        )
        figure = training_chart(lines, metric, frame.colours())
        frame.figure(figure, "training", words, numbers, file_name="training_curves")
