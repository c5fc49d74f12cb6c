"""Your own model, step by step: choose the file, fill in what it does not say, try it, use it.

Nothing is written before a trial on labelled records has succeeded and a person has agreed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.data import services, work
from app.shell import frame, jobs
from app.shell.frame import escaped
from app.shell.server_settings import is_operator, needs_operator
from app.shell.state import View
from ecgxai_core.audit.model_check import Probe, approve, completed_manifest
from ecgxai_core.audit.model_quality import class_table
from ecgxai_core.diagnoses import code_of, term_of
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.models.loading import draft_manifest
from ecgxai_core.models.manifest import FILL_IN, Manifest
from ecgxai_core.types import STANDARD_LEADS

_CHOICES: dict[str, tuple[str, tuple[str, ...]]] = {
    "units": ("Unit of the input", ("mV", "uV", "adc")),
    "pad": ("Zeros added to a shorter record", ("end_zero", "start_zero", "center_zero")),
    "crop": ("Part used of a longer record", ("start", "center", "end")),
    "output": ("The output holds", ("probability", "logit", "softmax")),
}


def own_model(view: View) -> None:
    """All steps, one below the other."""
    waiting = [item for item in services.models() if item.problem]
    if not waiting:
        frame.empty(
            "There is no model without a manifest.",
            "Put a Keras or ONNX model (.keras, .h5, .onnx) into a folder that the Settings page "
            "lists under models (or that ECGXAI_MODELS names), then come back.",
        )
        return
    names = {item.name: item for item in waiting}
    st.subheader("1. The file")
    chosen = names[st.selectbox("Model file", list(names), key="own-file")]
    st.caption(escaped(f"{chosen.path.name}: {chosen.problem}"))
    with frame.refusals():
        draft = _draft(str(chosen.path), *services.stamps(chosen.path))
    st.success("The file was read without running anything in it.", icon=":material/verified_user:")
    st.subheader("2. What the file does not say")
    st.caption("Nothing is guessed: a wrong answer gives wrong probabilities without any error.")
    answers = _ask(draft)
    st.subheader("3. A trial on known labels")
    try:
        manifest = completed_manifest(draft, answers, chosen.path.with_suffix(".json").name)
    except EcgXaiError as error:
        unanswered = error.field and "not filled in" in error.problem
        said = f"Still to answer: {error.field}." if unanswered else str(error)
        st.info(escaped(said), icon=":material/edit:")
        return
    probe = _trial(view, chosen.path, manifest)
    if probe is not None:
        st.subheader("4. Use it")
        _decide(probe, chosen.path)


@st.cache_resource(show_spinner=False, max_entries=8)
def _draft(path: str, *_stamps: int) -> dict[str, Any]:
    return draft_manifest(path)


def _open(draft: Mapping[str, Any], name: str) -> bool:
    """Whether the file itself leaves this field to a person."""
    return str(draft.get(name, FILL_IN)).startswith(FILL_IN)


def _ask(draft: Mapping[str, Any]) -> dict[str, Any]:
    """The answers so far; ``None`` where there is none (no filter is an answer)."""
    left, right = st.columns(2)
    answers: dict[str, Any] = {}
    with left:
        answers["fs"] = st.number_input(
            "Sampling rate, Hz", 10.0, 100_000.0, value=None, key="own-fs", placeholder="500"
        )
        if _open(draft, "samples"):
            answers["samples"] = st.number_input("Samples", 1, value=None, key="own-samples")
        else:
            st.caption(
                f"{draft['samples']} samples and {len(draft['leads'])} leads, as the file says"
            )
        for name in ("units", "output"):
            if name != "output" or _open(draft, name):
                answers[name] = _choice(name)
        answers["normalisation"] = _normalisation()
        answers["source"] = (
            st.text_input("Who made it, on which data, licence", key="own-source", max_chars=2000)
            or None
        )
    with right:
        for name in ("pad", "crop"):
            answers[name] = _choice(name)
        leads = st.text_input(
            "Leads, in the order of the input",
            key="own-leads",
            placeholder=" ".join(STANDARD_LEADS),
        )
        answers["leads"] = leads.replace(",", " ").split() or None
        filtered = st.segmented_control(
            "Filter before the model", ("none", "bandpass", "highpass", "lowpass"), key="own-filter"
        )
        if filtered is not None:
            answers["filter"] = None if filtered == "none" else _filter(filtered)
    if "outputs" in draft:
        name = st.text_input("Name of the output with the classes", key="own-output-name")
        answers["outputs"] = {"probability": name} if name else None
    answers["classes"] = _classes(len(draft["classes"]))
    return answers


def _choice(name: str) -> str | None:
    label, options = _CHOICES[name]
    picked: str | None = st.segmented_control(label, options, key=f"own-{name}")
    return picked


def _normalisation() -> dict[str, Any] | None:
    kinds = ("none", "per_lead", "per_record", "given")
    kind = st.segmented_control("Normalisation", kinds, key="own-normalisation")
    if kind != "given":
        return {"kind": kind} if kind else None
    left, right = st.columns(2)
    mean = left.number_input("Mean", value=0.0, key="own-mean", format="%.6f")
    scale = right.number_input("Scale", value=1.0, key="own-scale", format="%.6f")
    return {"kind": kind, "mean": mean, "scale": scale}


def _filter(kind: str) -> dict[str, Any]:
    columns = st.columns(3)
    low = columns[0].number_input("Low, Hz", 0.01, 1000.0, 0.5, key="own-low")
    high = columns[1].number_input("High, Hz", 0.1, 1000.0, 40.0, key="own-high")
    order = columns[2].number_input("Order", 1, 10, 4, key="own-order")
    edges = {
        "low": low if kind != "lowpass" else None,
        "high": high if kind != "highpass" else None,
    }
    return {"kind": kind, "order": order, **edges}


def _classes(expected: int) -> list[str] | None:
    """Names or codes of the output columns, and their meaning."""
    text = st.text_area(
        f"Classes, one per line, in the order of the {expected} output columns",
        key="own-classes",
        help="SNOMED-CT code, name or abbreviation",
        height=140,
    )
    given = [line.strip() for line in text.splitlines() if line.strip()]
    if not given:
        return None
    codes = [code_of(line) for line in given]
    known = [term_of(code).name for code in codes]
    rows = pd.DataFrame(
        {
            "column": range(1, len(given) + 1),
            "you wrote": given,
            "code": codes,
            "meaning": [
                name if name != code else "not in the table: no plausibility, no aliases"
                for name, code in zip(known, codes, strict=True)
            ],
        }
    )
    frame.table(rows, "own-mapping", "class_mapping.csv")
    if len(given) != expected:
        st.warning(f"{len(given)} lines for {expected} output columns.")
        return None
    return codes


def _trial(view: View, path: Path, manifest: Manifest) -> Probe | None:
    data = services.data_set(view)
    if data is None or not data.path.is_dir():
        frame.empty("There is no data set to try it on.", "Choose one in the sidebar.")
        return None
    key = f"probe:{data.path}:{manifest.canonical()}"
    st.caption(escaped(f"Up to 200 labelled records of {data.name}; nothing is written."))
    probe: Probe | None = frame.offer(
        key, "Try it",
        lambda: jobs.start(key, f"Trying {path.name}", work.probe, path, manifest, data.path),
        key="own-try",
    )  # fmt: skip
    return probe


def _decide(probe: Probe, path: Path) -> None:
    n = len(probe.quality.evaluated.names)
    st.markdown(f"**{n} labelled records** were predicted.")
    frame.table(class_table(probe.quality), "own-trial", "trial_per_class.csv")
    top = max(probe.flat_line, key=lambda code: probe.flat_line[code])
    st.caption(
        escaped(
            f"A flat line gets {probe.flat_line[top]:.3f} for {term_of(top).name}: a flat line is "
            "not neutral, so look at several baselines."
        )
    )
    for text in probe.remarks:
        st.warning(escaped(text), icon=":material/visibility:")
    for text in probe.problems:
        st.error(escaped(f"Not usable like this: {text}"), icon=":material/block:")
    text = json.dumps(probe.manifest.model_dump(mode="json", exclude_none=True), indent=1)
    name = f"{path.stem}.json"
    frame.download("Manifest (JSON)", name, "application/json", lambda: text, "own-manifest")
    if not probe.usable:
        return
    if not is_operator():
        st.caption(
            ":material/lock: The operator of this server can put the model into use; the manifest "
            "is then written beside it."
        )
        return
    sure = st.checkbox("I compared these numbers with those that the authors of the model report.",
                       key="own-sure")  # fmt: skip
    if st.button("Use this model", type="primary", disabled=not sure, key="own-use"):
        with frame.refusals():
            needs_operator()
            approve(probe, path)
        frame.go_to("model", model=path.stem, target="")
