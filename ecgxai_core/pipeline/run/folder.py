"""What a run directory holds beside its units: whose it is, its tables, or what a shard leaves."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ecgxai_core.errors import RunError
from ecgxai_core.params import EvaluationParams
from ecgxai_core.pipeline.predict import Failure, Predictions, find_files
from ecgxai_core.pipeline.prediction_parts import listing, write_parts
from ecgxai_core.pipeline.run.request import RunRequest, request_digest
from ecgxai_core.pipeline.run.tables import write_tables
from ecgxai_core.pipeline.run.units import UNIT_FOLDER, Unit
from ecgxai_core.pipeline.select import Selected
from ecgxai_core.pipeline.shards import Shard
from ecgxai_core.store.atomic import write_json_atomic
from ecgxai_core.store.tables import write_table

__all__ = [
    "PREDICTIONS_FOLDER",
    "SHARD",
    "SHARD_SCHEMA",
    "Made",
    "claim",
    "file_digest",
    "finish",
    "refuse_another_run",
    "write_selected",
    "write_shard",
]

CLAIM = "request.json"
"""Says of which request a run directory holds the results."""
SHARD = "shard.json"
"""What a finished shard says of itself; written last."""
SHARD_SCHEMA = "ecgxai-shard/1"
PREDICTIONS_FOLDER = "predictions"
"""Folder of a shard that holds its predictions."""
_BEFORE_CLAIM = (".run.lock", "run.log")


def _claimed(described: Mapping[str, Any], shard: Shard | None) -> dict[str, Any]:
    part = {} if shard is None else {"shard": str(shard)}
    return {"request_digest": request_digest(described), **part}


def refuse_another_run(out: Path, described: Mapping[str, Any], shard: Shard | None = None) -> None:
    """Refuse a directory that holds the results of another request, or anything else.

    Raises
    ------
    RunError
        It does.
    """
    path = out / CLAIM
    if path.is_file():
        try:
            known = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            known = None
        if known != _claimed(described, shard):
            problem = "holds another run (other data, model, parameters, shard or program version)"
            raise RunError(out.name, "--out", problem, "give another --out, or remove this one")
        return
    foreign = sorted(path.name for path in out.iterdir() if path.name not in _BEFORE_CLAIM)
    if foreign:
        raise RunError(
            out.name, "--out", f"is not empty ({foreign[0]})", "give a new or empty folder"
        )


def claim(out: Path, described: Mapping[str, Any], shard: Shard | None = None) -> None:
    """Make the directory that of a request."""
    write_json_atomic(out / CLAIM, _claimed(described, shard))
    (out / UNIT_FOLDER).mkdir(exist_ok=True)


def file_digest(path: Path) -> str:
    """SHA-256 of a file; empty where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def write_selected(out: Path, predictions: Predictions, selected: Selected) -> None:
    """The tables that are known before anything is explained."""
    write_table(out / "predictions.csv", predictions.frame())
    write_table(out / "sel_df.csv", selected.frame)


@dataclass(frozen=True, slots=True)
class Made:
    """All that tables and manifest are made from, beside the units' files."""

    request: Mapping[str, Any]
    predictions: Predictions
    units: Sequence[Unit]
    failures: Sequence[Failure]
    evaluation: EvaluationParams


def finish(out: Path, made: Made, begun: datetime, clock: float) -> None:
    """Write the tables and, last, the manifest; ``clock`` is when the work began."""
    records = made.predictions.records
    tables = write_tables(
        out,
        [unit.file(out) for unit in made.units if unit.file(out).is_file()],
        [(failure.record, failure.reason) for failure in made.failures],
        made.evaluation,
    )
    seconds = time.perf_counter() - clock
    manifest = {
        "schema": "ecgxai-run/1",
        "request": made.request,
        "request_digest": request_digest(made.request),
        "records": len(records),
        "units": [unit.id for unit in made.units],
        "failures": len(made.failures),
        "synthetic": any(info.synthetic for info in records),
        "tables": tables,
        "times": {"begun": begun.isoformat(timespec="seconds"), "seconds": seconds},
    }
    write_json_atomic(out / "manifest.json", manifest)


def write_shard(
    request: RunRequest,
    described: Mapping[str, Any],
    shard: Shard,
    predictions: Predictions,
    units: Sequence[Unit],
    failed: Mapping[str, Failure],
) -> None:
    """Write what a merge needs of a shard beside its units' files."""
    out, chosen = request.out, request.records.chosen or ()
    write_parts(out / PREDICTIONS_FOLDER, predictions, {"shard": str(shard)})
    value = {
        "schema": SHARD_SCHEMA,
        "shard": str(shard),
        "request": described,
        "files": listing(find_files([request.data])),
        "records": len(predictions.records),
        "choices": [
            [place, asdict(choice)]
            for place, choice in enumerate(chosen)
            if shard.holds(choice.digest)
        ],
        "units": {unit.id: file_digest(unit.file(out)) for unit in units if unit.id not in failed},
        "failed": {name: [one.record, one.reason] for name, one in failed.items()},
    }
    write_json_atomic(out / SHARD, value)
