"""Predict a data set of any size into one table: in parts, by several processes, resumable.

While it works, the parts lie beside the table in ``TABLE.parts``. A killed prediction goes on with
the parts that it lacks. A shard leaves its parts in a folder, which :func:`merge_predictions` puts
together with those of the others.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ecgxai_core.errors import RunError
from ecgxai_core.models.loading import LazyClassifier, kept_classifier
from ecgxai_core.models.training_range import range_digest
from ecgxai_core.pipeline.file_index import file_facts
from ecgxai_core.pipeline.predict import Failure, Predictions, find_files, predict_files
from ecgxai_core.pipeline.prediction_parts import (
    CHUNK,
    listing,
    merged,
    part_file,
    read_part,
    remove_others,
    write_part,
)
from ecgxai_core.pipeline.run.ledger import RunLock
from ecgxai_core.pipeline.run.workers import Executor, map_units
from ecgxai_core.pipeline.shards import WHOLE, Shard, ShardFacts, check_set
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.store.atomic import remove_temporaries, write_json_atomic
from ecgxai_core.store.cache import open_store
from ecgxai_core.store.tables import write_parts
from ecgxai_core.types import canonical_json
from ecgxai_core.version import code_version, library_versions

__all__ = ["Done", "is_prediction", "merge_predictions", "predict_table"]

PART = "part.json"
"""What a finished shard of a prediction says of itself; written last."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a prediction ended; ``warned`` are the records with warnings, and their codes.

    ``reused`` files were predicted by an earlier attempt. Without any record there is no table.
    """

    records: int
    reused: int
    failures: tuple[Failure, ...]
    warned: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The files of one part, and what the part must say that it was made from."""

    number: int
    first: int
    files: tuple[Path, ...]
    key: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Job:
    """What all parts have in common."""

    model: Path
    model_digest: str
    folder: Path
    checksum: str
    shard: Shard


def predict_table(
    records: Sequence[Path],
    model: Path,
    out: Path,
    *,
    checksum: str = "warn",
    jobs: int = 1,
    shard: Shard | None = None,
    progress: Progress = no_progress,
    executor: Executor | None = None,
) -> Done:
    """Predict records and folders into a CSV or Parquet table, or carry on where it stopped.

    Parameters
    ----------
    records
        Files and folders.
    model
        The model's file.
    out
        The table to write; of a shard the folder to write.
    checksum
        What a wrong checksum is, ``warn`` or ``error``.
    jobs
        Worker processes; the table does not depend on it.
    shard
        Only the records of this shard.
    progress
        Called with (done, total, what), in records.
    executor
        What predicts the parts, instead of ``jobs`` processes.

    Raises
    ------
    RecordError, ModelError
        Nothing to predict, or nothing to predict it with.
    RunError
        Another process writes the same table, or it cannot be written.
    """
    files = find_files(records)
    classifier = LazyClassifier(model)
    request = {
        "model_digest": classifier.digest,
        "training_range": range_digest(classifier),
        "checksum": checksum,
        "code": code_version(),
        "libraries": library_versions(),
        "files": listing(files),
    }
    if shard is None and not out.name:
        raise RunError(str(out), "--out", "is not a file name", "name the file to write")
    folder = out if shard is not None else out.with_name(f"{out.name}.parts")
    if shard is not None and folder.is_file():
        raise RunError(out.name, "--out", "is a file; a shard is a folder", "name a new folder")
    with RunLock(folder):
        remove_temporaries(folder)
        (folder / PART).unlink(missing_ok=True)
        chunks = _chunks(files, request, shard or WHOLE)
        job = _Job(model.absolute(), classifier.digest, folder.absolute(), checksum, shard or WHOLE)
        waiting = [c for c in chunks if read_part(part_file(folder, c.number), c.key) is None]
        _work(job, waiting, len(files), jobs, executor, progress)
        remove_others(folder, {part_file(folder, chunk.number).name for chunk in chunks})

        def parts() -> Iterator[Predictions]:
            return (_needed(folder, chunk.number, chunk.key) for chunk in chunks)

        reused = sum(len(chunk.files) for chunk in chunks) - sum(len(c.files) for c in waiting)
        if shard is None:
            done = _write_table(out, parts, reused)
        else:
            done = _facts(parts(), reused)
            keys = [dict(chunk.key) for chunk in chunks]
            said = {"shard": str(shard), "request": request, "keys": keys}
            write_json_atomic(folder / PART, said)
    if shard is None:
        shutil.rmtree(folder, ignore_errors=True)
    return done


def _chunks(files: Sequence[Path], request: Mapping[str, Any], shard: Shard) -> list[_Chunk]:
    base = hashlib.sha256(canonical_json([dict(request), str(shard)]).encode()).hexdigest()
    found = []
    for number, start in enumerate(range(0, len(files), CHUNK)):
        own = tuple(file.absolute() for file in files[start : start + CHUNK])
        key = {"request": base, "number": number, "files": _as_they_are(own)}
        found.append(_Chunk(number, start, own, key))
    return found


def _as_they_are(files: Sequence[Path]) -> str:
    """SHA-256 over size and times of change of records' files: whether a part is of these."""
    facts = canonical_json([file_facts(file) for file in files])
    return hashlib.sha256(facts.encode()).hexdigest()


def _work(
    job: _Job,
    waiting: Sequence[_Chunk],
    files: int,
    jobs: int,
    executor: Executor | None,
    progress: Progress,
) -> None:
    if executor is None and (jobs <= 1 or len(waiting) <= 1):  # in this process, file by file
        for chunk in waiting:
            _predict(chunk, job, _shifted(progress, chunk.first, files))
        return
    each = executor or partial(map_units, processes=jobs)
    done = files - sum(len(chunk.files) for chunk in waiting)
    for chunk, _ in each(partial(_predict, job=job), waiting):
        done += len(chunk.files)
        progress(done, files, f"part {chunk.number + 1}")


def _shifted(progress: Progress, first: int, files: int) -> Progress:
    """Progress within a part as that of the whole."""

    def report(done: int, _total: int, what: str = "") -> None:
        progress(first + done, files, what)

    return report


def _predict(chunk: _Chunk, job: _Job, progress: Progress = no_progress) -> None:
    """Predict the records of one part and write it; a worker keeps its model from part to part."""
    classifier = kept_classifier(job.model, job.model_digest)
    with open_store() as store:
        part = predict_files(
            chunk.files, classifier, store, checksum=job.checksum, progress=progress,
            shard=job.shard, first=chunk.first,
        )  # fmt: skip
    write_part(part_file(job.folder, chunk.number), part, chunk.key)


def _needed(folder: Path, number: int, key: Mapping[str, Any]) -> Predictions:
    part = read_part(part_file(folder, number), key)
    if part is None:
        name = part_file(folder, number).name
        raise RunError(folder.name, name, "is missing or damaged", "run the same command again")
    return part


def _facts(parts: Iterator[Predictions], reused: int) -> Done:
    """What is said of parts in the end, of which only one is held at a time."""
    count = 0
    failures: list[Failure] = []
    warned: list[tuple[str, tuple[str, ...]]] = []
    for part in parts:
        count += len(part.records)
        failures += part.failures
        warned += [(info.name, codes) for info in part.records if (codes := info.all_warnings)]
    return Done(count, reused, tuple(failures), tuple(warned))


def _write_table(out: Path, parts: Callable[[], Iterator[Predictions]], reused: int) -> Done:
    """Write the table part by part; none where there is no record to write."""
    done = _facts(parts(), reused)
    if done.records:
        write_parts(out, (part.frame() for part in parts() if part.records))
    return done


def is_prediction(folder: Path) -> bool:
    """Whether a folder is a finished shard of a prediction."""
    return (folder / PART).is_file()


def merge_predictions(out: Path, folders: Sequence[Path]) -> Done:
    """Put the shards of one prediction together: the bytes of an unsharded one.

    Raises
    ------
    RunError
        The folders are not all shards of one prediction, each once and as it was left.
    """
    said = [_read(folder) for folder in folders]
    check_set([facts for facts, _ in said])
    keys = [part_keys for _, part_keys in said]
    both = list(zip(folders, keys, strict=True))

    def parts() -> Iterator[Predictions]:
        for number in range(len(keys[0])):
            yield merged([_needed(folder, number, own[number]) for folder, own in both])

    return _write_table(out, parts, 0)


def _read(folder: Path) -> tuple[ShardFacts, list[Mapping[str, Any]]]:
    try:
        value = json.loads((folder / PART).read_bytes())
        facts = ShardFacts(folder.name, Shard.of(value["shard"]), value["request"])
        keys = list(value["keys"])
    except OSError:
        problem = "holds no finished shard of a prediction"
        fix = "finish it: repeat its 'ecgxai predict' command"
        raise RunError(folder.name or str(folder), PART, problem, fix) from None
    except (ValueError, RecursionError, KeyError, TypeError):
        fix = "run this shard again into an empty folder"
        raise RunError(folder.name, PART, "is damaged", fix) from None
    return facts, keys
