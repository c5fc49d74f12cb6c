"""All metrics of the maps of one record, beside reference maps.

The tables of a run have the cheap metrics. This adds those that need more explanations or another
masking (ROAD, robustness, sanity), the reference maps, and a known truth where there is one.
Explanations and evaluations are cached, so nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ecgxai_core.case import Case
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.explainers import askable
from ecgxai_core.metrics import evaluate
from ecgxai_core.metrics.base import Subject, Trial
from ecgxai_core.metrics.raster import mask_from_intervals, raster_for
from ecgxai_core.metrics.references import oracle_map, reference_maps
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.randomised import randomised
from ecgxai_core.params import Profile
from ecgxai_core.pipeline.evaluation import subject_of, value_of_inputs
from ecgxai_core.pipeline.explain import explained
from ecgxai_core.pipeline.extra_beat import extra_beat_if_possible
from ecgxai_core.pipeline.given_maps import bound, content_key
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.signal.disturbances import gained, noisy, shifted
from ecgxai_core.store.cache import Store
from ecgxai_core.store.values import json_safe
from ecgxai_core.types import Attribution, Map

__all__ = ["Depth", "evaluate_all", "weights_reachable"]

_FACTS = ("record", "target", "method", "reference", "sanity_flagged")
"""Columns that are no numbers."""


@dataclass(frozen=True, slots=True)
class Depth:
    """Which of the costly tests are made.

    ``road``: removal with imputation, about ``6 n_random + 24`` forward passes per record and map.
    ``noises``: noisy copies of the record (at ``snr_db``) that are explained again; with one or
    more also a shift by 50 ms and gains of 0.9 and 1.1; 0 = no robustness. ``sanity_stages`` of the
    parameter randomisation, each an explanation of another model; 0 = none; needs a Keras model.
    ``extra_beat``: explain the record again with one beat doubled.
    """

    road: bool = True
    noises: int = 2
    snr_db: float = 30.0
    sanity_stages: int = 1
    extra_beat: bool = True


def evaluate_all(
    case: Case,
    profile: Profile,
    store: Store,
    *,
    truth: Mapping[str, npt.ArrayLike] | None = None,
    given: Mapping[str, Attribution] = {},
    shuffled: Classifier | None = None,
    depth: Depth | None = None,
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """Explain one case by the methods of a profile and evaluate every map by every metric.

    Parameters
    ----------
    case, profile, store, progress
        As for :func:`ecgxai_core.pipeline.explain.explained`.
    truth
        Where the evidence is known to lie: lead -> ``[n, 2]`` seconds of the record (planted
        mechanisms, cardiologists' marks). Adds localisation scores ending in ``_truth``, and the
        oracle map.
    given
        Maps that another program made, by name; they take the tests that need no explanation.
    shuffled
        A model that was trained on shuffled labels, whose maps the sanity test compares too.
    depth
        Which costly tests are made; all by default.

    Returns
    -------
    One row per map: the methods, ``fused``, the reference maps (of the fused map,
    :func:`ecgxai_core.metrics.references.reference_maps`), and ``oracle`` with a truth.
    ``method``, ``reference``, ``record``, ``target``, ``probability``, ``sanity_flagged`` (empty
    text = passed), then each score with its
    :attr:`~ecgxai_core.metrics.base.Metric.columns`; a reference map stands beside those of the
    fused map. Scores that do not apply to reference maps, such as robustness, are NaN there.
    """
    work = _Work(case, profile, store, truth, given, shuffled, depth or Depth(), progress)
    key = cache_key(
        "evaluation",
        **case.key(),
        profile=profile.as_key(),
        methods=list(askable(profile, case.classifier).methods),
        truth=truth and {lead: np.asarray(spans).tolist() for lead, spans in truth.items()},
        depth=asdict(work.depth),
        **({"given": content_key(given)} if given else {}),
        **({"shuffled": shuffled.digest} if shuffled is not None else {}),
    )

    def computed() -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        rows = work.rows()
        columns = list(dict.fromkeys(name for row in rows for name in row))
        return {}, {
            "columns": columns,
            "rows": json_safe([[row.get(name) for name in columns] for row in rows]),
        }

    meta = store.get_or_compute(key, computed).meta
    frame = pd.DataFrame(meta["rows"], columns=meta["columns"])  # what is undefined is null there
    numbers = [name for name in frame if name not in _FACTS]
    return frame.astype(dict.fromkeys(numbers, np.float64))


@dataclass(frozen=True, slots=True)
class _Work:
    """One evaluation; see :func:`evaluate_all`."""

    case: Case
    profile: Profile
    store: Store
    truth: Mapping[str, npt.ArrayLike] | None
    given: Mapping[str, Attribution]
    shuffled: Classifier | None
    depth: Depth
    progress: Progress

    def rows(self) -> list[dict[str, Any]]:
        """One row per map."""
        others = bound(self.case, self.given)
        found = explained(self.case, self.profile, self.store, progress=self.progress)
        own = {**found.maps, **others}
        self.progress(0, 3, "evaluating the maps")
        subject = subject_of(self.case, own, self.profile, truth=self.truth)
        beside = self._references(found.fused, subject)
        subject = self._imputing(
            replace(
                subject,
                maps={**own, **beside},
                references={
                    **subject.references,
                    **dict.fromkeys(beside, subject.references["fused"]),
                },
            )
        )
        maps = subject.maps
        self.progress(1, 3, "explaining changed records")
        args = self.case, found, self.profile, self.store
        test = extra_beat_if_possible(*args) if self.depth.extra_beat else None
        if test is not None:
            subject = replace(subject, changed=test.changed, time_map=test.augmented.time_map)
        changed: Mapping[str, Map] = {} if test is None else test.changed
        answers = {name: {"probability_extra_beat": m.probability} for name, m in changed.items()}
        if self.depth.noises:
            subject = replace(subject, trials=self._trials(found.maps))
        self.progress(2, 3, "explaining randomised models")
        done = evaluate(self._randomised(subject))
        return [
            {
                "record": self.case.record.name,
                "target": self.case.target,
                "method": name,
                "reference": name not in own,
                "probability": item.probability,
                **answers.get(name, {}),
                **done.columns(name),
            }
            for name, item in maps.items()
        ]

    def _references(self, item: Map, subject: Subject) -> dict[str, Map]:
        """Maps without knowledge of the model, and with a truth the one with all of it."""
        params = self.profile.evaluation
        beats = subject.peaks_sec, subject.heart_rate
        made = reference_maps(item, self.case.record, *beats, params.seed)
        if self.truth is not None:
            mask = mask_from_intervals(raster_for(item, params.raster_sec), self.truth)
            made["oracle"] = oracle_map(item, mask, params.raster_sec)
        return made

    def _imputing(self, subject: Subject) -> Subject:
        if not self.depth.road:
            return subject
        start_sec = float(next(iter(subject.maps.values())).edges_sec[0])
        return replace(
            subject,
            predict=value_of_inputs(self.case, self.profile.explain),
            model_input=self.case.changed(start_sec=start_sec).model_input(),
        )

    def _again(self, case: Case, profile: Profile) -> dict[str, Map]:
        return explained(case, profile, self.store).maps

    def _trials(self, own: Mapping[str, Map]) -> dict[str, list[Trial]]:
        """Explain the changed records; one that cannot be explained is no trial."""
        trials: dict[str, list[Trial]] = {name: [] for name in own}
        record, seed = self.case.record, self.profile.stability.seed
        noise = [noisy(record, self.depth.snr_db, seed + i) for i in range(self.depth.noises)]
        for changed in (*noise, shifted(record), gained(record, 0.9), gained(record, 1.1)):
            try:
                other = self.case.disturbed(changed.record, changed.time_map, self.case.start_sec)
                made = self._again(other, self.profile)
            except EcgXaiError:
                continue  # such as a record that is too short once it is cut
            for name, item in made.items():
                trials[name].append(Trial(changed.kind, item, changed.time_map))
        return trials

    def _randomised(self, subject: Subject) -> Subject:
        """Maps of models without knowledge, and of the model itself with another seed."""
        inner = _loaded(self.case.classifier)
        if not self.depth.sanity_stages or not isinstance(inner, KerasClassifier):
            return subject
        seed, stages = self.profile.explain.seed, self.depth.sanity_stages
        cascade: dict[str, list[tuple[str, Map]]] = {}
        for layer, other in randomised(inner, seed, stages):
            for name, item in self._again(
                self.case.changed(classifier=other), self.profile
            ).items():
                cascade.setdefault(name, []).append((layer, item))
        repeats = self._again(self.case.changed(classifier=inner), _reseeded(self.profile))
        shuffled: Mapping[str, Map] = {}
        if self.shuffled is not None:
            shuffled = self._again(self.case.changed(classifier=self.shuffled), self.profile)
        return replace(subject, cascade=cascade, repeats=repeats, shuffled=shuffled)


def weights_reachable(classifier: Classifier) -> bool:
    """Whether the weights of a model can be randomised; not where ONNX Runtime runs it."""
    return isinstance(_loaded(classifier), KerasClassifier)


def _loaded(classifier: Classifier) -> Classifier:
    return classifier.loaded() if isinstance(classifier, LazyClassifier) else classifier


def _reseeded(profile: Profile) -> Profile:
    groups = {name: getattr(profile, name) for name in ("explain", "lime", "timeshap")}
    return profile.updated(
        **{name: group.updated(seed=group.seed + 1) for name, group in groups.items()}
    )
