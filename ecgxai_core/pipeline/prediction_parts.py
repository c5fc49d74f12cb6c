"""Predictions in files of a few hundred records each: written as they come, read one by one.

A killed prediction goes on with the files that it lacks, several processes write at once, and a
table of a million records is put together without being held in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RunError
from ecgxai_core.pipeline.predict import Failure, Predictions, RecordInfo
from ecgxai_core.store.atomic import read_arrays, write_arrays_atomic
from ecgxai_core.types import Prediction, canonical_json

__all__ = [
    "CHUNK",
    "listing",
    "merged",
    "part_file",
    "read_part",
    "relative_names",
    "remove_others",
    "write_part",
    "write_parts",
]

CHUNK = 256
"""Places (files of the data set) that one part covers."""
_FACTS = ("name", "digest", "labels", "synthetic", "warnings", "input_warnings")


def relative_names(files: Sequence[Path]) -> list[str]:
    """Names of files below the folder that they share: the same on every machine."""
    if not files:
        return []
    whole = [path.absolute() for path in files]
    shared = whole[0].parent
    while not all(path.is_relative_to(shared) for path in whole):
        shared = shared.parent
    return [path.relative_to(shared).as_posix() for path in whole]


def listing(files: Sequence[Path]) -> dict[str, Any]:
    """How many files there are, and the SHA-256 of their names: whether two folders are alike."""
    sha = hashlib.sha256()
    for name in relative_names(files):
        sha.update(name.encode("utf-8", "surrogateescape") + b"\n")
    return {"count": len(files), "sha256": sha.hexdigest()}


def part_file(folder: Path, number: int) -> Path:
    """The file of the places from ``number * CHUNK`` on."""
    return folder / f"{number:06d}.safetensors"


def write_part(path: Path, part: Predictions, key: Mapping[str, Any]) -> None:
    """Write predictions; ``key`` says of what, so that leftovers of other work are known.

    Raises
    ------
    RunError
        The file cannot be written.
    """
    infos = part.records
    arrays: dict[str, npt.NDArray[Any]] = {
        "probabilities": part.probabilities,
        "places": np.array([info.place for info in infos], np.int64),
        "duration_sec": np.array([info.duration_sec for info in infos], np.float64),
    }
    facts = {name: [getattr(info, name) for info in infos] for name in _FACTS}
    meta = {
        "key": dict(key),
        "classes": list(part.classes),
        "model_digest": part.values[0].model_digest if part.values else "",
        "labels_complete": part.labels_complete,
        "failures": [[failure.record, failure.reason] for failure in part.failures],
        **facts,
    }
    write_arrays_atomic(path, arrays, meta)


def read_part(path: Path, key: Mapping[str, Any] | None = None) -> Predictions | None:
    """Read a part; nothing where it is missing, damaged, or of another ``key``.

    The records' paths are their names: those of the machine that predicted them are not kept.
    """
    try:
        entry = read_arrays(path)
        meta = entry.meta
        if key is not None and canonical_json(meta["key"]) != canonical_json(dict(key)):
            return None
        return _part(entry.arrays, meta)
    except (RunError, KeyError, TypeError, ValueError):
        return None


def _part(arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> Predictions:
    classes, model = tuple(meta["classes"]), str(meta["model_digest"])
    infos, values = [], []
    columns = [meta[name] for name in _FACTS]
    numbers = (arrays["places"].tolist(), arrays["duration_sec"].tolist())
    for place, duration, row, *facts in zip(
        *numbers, arrays["probabilities"], *columns, strict=True
    ):
        name, digest, labels, synthetic, warnings, input_warnings = facts
        infos.append(
            RecordInfo(
                Path(name), name, digest, duration, None if labels is None else tuple(labels),
                synthetic, tuple(warnings), tuple(input_warnings), place,
            )
        )  # fmt: skip
        values.append(Prediction(name, classes, row, digest, model))
    failures = tuple(Failure(record, reason) for record, reason in meta["failures"])
    return Predictions(
        tuple(infos), tuple(values), classes, failures, bool(meta["labels_complete"])
    )


def write_parts(folder: Path, whole: Predictions, key: Mapping[str, Any]) -> None:
    """Write all predictions of a shard as the parts of a folder, and no others.

    Failures are left out: who writes this keeps them elsewhere.
    """
    folder.mkdir(exist_ok=True)
    rows = zip(whole.records, whole.values, strict=True)
    written = set()
    for number, group in groupby(rows, key=lambda row: row[0].place // CHUNK):
        infos, values = zip(*group, strict=True)
        part = Predictions(infos, values, whole.classes, (), whole.labels_complete)
        file = part_file(folder, number)
        write_part(file, part, key)
        written.add(file.name)
    remove_others(folder, written)


def remove_others(folder: Path, names: Collection[str]) -> None:
    """Delete the parts that other work left in a folder."""
    for file in folder.glob("*.safetensors"):
        if file.name not in names:
            file.unlink(missing_ok=True)


def merged(parts: Sequence[Predictions]) -> Predictions:
    """Records of several parts in the order of their places, failures in that of the parts.

    Raises
    ------
    RunError
        Two parts have the same place.
    """
    rows = sorted(
        (row for part in parts for row in zip(part.records, part.values, strict=True)),
        key=lambda row: row[0].place,
    )
    places = [info.place for info, _ in rows]
    if len(set(places)) < len(places):
        problem = "have records in common"
        raise RunError("merge", "SHARD", problem, "give the shards of one job, each once")
    return Predictions(
        tuple(info for info, _ in rows),
        tuple(value for _, value in rows),
        next((part.classes for part in parts if part.classes), ()),
        tuple(failure for part in parts for failure in part.failures),
        all(part.labels_complete for part in parts),
    )
