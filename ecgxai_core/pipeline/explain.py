"""Explain one case with several methods through the cache, and fuse the maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ecgxai_core.case import Case, find_target
from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.errors import DiagnosisError
from ecgxai_core.explainers import (
    Family,
    Preview,
    askable,
    explain_each,
    find_method,
    params_for,
)
from ecgxai_core.explainers.prepared import Shelf
from ecgxai_core.fusion import fuse, fuse_published
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams, Profile
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.store.cache import Store
from ecgxai_core.store.values import entry_of, value_as
from ecgxai_core.types import Attribution, FusedMap, Map

__all__ = [
    "Explained",
    "all_targets",
    "cached_attributions",
    "cached_explained",
    "cached_previews",
    "explain_case",
    "explained",
    "forget_prepared",
    "fused_map",
    "with_contrast_code",
]

_FIRST: tuple[Family, ...] = ("gradient", "attention", "occlusion")
"""Families that take seconds at most; games come last."""

_SHELF = Shelf()
"""What this process has computed of its last records, for their other targets."""


def forget_prepared() -> None:
    """Give back the memory of what other targets of the last records would share."""
    _SHELF.clear()


@dataclass(frozen=True, slots=True)
class Explained:
    """The attributions of one case, by method, and the map fused from them."""

    attributions: Mapping[str, Attribution]
    fused: FusedMap

    @property
    def maps(self) -> dict[str, Map]:
        """All maps by name; the fused one is called ``fused``."""
        return {**self.attributions, "fused": self.fused}


def with_contrast_code(params: ExplainParams, classifier: Classifier) -> ExplainParams:
    """The parameters with the contrast, which may go by any of its names, as the model's class."""
    if params.contrast is None or params.contrast in classifier.classes:
        return params
    return params.updated(contrast=find_target(params.contrast, classifier))


def all_targets(classifier: Classifier, params: Iterable[ExplainParams]) -> tuple[str, ...]:
    """Every output of a model that can be explained: all but those that serve as contrast."""
    contrasts = {with_contrast_code(choice, classifier).contrast for choice in params}
    return tuple(code for code in classifier.classes if code not in contrasts)


def explain_case(
    case: Case,
    params: Mapping[str, ExplainParams],
    store: Store,
    progress: Progress = no_progress,
    preview: Preview | None = None,
) -> dict[str, Attribution]:
    """Explain with every method named in ``params``; what the cache has is not computed again.

    Methods that are missing are computed one after the other, the quick ones first, and kept as
    they are made. They share forward passes, also with other targets of the same record; the
    result does not depend on what was cached.

    Parameters
    ----------
    preview
        Called with preliminary maps (see :func:`ecgxai_core.explainers.explain_each`), which are
        kept for :func:`cached_previews` until the final map is there, whatever ends the work.
    """
    params = {
        find_method(method).name: with_contrast_code(choice, case.classifier)
        for method, choice in params.items()
    }
    found = cached_attributions(case, params, store)
    missing = {method: params[method] for method in _quick_first(params) if method not in found}

    def keep(item: Attribution) -> None:
        key = _preview_key(case, item.method, params[item.method])
        kept = store.get(key)
        if kept is None or _error_of(item) <= _error_of(value_as(kept, Attribution)):
            store.put(key, *entry_of(item))  # work that begins anew shows nothing worse
        if preview is not None:
            preview(item)

    if missing:
        with _SHELF.prepared(case) as prepared:
            shown = None if preview is None else keep
            for item in explain_each(case, missing, progress, prepared, shown):
                choice = params[item.method]
                store.put(_key(case, item.method, choice), *entry_of(item))
                store.remove(_preview_key(case, item.method, choice))
                found[item.method] = item
    return {method: found[method] for method in params}


def _quick_first(methods: Iterable[str]) -> list[str]:
    def rank(name: str) -> int:
        family = find_method(name).family
        return _FIRST.index(family) if family in _FIRST else len(_FIRST)

    return sorted(methods, key=rank)


def _error_of(item: Attribution) -> float:
    error = item.diagnostics.get("relative_error")
    return math.inf if error is None else float(error)


def cached_attributions(
    case: Case, params: Mapping[str, ExplainParams], store: Store
) -> dict[str, Attribution]:
    """Those attributions of :func:`explain_case` that the cache has; nothing is computed."""
    return _cached(case, params, store, _key)


def cached_previews(
    case: Case, params: Mapping[str, ExplainParams], store: Store
) -> dict[str, Attribution]:
    """Preliminary maps of methods whose final map is being refined, or was left unfinished."""
    return _cached(case, params, store, _preview_key)


def _cached(
    case: Case,
    params: Mapping[str, ExplainParams],
    store: Store,
    key_of: Callable[[Case, str, ExplainParams], dict[str, object]],
) -> dict[str, Attribution]:
    found: dict[str, Attribution] = {}
    for method, choice in params.items():
        try:
            key = key_of(case, method, choice)
        except DiagnosisError:
            continue  # a contrast that the model does not have was never explained
        entry = store.get(key)
        if entry is not None:
            found[method] = value_as(entry, Attribution)
    return found


def fused_map(attributions: Mapping[str, Attribution], profile: Profile) -> FusedMap:
    """Fuse under a profile, with the diagnosis's own method weights where it has some."""
    chosen = list(attributions.values())
    row = find_diagnosis(chosen[0].target)
    weights = dict(row.method_weights) if row is not None and row.method_weights else None
    how = fuse_published if profile.name == "reference" else fuse
    return how(chosen, profile.fusion, weights)


def explained(
    case: Case,
    profile: Profile,
    store: Store,
    methods: Sequence[str] | None = None,
    progress: Progress = no_progress,
) -> Explained:
    """Explain with ``methods`` (``None`` = the profile's) and fuse them."""
    params = params_for(profile, methods or askable(profile, case.classifier).methods)
    attributions = explain_case(case, params, store, progress)
    return Explained(attributions, fused_map(attributions, profile))


def cached_explained(
    case: Case, profile: Profile, store: Store, methods: Sequence[str] | None = None
) -> Explained | None:
    """What :func:`explained` gives, where the cache has all of it; nothing is computed."""
    params = params_for(profile, methods or askable(profile, case.classifier).methods)
    found = cached_attributions(case, params, store)
    if len(found) < len(params):
        return None
    return Explained(found, fused_map(found, profile))


def _key(case: Case, method: str, params: ExplainParams) -> dict[str, object]:
    """Everything that an attribution depends on or carries; parameters of other methods are not
    in it, so that changing one of them computes nothing again."""
    chosen = find_method(method)
    return cache_key(
        "attribution",
        **case.key(),
        method=chosen.name,
        params=chosen.parameters(with_contrast_code(params, case.classifier)),
    )


def _preview_key(case: Case, method: str, params: ExplainParams) -> dict[str, object]:
    """Of a preliminary map: a kind of its own, so that none is ever taken for a final one."""
    return {**_key(case, method, params), "kind": "attribution-preview"}
