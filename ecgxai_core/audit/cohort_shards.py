"""Cohorts explained in parts on several machines: what a shard leaves, and how they are joined."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.audit.cohort import (
    Cohort,
    CohortMember,
    CohortPart,
    CohortRecord,
    CohortRequest,
    cohort_of,
    explain_members,
    labelled_paths,
)
from ecgxai_core.errors import ParameterError, RunError
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.params import EvaluationParams, checked
from ecgxai_core.pipeline.predict import Failure
from ecgxai_core.pipeline.prediction_parts import listing
from ecgxai_core.pipeline.shards import Shard, ShardFacts, check_set
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.store.atomic import write_json_atomic
from ecgxai_core.store.cache import Store
from ecgxai_core.version import code_version, library_versions

__all__ = ["is_cohort", "merge_cohorts", "write_cohort_shard"]

PART = "cohort.json"
"""The only file of a finished shard of a cohort."""
SCHEMA = "ecgxai-cohort-shard/1"


def write_cohort_shard(
    out: Path,
    requests: Sequence[CohortRequest],
    store: Store,
    shard: Shard,
    *,
    checksum: str = "warn",
    progress: Progress = no_progress,
) -> tuple[CohortPart, ...]:
    """Explain what a shard holds of one or two cohorts, and write it into the folder ``out``.

    Raises
    ------
    ParameterError, DiagnosisError, RecordError, ModelError
        As :func:`~ecgxai_core.audit.cohort.make_cohort`.
    RunError
        ``out`` is a file, or holds something else.
    """
    if out.is_file():
        raise RunError(out.name, "--out", "is a file; a shard is a folder", "name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    foreign = sorted(path.name for path in out.iterdir() if path.name != PART)
    if foreign:
        problem = f"is not empty ({foreign[0]})"
        raise RunError(out.name, "--out", problem, "give a new or empty folder")
    parts = tuple(
        explain_members(one, store, shard=shard, checksum=checksum, progress=progress)
        for one in requests
    )
    said = {
        "schema": SCHEMA,
        "shard": str(shard),
        "request": {
            "cohorts": [_described(one, checksum) for one in requests],
            "code": code_version(),
            "libraries": library_versions(),
        },
        "parts": [_plain(part) for part in parts],
    }
    write_json_atomic(out / PART, said)
    return parts


def _described(request: CohortRequest, checksum: str) -> dict[str, Any]:
    """Plain values of everything that decides a cohort; no path of a machine."""
    return {
        "data": request.data.name,
        "files": listing(list(labelled_paths(request.data))),
        "model": request.model.name,
        "model_digest": LazyClassifier(request.model).digest,
        "target": request.target,
        "who": request.who,
        "n": request.n,
        "method": request.method,
        "profile": request.profile.as_key(),
        "checksum": checksum,
    }


def _plain(part: CohortPart) -> dict[str, Any]:
    members = [
        asdict(member) | {"record": None if member.record is None else {
            "probability": member.record.probability, "shares": member.record.shares.tolist(),
        }}
        for member in part.members
    ]  # fmt: skip
    return asdict(replace(part, members=())) | {"members": members}


def is_cohort(folder: Path) -> bool:
    """Whether a folder is a finished shard of a cohort."""
    return (folder / PART).is_file()


def merge_cohorts(folders: Sequence[Path]) -> tuple[list[Cohort], EvaluationParams]:
    """The cohorts that shards are of, as they are without shards, and how they are evaluated.

    Raises
    ------
    RunError
        The folders are not all shards of one cohort, each once and as it was left, or were made by
        another version of the program; no record belongs to it, or none could be explained.
    """
    read = [_read(folder) for folder in folders]
    check_set([facts for facts, _ in read])
    request = read[0][0].request
    if request.get("code") != code_version():
        problem = f"was made by another version of the program ({request.get('code')})"
        raise RunError(folders[0].name, PART, problem, "merge with the version that made it")
    asked = request["cohorts"]
    made = [
        cohort_of([parts[number] for _, parts in read], one["n"])
        for number, one in enumerate(asked)
    ]
    return made, checked(EvaluationParams, asked[0]["profile"]["evaluation"])


def _read(folder: Path) -> tuple[ShardFacts, list[CohortPart]]:
    try:
        value = json.loads((folder / PART).read_bytes())
        facts = ShardFacts(folder.name, Shard.of(value["shard"]), value["request"])
        parts = [_part(part) for part in value["parts"]]
        whole = value["schema"] == SCHEMA and len(parts) == len(facts.request["cohorts"])
    except OSError:
        problem = "holds no finished shard of a cohort"
        fix = "finish it: repeat its 'ecgxai cohort' command"
        raise RunError(folder.name or str(folder), PART, problem, fix) from None
    except (ValueError, RecursionError, KeyError, TypeError, ParameterError):
        whole = False
    if not whole:
        raise RunError(folder.name, PART, "is damaged", "run this shard again into an empty folder")
    return facts, parts


def _part(value: Mapping[str, Any]) -> CohortPart:
    members = tuple(_member(one) for one in value["members"])
    unread = tuple(Failure(**one) for one in value["unread"])
    facts = {**value, "leads": tuple(value["leads"]), "members": members, "unread": unread}
    return CohortPart(**facts)


def _member(value: Mapping[str, Any]) -> CohortMember:
    kept = value["record"]
    record = None if kept is None else CohortRecord(
        value["name"], value["digest"], kept["probability"],
        np.asarray(kept["shares"], np.float64),
    )  # fmt: skip
    return CohortMember(**{**value, "record": record})
