"""Explanation methods behind one verb.

:data:`METHODS` is the registry; :func:`explain` runs one method, :func:`explain_many` several on
one prediction, with the masked records they share evaluated once; :func:`explain_each` gives each
map when it is made, and shows those that are being refined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ecgxai_core.case import Case
from ecgxai_core.errors import ExplanationError, ParameterError
from ecgxai_core.explainers.adapters import LIME_ADAPTER, SHAP_GRADIENT, SHAP_PERMUTATION
from ecgxai_core.explainers.attention import ATTENTION
from ecgxai_core.explainers.completeness import map_gap
from ecgxai_core.explainers.differentiable import has_gradients
from ecgxai_core.explainers.grad_cam import GRAD_CAM, GRAD_CAM_PP
from ecgxai_core.explainers.gradients import (
    COMPLETE,
    INPUT_X_GRADIENT,
    INTEGRATED_GRADIENTS,
    SALIENCY,
    SMOOTHGRAD,
)
from ecgxai_core.explainers.lime import LIME
from ecgxai_core.explainers.lrp import LRP
from ecgxai_core.explainers.method import Explanation, Family, Method, Progress, Task
from ecgxai_core.explainers.occlusion import OCCLUSION
from ecgxai_core.explainers.prepared import Prepared, segmentation_of, settled_group
from ecgxai_core.explainers.timeshap import TIMESHAP
from ecgxai_core.games.links import LOGIT_EPS
from ecgxai_core.games.local.engine import receptive_field
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.training_range import UNLIKE, unlike_training
from ecgxai_core.params import ExplainParams, Profile, profile
from ecgxai_core.progress import part_of
from ecgxai_core.types import (
    PREVIEW_WARNING,
    Attribution,
    Provenance,
    QualityWarning,
)
from ecgxai_core.version import code_version

__all__ = [
    "METHODS",
    "Explanation",
    "Family",
    "Method",
    "Preview",
    "Progress",
    "Task",
    "askable",
    "explain",
    "explain_each",
    "explain_many",
    "find_method",
    "params_for",
    "segmentation_of",
    "settled_group",
]

METHODS: Mapping[str, Method] = {
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
"""Every method by its name."""


Preview = Callable[[Attribution], None]
"""Called with a preliminary map while it is refined."""


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
    case: Case, method: str, params: ExplainParams, progress: Progress | None = None
) -> Attribution:
    """Explain one case by one method.

    Parameters
    ----------
    case
        Record, classifier, target and window.
    method
        Name in :data:`METHODS`.
    params
        Parameters; a method ignores those it does not use.
    progress
        Called after each step with (done, total, text).

    Returns
    -------
    A dense, signed attribution. The same case and parameters give the same bytes.

    Raises
    ------
    ExplanationError
        The record cannot be explained this way.
    ModelError
        The model does not fit the record.
    ParameterError
        There is no such method.
    """
    return explain_many(case, {method: params}, progress)[method]


def explain_many(
    case: Case,
    methods: Mapping[str, ExplainParams],
    progress: Progress | None = None,
    prepared: Prepared | None = None,
) -> dict[str, Attribution]:
    """Explain one case by several methods, each with its own parameters.

    Masked records that several methods ask for go through the model once. Every attribution is the
    same, byte for byte, as :func:`explain` gives alone, in whatever order the methods come.

    Parameters
    ----------
    case, progress
        As for :func:`explain`.
    methods
        Method name -> parameters.
    prepared
        What earlier explanations of the same record by the same model have computed.
    """
    return {item.method: item for item in explain_each(case, methods, progress, prepared)}


def explain_each(
    case: Case,
    methods: Mapping[str, ExplainParams],
    progress: Progress | None = None,
    prepared: Prepared | None = None,
    preview: Preview | None = None,
) -> Iterator[Attribution]:
    """As :func:`explain_many`, one attribution after the other, each when it is made.

    Parameters
    ----------
    preview
        Called with preliminary maps of a method that refines its map step by step (TimeSHAP on the
        levels ``owen`` and ``winter``, integrated gradients), each better than the last. They carry
        the warning ``preliminary_map`` and ``diagnostics["preview"]``. The final maps are the same,
        byte for byte, whether it is given or not.
    """
    chosen = {name: find_method(name) for name in methods}
    prepared = prepared or Prepared(case)
    for number, (name, method) in enumerate(chosen.items()):
        params, fallback = prepared.settled(method.uses, methods[name])
        task = Task(
            case=case,
            model=prepared.game(case, params),
            segmentation=prepared.segmentation(case, params),
            params=params,
            progress=progress and part_of(progress, number, len(chosen), method.title),
            warnings=fallback,
        )
        yield _run(task, method, preview)


def askable(chosen: Profile, classifier: Classifier) -> Profile:
    """The profile with methods that a model can be asked by.

    A model without gradients leaves their family out of the profile's own methods; methods that
    somebody chose are kept, and refused by name when they run.
    """
    usual = profile(chosen.name).methods
    if chosen.methods != usual or has_gradients(classifier):
        return chosen
    rest = tuple(name for name in usual if METHODS[name].family not in ("gradient", "attention"))
    return chosen.updated(methods=rest)


def params_for(chosen: Profile, methods: Iterable[str]) -> dict[str, ExplainParams]:
    """Parameters of methods whose maps are shown and fused together.

    They have the same players: where one of them cannot be asked about the independent leads alone,
    all explain all leads. (A single map is what it is.)
    """
    params = {name: chosen.for_method(name) for name in methods}
    if all("lead_group" in METHODS[name].uses for name in params if name in METHODS):
        return params
    return {name: choice.updated(lead_group="all") for name, choice in params.items()}


def _run(task: Task, method: Method, preview: Preview | None) -> Attribution:
    """Run the method and add what every result says of itself."""
    probability = task.model.probability
    if not np.isfinite(probability):
        problem = "the model's probability is not finite"
        raise ExplanationError(task.record.name, task.target, problem, "check the model")
    if preview is not None:
        task = replace(task, preview=lambda found: preview(_preview(task, method, found)))
    return _attribution(task, method, method.run(task), task.model)


def _preview(task: Task, method: Method, found: Explanation) -> Attribution:
    """A preliminary attribution; what is asked of the model for it has a count of its own, so that
    the final one does not depend on it."""
    apart = replace(task, model=task.model.shared(), progress=None, preview=None)
    made = _attribution(apart, method, found, task.model)
    message = f"{method.title} was not refined to the end: {_how_far(task, method, found)}"
    return replace(
        made,
        diagnostics={**made.diagnostics, "converged": False, "preview": True},
        warnings=(*made.warnings, QualityWarning(PREVIEW_WARNING, message)),
    )


def _how_far(task: Task, method: Method, found: Explanation) -> str:
    """What a map that is not refined to the end lacks, by the measure that its method stops by."""
    if "target_error" not in method.uses:
        gap = found.diagnostics[method.gap]
        return f"its weights fail to add up by {gap:.1%} ({COMPLETE:.0%} is wanted)"
    error = found.diagnostics.get("relative_error")
    said = "is not known" if error is None else f"is at most {error:.0%} of it"
    return f"the error of its map {said} ({100 * task.params.target_error:g}% is wanted)"


def _attribution(
    task: Task, method: Method, found: Explanation, played: MaskedModel
) -> Attribution:
    """What was found, with what every result says of itself; ``played`` counts what it took."""
    probability = task.model.probability
    # gradients are taken where nothing is clipped
    plays = method.family in {"perturbation", "occlusion"}
    clipped_fraction = played.clipped_on(task.params.link) if plays else 0.0
    params, errors = task.params.as_key(), found.standard_errors
    used = method.uses if task.params.contrast is None else (*method.uses, "contrast")
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
        standard_errors=None if errors is None else errors.astype(np.float32),
        diagnostics=_diagnostics(task, method, found, played, clipped_fraction),
        warnings=(
            *task.record.warnings,
            *task.model_input.warnings,
            *task.warnings,
            *_unlike_warnings(task),
            *([_clipped_value(clipped_fraction, task.params)] if clipped_fraction else []),
        ),
    )


def _unlike_warnings(task: Task) -> tuple[QualityWarning, ...]:
    unlike = unlike_training(task.model.classifier, task.model_input.values[None])
    return (UNLIKE,) if unlike[0] else ()


def _clipped_value(share: float, params: ExplainParams) -> QualityWarning:
    which, instead = "the probability", "link=probability or a gradient method"
    if params.contrast is not None:
        which = "the probability of a class, or of one against the other,"
        instead = "a gradient method"
    return QualityWarning(
        "clipped_value",
        f"{which} is within {LOGIT_EPS:g} of 0 or 1 on {share:.2g} of the masked records, where"
        f" its logit is clipped and differences are lost; use {instead}",
    )


def _diagnostics(
    task: Task, method: Method, found: Explanation, played: MaskedModel, clipped_fraction: float
) -> dict[str, Any]:
    first, stop = task.model_input.valid
    seen = task.model_input.seen_sec
    duration = task.record.duration
    general = {
        "n_segments": len(task.segmentation),
        "segments": task.segmentation.kind,
        "segments_reason": task.segmentation.reason or None,
        "waves": list(task.segmentation.labels) or None,
        **{
            name: getattr(task.params, name) if name in method.uses else None
            for name in ("sampling", "link", "baseline")
        },
        "lead_group": task.model.lead_group,
        "baseline_probability": task.model.baseline_probability(task.segmentation),
        "forward_passes": played.forward_passes,
        **_engine(task),
        "start_sec": task.case.start_sec,
        "seen_sec": [float(seen[0]), float(seen[1])],
        "share_not_seen": max(0.0, 1.0 - (seen[1] - seen[0]) / duration),
        "share_padding": 1.0 - (stop - first) / len(task.model_input.values),
        **({} if task.params.contrast is None else {"contrast": task.params.contrast}),
    }
    # Clipped values are neither exact nor converged, however many coalitions were evaluated.
    names = [name for name in ("exact", "converged") if name in found.diagnostics]
    clipped = dict.fromkeys(names if clipped_fraction else (), False)
    gap = map_gap(task, method, found)
    return {**general, **found.diagnostics, **gap, "clipped_fraction": clipped_fraction, **clipped}


def _engine(task: Task) -> dict[str, Any]:
    """The engine of the games, how well it agrees with the model, and the receptive field."""
    engine = task.model.engine
    local = task.model.is_local(task.segmentation)
    reason = engine.reason
    if engine.part is not None and not local:
        reason = "the segments are too short for what one position of the model sees"
    field = None if engine.part is None else receptive_field(engine.part, task.segmentation.fs)
    return {
        "engine": "local" if local else "whole",
        "engine_reason": reason,
        "engine_error": engine.error,
        "receptive_field": field,
    }
