"""Everything that is known of the maps of one record: all metrics, beside maps without knowledge.

The tables of a run hold what is cheap. This adds what needs more explanations or another masking
(ROAD, robustness, sanity), the reference maps, and a known truth where there is one. Explanations
and what was judged go through the cache, so a second call, or one that was interrupted, computes
nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.diagnoses import find_diagnosis
from ecgxai_core.disturb import Disturbed, gained, noisy, shifted
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.games.links import to_link
from ecgxai_core.metrics import score_columns
from ecgxai_core.metrics.base import Map
from ecgxai_core.metrics.complexity import complexity
from ecgxai_core.metrics.faithfulness import faithfulness
from ecgxai_core.metrics.plausibility import localisation, plausibility
from ecgxai_core.metrics.raster import mask_from_intervals, raster_for, rasterise
from ecgxai_core.metrics.references import REFERENCES, oracle_map
from ecgxai_core.metrics.removal import removal
from ecgxai_core.metrics.road import road
from ecgxai_core.metrics.robustness import Trial, robustness
from ecgxai_core.metrics.sanity import sanity
from ecgxai_core.models.keras_classifier import KerasClassifier
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.models.randomised import randomised
from ecgxai_core.params import ExplainParams, Profile
from ecgxai_core.pipeline.explanation import Explained, explained, target_of
from ecgxai_core.pipeline.judging import beats_of, expected, game_of
from ecgxai_core.pipeline.keys import cache_key
from ecgxai_core.pipeline.lazy import LazyClassifier
from ecgxai_core.pipeline.prediction import Progress, no_progress
from ecgxai_core.store.cache import Store
from ecgxai_core.store.values import json_safe
from ecgxai_core.types import Float32Array, FloatArray, Record, Score

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Depth", "evaluate_all"]

_SHOWN_REFERENCES = ("random", "empty", "lead_shuffled")
_FACTS = ("record", "target", "method", "reference", "sanity_flagged")
"""Columns that are no numbers."""


@dataclass(frozen=True, slots=True)
class Depth:
    """Which of the costly tests are made.

    Attributes
    ----------
    road
        Removal with imputation: about ``6 n_random + 24`` forward passes a record and map.
    noises
        Noisy copies of the record that are explained again; with one or more also a shift by 50 ms
        and gains of 0.9 and 1.1. 0 = no robustness.
    snr_db
        Of the noisy copies.
    sanity_stages
        Stages of the parameter randomisation, each an explanation of another model; 0 = none.
        Needs a Keras model.
    """

    road: bool = True
    noises: int = 2
    snr_db: float = 30.0
    sanity_stages: int = 1


def evaluate_all(
    record: Record,
    classifier: Classifier,
    target: str,
    profile: Profile,
    store: Store,
    *,
    methods: Sequence[str],
    truth: Mapping[str, npt.ArrayLike] | None = None,
    depth: Depth | None = None,
    start_sec: float | None = None,
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """Explain one prediction by several methods and judge every map by every metric.

    Parameters
    ----------
    record, classifier, target, profile, store, start_sec, progress
        As for :func:`ecgxai_core.pipeline.explanation.explained`.
    methods
        Methods that are judged; their fused map is too.
    truth
        Where the evidence is known to lie: lead -> ``[n, 2]`` seconds of the record (planted
        mechanisms, cardiologists' marks). Adds localisation scores ending in ``_truth``, and the
        oracle map.
    depth
        Which costly tests are made; all by default.

    Returns
    -------
    One row a map: the methods, ``fused``, and the references ``random``, ``empty`` and
    ``lead_shuffled`` (of the fused map), ``oracle`` with a truth. ``method``, ``reference``,
    ``record``, ``target``, ``probability``, ``sanity_flagged`` (empty text = passed), then each
    score beside ``_random``, ``_empty`` and ``_ceiling``. What cannot be asked of a reference map,
    such as its robustness, is NaN.
    """
    depth = depth or Depth()
    key = cache_key(
        "evaluation",
        record=record.digest,
        name=record.name,
        warnings=[[w.code, w.message, list(w.leads)] for w in record.warnings],
        model=classifier.digest,
        target=target,
        profile=profile.as_key(),
        methods=list(methods),
        truth=truth and {lead: np.asarray(spans).tolist() for lead, spans in truth.items()},
        depth=asdict(depth),
        start_sec=start_sec,
    )

    def computed() -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        rows = _rows(
            record, classifier, target, profile, store, methods, truth, depth, start_sec, progress
        )
        columns = list(dict.fromkeys(name for row in rows for name in row))
        return {}, {
            "columns": columns,
            "rows": json_safe([[row.get(name) for name in columns] for row in rows]),
        }

    return _frame(store.get_or_compute(key, computed).meta)


def _frame(meta: Mapping[str, Any]) -> pd.DataFrame:
    """The table that was kept; what is undefined is ``null`` there."""
    import pandas as pd

    frame = pd.DataFrame(meta["rows"], columns=meta["columns"])
    numbers = [name for name in frame if name not in _FACTS]
    return frame.astype(dict.fromkeys(numbers, np.float64))


def _rows(
    record: Record,
    classifier: Classifier,
    target: str,
    profile: Profile,
    store: Store,
    methods: Sequence[str],
    truth: Mapping[str, npt.ArrayLike] | None,
    depth: Depth,
    start_sec: float | None,
    progress: Progress,
) -> list[dict[str, Any]]:
    """What :func:`evaluate_all` returns, a row a map."""
    found = explained(
        record, classifier, target, profile, store,
        methods=methods, start_sec=start_sec, progress=progress,
    )  # fmt: skip
    own = _maps(found)
    maps = {**own, **_references(found.fused, profile, truth)}
    rows: dict[str, dict[str, Any]] = {
        name: {
            "record": record.name,
            "target": target,
            "method": name,
            "reference": name not in own,
            "probability": item.probability,
        }
        for name, item in maps.items()
    }
    progress(0, 3, "judging the maps")
    judged = _scores(record, classifier, target, maps, profile, truth, depth)
    for name, scores in judged.items():
        rows[name] |= score_columns(scores)
    progress(1, 3, "explaining changed records")

    def again(record: Record, classifier: Classifier, profile: Profile) -> dict[str, Map]:
        made = explained(
            record, classifier, target, profile, store, methods=methods, start_sec=start_sec
        )
        return _maps(made)

    if depth.noises:
        for name, steady in _robust(record, classifier, own, profile, depth, again).items():
            rows[name] |= score_columns(steady)
    progress(2, 3, "explaining randomised models")
    inner = classifier.loaded() if isinstance(classifier, LazyClassifier) else classifier
    if depth.sanity_stages and isinstance(inner, KerasClassifier):
        for name, values in _sane(record, inner, own, profile, depth, again).items():
            rows[name] |= values
    return list(rows.values())


def _maps(found: Explained) -> dict[str, Map]:
    return {**found.attributions, "fused": found.fused}


def _references(
    item: Map, profile: Profile, truth: Mapping[str, npt.ArrayLike] | None
) -> dict[str, Map]:
    """Maps without knowledge, and with a truth the one with all of it."""
    seed = profile.evaluation.seed
    made: dict[str, Map] = {name: REFERENCES[name](item, seed) for name in _SHOWN_REFERENCES}
    if truth is not None:
        bin_sec = profile.evaluation.raster_sec
        mask = mask_from_intervals(raster_for(item, bin_sec), truth)
        made["oracle"] = oracle_map(item, mask, bin_sec)
    return made


def _scores(
    record: Record,
    classifier: Classifier,
    target: str,
    maps: Mapping[str, Map],
    profile: Profile,
    truth: Mapping[str, npt.ArrayLike] | None,
    depth: Depth,
) -> dict[str, list[Score]]:
    """Everything that needs no further explanation."""
    params = profile.evaluation
    start_sec = float(next(iter(maps.values())).edges_sec[0])
    beats, diagnosis = beats_of(record), expected(find_diagnosis(target), profile.explain)
    game, whole = game_of(record, classifier, target, profile.explain, start_sec)
    curves, more = faithfulness(maps, game, whole, params), removal(maps, game, whole, params)
    imputing: dict[str, tuple[Score, ...]] = {}
    if depth.road:
        predict = _value(classifier, target, profile.explain)
        given = prepare(record, classifier.manifest, start_sec)
        imputing = road(maps, predict, given, whole, params)
    found = {}
    for name, item in maps.items():
        scores = [
            *plausibility(item, diagnosis, beats.seconds, beats.rate, params),
            *curves[name].scores,
            *more[name],
            *imputing.get(name, ()),
            *complexity(item, params),
        ]
        if truth is not None:
            raster = raster_for(item, params.raster_sec)
            mask = mask_from_intervals(raster, truth)
            scores += localisation(rasterise(item, raster), mask, params.precision_k, "truth")
        found[name] = scores
    return found


def _value(
    classifier: Classifier, target: str, params: ExplainParams
) -> Callable[[Float32Array], FloatArray]:
    """What was explained, of model inputs: the probability, or that against another class."""
    column = classifier.classes.index(target)
    if params.against is None:
        return lambda values: classifier.predict(values)[:, column].astype(np.float64)
    other = classifier.classes.index(target_of(params.against, classifier))

    def against(values: Float32Array) -> FloatArray:
        both = classifier.predict(values)[:, [column, other]].astype(np.float64)
        logits = to_link(both, "logit")
        return np.asarray(1.0 / (1.0 + np.exp(logits[:, 1] - logits[:, 0])), dtype=np.float64)

    return against


def _disturbed(record: Record, depth: Depth, seed: int) -> list[Disturbed]:
    noise = [noisy(record, depth.snr_db, seed + i) for i in range(depth.noises)]
    return [*noise, shifted(record), gained(record, 0.9), gained(record, 1.1)]


def _robust(
    record: Record,
    classifier: Classifier,
    maps: Mapping[str, Map],
    profile: Profile,
    depth: Depth,
    again: Any,
) -> dict[str, tuple[Score, ...]]:
    """Explain the changed records; one that cannot be explained is no trial."""
    trials: dict[str, list[Trial]] = {name: [] for name in maps}
    for changed in _disturbed(record, depth, profile.stability.seed):
        try:
            made = again(changed.record, classifier, profile)
        except EcgXaiError:
            continue  # such as a record that is too short once it is cut
        for name, item in made.items():
            trials[name].append(Trial(changed.kind, item, changed.time_map))
    peaks = beats_of(record).seconds
    return {
        name: robustness(item, trials[name], peaks, profile.stability)
        for name, item in maps.items()
    }


def _sane(
    record: Record,
    classifier: KerasClassifier,
    maps: Mapping[str, Map],
    profile: Profile,
    depth: Depth,
    again: Any,
) -> dict[str, dict[str, Any]]:
    """Maps of randomised models, and of the model itself with another seed."""
    stages: dict[str, list[tuple[str, Map]]] = {name: [] for name in maps}
    for layer, other in randomised(classifier, profile.explain.seed, depth.sanity_stages):
        for name, item in again(record, other, profile).items():
            stages[name].append((layer, item))
    repeated = again(record, classifier, _reseeded(profile))
    found = {}
    for name, item in maps.items():
        told = sanity(item, stages[name], repeat=repeated[name])
        found[name] = {
            **score_columns(told.scores),
            "sanity_flagged": told.reason,
        }
    return found


def _reseeded(profile: Profile) -> Profile:
    """The profile with another user seed for every method."""
    groups = {name: getattr(profile, name) for name in ("explain", "lime", "timeshap")}
    return profile.updated(
        **{name: group.updated(seed=group.seed + 1) for name, group in groups.items()}
    )
