"""``sel_df``: which records are good examples of which diagnosis.

The draw of one diagnosis ranks records by a hash of seed, diagnosis and record content. Another
record in the folder, another order of files or another target therefore never changes how two
records compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ecgxai_core.diagnoses import aliases, diagnoses, find_diagnosis, term_of
from ecgxai_core.errors import DiagnosisError
from ecgxai_core.params import SelectionParams
from ecgxai_core.types import Float32Array, FloatArray, content_seed, frozen_array

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SEL_COLUMNS", "Candidate", "Catalogue", "Status", "resolve_targets", "select"]

Status = Literal["full", "relaxed", "unlabelled"]

SEL_COLUMNS: dict[str, str] = {
    "target": "canonical code of the diagnosis",
    "target_name": "its name",
    "rank": "place in the draw of this diagnosis, from 1",
    "record": "record name",
    "record_index": "position of the record in the catalogue",
    "record_digest": "digest of the record's content",
    "model_class": "the model's class with the highest probability among the diagnosis's aliases",
    "meta_probability": "that probability (maximum over aliases)",
    "label": "'positive', or 'unknown' where the record has no label field",
    "status": "'full' (all criteria), 'relaxed' or 'unlabelled'",
    "relaxed": "label-positive, but less probable than asked for; taken for want of better ones",
    "unlabelled": "taken by probability alone, since the record has no label field",
    "duration_sec": "length of the record, seconds",
    "synthetic": "whether the record was simulated",
    "warnings": "codes of its quality warnings, separated by ';'",
}
"""The columns of ``sel_df`` and what they mean."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What selection needs to know of one record.

    ``labels`` ``None`` means that the record has no label field; an empty tuple means that it has
    one and names nothing, which is a negative label for every diagnosis.
    """

    record: str
    digest: str
    duration_sec: float
    labels: tuple[str, ...] | None = None
    synthetic: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Records and the model's probabilities for them.

    Attributes
    ----------
    candidates
        One entry per record.
    classes
        The model's classes, in the order of the columns.
    probabilities
        ``float32[record, class]``.
    """

    candidates: tuple[Candidate, ...]
    classes: tuple[str, ...]
    probabilities: Float32Array

    def __post_init__(self) -> None:
        values = frozen_array(self.probabilities, np.float32)
        object.__setattr__(self, "probabilities", values)
        if values.shape != (len(self.candidates), len(self.classes)):
            raise ValueError(
                f"probabilities {values.shape} do not fit {len(self.candidates)} records and "
                f"{len(self.classes)} classes"
            )


@dataclass(frozen=True, slots=True)
class _Chosen:
    index: int
    status: Status
    probability: float
    model_class: str


def select(
    catalogue: Catalogue, params: SelectionParams, targets: Sequence[str] | None = None
) -> pd.DataFrame:
    """Select up to ``k_per_class`` records per diagnosis.

    In this order, until there are enough: label-positive records that the model gives at least
    ``min_prob`` (a seeded draw); label-positive ones of lower probability, most probable first,
    marked ``relaxed``; records without a label field that the model gives at least ``min_prob`` (a
    seeded draw), marked ``unlabelled``. Label-negative records and records longer than
    ``max_duration_sec`` are never selected. Of records with the same content one is taken, since a
    copy is no second example.

    Parameters
    ----------
    catalogue
        Records with their predictions.
    params
        Numbers of the selection.
    targets
        Codes or abbreviations; ``None`` = every diagnosis that the model outputs and the data has
        (has a label for or, in data without any labels, selects a record for).

    Returns
    -------
    A table with the columns :data:`SEL_COLUMNS`, ordered by target (as given, or as in the table of
    diagnoses), then by rank.

    Raises
    ------
    DiagnosisError
        A target that the model does not output.
    """
    import pandas as pd

    codes = resolve_targets(catalogue, targets)
    rows = [
        _row(catalogue, code, rank, chosen)
        for code in codes
        for rank, chosen in enumerate(_selected(catalogue, params, code), start=1)
    ]
    frame = pd.DataFrame(rows, columns=list(SEL_COLUMNS))
    kinds = {
        "rank": np.int64, "record_index": np.int64, "meta_probability": np.float64,
        "relaxed": np.bool_, "unlabelled": np.bool_, "duration_sec": np.float64,
        "synthetic": np.bool_,
    }  # fmt: skip
    return frame.astype(kinds)


def resolve_targets(catalogue: Catalogue, targets: Sequence[str] | None = None) -> tuple[str, ...]:
    """Canonical codes of the diagnoses to select for, each once.

    Raises
    ------
    DiagnosisError
        A target that the model does not output.
    """
    if targets:
        return tuple(dict.fromkeys(_canonical(target, catalogue.classes) for target in targets))
    output = {aliases(code)[0] for code in catalogue.classes}
    known = [row.code for row in diagnoses() if row.code in output]
    strange = [code for code in catalogue.classes if find_diagnosis(code) is None]
    labels = {label for c in catalogue.candidates for label in c.labels or ()}
    labelled = any(c.labels is not None for c in catalogue.candidates)
    return tuple(c for c in known + strange if not labelled or labels & set(aliases(c)))


def _canonical(target: str, classes: Sequence[str]) -> str:
    """A class of the model that the table lacks is its own target."""
    text = target.strip()
    code = aliases(text)[0]
    if not set(aliases(text)) & set(classes):
        known = ", ".join(classes)
        raise DiagnosisError("target", target, "is not among the model's classes", f"use: {known}")
    return code


def _selected(catalogue: Catalogue, params: SelectionParams, code: str) -> list[_Chosen]:
    """The records of one diagnosis, best first."""
    names = aliases(code)
    probabilities, classes = _meta_probability(catalogue, names)
    order: list[tuple[tuple[int, float, int, str, int], _Chosen]] = []
    for index, candidate in enumerate(catalogue.candidates):
        p = float(probabilities[index])
        status = _status(candidate, p, params, names)
        if status is not None:
            stage = ("full", "relaxed", "unlabelled").index(status)
            drawn = content_seed("selection", params.seed, code, candidate.digest)
            # among relaxed records the most probable comes first; elsewhere the draw decides
            key = (stage, -p if status == "relaxed" else 0.0, drawn, candidate.record, index)
            order.append((key, _Chosen(index, status, p, classes[index])))
    best: dict[str, _Chosen] = {}
    for _, chosen in sorted(order, key=lambda item: item[0]):
        best.setdefault(catalogue.candidates[chosen.index].digest, chosen)
    return list(best.values())[: params.k_per_class]


def _meta_probability(
    catalogue: Catalogue, names: Sequence[str]
) -> tuple[FloatArray, tuple[str, ...]]:
    """Highest probability among the aliases, and the class it comes from (canonical wins ties)."""
    present = [name for name in names if name in catalogue.classes]
    columns = [catalogue.classes.index(name) for name in present]
    values = catalogue.probabilities[:, columns].astype(np.float64)
    # a NaN probability is no evidence; it must not hide an alias that has one
    best = np.where(np.isnan(values), -1.0, values).argmax(axis=1)
    return values[np.arange(len(values)), best], tuple(present[k] for k in best)


def _status(
    candidate: Candidate, p: float, params: SelectionParams, names: Sequence[str]
) -> Status | None:
    if not (candidate.duration_sec <= params.max_duration_sec and np.isfinite(p)):
        return None
    if candidate.labels is None:
        return "unlabelled" if p >= params.min_prob else None
    if not set(names) & set(candidate.labels):
        return None
    return "full" if p >= params.min_prob else "relaxed"


def _row(catalogue: Catalogue, code: str, rank: int, chosen: _Chosen) -> dict[str, object]:
    candidate = catalogue.candidates[chosen.index]
    row = find_diagnosis(code)
    return {
        "target": code,
        "target_name": row.name if row else term_of(code).name,
        "rank": rank,
        "record": candidate.record,
        "record_index": chosen.index,
        "record_digest": candidate.digest,
        "model_class": chosen.model_class,
        "meta_probability": chosen.probability,
        "label": "unknown" if candidate.labels is None else "positive",
        "status": chosen.status,
        "relaxed": chosen.status == "relaxed",
        "unlabelled": chosen.status == "unlabelled",
        "duration_sec": candidate.duration_sec,
        "synthetic": candidate.synthetic,
        "warnings": ";".join(sorted(set(candidate.warnings))),
    }
