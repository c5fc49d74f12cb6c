"""The LUDB benchmark: does the evidence lie on the waves that cardiologists marked?

LUDB holds few records of each diagnosis, so nothing is claimed for one diagnosis alone; rows that
pool all diagnoses stand beside them. Kalyakulina et al., LUDB: A New Open-Access Validation Tool
for Electrocardiogram Delineation Algorithms, IEEE Access 8:186181 (2020).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgxai_core.benchmark.tables import summary_table
from ecgxai_core.diagnoses import Diagnosis, find_diagnosis
from ecgxai_core.errors import ExplanationError, RecordError
from ecgxai_core.explain import explain_many
from ecgxai_core.metrics.base import Map
from ecgxai_core.metrics.ranking import auc_midranks
from ecgxai_core.metrics.raster import Raster, mask_from_intervals, raster_for, rasterise
from ecgxai_core.metrics.references import lead_shuffled, random_map
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import ExplainParams
from ecgxai_core.records.catalogue_ludb import read_ludb
from ecgxai_core.records.read import read_record
from ecgxai_core.types import STANDARD_LEADS, BoolArray, Record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METRICS", "MarkedWaves", "ludb_benchmark", "marked_waves"]

log = logging.getLogger(__name__)

METRICS = ("attauc", "p", "qrs", "t", "between")
"""AttAUC of the expected waves in the diagnosis's strict leads, and how many times more of the
positive weight lies on each kind of wave than its share of the time."""

WINDOW_SEC = 0.1
BIN_SEC = 0.02
POOLED = "all"
EXPECTED = {"qrs": "qrs", "qrs_term": "qrs", "stt": "t", "tlate": "t"}
"""Window of a diagnosis -> kind of wave. Evidence in an absent wave (AF) has no wave to lie on."""

_SYMBOLS = {"p": "p", "N": "qrs", "t": "t"}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MarkedWaves:
    """What cardiologists marked: kind (``p``, ``qrs``, ``t``) -> lead -> (onset, offset) seconds.

    ``span`` is the time from the first to the last mark of any lead; outside it nothing is known.
    """

    waves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]
    span: tuple[float, float]


def marked_waves(header: Path, fs: float = 500.0) -> MarkedWaves:
    """Read the annotations of one LUDB record.

    Raises
    ------
    RecordError
        An annotation file is missing or cannot be read.
    """
    import wfdb

    waves: dict[str, dict[str, list[tuple[float, float]]]] = {k: {} for k in _SYMBOLS.values()}
    times: list[float] = []
    for lead in STANDARD_LEADS:
        try:
            read = wfdb.rdann(str(header.with_suffix("")), lead.lower())
        except (OSError, ValueError, IndexError) as error:
            raise RecordError(
                header.name, lead, f"annotations cannot be read ({error})", "fetch LUDB again"
            ) from None
        onset, kind = None, None
        for sample, symbol in zip(read.sample, read.symbol, strict=True):
            time = float(sample) / fs
            if symbol == "(":
                onset = time
            elif symbol == ")" and onset is not None and kind is not None:
                waves[kind].setdefault(lead, []).append((onset, time))
                times += [onset, time]
                onset = kind = None
            else:
                kind = _SYMBOLS.get(symbol)
    if not times:
        raise RecordError(header.name, "annotations", "hold no wave", "fetch LUDB again")
    return MarkedWaves(waves, (min(times), max(times)))


def ludb_benchmark(
    data: Path,
    classifier: Classifier,
    methods: Sequence[str],
    *,
    per_diagnosis: int = 5,
    min_prob: float = 0.5,
    say: Say = lambda _: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Explain what a model rightly finds in LUDB, and see on which waves the evidence lies.

    Parameters
    ----------
    data
        Folder of LUDB.
    classifier, methods
        The model, and names of methods; those that the model does not allow are left out.
    per_diagnosis
        Records a diagnosis at most, in the order of their names.
    min_prob
        Least probability of the diagnosis.
    say
        Told how far the work is.

    Returns
    -------
    A row a record, diagnosis and map; and the summary by diagnosis and method, with rows that pool
    all diagnoses.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for record, marks, row, target in _found(data, classifier, per_diagnosis, min_prob):
        say(f"{record.name}: {row.name}")
        rows += _judged(record, marks, row, target, classifier, methods)
    if not rows:
        raise RecordError(data.name, "", "the model finds no diagnosis in it", "use another model")
    scores = pd.DataFrame(rows)
    pooled = scores.assign(diagnosis=POOLED)
    both = pd.concat([pooled, scores], ignore_index=True)
    return scores, summary_table(both, ("diagnosis", "method"), METRICS)


def _found(
    data: Path, classifier: Classifier, per_diagnosis: int, min_prob: float
) -> Iterator[tuple[Record, MarkedWaves, Diagnosis, str]]:
    """Records whose label the model shares, where the table says where evidence is expected."""
    taken: dict[str, int] = {}
    for entry in read_ludb(data).entries:
        targets = [code for code in entry.labels or () if code in classifier.classes]
        wanted = [(code, row) for code in targets if (row := find_diagnosis(code)) and row.windows]
        if not wanted:
            continue
        record = read_record(entry.path)
        values = prepare(record, classifier.manifest, None).values
        probability = classifier.predict(values[None])[0]
        for code, row in wanted:
            if taken.get(row.code, 0) >= per_diagnosis:
                continue
            if probability[classifier.classes.index(code)] >= min_prob:
                taken[row.code] = taken.get(row.code, 0) + 1
                yield record, marked_waves(entry.path), row, code


def _judged(
    record: Record,
    marks: MarkedWaves,
    row: Diagnosis,
    target: str,
    classifier: Classifier,
    methods: Sequence[str],
) -> list[dict[str, Any]]:
    params = ExplainParams(window_sec=WINDOW_SEC)
    maps: dict[str, Map] = {}
    for name in methods:
        try:
            maps |= explain_many(record, classifier, target, {name: params})
        except ExplanationError as error:
            log.info("%s: %s", name, error)
    if not maps:
        return []
    first = next(iter(maps.values()))
    maps |= {"random": random_map(first), "lead_shuffled": lead_shuffled(first)}
    facts = {"record": record.name, "diagnosis": row.name}
    return [{**facts, "method": name, **_scores(item, marks, row)} for name, item in maps.items()]


def _scores(item: Map, marks: MarkedWaves, row: Diagnosis) -> dict[str, float]:
    """AttAUC and enrichments over the bins between the first and the last mark."""
    raster = raster_for(item, BIN_SEC)
    known = (raster.intervals[:, 0] >= marks.span[0]) & (raster.intervals[:, 1] <= marks.span[1])
    scores = rasterise(item, raster).scores[:, known]
    masks = {kind: _mask(raster, marks, kind)[:, known] for kind in ("p", "qrs", "t")}
    masks["between"] = ~np.logical_or.reduce(list(masks.values()))
    positive = np.maximum(scores, 0.0)
    total = float(positive.sum())
    found = {
        kind: _ratio(float(positive[mask].sum()), total * float(mask.mean()))
        for kind, mask in masks.items()
    }
    return {"attauc": _attauc(item, scores, masks, row), **found}


def _attauc(item: Map, scores: Any, masks: Mapping[str, BoolArray], row: Diagnosis) -> float:
    """AttAUC of the expected waves in the strict leads; NaN where no wave is expected."""
    kinds = {EXPECTED.get(window) for window in row.windows}
    if None in kinds:
        return float("nan")
    truth = np.logical_or.reduce([masks[kind] for kind in sorted(k for k in kinds if k)])
    strict = np.array([lead in row.strict_leads for lead in item.leads])
    truth = truth & strict[:, None]
    if not truth.any() or truth.all():
        return float("nan")
    return float(auc_midranks(scores.ravel(), truth.ravel()))


def _mask(raster: Raster, marks: MarkedWaves, kind: str) -> BoolArray:
    return mask_from_intervals(raster, marks.waves[kind])


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")
