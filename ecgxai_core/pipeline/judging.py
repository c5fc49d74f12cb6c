"""What judges maps: the beats of a record, and the model with cells masked; curves and maps kept.

Also the demonstration of what lead priors do to a localisation score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.beats import heart_rate, r_peaks
from ecgxai_core.diagnoses import Diagnosis, find_diagnosis
from ecgxai_core.explain import segmentation_of
from ecgxai_core.games.baselines import BY_SEGMENT
from ecgxai_core.games.contrast import ContrastModel, game_for
from ecgxai_core.games.leads import evidence_leads
from ecgxai_core.games.masked import MaskedModel
from ecgxai_core.metrics.faithfulness import Curves
from ecgxai_core.metrics.plausibility import plausibility
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import EvaluationParams, ExplainParams
from ecgxai_core.pipeline.explanation import target_of
from ecgxai_core.segments import segment
from ecgxai_core.store.envelope import Entry
from ecgxai_core.store.values import value_of
from ecgxai_core.types import (
    Attribution,
    FloatArray,
    FusedMap,
    IntArray,
    Record,
    Segmentation,
    content_seed,
    frozen_array,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Beats",
    "beats_of",
    "curve_arrays",
    "curves_of",
    "expected",
    "game_of",
    "maps_of",
    "priors_shown",
]

Map = Attribution | FusedMap
_CURVES = "curves"


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


def expected(diagnosis: Diagnosis | None, params: ExplainParams) -> Diagnosis | None:
    """Where evidence is expected of maps made with these parameters.

    With independent leads as players, what is expected in a derived lead counts for I and II.
    """
    if diagnosis is None or params.lead_group == "all":
        return diagnosis
    return replace(
        diagnosis,
        strict_leads=evidence_leads(diagnosis.strict_leads),
        lenient_leads=evidence_leads(diagnosis.lenient_leads),
    )


def game_of(
    record: Record,
    classifier: Classifier,
    target: str,
    params: ExplainParams,
    start_sec: float | None = None,
) -> tuple[MaskedModel | ContrastModel, Segmentation]:
    """The game that maps are judged by, and one segment over all that the model saw of the record.

    It is the one that explanations with these parameters play: the same value (of the target, or
    of the target against another class), baseline, engine and leads. A baseline that depends on
    how time is cut fills cells as the explanation did, whatever grid a metric asks on.
    """
    model_input = prepare(record, classifier.manifest, start_sec)
    if params.against is not None:
        params = params.updated(against=target_of(params.against, classifier))
    filled_by = None
    if params.baseline in BY_SEGMENT:
        filled_by = segmentation_of(record, model_input, params, find_diagnosis(target))
    model = game_for(classifier, model_input, target, params, params.lead_group, filled_by)
    whole = segment(model_input, ExplainParams(), model_input.values.shape[0] / model_input.fs)
    return model, whole


def curve_arrays(curves: Mapping[str, Curves]) -> dict[str, npt.NDArray[Any]]:
    """Deletion and insertion curves by map as arrays ``curves/<map>/<field>``."""
    return {
        f"{_CURVES}/{name}/{field.name}": getattr(item, field.name)
        for name, item in curves.items()
        for field in fields(item)
    }


def curves_of(entry: Entry) -> dict[str, Curves]:
    """What :func:`curve_arrays` kept, by map; empty where there is nothing."""
    names = [key.split("/")[1] for key in entry.arrays if key.startswith(f"{_CURVES}/")]
    return {
        name: Curves(**{f.name: entry.arrays[f"{_CURVES}/{name}/{f.name}"] for f in fields(Curves)})
        for name in dict.fromkeys(names)
    }


def maps_of(entry: Entry) -> dict[str, Map]:
    """The maps of a unit, by name."""
    found = {}
    for name, meta in entry.meta["maps"].items():
        arrays = {
            key.removeprefix(f"{name}/"): value
            for key, value in entry.arrays.items()
            if key.startswith(f"{name}/")
        }
        found[name] = value_of(Entry(arrays, meta))
    return found


def priors_shown(
    maps: Mapping[str, Map],
    diagnosis: Diagnosis,
    beats: Beats,
    params: EvaluationParams,
) -> pd.DataFrame:
    """AttAUC with and without lead priors: what a score is worth once the answer is in it.

    Returns
    -------
    One row a map and kind of leads (``strict``, ``lenient``): ``map``, ``leads``, ``without`` and
    ``with_priors``. ``random map`` has the weights of the first map in a seeded random order, and
    ``empty map`` says nothing at all.
    """
    import pandas as pd

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
    density = np.nan_to_num(item.density())
    density[item.explored] = rng.permutation(density[item.explored])
    return Attribution(
        record=item.record,
        target=item.target,
        method="random",
        probability=item.probability,
        leads=item.leads,
        edges_sec=item.edges_sec,
        weights=(density * item.durations).astype(np.float32),
        explored=item.explored,
        provenance=item.provenance,
    )
