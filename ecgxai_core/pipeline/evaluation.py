"""What metrics need of a case: beats, expected evidence, the game; and cached curves.

Also the demonstration of what lead priors do to a localisation score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ecgxai_core.case import Case
from ecgxai_core.diagnoses import Diagnosis
from ecgxai_core.explainers import segmentation_of, settled_group
from ecgxai_core.games.baselines import BY_SEGMENT
from ecgxai_core.games.contrast import game_for
from ecgxai_core.games.links import to_link
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.metrics.base import CURVE_LINES, Curves, Subject, by_lead_group
from ecgxai_core.metrics.plausibility import plausibility
from ecgxai_core.metrics.references import like, references_of
from ecgxai_core.params import EvaluationParams, ExplainParams, Profile
from ecgxai_core.pipeline.explain import with_contrast_code
from ecgxai_core.signal.beats import heart_rate, r_peaks
from ecgxai_core.signal.segments import segment
from ecgxai_core.store.envelope import Entry
from ecgxai_core.types import (
    Attribution,
    Float32Array,
    FloatArray,
    IntArray,
    Map,
    Record,
    Segmentation,
    content_seed,
    frozen_array,
)

__all__ = [
    "Beats",
    "beats_of",
    "curve_arrays",
    "curves_of",
    "game_of",
    "priors_shown",
    "subject_of",
    "value_of_inputs",
]
_CURVES, _BESIDE = "curves", "beside"


@dataclass(frozen=True, slots=True)
class Beats:
    """R peaks of a record: ``int64[n]`` samples, ``float64[n]`` seconds, and beats a minute."""

    samples: IntArray
    seconds: FloatArray
    rate: float


def beats_of(record: Record) -> Beats:
    """The beats that windows of evidence are placed by."""
    peaks = r_peaks(record.signal, record.fs, record.leads)
    seconds = frozen_array(peaks / record.fs, np.float64)
    return Beats(frozen_array(peaks, np.int64), seconds, heart_rate(peaks, record.fs))


def game_of(case: Case, params: ExplainParams) -> tuple[MaskedModel, Segmentation]:
    """The game that maps are evaluated by, and one segment over all that the model saw.

    It is the game of explanations with these parameters: the same value (of the target, or of the
    target and its contrast), baseline, engine and leads (all where the record has no independent
    ones). A baseline that depends on the
    segmentation fills cells as in the explanation, whatever the grid of a metric.
    """
    model_input = case.model_input()
    params = settled_group(with_contrast_code(params, case.classifier), model_input)
    filled_by = None
    if params.baseline in BY_SEGMENT:
        filled_by = segmentation_of(case, model_input, params)
    game = game_for(case.classifier, model_input, case.target, params, params.lead_group, filled_by)
    whole = segment(model_input, ExplainParams(), model_input.values.shape[0] / model_input.fs)
    return game, whole


def subject_of(
    case: Case,
    maps: Mapping[str, Map],
    profile: Profile,
    *,
    beats: Beats | None = None,
    truth: Mapping[str, npt.ArrayLike] | None = None,
) -> Subject:
    """Maps of a case with what every metric of a run needs: beats, expected evidence, the game.

    The window is that of the maps. Each map gets its reference maps. What costs further
    explanations is added by :func:`dataclasses.replace`.
    """
    start_sec = float(next(iter(maps.values())).edges_sec[0])
    seen, games, whole = case.changed(start_sec=start_sec), {}, None
    for group in by_lead_group(maps):
        games[group], whole = game_of(seen, profile.explain.updated(lead_group=group))
    beats = beats or beats_of(case.record)
    return Subject(
        maps=maps,
        params=profile.evaluation,
        stability=profile.stability,
        diagnosis=case.diagnosis,
        peaks_sec=beats.seconds,
        heart_rate=beats.rate,
        truth=truth,
        games=games,
        whole=whole,
        references={
            name: references_of(
                item, case.record, beats.seconds, beats.rate, profile.evaluation.seed
            )
            for name, item in maps.items()
        },
    )


def value_of_inputs(case: Case, params: ExplainParams) -> Callable[[Float32Array], FloatArray]:
    """What is explained, of model inputs: p of the target, or of the target and its contrast."""
    classifier = case.classifier
    columns = [classifier.classes.index(case.target)]
    contrast = with_contrast_code(params, classifier).contrast
    if contrast is None:
        return lambda values: classifier.predict(values)[:, columns[0]].astype(np.float64)
    columns.append(classifier.classes.index(contrast))

    def difference(values: Float32Array) -> FloatArray:
        logits = to_link(classifier.predict(values)[:, columns].astype(np.float64), "logit")
        return np.asarray(1.0 / (1.0 + np.exp(logits[:, 1] - logits[:, 0])), dtype=np.float64)

    return difference


def curve_arrays(curves: Mapping[str, Curves]) -> dict[str, npt.NDArray[Any]]:
    """Deletion and insertion curves by map as arrays ``curves/<map>/<line>``, and those of the
    signal alone as ``curves/<map>/beside/<reference map>`` (``float64[2, step + 1]``)."""
    lines = {
        f"{_CURVES}/{name}/{line}": getattr(item, line)
        for name, item in curves.items()
        for line in CURVE_LINES
    }
    return lines | {
        f"{_CURVES}/{name}/{_BESIDE}/{side}": np.stack(pair)
        for name, item in curves.items()
        for side, pair in item.beside.items()
    }


def curves_of(entry: Entry) -> dict[str, Curves]:
    """What :func:`curve_arrays` kept, by map; empty where there is nothing."""
    parts = [key.split("/") for key in entry.arrays if key.startswith(f"{_CURVES}/")]
    beside: dict[str, dict[str, tuple[FloatArray, FloatArray]]] = {part[1]: {} for part in parts}
    for _, name, *rest in parts:
        if rest[0] == _BESIDE:
            deletion, insertion = entry.arrays["/".join((_CURVES, name, *rest))]
            beside[name][rest[1]] = (deletion, insertion)
    return {
        name: Curves(
            **{line: entry.arrays[f"{_CURVES}/{name}/{line}"] for line in CURVE_LINES},
            beside=found,
        )
        for name, found in beside.items()
    }


def priors_shown(
    maps: Mapping[str, Map],
    diagnosis: Diagnosis,
    beats: Beats,
    params: EvaluationParams,
) -> pd.DataFrame:
    """AttAUC with and without lead priors, which show the answer to the score.

    Returns
    -------
    One row per map and kind of leads (``strict``, ``lenient``): ``map``, ``leads``, ``without`` and
    ``with_priors``. ``random map`` has the weights of the first map in a seeded random order,
    ``empty map`` has none.
    """
    chosen = params.updated(priors=True)
    rows: list[dict[str, Any]] = []
    first = next(iter(maps.values()))
    everything = {**maps, "random map": _shuffled(first, params.seed)}
    for name, item in everything.items():
        scores = {
            s.metric: s for s in plausibility(item, diagnosis, beats.seconds, beats.rate, chosen)
        }
        for leads in ("strict", "lenient"):
            plain, blended = scores[f"attauc_{leads}"], scores[f"attauc_{leads}_priors"]
            rows.append(
                {"map": name, "leads": leads, "without": plain.value, "with_priors": blended.value}
            )
            if item is first:
                nothing = {"without": plain.empty, "with_priors": blended.empty}
                rows.append({"map": "empty map", "leads": leads, **nothing})
    frame = pd.DataFrame(rows)
    order = [*everything, "empty map"]
    return frame.sort_values("map", key=lambda names: names.map(order.index), kind="stable")


def _shuffled(item: Map, seed: int) -> Attribution:
    """The densities of a map, dealt to random cells of those that it explored."""
    rng = np.random.default_rng(
        content_seed("random map", item.provenance.record_digest, item.target, seed)
    )
    density = item.density()
    density[item.explored] = rng.permutation(density[item.explored])
    return like(item, "random", density)
