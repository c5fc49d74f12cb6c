"""Explanation methods behind one verb.

:data:`METHODS` is the registry; :func:`explain` runs one method, :func:`explain_many` several on
one prediction, with the masked records they share evaluated once.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ecgxai_core.beats import r_peaks
from ecgxai_core.diagnoses import Diagnosis, find_diagnosis
from ecgxai_core.errors import ExplanationError, ParameterError
from ecgxai_core.explain.attention import ATTENTION
from ecgxai_core.explain.grad_cam import GRAD_CAM, GRAD_CAM_PP
from ecgxai_core.explain.input_x_gradient import INPUT_X_GRADIENT
from ecgxai_core.explain.integrated_gradients import INTEGRATED_GRADIENTS
from ecgxai_core.explain.lime import LIME
from ecgxai_core.explain.lime_adapter import LIME_ADAPTER
from ecgxai_core.explain.lrp import LRP
from ecgxai_core.explain.method import Explanation, Family, Method, Progress, Task
from ecgxai_core.explain.occlusion import OCCLUSION
from ecgxai_core.explain.saliency import SALIENCY
from ecgxai_core.explain.shap_adapters import SHAP_GRADIENT, SHAP_PERMUTATION
from ecgxai_core.explain.smoothgrad import SMOOTHGRAD
from ecgxai_core.explain.timeshap import TIMESHAP
from ecgxai_core.games.contrast import ContrastModel, game_for
from ecgxai_core.games.engine import sight
from ecgxai_core.games.links import LOGIT_EPS
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.segments import segment
from ecgxai_core.types import (
    Attribution,
    ModelInput,
    Provenance,
    QualityWarning,
    Record,
    Segmentation,
)
from ecgxai_core.version import code_version

__all__ = [
    "METHODS",
    "Explanation",
    "Family",
    "Method",
    "Progress",
    "Task",
    "explain",
    "explain_many",
    "find_method",
    "segmentation_of",
]

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            LIME,
            TIMESHAP,
            INTEGRATED_GRADIENTS,
            INPUT_X_GRADIENT,
            SALIENCY,
            SMOOTHGRAD,
            GRAD_CAM,
            GRAD_CAM_PP,
            LRP,
            OCCLUSION,
            ATTENTION,
            SHAP_PERMUTATION,
            SHAP_GRADIENT,
            LIME_ADAPTER,
        )
    }
)
"""Every method by its name."""

SEGMENT_SEC = 0.5
"""Length of uniform segments for a target without a row in the table of diagnoses, seconds."""


def find_method(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    ParameterError
        There is none.
    """
    if name not in METHODS:
        raise ParameterError("method", name, "no such method", f"use one of {', '.join(METHODS)}")
    return METHODS[name]


def explain(
    record: Record,
    classifier: Classifier,
    target: str,
    method: str,
    params: ExplainParams,
    *,
    start_sec: float | None = None,
    progress: Progress | None = None,
) -> Attribution:
    """Explain one prediction by one method.

    Parameters
    ----------
    record
        The record.
    classifier
        The model.
    target
        SNOMED-CT code, one of the model's classes.
    method
        Name in :data:`METHODS`.
    params
        Parameters; a method ignores those it does not use.
    start_sec
        Where the part that the model sees begins, seconds of the record; ``None`` = the manifest's
        crop.
    progress
        Called after each step with (done, total, text).

    Returns
    -------
    A dense, signed attribution. The same record, model, target and parameters give the same bytes.

    Raises
    ------
    DiagnosisError
        The model has no such target.
    ExplanationError
        The record cannot be explained this way.
    ModelError
        The model does not fit the record.
    ParameterError
        There is no such method.
    """
    return explain_many(
        record, classifier, target, {method: params}, start_sec=start_sec, progress=progress
    )[method]


def explain_many(
    record: Record,
    classifier: Classifier,
    target: str,
    methods: Mapping[str, ExplainParams],
    *,
    start_sec: float | None = None,
    progress: Progress | None = None,
) -> dict[str, Attribution]:
    """Explain one prediction by several methods, each with its own parameters.

    Masked records that several methods ask for go through the model once. Every attribution is the
    same, byte for byte, as :func:`explain` gives alone, in whatever order the methods come.

    Parameters
    ----------
    methods
        Method name -> parameters. The rest as in :func:`explain`.
    """
    chosen = {name: find_method(name) for name in methods}
    model_input = prepare(record, classifier.manifest, start_sec)
    diagnosis = find_diagnosis(target)
    models: dict[tuple[str | None, ...], MaskedModel | ContrastModel] = {}
    done: dict[str, Attribution] = {}
    for name, method in chosen.items():
        params = methods[name]
        group = params.lead_group if "lead_group" in method.uses else "all"
        game = (params.baseline, params.engine, group, params.against)
        if game not in models:
            models[game] = game_for(classifier, model_input, target, params, group)
        task = Task(
            record=record,
            target=target,
            model=models[game].shared(),
            segmentation=segmentation_of(record, model_input, params, diagnosis),
            params=params,
            diagnosis=diagnosis,
            progress=progress,
        )
        done[name] = _attribution(task, method, start_sec)
    return done


def segmentation_of(
    record: Record, model_input: ModelInput, params: ExplainParams, diagnosis: Diagnosis | None
) -> Segmentation:
    """How an explanation with these parameters cuts what the model sees of a record."""
    peaks = None
    if params.segments == "beat":
        peaks = r_peaks(record.signal, record.fs, record.leads) / record.fs
    length = diagnosis.segment_sec if diagnosis is not None else SEGMENT_SEC
    return segment(model_input, params, length, peaks)


def _attribution(task: Task, method: Method, start_sec: float | None) -> Attribution:
    """Run the method and add what every result says of itself."""
    probability = task.model.probability
    if not np.isfinite(probability):
        raise ExplanationError(
            task.record.name,
            task.target,
            "the model's probability is not finite",
            "check the model",
        )
    found = method.run(task)
    share_cut = _share_cut(task, method)
    params = task.params.as_key()
    used = method.uses if task.params.against is None else (*method.uses, "against")
    return Attribution(
        record=task.record.name,
        target=task.target,
        method=method.name,
        probability=probability,
        leads=task.leads,
        edges_sec=task.segmentation.edges_sec,
        weights=found.weights.astype(np.float32),
        explored=found.explored,
        provenance=Provenance(
            record_digest=task.record.digest,
            model_digest=task.model.classifier.digest,
            params={name: params[name] for name in used},
            seed=task.params.seed,
            code_version=code_version(),
        ),
        event_values=found.event_values,
        event_errors=found.event_errors,
        standard_errors=None
        if found.standard_errors is None
        else found.standard_errors.astype(np.float32),
        diagnostics=_diagnostics(task, method, found, share_cut, start_sec),
        warnings=(
            *task.record.warnings,
            *task.model_input.warnings,
            *((_value_cut(share_cut),) if share_cut else ()),
        ),
    )


def _share_cut(task: Task, method: Method) -> float:
    """Share of the values played for that the logit cuts; gradients are taken where nothing is."""
    played = method.family in {"perturbation", "occlusion"} and task.params.link == "logit"
    return task.model.share_cut if played else 0.0


def _value_cut(share: float) -> QualityWarning:
    return QualityWarning(
        "value_cut",
        f"the model is too sure for the logit on {share:.2g} of the masked records (p within"
        f" {LOGIT_EPS:g} of 0 or 1): differences between them are lost; link=probability or a"
        " gradient method shows what they are",
    )


def _diagnostics(
    task: Task, method: Method, found: Explanation, share_cut: float, start_sec: float | None
) -> dict[str, Any]:
    first, stop = task.model_input.valid
    seen = task.model_input.seen_sec
    duration = task.record.duration
    general = {
        "n_segments": len(task.segmentation),
        "segments": task.segmentation.kind,
        "sampling": task.params.sampling if "sampling" in method.uses else None,
        "link": task.params.link if "link" in method.uses else None,
        "baseline": task.params.baseline if "baseline" in method.uses else None,
        "lead_group": task.model.lead_group,
        "baseline_probability": task.model.baseline_probability(task.segmentation),
        "forward_passes": task.model.forward_passes,
        **_engine(task),
        "start_sec": start_sec,
        "seen_sec": [float(seen[0]), float(seen[1])],
        "share_not_seen": max(0.0, 1.0 - (seen[1] - seen[0]) / duration),
        "share_padding": 1.0 - (stop - first) / len(task.model_input.values),
        **({} if task.params.against is None else {"against": task.params.against}),
    }
    # What was cut is neither exact nor settled, however many coalitions were played.
    honest = {name: False for name in ("exact", "converged") if name in found.diagnostics}
    return {
        **general,
        **found.diagnostics,
        "share_cut": share_cut,
        **(honest if share_cut else {}),
    }


def _engine(task: Task) -> dict[str, Any]:
    """Which engine played the games, how well it agrees with the model, and what the model sees."""
    engine = task.model.engine
    local = task.model.is_local(task.segmentation)
    reason = engine.reason
    if engine.part is not None and not local:
        reason = "the segments are too short for what one position of the model sees"
    return {
        "engine": "local" if local else "whole",
        "engine_reason": reason,
        "engine_error": engine.error,
        "sight": None if engine.part is None else sight(engine.part, task.segmentation.fs),
    }
