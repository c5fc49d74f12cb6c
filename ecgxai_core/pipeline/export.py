"""The JSON form of an explanation, as ``ecgxai explain`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.types import Attribution, FusedMap, Map, warning_rows

__all__ = ["explanation_json"]

SCHEMA = "ecgxai-explanation/1"


def explanation_json(
    result: Map,
    profile: str,
    synthetic: bool,
    parts: Mapping[str, Attribution] | None = None,
) -> dict[str, Any]:
    """Plain values; cells that were not explored are ``null``, never zero.

    ``weights`` and ``explored`` are lists of rows, one per lead in ``leads`` order;
    ``event_values`` is ``null`` for a fused map, which has no event game of its own.
    ``diagnostics`` are those of the method (convergence, engine, the fully masked record), and
    ``parts`` those of the attributions ``parts`` of a fused map, by method.
    """
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "record": result.record,
        "target": result.target,
        "profile": profile,
        "probability": result.probability,
        "leads": list(result.leads),
        "edges_sec": _numbers(result.edges_sec),
        "weights": _rows(result.weights),
        "explored": [[bool(cell) for cell in row] for row in result.explored],
        "params": dict(result.provenance.params),
        "diagnostics": dict(result.diagnostics),
        "provenance": result.provenance.as_dict(),
        "warnings": warning_rows(result.warnings),
        "synthetic": synthetic,
    }
    if isinstance(result, Attribution):
        values["method"] = result.method
        values["event_values"] = _optional(result.event_values)
        values["event_errors"] = _optional(result.event_errors)
        errors = result.standard_errors
        values["standard_errors"] = None if errors is None else _rows(errors)
    if isinstance(result, FusedMap):
        values["method"] = "fused"
        values["methods"] = list(result.methods)
        values["event_values"] = None
        values["agreement"] = result.agreement.tolist()
        values["lead_scores"] = dict(result.lead_scores)
        values["top_leads"] = list(result.top_leads)
        values["parts"] = {name: dict(part.diagnostics) for name, part in (parts or {}).items()}
    return values


def _numbers(array: npt.NDArray[Any]) -> list[float | None]:
    # float32 values keep their own shortest text: 0.1f is 0.1, not 0.10000000149.
    return [float(str(value)) if np.isfinite(value) else None for value in array]


def _rows(array: npt.NDArray[Any]) -> list[list[float | None]]:
    return [_numbers(row) for row in array]


def _optional(array: npt.NDArray[Any] | None) -> list[float | None] | None:
    return None if array is None else _numbers(array)
