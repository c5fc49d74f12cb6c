"""The Model page: performance, cases to review, training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.data import services, work
from app.shell import controls, frame, jobs, state
from app.shell.frame import escaped, target_name
from app.shell.state import View
from ecgxai_core.audit.model_quality import (
    FAILURE_KINDS,
    NONE_CALLED,
    TOO_FEW,
    ModelQuality,
    class_table,
    confusion_of,
    curve_tables,
    failure_table,
)
from ecgxai_core.bootstrap import LEAST_RECORDS
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
from ecgxai_core.plots.words import listed
from ecgxai_core.training.figures import curves
from ecgxai_core.training.runs import METRICS, TrainingRun, find_runs, run_table

_MOST_FOLDERS = 6
_SIMULATED = ":orange-badge[simulated, not patients]"


def ask_model(view: View) -> None:
    """Which model the page is about."""
    names = [item.name for item in services.models() if not item.problem]
    if names:
        controls.choose(
            "Model", list(dict.fromkeys([*names, view.model])), view.model,
            lambda name: state.update(model=name), key="model-choice", width=200,
        )  # fmt: skip


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
        st.caption(
            f":material/visibility: {escaped(manifest.reach)} A good score for a rhythm then comes "
            "from signs in single beats, such as P waves, or from how records were simulated."
        )
    card = choice.path.parent / (manifest.card or "")
    if manifest.card and card.is_file() and card.parent == choice.path.parent:
        with st.expander("Model card: data, results, limits"):
            st.code(card.read_text("utf-8", "replace")[:30_000], language=None, wrap_lines=True)


def quality(view: View, found: Predictions) -> ModelQuality:
    """The evaluated model; until the job has ended the page shows its progress and ends."""
    choice = services.model(view)
    assert choice is not None
    job = jobs.start(
        services.data_key("model-quality", view, found),
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
    n, rows = len(evaluated.evaluated.names), class_table(evaluated)
    few = int(rows["note"].str.contains(TOO_FEW).sum())
    missed = [str(name) for name in rows.loc[rows["note"].str.contains(NONE_CALLED), "class"]]
    said = [f"**{n} labelled records** of {len(rows)} classes"]
    if few:
        said.append(
            f"{few} classes have fewer than {LEAST_RECORDS} positive records: too few for an "
            "interval, and their scores say little"
        )
    if missed:
        said.append(f":red[**At its threshold the model finds none** of {escaped(listed(missed))}]")
    badge = f" {_SIMULATED}" if evaluated.synthetic else ""
    st.markdown(f"{'. '.join(said)}.{badge}")
    column = st.column_config
    counts = ("positive records", "found")
    scores = [name for name in rows if name not in ("code", "class", "note", *counts)]
    found = [f"{own} of {all_}" for own, all_ in zip(rows["found"], rows[counts[0]], strict=True)]
    frame.table(
        rows.assign(found=found, **{"95 % interval": _intervals(rows)}),
        "model-classes", "model_per_class.csv", whole=rows,
        column_order=("class", "found", "sensitivity", "specificity", "threshold",
                      "AUROC", "95 % interval", "note", "AUPRC", "F1", "calibration error", "code"),
        column_config={name: column.NumberColumn(name, format="%.2f") for name in scores}
        | {"class": column.TextColumn("class", width=190),
           "found": column.TextColumn(
               "found", width=85, help="labelled records that the model calls, at its threshold"),
           "note": column.TextColumn("note", width=260)},
    )  # fmt: skip
    st.caption(
        "Classes that are missed most stand first. Sensitivity and specificity at the model's "
        "threshold. The interval is of AUROC (Newcombe 2006), each record counted as a patient. "
        "Scores on records that the model was trained on say nothing about new ones."
    )
    code = _class_choice(view, evaluated)
    row, tables = evaluated.results["per_class"][code], curve_tables(evaluated, code)
    name, theme = target_name(code), frame.colours()
    number = f"{name}, {row['positives']} of {n} records"
    synthetic = evaluated.synthetic
    left, right = st.columns(2)
    with left:
        _chart("ROC", roc_chart(tables["roc"], row["auroc"], theme), "roc", tables["roc"],
               f"ROC curve of {number}: area {row['auroc']:.2f}.", synthetic)  # fmt: skip
        _chart("Calibration", calibration_chart(tables["calibration"], theme), "calibration",
               tables["calibration"],
               f"Calibration of {number}: {row['ece']:.2f} off the diagonal.",
               synthetic)  # fmt: skip
    with right:
        share = row["positives"] / max(n, 1)
        figure = precision_recall_chart(tables["precision_recall"], row["auprc"], share, theme)
        _chart("Precision and recall", figure, "precision-recall", tables["precision_recall"],
               f"Precision against recall of {number}: average precision {row['auprc']:.2f}; "
               f"guessing reaches {share:.2f}.", synthetic)  # fmt: skip
        counts = confusion_of(evaluated, code)
        words = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in counts.items())
        _chart("Confusion matrix", confusion_chart(counts, row["threshold"], theme), "confusion",
               pd.DataFrame([counts]), f"Confusion matrix of {name}: {words}.",
               synthetic)  # fmt: skip


def _intervals(rows: pd.DataFrame) -> list[str]:
    """The interval of each class in words."""
    pairs = zip(rows["AUROC low"], rows["AUROC high"], strict=True)
    return [f"{low:.2f} to {high:.2f}" if low == low else "–" for low, high in pairs]


def _chart(
    title: str, figure: Any, key: str, numbers: pd.DataFrame, alt: str, synthetic: bool
) -> None:
    st.subheader(f"{title} {_SIMULATED}" if synthetic else title)
    st.caption(escaped(alt))
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
        frame.in_words(rows), f"failures-{code}-{kind}", f"{kind}_{code}.csv", whole=rows,
        hint="Click a row to open the record.",
        column_config=frame.probability_columns("Probability"),
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
