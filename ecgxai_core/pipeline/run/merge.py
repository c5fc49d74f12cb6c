"""The run of all records from the directories of its shards: the same bytes as an unsharded run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecgxai_core.errors import RunError
from ecgxai_core.params import EvaluationParams, checked
from ecgxai_core.pipeline.predict import Failure, Predictions
from ecgxai_core.pipeline.prediction_parts import merged, read_part
from ecgxai_core.pipeline.run.folder import (
    PREDICTIONS_FOLDER,
    SHARD,
    SHARD_SCHEMA,
    Made,
    claim,
    file_digest,
    finish,
    refuse_another_run,
    write_selected,
)
from ecgxai_core.pipeline.run.ledger import Ledger, RunLock
from ecgxai_core.pipeline.run.units import Unit
from ecgxai_core.pipeline.sel_df import Choice
from ecgxai_core.pipeline.select import select_chosen
from ecgxai_core.pipeline.shards import Shard, ShardFacts, check_set
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.store.atomic import remove_temporaries, write_bytes_atomic
from ecgxai_core.version import code_version

__all__ = ["merge_runs"]


@dataclass(frozen=True, slots=True)
class _Part:
    """One shard as it was read."""

    path: Path
    facts: ShardFacts
    choices: Mapping[int, Choice]
    units: Mapping[str, str]
    failed: Mapping[str, Failure]
    predictions: tuple[Predictions, ...]


def merge_runs(
    out: Path, folders: Sequence[Path], *, progress: Progress = no_progress
) -> tuple[int, tuple[Failure, ...]]:
    """Put the shards of one run together; how many units there are, and what failed.

    Raises
    ------
    RunError
        The folders are not all shards of one run, each once and as it was left; ``out`` holds
        something else; or the shards are of another version of the program.
    """
    begun, clock = datetime.now(UTC), time.perf_counter()
    parts = [_read(folder) for folder in folders]
    check_set([part.facts for part in parts])
    described = json.loads((folders[0] / SHARD).read_bytes())["request"]
    if described.get("code") != code_version():
        problem = f"was made by another version of the program ({described.get('code')})"
        raise RunError(folders[0].name, SHARD, problem, "merge with the version that made it")
    predictions = merged([one for part in parts for one in part.predictions])
    selected = select_chosen(predictions, _all_choices(parts, described))
    evaluation = checked(EvaluationParams, described["profile"]["evaluation"])
    failed: dict[str, Failure] = {}
    with RunLock(out):
        remove_temporaries(out)
        refuse_another_run(out, described)
        claim(out, described)
        write_selected(out, predictions, selected)
        ledger = Ledger(out / "ledger.jsonl")
        known = ledger.done()
        owners = {name: part for part in parts for name in (*part.units, *part.failed)}
        for done, unit in enumerate(selected.units):
            progress(done, len(selected.units), unit.record)
            part = owners.get(unit.id)
            if part is None:
                problem = f"no shard has {unit.record} for {unit.diagnosis}"
                raise RunError("merge", "SHARD", problem, "run the shards again")
            if unit.id in part.failed:
                failed[unit.id] = part.failed[unit.id]
                continue
            _copy(unit, part, out)
            if known.get(unit.id) != {"sha256": part.units[unit.id]}:
                ledger.append(unit.id, {"sha256": part.units[unit.id]})
        failures = tuple(failed.values())
        made = Made(described, predictions, selected.units, failures, evaluation)
        finish(out, made, begun, clock)
    progress(len(selected.units), len(selected.units), "")
    return len(selected.units) - len(failed), failures


def _read(folder: Path) -> _Part:
    """A finished shard.

    Raises
    ------
    RunError
        The folder holds none, or one that is damaged.
    """
    try:
        value = json.loads((folder / SHARD).read_bytes())
    except OSError:
        problem = "holds no finished shard"
        fix = "finish it: repeat its 'ecgxai run' command"
        raise RunError(folder.name or str(folder), SHARD, problem, fix) from None
    except (ValueError, RecursionError):
        raise _damaged(folder, SHARD) from None
    try:
        if value["schema"] != SHARD_SCHEMA:
            raise _damaged(folder, SHARD)
        shard = Shard.of(value["shard"])
        parts = []
        for file in sorted((folder / PREDICTIONS_FOLDER).glob("*.safetensors")):
            part = read_part(file, {"shard": str(shard)})
            if part is None:
                raise _damaged(folder, file.name)
            parts.append(part)
        if sum(len(part.records) for part in parts) != value["records"]:
            raise _damaged(folder, PREDICTIONS_FOLDER)
        return _Part(
            folder,
            ShardFacts(folder.name, shard, {**value["request"], "files": value["files"]}),
            {int(place): Choice(**choice) for place, choice in value["choices"]},
            dict(value["units"]),
            {name: Failure(*said) for name, said in value["failed"].items()},
            tuple(parts),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _damaged(folder, SHARD) from None


def _damaged(folder: Path, name: str) -> RunError:
    return RunError(folder.name, name, "is damaged", "run this shard again into an empty folder")


def _all_choices(parts: Sequence[_Part], described: Mapping[str, Any]) -> list[Choice]:
    """The rows of the selection, in its order."""
    found = {place: choice for part in parts for place, choice in part.choices.items()}
    count = described["selection"]["rows"]
    if sorted(found) != list(range(count)):
        problem = f"the shards hold {len(found)} of {count} rows of the selection"
        raise RunError("merge", "SHARD", problem, "run the shards again")
    return [found[place] for place in range(count)]


def _copy(unit: Unit, part: _Part, out: Path) -> None:
    """Copy a unit's file, which must be as its shard left it."""
    wanted, target = part.units[unit.id], unit.file(out)
    if file_digest(target) == wanted:
        return
    source = unit.file(part.path)
    if file_digest(source) != wanted:
        raise _damaged(part.path, source.name)
    write_bytes_atomic(target, source.read_bytes())
