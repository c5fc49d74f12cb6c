"""The LUDB benchmark: does the evidence lie on the waves annotated by cardiologists?

LUDB contains few records of each diagnosis, so single diagnoses allow no conclusion; rows that pool
all diagnoses are given as well. Kalyakulina et al., LUDB: A New Open-Access Validation Tool for
Electrocardiogram Delineation Algorithms, IEEE Access 8:186181 (2020).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecgxai_core.audit.benchmark_tables import summary_table
from ecgxai_core.case import Case
from ecgxai_core.diagnoses import Diagnosis, find_diagnosis
from ecgxai_core.errors import ExplanationError, RecordError
from ecgxai_core.metrics.ranking import auc_midranks
from ecgxai_core.metrics.raster import Raster, mask_from_intervals, raster_for, rasterise
from ecgxai_core.metrics.references import REFERENCES, oracle_map
from ecgxai_core.models.loading import LazyClassifier, kept_classifier
from ecgxai_core.models.preprocess import prepare
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import profile
from ecgxai_core.pipeline.explain import explain_case
from ecgxai_core.pipeline.run.workers import map_units
from ecgxai_core.records.catalogues.catalogue import read_ludb
from ecgxai_core.records.read import read_record
from ecgxai_core.store.cache import open_store
from ecgxai_core.types import DERIVED_LEADS, STANDARD_LEADS, BoolArray, Map, joined_codes

__all__ = ["METRICS", "ludb_benchmark", "marked_waves"]

log = logging.getLogger(__name__)

METRICS = ("attauc", "p", "qrs", "t", "between")
"""AttAUC of the expected waves in the diagnosis's strict leads, and for each kind of wave its share
of the positive weight / its share of the time."""

BIN_SEC = 0.02
LEAST_PROBABILITY = 0.5
POOLED = "all"
EXPECTED = {"qrs": "qrs", "qrs_term": "qrs", "stt": "t", "tlate": "t"}
"""Window of a diagnosis -> kind of wave. The evidence of an absent wave (AF) has none."""

_SYMBOLS = {"p": "p", "N": "qrs", "t": "t"}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MarkedWaves:
    """Annotated waves: kind (``p``, ``qrs``, ``t``) -> lead -> (onset, offset) in seconds.

    ``span`` is the time from the first to the last annotation of any lead.
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
            problem = f"annotations cannot be read ({error})"
            raise RecordError(header.name, lead, problem, "fetch LUDB again") from None
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
        raise RecordError(header.name, "annotations", "contain no wave", "fetch LUDB again")
    return MarkedWaves(waves, (min(times), max(times)))


@dataclass(frozen=True, slots=True)
class Unit:
    """A record in which the model correctly finds a diagnosis; ``row`` has its evidence."""

    header: Path
    target: str
    row: Diagnosis


def ludb_benchmark(
    data: Path,
    model: Path,
    methods: Sequence[str],
    *,
    per_diagnosis: int = 5,
    jobs: int = 1,
    say: Say = lambda _: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Explain the correct predictions of a model on LUDB, and evaluate the maps by wave.

    Explanations are cached, so an interrupted benchmark can be resumed.

    Parameters
    ----------
    data, model
        Folder of LUDB, and file of the model.
    methods
        Names of methods; those that the model does not support are skipped.
    per_diagnosis
        Most records per diagnosis, in order of their names.
    jobs, say
        Number of processes; called with progress messages.

    Returns
    -------
    One row per record, diagnosis and map; and the summary by diagnosis and method, with rows that
    pool all diagnoses (in which each record counts once).
    """
    classifier = LazyClassifier(model)
    units = _found(data, classifier, per_diagnosis)
    work = partial(_evaluated, model=model, digest=classifier.digest, methods=tuple(methods))
    made: dict[tuple[Path, str], list[dict[str, Any]]] = {}
    for unit, rows in map_units(work, units, jobs):
        made[unit.header, unit.target] = rows
        say(f"{len(made)} of {len(units)}: {unit.header.stem}, {unit.row.name}")
    scores = pd.DataFrame([row for unit in units for row in made[unit.header, unit.target]])
    if scores.empty:
        problem = "the model correctly finds no diagnosis in it"
        raise RecordError(data.name, "", problem, "use another model")
    by_record = scores.groupby(["record", "method"], sort=False)[list(METRICS)].mean()
    pooled = by_record.reset_index().assign(diagnosis=POOLED)
    both = pd.concat([pooled, scores], ignore_index=True)
    return scores, summary_table(both, ("diagnosis", "method"), METRICS)


def _found(data: Path, classifier: Classifier, per_diagnosis: int) -> list[Unit]:
    """Correctly predicted records and diagnoses for which evidence is tabulated."""
    wanted = []
    for entry in read_ludb(data).entries:
        targets = [code for code in entry.labels or () if code in classifier.classes]
        rows = [(code, row) for code in targets if (row := find_diagnosis(code)) and row.windows]
        wanted += [Unit(entry.path, code, row) for code, row in rows]
    headers = list(dict.fromkeys(unit.header for unit in wanted))
    if not headers:
        return []
    given = [prepare(read_record(path), classifier.manifest, None).values for path in headers]
    probability = dict(zip(headers, classifier.predict(np.stack(given)), strict=True))
    taken: Counter[str] = Counter()
    units = []
    for unit in wanted:
        sure = probability[unit.header][classifier.classes.index(unit.target)] >= LEAST_PROBABILITY
        if sure and taken[unit.row.code] < per_diagnosis:
            taken[unit.row.code] += 1
            units.append(unit)
    return units


def _evaluated(
    unit: Unit, model: Path, digest: str, methods: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of one record and diagnosis: methods, maps without information, and the oracle."""
    classifier = kept_classifier(model, digest)
    record, marks = read_record(unit.header), marked_waves(unit.header)
    params = profile("default").explain
    maps: dict[str, Map] = {}
    with open_store() as store:
        for name in methods:
            try:
                maps |= explain_case(Case(record, classifier, unit.target), {name: params}, store)
            except ExplanationError as error:
                log.info("%s: %s", name, error)
    if not maps:
        return []
    first = next(iter(maps.values()))
    maps |= {name: REFERENCES[name](first, 0) for name in ("random", "lead_shuffled", "empty")}
    raster = raster_for(first, BIN_SEC)
    truth = _truth(_masks(raster, marks), unit.row, raster.leads)
    if truth is not None:
        maps["oracle"] = oracle_map(first, truth, BIN_SEC)
    codes = joined_codes(warning.code for warning in first.warnings)
    facts = {"record": record.name, "diagnosis": unit.row.name, "warnings": codes}
    return [
        {**facts, "method": name, **_scores(item, marks, unit.row)} for name, item in maps.items()
    ]


def _scores(item: Map, marks: MarkedWaves, row: Diagnosis) -> dict[str, float]:
    """AttAUC and enrichments over the bins between the first and the last annotation."""
    raster = raster_for(item, BIN_SEC)
    known = (raster.intervals[:, 0] >= marks.span[0]) & (raster.intervals[:, 1] <= marks.span[1])
    scores = rasterise(item, raster).scores[:, known]
    masks = {kind: mask[:, known] for kind, mask in _masks(raster, marks).items()}
    truth = _truth(masks, row, raster.leads)
    masks["between"] = ~np.logical_or.reduce(list(masks.values()))
    positive = np.maximum(scores, 0.0)
    total = float(positive.sum())
    found = {
        kind: _ratio(float(positive[mask].sum()), total * float(mask.mean()))
        for kind, mask in masks.items()
    }
    attauc = np.nan if truth is None else auc_midranks(scores.ravel(), truth.ravel())
    return {"attauc": attauc, **found}


def _masks(raster: Raster, marks: MarkedWaves) -> dict[str, BoolArray]:
    """Bins of each kind of wave, ``bool[lead, bin]``."""
    return {kind: mask_from_intervals(raster, own) for kind, own in marks.waves.items()}


def _truth(
    masks: Mapping[str, BoolArray], row: Diagnosis, leads: Sequence[str]
) -> BoolArray | None:
    """Bins of the expected waves in the strict leads; ``None`` if no wave is expected.

    What is expected in a derived lead that is not among ``leads`` counts for I and II.
    """
    kinds = {EXPECTED.get(window) for window in row.windows}
    known = sorted(kind for kind in kinds if kind is not None)
    if len(known) < len(kinds):
        return None
    waves: BoolArray = np.logical_or.reduce([masks[kind] for kind in known])
    wanted = set(row.strict_leads)
    if any(lead in DERIVED_LEADS and lead not in leads for lead in wanted):
        wanted |= {"I", "II"}
    truth = waves & np.array([lead in wanted for lead in leads])[:, None]
    return truth if truth.any() and not truth.all() else None


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan
