"""Maps that another program made: from arrays or files to values that are drawn, fused, evaluated.

A foreign map is an :class:`~ecgxai_core.types.Attribution` whose weights this program did not
compute. :func:`foreign_map` makes one from arrays, :func:`read_map` from a file, and :func:`bind`
says which record, model and target it explains.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.case import Case
from ecgxai_core.errors import EcgXaiError, ParameterError
from ecgxai_core.records.leads import lead_name
from ecgxai_core.store.envelope import unpack_arrays, unpack_header
from ecgxai_core.types import (
    STANDARD_LEADS,
    Attribution,
    FloatArray,
    FusedMap,
    Provenance,
    QualityWarning,
)

__all__ = ["SUFFIXES", "bind", "foreign_map", "read_map", "write_map"]

SUFFIXES = (".npz", ".npy", ".csv", ".safetensors")
"""Files that hold maps."""

CELL_SEC = 0.02
"""Weights given more densely than this are summed over cells of this length: metrics compare maps
on bins no finer, and every cell costs forward passes."""

MAX_BYTES = 256 * 2**20
_NAMES = ("values", "leads", "times", "edges_sec")


def foreign_map(
    values: npt.ArrayLike,
    *,
    leads: Sequence[str],
    times: npt.ArrayLike | None = None,
    edges_sec: npt.ArrayLike | None = None,
    record: Any = None,
    model: Any = None,
    target: str = "",
    name: str = "foreign",
) -> Attribution:
    """A map that another program made.

    Parameters
    ----------
    values
        ``[lead, time]``: signed weights. NaN = not explored.
    leads
        Names of the rows; any usual spelling.
    times
        ``[time]`` seconds of the record, rising: each value is the weight of one sample. The cell
        of a sample reaches half way to its neighbours, and samples closer together than
        :data:`CELL_SEC` are summed over cells of that length, which the diagnostics state.
    edges_sec
        ``[time + 1]`` seconds of the record, rising: each value is the weight of a whole cell.
        Give either this or ``times``.
    record, model, target
        What the map explains; with a record and a model it is bound to them (see :func:`bind`),
        otherwise :func:`ecgxai_core.evaluate` does it.
    name
        What the map is called in tables.

    Raises
    ------
    ParameterError
        Shapes, leads or times that do not fit, or nothing is explored.
    """
    weights = _numbers("values", values)
    if weights.ndim != 2 or not weights.size:
        raise _refused("values", f"has shape {weights.shape}", "give an array [lead, time]")
    rows = _rows(leads, len(weights))
    if (times is None) == (edges_sec is None):
        raise _refused("times", "and edges_sec: exactly one is needed", "give one of them")
    facts: dict[str, Any] = {"given_leads": list(rows), "given_columns": int(weights.shape[1])}
    if edges_sec is not None:
        edges = _rising("edges_sec", edges_sec, weights.shape[1] + 1)
    else:
        edges = _edges_between(_rising("times", times, weights.shape[1]))
        if np.median(np.diff(edges)) < CELL_SEC * 0.999:
            weights, edges = _summed(weights, edges)
            facts["summed_over_sec"] = CELL_SEC
    explored = np.isfinite(weights)
    if np.isinf(weights).any() or not explored.any():
        raise _refused("values", "are infinite, or all NaN", "give finite weights")
    order = [lead for lead in STANDARD_LEADS if lead in rows]
    at = [rows.index(lead) for lead in order]
    item = Attribution(
        record="",
        target=target,
        method=name,
        probability=math.nan,
        leads=tuple(order),
        edges_sec=edges,
        weights=np.where(explored, weights, 0.0)[at].astype(np.float32),
        explored=explored[at],
        provenance=Provenance("", "", {"foreign": True}, 0, ""),
        diagnostics=facts,
    )
    if record is None and model is None:
        return item
    if record is None or model is None:
        raise _refused("record", "and model go together", "give both, or neither")
    return bind(item, Case(record, model, target))


def bind(item: Attribution, case: Case) -> Attribution:
    """The map as one of this case: on the model's leads and window, with what it explains.

    Cells outside the model's window are dropped and leads or times that the map does not cover are
    marked as not explored, both with a warning.

    Raises
    ------
    ParameterError
        The map has leads that the model lacks, is of another target, or lies outside the record.
    ModelError
        The record does not fit the model.
    """
    if item.target and Case(case.record, case.classifier, item.target).target != case.target:
        raise _refused(
            "target", f"is {item.target}, not {case.target}", "give the map's own target"
        )
    given = case.model_input()
    leads = tuple(lead for lead in STANDARD_LEADS if lead in given.leads)
    extra = [lead for lead in item.leads if lead not in leads]
    if extra:
        raise _refused(
            "leads", f"{', '.join(extra)} are none of the model's", "leave these rows out"
        )
    seconds = case.record.signal.shape[1] / case.record.fs
    slack = 1.5 / case.record.fs
    if item.edges_sec[0] < -slack or item.edges_sec[-1] > seconds + slack:
        raise _refused(
            "times",
            f"{item.edges_sec[0]:g} to {item.edges_sec[-1]:g} lie outside a record of "
            f"{seconds:g} s",
            "give seconds of the record, not samples or milliseconds",
        )
    start, end = given.seen_sec
    edges, columns = _within(item.edges_sec, start, end)
    weights = np.full((len(leads), len(edges) - 1), np.nan, dtype=np.float32)
    for row, lead in enumerate(item.leads):
        known = columns >= 0
        weights[leads.index(lead), known] = item.weights[row, columns[known]]
    explored = np.isfinite(weights)
    if not explored.any():
        raise _refused(
            "times", f"lie outside the model's window of {start:g} to {end:g} s",
            "give a map of what the model sees",
        )  # fmt: skip
    probability = float(
        case.classifier.predict(given.values[None])[0, case.classifier.classes.index(case.target)]
    )
    provenance = Provenance(case.record.digest, case.classifier.digest, {"foreign": True}, 0, "")
    warnings = dict.fromkeys((*case.record.warnings, *given.warnings))
    if not explored.all():
        share = float(explored.mean())
        text = (
            f"the map {item.method} covers {share:.0%} of the leads and times that the model sees"
        )
        warnings[QualityWarning("partial_map", text)] = None
    return replace(
        item,
        record=case.record.name,
        target=case.target,
        probability=probability,
        leads=leads,
        edges_sec=edges,
        weights=np.where(explored, weights, 0.0).astype(np.float32),
        explored=explored,
        provenance=provenance,
        warnings=tuple(warnings),
    )


def read_map(path: str | os.PathLike[str], name: str | None = None) -> Attribution:
    """A map from a file; nothing in the file is run.

    Parameters
    ----------
    path
        ``.npz`` or ``.safetensors`` with ``values`` [lead, time] and ``times`` or ``edges_sec``
        (seconds), ``leads`` as an array of ``.npz``, as JSON in the metadata of ``.safetensors``;
        ``.npy`` with a ``.json`` of the same name that holds ``leads`` and ``times`` or
        ``edges_sec``; ``.csv`` either with the columns ``lead, from_sec, to_sec, weight`` (one row
        per cell) or with ``time`` and one column per lead. What :meth:`Attribution.save
        <ecgxai_core.map_face.MapFace.save>` wrote is read too.
    name
        What the map is called; the file's name without its ending by default.

    Raises
    ------
    ParameterError
        The file is missing, too large, of another kind, or does not hold what is asked for.
    """
    path = Path(path)
    try:
        return _read(path, name or path.stem)
    except OSError as error:
        where = Path(error.filename or path).name
        raise ParameterError(
            path.name, "file", f"{where}: {error.strerror or error}", "check the path"
        ) from None
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, RecursionError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ParameterError(
            path.name, "map", said, "see docs/how-to/foreign-map.md for what a file must hold"
        ) from None


def write_map(
    item: Attribution | FusedMap, path: str | os.PathLike[str], form: str | None = None
) -> None:
    """Write a map as others read it, and :func:`read_map` too.

    Parameters
    ----------
    item
        The map; cells that were not explored are NaN, or have no weight.
    path
        The file.
    form
        ``"npz"`` (``values`` [lead, segment], ``leads``, ``edges_sec``, ``record``, ``target``,
        ``method``) or ``"csv"`` (one row per cell); by default the ending of ``path``.

    Raises
    ------
    ParameterError
        Another form.
    RunError
        The file cannot be written.
    """
    from ecgxai_core.store.atomic import write_bytes_atomic, write_csv_atomic

    form = form or Path(path).suffix.lower().lstrip(".")
    if form == "csv":
        write_csv_atomic(path, item.to_frame())
    elif form == "npz":
        arrays: dict[str, Any] = {"values": item.weights, "edges_sec": item.edges_sec}
        arrays["leads"] = np.array(item.leads)
        for name in ("record", "target", "method"):
            arrays[name] = np.array(getattr(item, name))
        buffer = BytesIO()
        np.savez(buffer, **arrays)
        write_bytes_atomic(path, buffer.getvalue())
    else:
        raise ParameterError(Path(path).name, "format", "is neither npz nor csv", "use one of them")


# ---- arrays ------------------------------------------------------------------------------------


def _refused(field: str, problem: str, fix: str) -> ParameterError:
    return ParameterError("map", field, problem, fix)


def _numbers(name: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise _refused(name, f"are {array.dtype}, not numbers", "give real numbers")
    return array.astype(np.float64)


def _rows(leads: Sequence[str], count: int) -> tuple[str, ...]:
    """Standard names of the rows."""
    named = [(text, lead_name(str(text))) for text in leads]
    unknown = [str(text) for text, lead in named if lead is None]
    rows = tuple(lead for _, lead in named if lead is not None)
    if unknown:
        raise _refused("leads", f"{', '.join(unknown)!r} are unknown", "use I, II, ..., V6")
    if len(rows) != count or len(set(rows)) != count:
        raise _refused(
            "leads", f"{', '.join(rows)} do not name {count} rows once each", "one name per row"
        )
    return rows


def _rising(name: str, values: npt.ArrayLike | None, count: int) -> FloatArray:
    array = _numbers(name, [] if values is None else values)
    if array.shape != (count,):
        raise _refused(name, f"has shape {array.shape}", f"give {count} numbers")
    if not np.isfinite(array).all() or (np.diff(array) <= 0).any():
        raise _refused(name, "does not rise", "give finite seconds in rising order")
    return array


def _edges_between(times: FloatArray) -> FloatArray:
    """Edges half way between the times; the outer ones as far out as the next one is in."""
    if len(times) < 2:
        raise _refused("times", "holds a single time", "give edges_sec instead")
    inner = (times[:-1] + times[1:]) / 2
    return np.concatenate([[2 * times[0] - inner[0]], inner, [2 * times[-1] - inner[-1]]])


def _summed(weights: FloatArray, edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights summed over cells of at least :data:`CELL_SEC`; NaN where every sample is."""
    cell = np.floor((edges[:-1] - edges[0]) / CELL_SEC + 1e-9).astype(np.int64)
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    known = np.isfinite(weights)
    sums = np.add.reduceat(np.where(known, weights, 0.0), first, axis=1)
    sums[~np.logical_or.reduceat(known, first, axis=1)] = np.nan
    return sums, np.append(edges[first], edges[-1])


def _within(edges: FloatArray, start: float, end: float) -> tuple[FloatArray, npt.NDArray[Any]]:
    """Edges that cover a window, and the column of each of their cells; -1 = no column.

    A cell of which the window holds less than half is outside.
    """
    middle = (edges[:-1] + edges[1:]) / 2
    inside = np.flatnonzero((middle >= start) & (middle <= end))
    if not len(inside):
        return np.array([start, end]), np.array([-1])
    kept = edges[inside[0] : inside[-1] + 2].copy()
    columns = inside
    tolerance = min(0.5 * float(np.diff(kept).min()), 0.01)
    if kept[0] > start + tolerance:
        kept, columns = np.append(start, kept), np.append(-1, columns)
    else:
        kept[0] = start
    if kept[-1] < end - tolerance:
        kept, columns = np.append(kept, end), np.append(columns, -1)
    else:
        kept[-1] = end
    return kept, columns


# ---- files -------------------------------------------------------------------------------------


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("the JSON is not an object")
    return {key: value[key] for key in (*_NAMES, "target") if key in value}


def _read(path: Path, name: str) -> Attribution:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"is none of {', '.join(SUFFIXES)}")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES // 2**20} MB")
    if suffix == ".csv":
        return foreign_map(**_from_csv(path), name=name)
    if suffix == ".npy":
        beside = json.loads(path.with_suffix(".json").read_text("utf-8"))
        return _from_table({"values": _array(path.read_bytes()), **_table(beside)}, name)
    if suffix == ".npz":
        return _from_table(_from_npz(path), name)
    return _from_safetensors(path, name)


def _array(data: bytes) -> npt.NDArray[Any]:
    """An array of ``.npy`` bytes; nothing is allocated beyond their length."""
    file = BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError("is not an array of format 1 or 2")
    shape, fortran, dtype = read[version](file)
    if dtype.hasobject:
        raise ValueError("holds objects, which are not read")
    body = data[file.tell() :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError(f"claims shape {shape} but holds {len(body)} bytes")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def _from_npz(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as held:
        sizes = {entry.filename: entry.file_size for entry in held.infolist()}
        if sum(sizes.values()) > MAX_BYTES:
            raise ValueError(f"holds more than {MAX_BYTES // 2**20} MB")
        wanted = [name for name in (*_NAMES, "target") if f"{name}.npy" in sizes]
        return {name: _array(held.read(f"{name}.npy")) for name in wanted}


def _from_table(table: Mapping[str, Any], name: str) -> Attribution:
    return foreign_map(
        table["values"],
        leads=[str(lead) for lead in np.atleast_1d(table["leads"])],
        times=table.get("times"),
        edges_sec=table.get("edges_sec"),
        target=str(table.get("target", "")),
        name=name,
    )


def _from_safetensors(path: Path, name: str) -> Attribution:
    from ecgxai_core.store.atomic import read_arrays
    from ecgxai_core.store.values import value_of

    data = path.read_bytes()
    arrays = unpack_arrays(data)
    if "values" in arrays:
        note = unpack_header(data).get("__metadata__", {})
        return _from_table({**_table({k: json.loads(v) for k, v in note.items()}), **arrays}, name)
    try:
        own = value_of(read_arrays(path))
    except EcgXaiError:
        raise KeyError("values") from None
    return foreign_map(
        own.weights, leads=own.leads, edges_sec=own.edges_sec, target=own.target, name=name
    )


def _from_csv(path: Path) -> dict[str, Any]:
    from ecgxai_core.store.csv_cells import read_csv

    frame = read_csv(path)
    if "time" in frame:
        wide = frame.drop(columns="time")
        return {
            "values": wide.to_numpy(np.float64).T,
            "leads": [str(column) for column in wide],
            "times": frame["time"].to_numpy(np.float64),
        }
    lacking = [c for c in ("lead", "from_sec", "to_sec", "weight") if c not in frame]
    if lacking:
        raise ValueError(f"has neither a column time nor {', '.join(lacking)}")
    cells = frame.pivot(index="lead", columns="from_sec", values="weight")
    ends = frame.groupby("from_sec")["to_sec"].agg(["min", "max"]).loc[cells.columns]
    starts = cells.columns.to_numpy(np.float64)
    gaps = np.abs(ends["max"].to_numpy()[:-1] - starts[1:])
    if (ends["max"] - ends["min"]).max() > 1e-6 or (gaps > 1e-3).any():
        raise ValueError("has leads cut at different times, or gaps between cells")
    return {
        "values": cells.to_numpy(np.float64),
        "leads": [str(lead) for lead in cells.index],
        "edges_sec": np.append(starts, float(ends["max"].iloc[-1])),
    }
