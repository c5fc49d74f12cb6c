"""``sel_df``: which records are good examples of which diagnosis.

The draw of one diagnosis ranks records by a hash of seed, diagnosis and record content. Another
record in the folder, another order of files or another target therefore never changes how two
records compare.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import pandas as pd

from ecgxai_core.diagnoses import aliases, diagnoses, find_diagnosis, is_free_name, term_of
from ecgxai_core.errors import DiagnosisError, RunError
from ecgxai_core.params import SelectionParams
from ecgxai_core.pipeline.predict import Predictions
from ecgxai_core.store.csv_cells import original
from ecgxai_core.types import BoolArray, FloatArray, IntArray, content_seed, joined_codes

__all__ = [
    "SEL_COLUMNS",
    "Choice",
    "labels_can_name",
    "read_selection",
    "resolve_targets",
    "select",
    "select_again",
]

SEL_COLUMNS: dict[str, str] = {
    "target": "canonical code of the diagnosis",
    "target_name": "its name",
    "rank": "place in the draw of this diagnosis, from 1",
    "record": "record name",
    "record_index": "position of the record in the catalogue",
    "record_digest": "digest of the record's content",
    "model_class": "the model's class with the highest probability among the diagnosis's aliases",
    "meta_probability": "that probability (maximum over aliases)",
    "label": "'positive', 'negative', or 'unknown' where the record's labels cannot say",
    "status": "'full' (all criteria), 'relaxed', 'unlabelled' or 'called' (by the model alone)",
    "relaxed": "label-positive, but less probable than asked for; taken for want of better ones",
    "unlabelled": "taken by probability alone, since the record's labels cannot say",
    "duration_sec": "length of the record, seconds",
    "synthetic": "whether the record was simulated",
    "warnings": "codes of its quality warnings, separated by ';'",
}
"""The columns of ``sel_df`` and what they mean."""


def labels_can_name(code: str, labels: Iterable[Sequence[str] | None]) -> bool:
    """Whether the labels of a data set can name a class: where any record is labelled with it, or
    with a code that is scored as the same. Elsewhere the absence of the label says nothing: it may
    stand there under another name (a code instead of a superclass), or not be among what was
    looked for."""
    names = {code, *aliases(code)}
    return any(not names.isdisjoint(given or ()) for given in labels)


@dataclass(frozen=True, slots=True)
class _Chosen:
    index: int
    status: Status
    probability: float
    model_class: str


def select(
    predictions: Predictions,
    params: SelectionParams,
    targets: Sequence[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Select up to ``k_per_class`` records per diagnosis, or all that are labelled or called.

    In this order, until there are enough: label-positive records that the model gives at least
    ``min_prob`` (a seeded draw); label-positive ones of lower probability, most probable first,
    marked ``relaxed``; records without a label field that the model gives at least ``min_prob`` (a
    seeded draw), marked ``unlabelled``. Label-negative records and records longer than
    ``max_duration_sec`` are never drawn. A code that no label names is negative in the draw, as
    published; a name that only the model gives
    (:func:`~ecgxai_core.diagnoses.is_free_name`), and without a draw any class that the labels
    cannot name (:func:`labels_can_name`), counts as not labelled. Of records with the same content
    one is taken, since a copy is no second example.

    Parameters
    ----------
    predictions
        Records with their predictions.
    params
        Numbers of the selection.
    targets
        Codes or abbreviations; ``None`` = every diagnosis that the model outputs and the data has
        (has a label for or, in data without any labels, selects a record for).
    thresholds
        Given = no draw: every record with the label, however improbable, and every record that a
        class of the model calls (gives at least the threshold of the class, 0.5 where none stands
        here), be it labelled otherwise (``called``) or not at all (``unlabelled``).

    Returns
    -------
    A table with the columns :data:`SEL_COLUMNS`, ordered by target (as given, or as in the table of
    diagnoses), then by rank.

    Raises
    ------
    DiagnosisError
        A target that the model does not output.
    """
    codes = resolve_targets(predictions, targets)
    return _frame(
        _row(predictions, code, rank, chosen)
        for code in codes
        for rank, chosen in enumerate(_selected(predictions, params, code, thresholds), start=1)
    )


def select_again(predictions: Predictions, choices: Sequence[tuple[Choice, int]]) -> pd.DataFrame:
    """The table of :func:`select` for choices that were made before, in their order.

    Parameters
    ----------
    predictions
        Records with their predictions, as they are now; the model may be another one.
    choices
        Choices, each with the position of its record in the predictions.

    Raises
    ------
    DiagnosisError
        A target that the model does not output.
    """
    rows = []
    for choice, index in choices:
        code = _canonical(choice.target, predictions.classes)
        one = replace(
            predictions, records=(predictions.records[index],), values=(predictions.values[index],)
        )
        values, classes = _meta_probability(one, aliases(code))
        chosen = _Chosen(index, choice.status, float(values[0]), classes[0])
        rows.append(_row(predictions, code, choice.rank, chosen))
    return _frame(rows)


def _frame(rows: Iterable[dict[str, object]]) -> pd.DataFrame:
    """Rows as a table with the columns :data:`SEL_COLUMNS` and their types."""
    frame = pd.DataFrame(list(rows), columns=list(SEL_COLUMNS))
    kinds = {
        "rank": np.int64, "record_index": np.int64, "meta_probability": np.float64,
        "relaxed": np.bool_, "unlabelled": np.bool_, "duration_sec": np.float64,
        "synthetic": np.bool_,
    }  # fmt: skip
    return frame.astype(kinds)


def resolve_targets(
    predictions: Predictions, targets: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Canonical codes of the diagnoses to select for, each once.

    Raises
    ------
    DiagnosisError
        A target that the model does not output.
    """
    if targets:
        return tuple(dict.fromkeys(_canonical(target, predictions.classes) for target in targets))
    output = {aliases(code)[0] for code in predictions.classes}
    known = [row.code for row in diagnoses() if row.code in output]
    strange = [code for code in predictions.classes if find_diagnosis(code) is None]
    labels = set(predictions.labelled)
    labelled = any(c.labels is not None for c in predictions.records)
    return tuple(
        code
        for code in known + strange
        if not (labelled and _labels_count(predictions, code, drawn=True))
        or labels & set(aliases(code))
    )


def _labels_count(predictions: Predictions, code: str, drawn: bool) -> bool:
    """Whether a record without this label is negative; in the draw, as published, codes always."""
    if predictions.labels_complete or (drawn and not is_free_name(code)):
        return True
    return labels_can_name(code, [tuple(predictions.labelled)])


def _canonical(target: str, classes: Sequence[str]) -> str:
    """A class of the model that the table lacks is its own target."""
    text = target.strip()
    code = aliases(text)[0]
    if not set(aliases(text)) & set(classes):
        known = ", ".join(classes)
        raise DiagnosisError("target", target, "is not among the model's classes", f"use: {known}")
    return code


def _selected(
    predictions: Predictions,
    params: SelectionParams,
    code: str,
    thresholds: Mapping[str, float] | None,
) -> list[_Chosen]:
    names = aliases(code)
    probabilities, classes = _meta_probability(predictions, names)
    statuses = _statuses(predictions, probabilities, params, code, thresholds)
    order: list[tuple[tuple[int, float, int, str, int], _Chosen]] = []
    for index in np.flatnonzero(statuses >= 0).tolist():
        info, p, stage = predictions.records[index], float(probabilities[index]), statuses[index]
        if info.duration_sec <= params.max_duration_sec:
            status = _STATUSES[stage]
            drawn = content_seed("selection", params.seed, code, info.digest)
            # among relaxed records the most probable comes first; elsewhere the draw decides
            key = (int(stage), -p if status == "relaxed" else 0.0, drawn, info.name, index)
            order.append((key, _Chosen(index, status, p, classes[index])))
    best: dict[str, _Chosen] = {}
    for _, chosen in sorted(order, key=lambda item: item[0]):
        best.setdefault(predictions.records[chosen.index].digest, chosen)
    found = list(best.values())
    return found[: params.k_per_class] if thresholds is None else found


def _called(
    predictions: Predictions, names: Sequence[str], thresholds: Mapping[str, float] | None
) -> BoolArray | None:
    """``bool[record]``: whether any class of the diagnosis is at or above its threshold."""
    if thresholds is None:
        return None
    present = [name for name in names if name in predictions.classes]
    columns = [predictions.classes.index(name) for name in present]
    least = np.array([thresholds.get(name, 0.5) for name in present])
    found = predictions.probabilities[:, columns] >= least
    return np.asarray(found.any(axis=1), np.bool_)


def _meta_probability(
    predictions: Predictions, names: Sequence[str]
) -> tuple[FloatArray, tuple[str, ...]]:
    """Highest probability among the aliases, and the class it comes from (canonical wins ties)."""
    present = [name for name in names if name in predictions.classes]
    columns = [predictions.classes.index(name) for name in present]
    values = predictions.probabilities[:, columns].astype(np.float64)
    # a NaN probability is no evidence; it must not hide an alias that has one
    best = np.where(np.isnan(values), -1.0, values).argmax(axis=1)
    return values[np.arange(len(values)), best], tuple(present[k] for k in best)


def _statuses(
    predictions: Predictions,
    probabilities: FloatArray,
    params: SelectionParams,
    code: str,
    thresholds: Mapping[str, float] | None,
) -> IntArray:
    """``int64[record]``: how each record is taken, as a place in :data:`_STATUSES`, or -1."""
    names = aliases(code)
    called = _called(predictions, names, thresholds)
    likely = probabilities >= params.min_prob
    silent = np.array([info.labels is None for info in predictions.records], np.bool_)
    if not _labels_count(predictions, code, drawn=called is None):
        silent[:] = True
    columns = [predictions.labelled[name] for name in names if name in predictions.labelled]
    positive = np.any(columns, axis=0) & ~silent if columns else np.zeros_like(silent)
    chosen = np.full(len(silent), -1, np.int64)
    chosen[positive] = np.where(likely[positive], 0, 1)
    chosen[silent & (likely if called is None else called)] = 2
    if called is not None:
        chosen[~silent & ~positive & called] = 3
    chosen[~np.isfinite(probabilities)] = -1
    return chosen


def _row(predictions: Predictions, code: str, rank: int, chosen: _Chosen) -> dict[str, object]:
    info = predictions.records[chosen.index]
    row = find_diagnosis(code)
    return {
        "target": code,
        "target_name": row.name if row else term_of(code).name,
        "rank": rank,
        "record": info.name,
        "record_index": chosen.index,
        "record_digest": info.digest,
        "model_class": chosen.model_class,
        "meta_probability": chosen.probability,
        "label": {"unlabelled": "unknown", "called": "negative"}.get(chosen.status, "positive"),
        "status": chosen.status,
        "relaxed": chosen.status == "relaxed",
        "unlabelled": chosen.status == "unlabelled",
        "duration_sec": info.duration_sec,
        "synthetic": info.synthetic,
        "warnings": joined_codes(info.all_warnings),
    }


Status = Literal["full", "relaxed", "unlabelled", "called"]
"""How a record was taken; see :data:`ecgxai_core.pipeline.sel_df.SEL_COLUMNS`."""
_STATUSES: tuple[Status, ...] = get_args(Status)

_COLUMNS = ("target", "record", "record_digest", "rank", "status")
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Choice:
    """One row of a selection: a record for a target, and how it was taken."""

    target: str
    record: str
    digest: str
    rank: int
    status: Status


def read_selection(path: Path) -> tuple[Choice, ...]:
    """The rows of a CSV file that ``ecgxai select`` wrote; rows may have been removed by hand.

    Raises
    ------
    RunError
        The file cannot be read, lacks a column, has an odd row, or has none.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _no_selection(path, "is larger than 64 MB")
        text = io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")
        rows = list(csv.DictReader(text, strict=True))
    except OSError as error:
        raise _no_selection(path, f"cannot be read ({error.strerror})") from None
    except (ValueError, csv.Error):
        raise _no_selection(path, "is no CSV file") from None
    missing = [name for name in _COLUMNS if rows and name not in rows[0]]
    if missing or not rows:
        raise _no_selection(path, f"has no column {missing[0]}" if missing else "has no row")
    choices: dict[tuple[str, str], Choice] = {}
    for number, row in enumerate(rows, start=2):
        cells = (original(row[name] or "") for name in _COLUMNS)
        target, record, digest, rank, status = cells
        if not (target and digest and rank.isdecimal() and status in get_args(Status)):
            raise _no_selection(path, f"line {number} is not a row of a selection")
        if (target, digest) in choices:
            raise _no_selection(path, f"line {number} repeats {record} for {target}")
        choices[target, digest] = Choice(target, record, digest, int(rank), cast("Status", status))
    return tuple(choices.values())


def _no_selection(path: Path, problem: str) -> RunError:
    return RunError(path.name, "--selection", problem, "give a file that 'ecgxai select' wrote")
