"""Explain one record with several methods through the cache, and fuse what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ecgxai_core.diagnoses import aliases, diagnosis, find_diagnosis
from ecgxai_core.errors import DiagnosisError
from ecgxai_core.explain import explain_many, find_method
from ecgxai_core.fusion import fuse, fuse_published
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams, Profile
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.pipeline.prediction import Progress, no_progress
from ecgxai_core.store.cache import Store
from ecgxai_core.store.values import attribution_from_entry, entry_of
from ecgxai_core.types import Attribution, FusedMap, Record

__all__ = [
    "FUSED_METHODS",
    "Explained",
    "cached_attributions",
    "explain_record",
    "explained",
    "fused_map",
    "target_of",
]

FUSED_METHODS: tuple[str, ...] = ("lime", "timeshap")
"""The methods that are fused unless others are asked for, as published. They are of one family; see
:data:`ecgxai_core.fusion.RECOMMENDED` for three that are not."""


@dataclass(frozen=True, slots=True)
class Explained:
    """The attributions of one record and target, by method, and the map fused from them."""

    attributions: Mapping[str, Attribution]
    fused: FusedMap


def target_of(text: str, classifier: Classifier) -> str:
    """The model's output for a SNOMED-CT code, alias or abbreviation.

    A code that the model has stands for itself; otherwise the first code that is scored as the same
    diagnosis and that the model has.

    Raises
    ------
    DiagnosisError
        Neither the table nor the model knows it, or the model has no such output.
    """
    if text in classifier.classes:
        return text
    row = diagnosis(text)
    known = [code for code in aliases(row.code) if code in classifier.classes]
    if not known:
        outputs = ", ".join(classifier.classes)
        raise DiagnosisError(
            text, "--target", f"the model has no output for {row.name}", f"it has {outputs}"
        )
    return known[0]


def explain_record(
    record: Record,
    classifier: Classifier,
    target: str,
    params: Mapping[str, ExplainParams],
    store: Store,
    *,
    start_sec: float | None = None,
    progress: Progress = no_progress,
) -> dict[str, Attribution]:
    """Explain with every method named in ``params``; what the cache has is not computed again.

    Methods that are missing are computed together, so that they share forward passes; the result
    does not depend on which were cached. The class to stand against may be named as targets are.
    """
    params = {
        find_method(method).name: _named(choice, classifier) for method, choice in params.items()
    }
    found = cached_attributions(record, classifier, target, params, store, start_sec=start_sec)
    missing = {method: choice for method, choice in params.items() if method not in found}
    if missing:
        made = explain_many(
            record, classifier, target, missing, start_sec=start_sec, progress=progress
        )
        for method, attribution in made.items():
            key = _key(record, classifier, target, method, params[method], start_sec)
            store.put(key, *entry_of(attribution))
        found.update(made)
    return {method: found[method] for method in params}


def _named(params: ExplainParams, classifier: Classifier) -> ExplainParams:
    """Parameters with the code of the class to stand against."""
    if params.against is None or params.against in classifier.classes:
        return params
    return params.updated(against=target_of(params.against, classifier))


def cached_attributions(
    record: Record,
    classifier: Classifier,
    target: str,
    params: Mapping[str, ExplainParams],
    store: Store,
    *,
    start_sec: float | None = None,
) -> dict[str, Attribution]:
    """Those attributions of :func:`explain_record` that the cache has; nothing is computed."""
    found: dict[str, Attribution] = {}
    for method, choice in params.items():
        try:
            key = _key(record, classifier, target, method, choice, start_sec)
        except DiagnosisError:
            continue  # nothing was ever explained against a class that the model does not have
        entry = store.get(key)
        if entry is not None:
            found[method] = attribution_from_entry(entry)
    return found


def fused_map(attributions: Mapping[str, Attribution], profile: Profile) -> FusedMap:
    """Fuse under a profile, with the diagnosis's own method weights where it has some."""
    chosen = list(attributions.values())
    row = find_diagnosis(chosen[0].target)
    weights = dict(row.method_weights) if row is not None and row.method_weights else None
    how = fuse_published if profile.name == "reference" else fuse
    return how(chosen, profile.fusion, weights)


def explained(
    record: Record,
    classifier: Classifier,
    target: str,
    profile: Profile,
    store: Store,
    *,
    methods: Sequence[str] = FUSED_METHODS,
    start_sec: float | None = None,
    progress: Progress = no_progress,
) -> Explained:
    """Explain with ``methods`` under a profile and fuse them."""
    params = {method: profile.for_method(method) for method in methods}
    attributions = explain_record(
        record, classifier, target, params, store, start_sec=start_sec, progress=progress
    )
    return Explained(attributions, fused_map(attributions, profile))


def _key(
    record: Record,
    classifier: Classifier,
    target: str,
    method: str,
    params: ExplainParams,
    start_sec: float | None,
) -> dict[str, object]:
    """Everything that an attribution depends on or carries; parameters of other methods are not
    in it, so that changing one of them computes nothing again."""
    chosen = find_method(method)
    return cache_key(
        "attribution",
        record=record.digest,
        name=record.name,
        warnings=[[w.code, w.message, list(w.leads)] for w in record.warnings],
        model=classifier.digest,
        target=target,
        method=chosen.name,
        params=chosen.parameters(_named(params, classifier)),
        start_sec=start_sec,
    )
