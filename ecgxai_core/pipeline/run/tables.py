"""The tables of a run, made only from the files of its units."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ecgxai_core.errors import ParameterError, RunError
from ecgxai_core.metrics import METRICS, SIDE_TITLES, summarise
from ecgxai_core.params import EvaluationParams
from ecgxai_core.store.atomic import read_arrays
from ecgxai_core.store.csv_cells import read_csv
from ecgxai_core.store.tables import write_table
from ecgxai_core.types import ROUTINE_WARNINGS, joined_codes

__all__ = [
    "EVALUATION",
    "FAILURES",
    "STABILITY",
    "SUMMARY",
    "TEXTS",
    "read_summary",
    "write_tables",
]

EVALUATION = "df_eval_attauc_deletion.csv"
STABILITY = "df_eval_stability.csv"
SUMMARY = "summary_per_class.csv"
FAILURES = "failures.csv"
TEXTS = dict.fromkeys(("target", "target_name", "record"), str)
"""Converters of ``pandas.read_csv``: names stay texts, whatever they are (``NA``, ``001``)."""
_KEYS = ("target", "target_name", "record", "method")
_BY = ("target", "target_name", "method")
_SIDES = tuple(f"_{side}" for side in SIDE_TITLES)


def write_tables(
    out: Path,
    unit_files: Sequence[Path],
    failures: Sequence[tuple[str, str]],
    params: EvaluationParams,
) -> dict[str, str]:
    """Write every table of a run into its directory, as CSV with Parquet beside it; returns the
    SHA-256 of the CSV files by name.

    ``unit_files`` are those of the finished units, in the order of ``sel_df``; ``failures``
    (record, reason) of everything that was refused or failed; ``params`` give level and size of
    the bootstrap.
    """
    rows = _Rows()
    for file in unit_files:
        meta = read_arrays(file).meta
        rows.add(meta["evaluation"], meta["stability"])
    evaluation, stability = rows.frames()
    frames = {
        EVALUATION: evaluation,
        STABILITY: stability,
        FAILURES: pd.DataFrame(failures, columns=["record", "reason"]),
    }
    frames[SUMMARY] = pd.concat(
        [_summary(frames[EVALUATION], params), _summary(frames[STABILITY], params)],
        ignore_index=True,
    )
    for name, frame in frames.items():
        write_table(out / name, frame)
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in sorted(frames)}


class _Rows:
    """Rows of the two tables, kept as columns as soon as there are enough: Python's own numbers
    would take ten times the memory."""

    _MOST = 1 << 16

    def __init__(self) -> None:
        self._waiting: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
        self._kept: tuple[list[pd.DataFrame], list[pd.DataFrame]] = ([], [])

    def add(self, *rows: Sequence[dict[str, Any]]) -> None:
        for waiting, more, kept in zip(self._waiting, rows, self._kept, strict=True):
            waiting += more
            if len(waiting) >= self._MOST:
                kept.append(pd.DataFrame(waiting))
                waiting.clear()

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        whole = [
            pd.concat([*kept, pd.DataFrame(waiting)], ignore_index=True)
            if kept
            else pd.DataFrame(waiting)
            for kept, waiting in zip(self._kept, self._waiting, strict=True)
        ]
        return _ordered(whole[0]), _ordered(whole[1])


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """A table's columns in order: keys, facts of the record, then each metric and its references.

    Rows come back from their files without an order of names, so the columns get one here.
    """
    if frame.empty:
        return pd.DataFrame(columns=list(_KEYS))
    metrics = [f"{name}{side}" for name in METRICS for side in ("", *_SIDES)]
    numbers = [name for name in metrics if name in frame.columns]
    facts = sorted(set(frame.columns) - set(_KEYS) - set(numbers))
    return frame[[*_KEYS, *facts, *numbers]]


def _summary(frame: pd.DataFrame, params: EvaluationParams) -> pd.DataFrame:
    """Means with intervals by class and method, with those of the reference maps beside them."""
    metrics = [name for name in METRICS if name in frame.columns]
    if frame.empty or not metrics:
        return pd.DataFrame(columns=[*_BY, "metric"])
    table = summarise(frame, _BY, metrics, params, METRICS)
    means = frame.groupby(list(_BY)).mean(numeric_only=True)
    for side in _SIDES:
        table[side.strip("_")] = [
            means.loc[tuple(row[:-1])].get(f"{row[-1]}{side}", math.nan)
            for row in table[[*_BY, "metric"]].itertuples(index=False)
        ]
    return _with_warnings(table, frame)


def _with_warnings(table: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """The summary with what its numbers rest on: ``n_warned``, rows of the group with a quality
    warning, and ``warnings``, the codes of all of them."""
    codes = frame["warnings"].map(lambda text: set(text.split(";")) - {""})
    warned = codes.map(lambda found: bool(found - ROUTINE_WARNINGS))
    groups = frame[list(_BY)].apply(tuple, axis=1)
    keys = table[list(_BY)].apply(tuple, axis=1)
    counts = warned.groupby(groups).sum()
    joined = codes.groupby(groups).agg(lambda found: joined_codes(set().union(*found)))
    return table.assign(n_warned=keys.map(counts), warnings=keys.map(joined))


def read_summary(run: Path, metric: str | None = None) -> pd.DataFrame:
    """The per-class summary of a finished run.

    Raises
    ------
    RunError
        The folder holds no finished run, or its summary cannot be read.
    ParameterError
        The run has no such metric.
    """
    if not (run / "manifest.json").is_file():
        raise RunError(run.name, "", "holds no finished run", "finish it with 'ecgxai run'")
    try:
        table = read_csv(run / SUMMARY, converters=TEXTS)
    except (OSError, ValueError):
        table = pd.DataFrame()
    if "metric" not in table.columns:
        raise RunError(run.name, SUMMARY, "is missing or no table", "repeat the run")
    if metric is None:
        return table
    known = sorted(set(table["metric"]))
    if metric not in known:
        raise ParameterError("--metric", metric, "not in this run", f"use {', '.join(known)}")
    return table[table["metric"] == metric]
